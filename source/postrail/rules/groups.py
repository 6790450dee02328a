"""Rules that name the same inputs, evaluated together and once for the same facts."""

from collections.abc import Callable, Mapping
from itertools import product
from operator import itemgetter
from typing import Any, Final

import cel

from postrail.contracts.payment import RuleHit
from postrail.rules.conditions import EVALUATION_ERRORS, Program
from postrail.rules.inputs import INPUTS, Inputs, InputValue

FACTS_REMEMBERED_MAX: Final = 4096
"""Combinations of facts whose hits are remembered, for each group of rules."""

PlacedHit = tuple[int, RuleHit]
"""A hit and its rule's place in the file."""
_BOOLEAN: Final = frozenset({bool})


class RuleGroup:
    """Rules that name the same inputs, and what they said of the facts seen so far.

    A condition is a pure function of the inputs that it names: CEL has no clock, no randomness and no side effect. So
    rules about few distinct facts (a country, a product, a card's expiry) are evaluated once for each of them and not
    once for each payment. What is new nearly every time (an amount) goes to CEL, but alone.
    """

    __slots__ = ("_context", "_kinds", "_names", "_program", "facts_of", "indexes", "known")

    def __init__(
        self, names: tuple[str, ...], indexes: tuple[int, ...], program: Program, constants: Mapping[str, Any]
    ) -> None:
        """`indexes` are the rules' places in the file, `program` gives the list of their values."""
        self.indexes = indexes
        self.known: dict[Any, tuple[PlacedHit, ...]] = {}
        """What was found for facts that were seen before."""
        # One input's value, several in a tuple, or nothing. A missing one is a KeyError.
        self.facts_of: Callable[[Inputs], Any] = itemgetter(*names) if names else _no_facts
        self._names = names
        self._program = program
        self._kinds = frozenset(product(*(INPUTS[name].kinds() for name in names)))
        # The library prepares a context anew after each change: it holds no more than these rules need.
        used = set(program.variables())
        self._context = cel.Context(variables={name: value for name, value in constants.items() if name in used})

    def evaluate(self, facts: Any) -> list[bool] | None:
        """The value of every condition; None when they cannot all be evaluated. For one thread at a time."""
        for name, value in zip(self._names, self._listed(facts), strict=True):
            self._context.add_variable(name, value)
        try:
            results: list[bool] = self._program.execute(self._context)
        except EVALUATION_ERRORS:
            return None
        return results if _BOOLEAN.issuperset(map(type, results)) else None

    def remember(self, facts: Any, hits: tuple[PlacedHit, ...]) -> None:
        """Keep what the rules said. A full memory is emptied: cheaper than knowing what was used last."""
        if len(self.known) >= FACTS_REMEMBERED_MAX:
            self.known = {}
        # True and 1 would be one key: facts of another type than their input's are not remembered.
        if tuple(map(type, self._listed(facts))) in self._kinds:
            self.known[facts] = hits

    def by_name(self, facts: Any) -> dict[str, InputValue]:
        """Facts with the names of their inputs."""
        return dict(zip(self._names, self._listed(facts), strict=True))

    def _listed(self, facts: Any) -> tuple[InputValue, ...]:
        return (facts,) if len(self._names) == 1 else facts


def _no_facts(_: Inputs) -> tuple[()]:
    return ()
