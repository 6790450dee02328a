"""Rules evaluated once for the same facts say what they would say each time."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrail.rules import RuleSet, groups, load_rule_set
from postrail.rules.inputs import InputValue
from postrail.rules.rule_set import NOT_EVALUATED

RULES = load_rule_set(Path(__file__).parents[3] / "config" / "rules" / "issuer-default.yaml")

changes = st.fixed_dictionaries(
    {},
    optional={
        "billing_minor": st.sampled_from([1, 500_000, 500_001, 2_000_001]),
        "billing_currency": st.sampled_from(["GBP", "JPY", "CHF"]),
        "issuer_country": st.sampled_from(["GB", "", None]),
        "acceptor_id": st.sampled_from(["LUCKYSTAR000777", "OTHER0000000001"]),
        "account_status": st.sampled_from(["open", "frozen", "closed"]),
        "velocity_hour": st.integers(19, 22),
        "card_expiry": st.sampled_from(["2025-12", "2030-01"]),
        "transaction_type": st.sampled_from(["00", "20"]),
        "mcc": st.sampled_from(["7995", "5411"]),
        "product": st.sampled_from(["credit-classic", "debit-standard"]),
        "foreign": st.booleans(),
        "converted": st.booleans(),
    },
)


def explained(inputs: dict[str, InputValue]) -> list[str]:
    """The hits by the way that remembers nothing and takes each rule by itself."""
    return [one.rule_id for one in RULES.explain(inputs) if one.matched is not False]


@given(st.lists(changes, min_size=1, max_size=12))
def test_hits_are_those_of_each_rule_by_itself(payments: list[dict[str, InputValue]]) -> None:
    """In file order, for facts seen before and for new ones."""
    for change in payments:
        inputs = {**RULES.baseline(), **change}
        assert [hit.rule_id for hit in RULES.evaluate(inputs)] == explained(inputs)
        assert [hit.rule_id for hit in RULES.evaluate(inputs)] == explained(inputs)


def fresh() -> RuleSet:
    return load_rule_set(Path(__file__).parents[3] / "config" / "rules" / "issuer-default.yaml")


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Amounts are new every time: memory must not grow with the payments."""
    monkeypatch.setattr(groups, "FACTS_REMEMBERED_MAX", 3)
    rules = fresh()
    for amount in range(1, 50):
        assert rules.evaluate({**rules.baseline(), "billing_minor": amount}) == ()
        assert max(len(group.known) for group in rules._groups) <= 3


def test_facts_of_the_wrong_type_refer_every_time_and_are_not_remembered() -> None:
    """The text "x" is no amount: the payment is looked at, and its neighbours are not touched."""
    rules = fresh()
    for _ in range(2):
        hits = rules.evaluate({**rules.baseline(), "billing_minor": "x"})
        assert {hit.reason for hit in hits} == {NOT_EVALUATED}
    assert rules.evaluate(rules.baseline()) == ()
    assert all("x" not in facts for group in rules._groups for facts in group.known if isinstance(facts, tuple))


def test_rules_about_the_same_inputs_share_an_evaluation() -> None:
    names = [group.indexes for group in RULES._groups]
    assert sorted(index for indexes in names for index in indexes) == list(range(len(RULES.rules)))
    assert len(names) < len(RULES.rules)
