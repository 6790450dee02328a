"""The default rule set (config/rules/issuer-default.yaml): its own tests, and what the product promises of it."""

from pathlib import Path
from typing import Any

import pytest

from postrail.rules import INPUTS, RuleSet, load_rule_set
from postrail.sampling.merchants import WATCH_LISTED_IDS

RULES_FILE = Path(__file__).parents[3] / "config" / "rules" / "issuer-default.yaml"


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rule_set(RULES_FILE)


def test_all_tests_and_examples_of_the_file_pass(rules: RuleSet) -> None:
    assert rules.run_tests() == []
    assert rules.test_count() > 2 * len(rules.rules)


@pytest.mark.parametrize(
    ("inputs", "outcome"),
    [
        ({}, "approve"),
        ({"issuer_country": None}, "approve"),
        ({"foreign": True, "converted": True}, "approve"),
        ({"acceptor_id": WATCH_LISTED_IDS[0]}, "refer"),
        ({"acceptor_id": WATCH_LISTED_IDS[1]}, "refer"),
        ({"billing_minor": 500_001}, "refer"),
        ({"billing_minor": 2_000_001}, "reject"),
        ({"account_status": "frozen"}, "refer"),
        ({"account_status": "closed"}, "reject"),
        ({"velocity_hour": 21}, "refer"),
        ({"card_expiry": "2025-12"}, "reject"),
        ({"account_status": "frozen", "card_expiry": "2025-12"}, "reject"),
        ({"billing_currency": "SEK"}, "refer"),
    ],
)
def test_each_promised_check_decides_as_documented(rules: RuleSet, inputs: dict[str, Any], outcome: str) -> None:
    hits = rules.evaluate({**rules.baseline(), **inputs})
    assert rules.outcome_of(hits) == outcome


@pytest.mark.parametrize("currency", ["GBP", "EUR", "USD", "JPY", "KWD"])
def test_each_home_currency_has_its_own_limits(rules: RuleSet, currency: str) -> None:
    def outcome(minor: int) -> str:
        hits = rules.evaluate({**rules.baseline(), "billing_currency": currency, "billing_minor": minor})
        return rules.outcome_of(hits).value

    assert outcome(1) == "approve"
    assert outcome(10**9) == "reject"


def test_every_rule_and_every_input_is_described_in_the_guide(rules: RuleSet) -> None:
    guide = (RULES_FILE.parents[2] / "docs" / "rules.md").read_text()
    assert [rule.id for rule in rules.rules if f"| `{rule.id}` | {rule.outcome} |" not in guide] == []
    assert [name for name, spec in INPUTS.items() if f"| `{name}` |" not in guide or spec.meaning not in guide] == []
