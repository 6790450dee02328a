"""Decisions: recorded with all that is needed to make them again."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.builders.payments import make_authorization, make_enriched
from tests.builders.rules import load, make_file, make_rule

from postrail.contracts.payment import Decision, RuleOutcome
from postrail.rules import INPUTS, RuleSet, decide, load_rule_set, re_run, rule_inputs
from postrail.rules.decisions import deciding_reason

NOW = datetime(2026, 10, 1, tzinfo=UTC)
RULES_FILE = Path(__file__).parents[3] / "config" / "rules" / "issuer-default.yaml"


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rule_set(RULES_FILE)


def test_the_inputs_of_a_payment_are_all_inputs_each_of_its_type() -> None:
    inputs = rule_inputs(make_enriched(), velocity_hour=3)
    assert list(inputs) == list(INPUTS)
    assert all(INPUTS[name].accepts(value) for name, value in inputs.items())
    assert (inputs["foreign"], inputs["converted"], inputs["velocity_hour"]) == (True, True, 3)
    assert (inputs["amount_minor"], inputs["billing_minor"]) == (2550, 2193)


def test_a_payment_without_issuer_country_gives_a_null() -> None:
    payment = make_enriched(make_authorization(card={"issuer_country": None}))
    assert rule_inputs(payment, velocity_hour=1)["issuer_country"] is None


def test_a_decision_survives_json_and_can_be_made_again(rules: RuleSet) -> None:
    payment = make_enriched(make_authorization(card={"issuer_country": None}))
    decision = decide(rules, rule_inputs(payment, velocity_hour=30), decided_at=NOW)
    restored = Decision.model_validate_json(decision.model_dump_json(exclude_none=True))
    assert restored == decision
    again = re_run(restored, rules)
    assert (again.same, again.same_version) == (True, True)


def test_a_changed_rule_shows_when_a_decision_is_made_again(tmp_path: Path, rules: RuleSet) -> None:
    decision = decide(rules, rule_inputs(make_enriched(), velocity_hour=1), decided_at=NOW)
    assert decision.outcome is RuleOutcome.APPROVE
    stricter = load(tmp_path, make_file(make_rule(outcome="reject")))
    again = re_run(decision, stricter)
    assert (again.same, again.same_version, again.outcome) == (False, False, RuleOutcome.REJECT)


def test_the_reason_is_that_of_the_first_deciding_rule_and_counts_the_others(tmp_path: Path) -> None:
    rules = load(
        tmp_path,
        make_file(
            make_rule(id="warning", reason="Just so you know"),
            make_rule(id="first", outcome="refer", reason="Look at this"),
            make_rule(id="second", outcome="refer", reason="And at that"),
        ),
    )
    decision = decide(rules, rule_inputs(make_enriched(), velocity_hour=1), decided_at=NOW)
    assert deciding_reason(decision) == "Look at this (and 1 more)"
