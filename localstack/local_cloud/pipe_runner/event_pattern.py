"""EventBridge event patterns, as a pure predicate.

Knows the operators that a pipe's filter can use: exact, prefix, suffix, equals-ignore-case, anything-but, numeric,
exists, wildcard and $or, as https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
has them. `cidr` is left out on purpose and refused, as is everything unknown: a filter that silently matches nothing
loses events.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local_cloud.pipe_runner.errors import UnsupportedDefinitionError

_ABSENT: Any = object()

Predicate = Callable[[Any], bool]

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "=": lambda value, bound: value == bound,
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
}


def compile_pattern(pattern: str | Mapping[str, Any]) -> Predicate:
    """Compile a pattern (JSON text or its decoded object) into a predicate over a decoded event.

    Raises UnsupportedDefinitionError when the pattern is not one, or uses an operator that is not played.
    """
    if isinstance(pattern, str):
        try:
            pattern = json.loads(pattern)
        except json.JSONDecodeError as error:
            msg = f"filter pattern is not JSON: {error}"
            raise UnsupportedDefinitionError(msg) from error
    if not isinstance(pattern, Mapping):
        raise UnsupportedDefinitionError("filter pattern must be a JSON object")
    return _compile_object(pattern)


def _compile_object(pattern: Mapping[str, Any]) -> Predicate:
    """All keys must match; a value that is a list of objects matches when one of them does."""
    if not pattern:
        raise UnsupportedDefinitionError("an empty object matches nothing; name a field")
    parts: list[tuple[str | None, Predicate]] = []
    for key, node in pattern.items():
        if key == "$or":
            parts.append((None, _compile_or(node)))
        elif isinstance(node, Mapping):
            parts.append((key, _compile_object(node)))
        elif isinstance(node, list):
            parts.append((key, _compile_leaf(key, node)))
        else:
            msg = f"field {key!r}: a pattern's values stand in a list"
            raise UnsupportedDefinitionError(msg)

    def matches_one(value: Any) -> bool:
        fields = value if isinstance(value, Mapping) else {}
        return all(predicate(value if key is None else fields.get(key, _ABSENT)) for key, predicate in parts)

    def matches(value: Any) -> bool:
        if isinstance(value, list):
            return any(matches_one(element) for element in value)
        return matches_one(value)

    return matches


def _compile_or(node: Any) -> Predicate:
    if not isinstance(node, list) or len(node) < 2 or not all(isinstance(one, Mapping) for one in node):
        raise UnsupportedDefinitionError("$or takes a list of two or more patterns")
    alternatives = [_compile_object(one) for one in node]
    return lambda value: any(alternative(value) for alternative in alternatives)


def _compile_leaf(key: str, matchers: Sequence[Any]) -> Predicate:
    """One field's list of matchers: any of them may match any element of the field."""
    if not matchers:
        msg = f"field {key!r}: an empty list matches nothing"
        raise UnsupportedDefinitionError(msg)
    on_absent = any(_is_absent_matcher(one) for one in matchers)
    predicates = [_compile_matcher(key, one) for one in matchers if not _is_absent_matcher(one)]

    def matches(value: Any) -> bool:
        if value is _ABSENT:
            return on_absent
        elements = value if isinstance(value, list) else [value]
        return any(predicate(element) for element in elements for predicate in predicates)

    return matches


def _is_absent_matcher(matcher: Any) -> bool:
    return isinstance(matcher, Mapping) and matcher.get("exists") is False and len(matcher) == 1


def _compile_matcher(key: str, matcher: Any) -> Predicate:
    if not isinstance(matcher, Mapping):
        return _equal_to(matcher)
    if len(matcher) != 1:
        msg = f"field {key!r}: one operator per matcher, found {sorted(matcher)}"
        raise UnsupportedDefinitionError(msg)
    operator, argument = next(iter(matcher.items()))
    if operator == "exists" and argument is True:
        # A leaf exists when it is not an object; null is a value.
        return lambda value: not isinstance(value, Mapping)
    if operator == "numeric":
        return _numeric(key, argument)
    if operator == "anything-but":
        return _anything_but(key, argument)
    return _text(key, operator, argument)


def _equal_to(expected: Any) -> Predicate:
    """Exact match by JSON type: `true` is not 1, and "1" is not 1."""
    if expected is None or isinstance(expected, bool):
        return lambda value: value is expected
    if isinstance(expected, str):
        return lambda value: isinstance(value, str) and value == expected
    if isinstance(expected, int | float):
        return lambda value: _is_number(value) and value == expected
    msg = f"cannot match {type(expected).__name__} values exactly"
    raise UnsupportedDefinitionError(msg)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numeric(key: str, argument: Any) -> Predicate:
    if not isinstance(argument, list) or len(argument) not in {2, 4}:
        msg = f"field {key!r}: numeric takes one or two pairs of operator and number"
        raise UnsupportedDefinitionError(msg)
    tests: list[tuple[Callable[[float, float], bool], float]] = []
    for sign, bound in zip(argument[0::2], argument[1::2], strict=True):
        if sign not in _COMPARISONS or not _is_number(bound):
            msg = f"field {key!r}: numeric does not know {sign!r} {bound!r}"
            raise UnsupportedDefinitionError(msg)
        tests.append((_COMPARISONS[sign], bound))
    return lambda value: _is_number(value) and all(compare(value, bound) for compare, bound in tests)


def _anything_but(key: str, argument: Any) -> Predicate:
    if isinstance(argument, Mapping):
        if len(argument) != 1:
            msg = f"field {key!r}: anything-but takes one operator"
            raise UnsupportedDefinitionError(msg)
        operator, inner = next(iter(argument.items()))
        texts = inner if isinstance(inner, list) else [inner]
        refused = [_text(key, operator, text) for text in texts]
    else:
        values = argument if isinstance(argument, list) else [argument]
        refused = [_equal_to(one) for one in values]
    if not refused:
        msg = f"field {key!r}: anything-but needs a value"
        raise UnsupportedDefinitionError(msg)
    return lambda value: not isinstance(value, Mapping) and not any(test(value) for test in refused)


def _text(key: str, operator: str, argument: Any) -> Predicate:
    """The operators on strings; `prefix` and `suffix` may ignore case by a nested object."""
    ignore_case = False
    if operator in {"prefix", "suffix"} and isinstance(argument, Mapping) and set(argument) == {"equals-ignore-case"}:
        argument, ignore_case = argument["equals-ignore-case"], True
    if not isinstance(argument, str):
        msg = f"field {key!r}: operator {operator!r} takes a string"
        raise UnsupportedDefinitionError(msg)
    expected = argument.casefold() if ignore_case else argument

    def folded(value: str) -> str:
        return value.casefold() if ignore_case else value

    if operator == "prefix":
        return lambda value: isinstance(value, str) and folded(value).startswith(expected)
    if operator == "suffix":
        return lambda value: isinstance(value, str) and folded(value).endswith(expected)
    if operator == "equals-ignore-case":
        return lambda value: isinstance(value, str) and value.casefold() == argument.casefold()
    if operator == "wildcard":
        expression = _wildcard(key, argument)
        return lambda value: isinstance(value, str) and expression.fullmatch(value) is not None
    msg = f"field {key!r}: operator {operator!r} is not played"
    raise UnsupportedDefinitionError(msg)


def _wildcard(key: str, text: str) -> re.Pattern[str]:
    r"""`*` stands for any characters; `\*` and `\\` for themselves."""
    if "**" in text:
        msg = f"field {key!r}: a wildcard has no two stars in a row"
        raise UnsupportedDefinitionError(msg)
    pieces: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1
            if position == len(text) or text[position] not in "*\\":
                msg = f"field {key!r}: a backslash escapes only * and \\"
                raise UnsupportedDefinitionError(msg)
            pieces.append(re.escape(text[position]))
        else:
            pieces.append(".*" if character == "*" else re.escape(character))
        position += 1
    return re.compile("".join(pieces), re.DOTALL)
