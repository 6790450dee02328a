"""A loaded rule set: conditions compiled once, evaluated together, explained one by one, tested by its own examples.

Hit policy: all rules are evaluated, all that match are collected in file order, and the most severe outcome among
them decides: reject, then refer, then approve. Warnings are recorded and do not block.
"""

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import cel

from postrail.config_files import read_config
from postrail.contracts.payment import RuleHit, RuleOutcome
from postrail.domain.errors import ConfigInvalid
from postrail.rules.conditions import (
    EVALUATION_ERRORS,
    RESERVED_WORDS,
    check_gives_boolean,
    combine,
    compile_condition,
)
from postrail.rules.groups import PlacedHit, RuleGroup
from postrail.rules.inputs import INPUTS, Inputs, InputValue, input_problem
from postrail.rules.rule_file import Rule, RuleSetFile

NOT_EVALUATED: Final = "the condition could not be evaluated"
"""Reason of a hit that stands for a failed evaluation: the payment is referred, never let through."""
_DIGEST_CHARS: Final = 8


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one rule says of one payment. `matched` is None when the condition could not be evaluated."""

    rule_id: str
    description: str
    condition: str
    outcome: RuleOutcome
    reason: str
    matched: bool | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class RuleTestFailure:
    """A test or example of the rule file that did not come out as written."""

    subject: str
    given: Mapping[str, InputValue]
    expected: str
    got: str


_place_of: Final = itemgetter(0)


class RuleSet:
    """Versioned rules, ready to evaluate. Safe to share between threads."""

    def __init__(self, content: RuleSetFile, *, where: str = "rule set") -> None:
        """Compile and check every condition. Raises ConfigInvalid; `where` names the file in its message."""
        self._content = content
        self._where = where
        self.name = content.name
        self.version = f"{content.version}+{_digest(content)}"
        """The file's version and a digest of all that decides, so that an unannounced change shows too."""
        self.rules: tuple[Rule, ...] = content.rules
        self._constants: dict[str, Any] = {
            **{name: list(entries) for name, entries in content.lists.items()},
            **content.limits,
        }
        self._check_names()
        self._check_inputs(content.baseline, "baseline", complete=True)
        for example in content.examples:
            self._check_inputs(example.given, f"example {example.name!r}")
        self._programs = tuple(self._compile(rule) for rule in content.rules)
        self._hits = tuple(RuleHit(rule_id=rule.id, outcome=rule.outcome, reason=rule.reason) for rule in content.rules)
        self._groups = self._group_rules()
        self._used = tuple(sorted({name for program in self._programs for name in program.variables()} & INPUTS.keys()))
        # Lists and limits are handed over once; only a payment's inputs change from call to call.
        self._context = cel.Context(variables=self._constants)
        self._lock = threading.Lock()

    def evaluate(self, inputs: Inputs) -> tuple[RuleHit, ...]:
        """The rules that match, in file order. A rule that cannot be evaluated gives a hit that refers.

        Raises ValueError when an input is missing.
        """
        found: list[PlacedHit] = []
        try:
            for group in self._groups:
                facts = group.facts_of(inputs)
                hits = group.known.get(facts)
                if hits is None:
                    hits = self._evaluate_group(group, facts)
                if hits:
                    found += hits
        except KeyError:
            # Says which input is missing, by the order of their names.
            self._pick(inputs)
            raise
        if len(found) > 1:
            found.sort(key=_place_of)
        return tuple([hit for _, hit in found])

    def explain(self, inputs: Inputs) -> tuple[Explanation, ...]:
        """Every rule in file order, matched or not, with its condition. Raises ValueError when an input is missing."""
        values = self._pick(inputs)
        with self._lock:
            self._context.update(values)
            return tuple(self._explain_one(index) for index in range(len(self.rules)))

    def run_tests(self) -> list[RuleTestFailure]:
        """Run the tests of every rule and all examples of the file; an empty list means that all came out right."""
        failures = [failure for rule in self.rules for failure in self._test_rule(rule)]
        return failures + self._test_baseline() + self._test_examples()

    def test_count(self) -> int:
        """How many tests and examples `run_tests` runs, the baseline included."""
        return 1 + sum(len(rule.tests) for rule in self.rules) + len(self._content.examples)

    def baseline(self) -> dict[str, InputValue]:
        """The inputs of the file's ordinary payment."""
        return dict(self._content.baseline)

    @staticmethod
    def outcome_of(hits: Sequence[RuleHit]) -> RuleOutcome:
        """What the hits decide together: reject before refer before approve."""
        if not hits:
            return RuleOutcome.APPROVE
        outcomes = {hit.outcome for hit in hits}
        for outcome in (RuleOutcome.REJECT, RuleOutcome.REFER):
            if outcome in outcomes:
                return outcome
        return RuleOutcome.APPROVE

    # --- evaluation ---

    def _pick(self, inputs: Inputs) -> dict[str, InputValue]:
        try:
            return {name: inputs[name] for name in self._used}
        except KeyError as error:
            msg = f"the rules of {self.name} need the input {error}"
            raise ValueError(msg) from error

    def _group_rules(self) -> tuple[RuleGroup, ...]:
        """The rules by the inputs that they name, each group with one program for all its conditions."""
        by_names: dict[tuple[str, ...], list[int]] = {}
        for index, program in enumerate(self._programs):
            by_names.setdefault(tuple(sorted(set(program.variables()) & INPUTS.keys())), []).append(index)
        return tuple(
            RuleGroup(names, tuple(indexes), combine([self.rules[index].when for index in indexes]), self._constants)
            for names, indexes in by_names.items()
        )

    def _evaluate_group(self, group: RuleGroup, facts: Any) -> tuple[PlacedHit, ...]:
        """The hits of one group of rules, evaluated now and remembered."""
        with self._lock:
            results = group.evaluate(facts)
            if results is None:
                # At least one fails: each by itself, so that the others still say what they say.
                self._context.update(group.by_name(facts))
                hits = tuple((i, hit) for i in group.indexes if (hit := self._hit_alone(i)) is not None)
            else:
                hits = tuple([(i, self._hits[i]) for i, matched in zip(group.indexes, results, strict=True) if matched])
        group.remember(facts, hits)
        return hits

    def _explain_one(self, index: int) -> Explanation:
        rule = self.rules[index]
        matched, error = None, ""
        try:
            value = self._programs[index].execute(self._context)
        except EVALUATION_ERRORS as failure:
            error = str(failure).split("\n", 1)[0]
        else:
            matched = value if isinstance(value, bool) else None
            error = "" if isinstance(value, bool) else f"gives {type(value).__name__}, no boolean"
        return Explanation(rule.id, rule.description, rule.when.strip(), rule.outcome, rule.reason, matched, error)

    def _hit_alone(self, index: int) -> RuleHit | None:
        explanation = self._explain_one(index)
        if explanation.matched is None:
            return RuleHit(rule_id=explanation.rule_id, outcome=RuleOutcome.REFER, reason=NOT_EVALUATED)
        return self._hits[index] if explanation.matched else None

    # --- the file's own tests ---

    def _test_rule(self, rule: Rule) -> list[RuleTestFailure]:
        failures = []
        for test in rule.tests:
            hits = {hit.rule_id for hit in self.evaluate({**self._content.baseline, **test.given})}
            if (rule.id in hits) is not test.matches:
                expected, got = ("a match", "no match") if test.matches else ("no match", "a match")
                failures.append(RuleTestFailure(f"rule {rule.id}", test.given, expected, got))
        return failures

    def _test_baseline(self) -> list[RuleTestFailure]:
        hits = self.evaluate(self._content.baseline)
        return [RuleTestFailure("baseline", {}, "no hits", _shown(hits, self.outcome_of(hits)))] if hits else []

    def _test_examples(self) -> list[RuleTestFailure]:
        failures = []
        for example in self._content.examples:
            hits = self.evaluate({**self._content.baseline, **example.given})
            outcome = self.outcome_of(hits)
            if {hit.rule_id for hit in hits} != set(example.hits) or outcome is not example.outcome:
                expected = f"{example.outcome} by {', '.join(example.hits) or 'no rule'}"
                failures.append(
                    RuleTestFailure(f"example {example.name!r}", example.given, expected, _shown(hits, outcome))
                )
        return failures

    # --- checks at load time ---

    def _compile(self, rule: Rule) -> Any:
        where = f"{self._where}: rule {rule.id}"
        program = compile_condition(rule.when, names=INPUTS.keys() | self._constants.keys(), where=where)
        bare = {name: None for name, spec in INPUTS.items() if spec.nullable}
        for case, values in (("the baseline", {}), ("a payment without its optional facts", bare)):
            check_gives_boolean(
                program, {**self._constants, **self._content.baseline, **values}, where=where, case=case
            )
        for number, test in enumerate(rule.tests, start=1):
            self._check_inputs(test.given, f"rule {rule.id}: test {number}")
        if {test.matches for test in rule.tests} != {True, False}:
            msg = f"{where}: needs a test that matches and a test that does not"
            raise ConfigInvalid(msg)
        return program

    def _check_names(self) -> None:
        content = self._content
        ids = [rule.id for rule in content.rules]
        twice = sorted({id_ for id_ in ids if ids.count(id_) > 1})
        clashing = sorted(
            (content.lists.keys() & content.limits.keys())
            | (self._constants.keys() & INPUTS.keys())
            | (self._constants.keys() & RESERVED_WORDS)
        )
        strangers = sorted({hit for example in content.examples for hit in example.hits} - set(ids))
        for names, complaint in (
            (twice, "more than one rule has the id"),
            (clashing, "a list or limit takes a name that is in use or kept by CEL:"),
            (strangers, "an example expects a rule that does not exist:"),
        ):
            if names:
                msg = f"{self._where}: {complaint} {', '.join(names)}"
                raise ConfigInvalid(msg)

    def _check_inputs(self, given: Inputs, what: str, *, complete: bool = False) -> None:
        problems = [problem for name, value in given.items() if (problem := input_problem(name, value))]
        if complete:
            problems += [f"the input {name} is missing" for name in sorted(INPUTS.keys() - given.keys())]
        if problems:
            msg = f"{self._where}: {what}: {'; '.join(problems[:5])}"
            raise ConfigInvalid(msg)


def load_rule_set(path: Path) -> RuleSet:
    """Read, check and compile a rule file. Raises ConfigInvalid naming the file, and the rule where there is one."""
    return RuleSet(read_config(path, RuleSetFile), where=str(path))


def _digest(content: RuleSetFile) -> str:
    deciding = {
        "name": content.name,
        "version": content.version,
        "lists": content.lists,
        "limits": content.limits,
        "rules": [(rule.id, rule.when, rule.outcome.value, rule.reason) for rule in content.rules],
    }
    text = json.dumps(deciding, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARS]


def _shown(hits: Sequence[RuleHit], outcome: RuleOutcome) -> str:
    return f"{outcome} by {', '.join(hit.rule_id for hit in hits) or 'no rule'}"
