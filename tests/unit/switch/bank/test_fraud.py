"""The bank's own fraud rules: what each looks at, and that the shipped file can be read."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from postrail.contracts.payment import EntryMode
from postrail.domain.errors import ConfigInvalid
from postrail.settings import Settings
from switch.bank.fraud import Attempt, FraudRules, RuleBasedFraudCheck, load_fraud_rules

ATTEMPT = Attempt(
    card_token="9999990000000001",
    amount_minor=10_000,
    merchant_country="GB",
    home_country="GB",
    mcc="5411",
    entry_mode=EntryMode.CHIP,
    is_first=False,
    countries=frozenset(),
    day_count=0,
)


def check(attempt: Attempt, **rules: object) -> dict[str, int]:
    """Which rule refuses, by name; empty when none does."""
    fraud = RuleBasedFraudCheck(FraudRules.model_validate_json(json.dumps({"version": "2026.1"} | rules)))
    answer = fraud.judge(attempt)
    assert answer == ("102" if fraud.refusals else None)
    return fraud.refusals


def test_without_rules_nothing_is_refused() -> None:
    """What is absent is not looked at."""
    assert check(replace(ATTEMPT, amount_minor=10**11, is_first=True, merchant_country="FR")) == {}


@pytest.mark.parametrize(
    ("rules", "suspect", "harmless"),
    [
        ({"blocked_countries": ["FR"]}, {"merchant_country": "FR"}, {"merchant_country": "DE"}),
        (
            {"countries_per_day_max": 2},
            {"merchant_country": "FR", "countries": frozenset({"GB", "DE"})},
            {"merchant_country": "DE", "countries": frozenset({"GB", "DE"})},
        ),
        ({"first_payment_max": 9_999}, {"is_first": True, "merchant_country": "FR"}, {"is_first": True}),
        ({"card_absent_max": 9_999}, {"entry_mode": EntryMode.ECOMMERCE}, {"entry_mode": EntryMode.CONTACTLESS}),
        (
            {"magnetic_stripe_abroad_max": 9_999},
            {"entry_mode": EntryMode.MAGNETIC_STRIPE, "merchant_country": "FR"},
            {"entry_mode": EntryMode.MAGNETIC_STRIPE},
        ),
        ({"risky_categories": ["7995"], "risky_category_max": 9_999}, {"mcc": "7995"}, {"mcc": "5411"}),
    ],
)
def test_each_rule_refuses_what_it_is_for(
    rules: dict[str, object], suspect: dict[str, object], harmless: dict[str, object]
) -> None:
    """And lets pass what lies beside it; amounts up to the limit are within it."""
    (name,) = check(replace(ATTEMPT, **suspect), **rules)
    assert name in rules
    assert check(replace(ATTEMPT, **harmless), **rules) == {}


def test_amounts_up_to_a_limit_are_within_it() -> None:
    """10,000 is not over 10,000."""
    assert check(replace(ATTEMPT, entry_mode=EntryMode.ECOMMERCE), card_absent_max=10_000) == {}


def test_the_shipped_rules_can_be_read_and_a_wrong_file_is_named(tmp_path: Path) -> None:
    """config/fraud.yaml; a misspelt rule is no rule that never refuses, but an error."""
    assert load_fraud_rules(Settings().resolved_config_dir() / "fraud.yaml").countries_per_day_max
    wrong = tmp_path / "fraud.yaml"
    wrong.write_text('version: "2026.1"\ncountry_per_day_max: 3\n', encoding="utf-8")
    with pytest.raises(ConfigInvalid, match="country_per_day_max"):
        load_fraud_rules(wrong)
