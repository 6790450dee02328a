"""Conditions in CEL (Common Expression Language, cel-spec): checked by name and type when a rule set is loaded.

The library compiles without knowing names or types, and reports an unknown name only when an evaluation reaches
it. So what can be known at load time is checked here: every name, every function, no floating point, and that the
condition gives a boolean for an ordinary payment and for one whose optional facts are missing.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final, Protocol

import cel

from postrail.domain.errors import ConfigInvalid

FUNCTIONS: Final = frozenset({"contains", "endsWith", "int", "matches", "size", "startsWith", "string"})
"""Named functions that a condition may call. `double` and everything that makes one is missing on purpose."""
RESERVED_WORDS: Final = frozenset(
    {
        "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop",
        "namespace", "null", "package", "return", "true", "var", "void", "while",
    }
)  # fmt: skip
"""Words that CEL keeps for itself (cel-spec, section on syntax); no list or limit can have such a name."""

EVALUATION_ERRORS: Final = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
"""What the library raises when an evaluation fails: overflow, a missing key, an unknown name, mixed types."""

_STRING = re.compile(r"""[rR]?"(?:\\.|[^"\\\n])*"|[rR]?'(?:\\.|[^'\\\n])*'""")
_FLOAT = re.compile(r"(?<![\w.])(?:\d+\.\d|\d*\.\d+|\d+[eE][+-]?\d)")
_BOUND_NAME = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\(\s*([A-Za-z_]\w*)\s*,")


class Program(Protocol):
    """A compiled CEL expression, as far as it is used here."""

    def execute(self, context: Any = None) -> Any:
        """The value of the expression."""
        ...

    def variables(self) -> list[str]:
        """The names that the expression refers to."""
        ...

    def functions(self) -> list[str]:
        """The functions and operators that the expression calls."""
        ...


def compile_condition(source: str, *, names: Collection[str], where: str) -> Program:
    """Compile one condition that may refer to `names`. Raises ConfigInvalid; `where` names file and rule."""
    try:
        program: Program = cel.compile(source)
    except ValueError as error:
        msg = f"{where}: the condition is no valid CEL: {_first_line(error)}"
        raise ConfigInvalid(msg) from error
    bare = _STRING.sub('""', source)
    if _FLOAT.search(bare):
        msg = f"{where}: the condition holds a floating point number; write money in minor units, as an integer"
        raise ConfigInvalid(msg)
    unknown = set(program.variables()) - set(names) - set(_BOUND_NAME.findall(bare))
    if unknown:
        msg = f"{where}: the condition names {_listed(unknown)}; there is no such input, list or limit"
        raise ConfigInvalid(msg)
    calls = {name for name in program.functions() if name[0].isalpha()} - FUNCTIONS
    if calls:
        msg = f"{where}: the condition calls {_listed(calls)}; allowed are {_listed(FUNCTIONS)}"
        raise ConfigInvalid(msg)
    return program


def check_gives_boolean(program: Program, values: Mapping[str, Any], *, where: str, case: str) -> None:
    """Evaluate on probe values. Raises ConfigInvalid when that fails or gives anything but a boolean."""
    try:
        result = program.execute(cel.Context(variables=dict(values)))
    except EVALUATION_ERRORS as error:
        msg = f"{where}: the condition cannot be evaluated for {case}: {_first_line(error)}"
        raise ConfigInvalid(msg) from error
    if not isinstance(result, bool):
        msg = f"{where}: the condition gives {type(result).__name__} for {case}; it must give a boolean"
        raise ConfigInvalid(msg)


def combine(sources: Collection[str]) -> Program:
    """One program that gives the list of all conditions' values: one call instead of one for each rule.

    Each condition stands on lines of its own, so that a trailing `//` comment ends with it.
    """
    program: Program = cel.compile("[\n" + ",\n".join(f"(\n{source}\n)" for source in sources) + "\n]")
    return program


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]


def _listed(names: Collection[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names))
