"""apply_rules: the outcome of each payment, with its decision."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.builders.payments import make_account_details, make_authorization, make_enriched, make_enrichment
from tests.fakes.system import NOON, FakeClock

from postrail.adapters.memory.books import MemoryVelocityBook
from postrail.contracts.events import PaymentApproved, PaymentEnriched, PaymentReferred, PaymentRejected
from postrail.contracts.payment import Decision, RuleOutcome
from postrail.domain.errors import ReasonCode, Retryable
from postrail.ports import CardUse, VelocityBook
from postrail.rules import RuleSet, load_rule_set, re_run
from postrail.stages.apply_rules import apply_rules

RULES_FILE = Path(__file__).parents[3] / "config" / "rules" / "issuer-default.yaml"


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rule_set(RULES_FILE)


def make_payment(number: int = 1, *, account: dict[str, Any] | None = None, **authorization: Any) -> PaymentEnriched:
    payment_id = f"pay_0197f0a0c0de7abc8def{number:012x}"
    enrichment = make_enrichment(account=make_account_details(**account or {}))
    return make_enriched(make_authorization(payment_id=payment_id, **authorization), enrichment)


def decide_on(
    payments: Sequence[PaymentEnriched], rules: RuleSet, velocity: VelocityBook | None = None
) -> list[PaymentApproved | PaymentRejected | PaymentReferred]:
    return apply_rules(payments, rules=rules, velocity=velocity or MemoryVelocityBook(), clock=FakeClock())


def decision_of(outcome: PaymentApproved | PaymentRejected) -> Decision:
    if outcome.decision is None:
        pytest.fail("the outcome carries no decision")
    return outcome.decision


class CountingVelocityBook:
    """Remembers what it was asked, and answers with one number."""

    def __init__(self, count: int) -> None:
        self.calls: list[list[CardUse]] = []
        self._count = count

    def observe(self, uses: Sequence[CardUse]) -> list[int]:
        self.calls.append(list(uses))
        return [self._count] * len(uses)


def test_outcomes_align_with_payments_whatever_is_decided(rules: RuleSet) -> None:
    payments = [
        make_payment(1),
        make_payment(2, account={"status": "closed"}),
        make_payment(3, account={"status": "frozen"}),
        make_payment(4),
    ]
    outcomes = decide_on(payments, rules)
    assert [type(outcome) for outcome in outcomes] == [
        PaymentApproved, PaymentRejected, PaymentReferred, PaymentApproved,
    ]  # fmt: skip
    assert [outcome.subject_payment_id() for outcome in outcomes] == [
        payment.subject_payment_id() for payment in payments
    ]


def test_an_approved_payment_carries_everything_it_came_with_and_its_warnings(rules: RuleSet) -> None:
    payment = make_payment()
    (outcome,) = decide_on([payment], rules)
    assert type(outcome) is PaymentApproved
    for name in PaymentEnriched.model_fields:
        assert getattr(outcome, name) == getattr(payment, name)
    assert outcome.decision.outcome is RuleOutcome.APPROVE
    assert [hit.rule_id for hit in outcome.decision.matched] == ["foreign_transaction", "currency_conversion"]
    assert (outcome.decision.rule_set, outcome.decision.version) == (rules.name, rules.version)
    assert outcome.decision.decided_at == NOON


def test_a_rejection_names_stage_code_and_reason_and_carries_the_decision(rules: RuleSet) -> None:
    (outcome,) = decide_on([make_payment(account={"status": "closed"})], rules)
    assert isinstance(outcome, PaymentRejected)
    assert (outcome.stage, outcome.reason_code) == ("apply_rules", ReasonCode.RULE_REJECTED)
    assert outcome.reason == "The account is closed"
    assert decision_of(outcome).outcome is RuleOutcome.REJECT


@pytest.mark.parametrize("status", ["open", "frozen", "closed"])
def test_outcomes_pass_their_own_contract(rules: RuleSet, status: str) -> None:
    """They are built without validation from validated parts; this shows that nothing is missed by it."""
    (outcome,) = decide_on([make_payment(account={"status": status})], rules)
    assert type(outcome).model_validate_json(outcome.model_dump_json(exclude_none=True)) == outcome


def test_velocity_is_asked_once_for_the_batch_with_card_payment_and_time_of_authorization(rules: RuleSet) -> None:
    velocity = CountingVelocityBook(1)
    payments = [make_payment(1), make_payment(2)]
    decide_on(payments, rules, velocity)
    (uses,) = velocity.calls
    assert [use.payment_id for use in uses] == [payment.authorization.payment_id for payment in payments]
    assert {use.at for use in uses} == {payments[0].authorization.authorized_at}


def test_a_card_that_is_used_too_often_in_the_hour_is_referred_and_the_count_is_recorded(rules: RuleSet) -> None:
    (calm,) = decide_on([make_payment()], rules, CountingVelocityBook(20))
    (hectic,) = decide_on([make_payment()], rules, CountingVelocityBook(21))
    assert isinstance(calm, PaymentApproved)
    assert isinstance(hectic, PaymentReferred)
    assert hectic.decision.inputs["velocity_hour"] == 21


def test_a_payment_that_comes_again_does_not_count_again(rules: RuleSet) -> None:
    velocity = MemoryVelocityBook()
    payment = make_payment()
    counts = [decision_of(decide_on([payment], rules, velocity)[0]).inputs["velocity_hour"] for _ in range(3)]
    assert counts == [1, 1, 1]


def test_every_decision_can_be_made_again_from_what_it_recorded(rules: RuleSet) -> None:
    for outcome in decide_on([make_payment(1), make_payment(2, account={"status": "closed"})], rules):
        again = re_run(decision_of(outcome), rules)
        assert (again.same, again.same_version) == (True, True)


def test_trouble_with_the_velocity_store_is_the_callers_to_retry(rules: RuleSet) -> None:
    class Broken:
        def observe(self, uses: Sequence[CardUse]) -> list[int]:
            raise Retryable("throttled")

    with pytest.raises(Retryable):
        decide_on([make_payment()], rules, Broken())


def test_an_empty_batch_asks_nobody(rules: RuleSet) -> None:
    velocity = CountingVelocityBook(1)
    assert decide_on([], rules, velocity) == []
    assert velocity.calls == []
