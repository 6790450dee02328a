"""The whole road in one process: sample inputs through every stage into a ledger, with everything accounted for."""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.ledger import FakeLedger
from tests.fakes.system import FakeClock, FakeIds

from postrail.adapters.memory.books import MemoryReferenceBook, MemoryVelocityBook
from postrail.adapters.memory.dedup_store import MemoryDedupStore
from postrail.contracts.envelope import next_event, start_event
from postrail.contracts.events import (
    PaymentAccepted,
    PaymentApproved,
    PaymentEnriched,
    PaymentReferred,
    PaymentRejected,
)
from postrail.contracts.payment import Authorization
from postrail.merchants import load_merchants
from postrail.posting_inputs import posting_input_by_name
from postrail.products import load_products
from postrail.rules import load_rule_set
from postrail.sampling.accounts import sample_accounts, system_accounts
from postrail.sampling.authorizations import SampleInput, sample_inputs
from postrail.sampling.rates import load_rates
from postrail.stages.apply_rules import apply_rules
from postrail.stages.decode import Refusal, TextDecoder, check_text
from postrail.stages.deduplicate import Candidate, Duplicate, deduplicate
from postrail.stages.enrich import enrich
from postrail.stages.post import post
from postrail.stages.sequence_postings import sequence_postings
from postrail.stages.standardise import standardise

CONFIG = Path(__file__).parents[3] / "config"
ACCOUNTS = sample_accounts(1, 300)
COUNT = 1000
BATCH = 10


@dataclass
class Day:
    """What became of one run's inputs, by payment id."""

    inputs: dict[str, SampleInput]
    ledger: FakeLedger
    end: dict[str, str] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)

    def finish(self, payment_id: str, end: str, reason: str = "") -> None:
        """Note an end; a payment has exactly one."""
        if payment_id in self.end:
            pytest.fail(f"{payment_id} ended twice: {self.end[payment_id]}, {end}")
        self.end[payment_id] = end
        self.reasons[reason] += 1


def take_in(day: Day) -> list[Candidate]:
    """What the door lets through; the rest are dead letters."""
    decoder = TextDecoder(Authorization, "authorization")
    candidates = []
    for number, sample in enumerate(day.inputs.values()):
        text = json.dumps(sample.authorization)
        decoded = check_text(text, len(text), refuses_clear_pans=True) or decoder.decode(text)
        if isinstance(decoded, Refusal):
            day.finish(sample.payment_id, "dead_lettered", decoded.reason)
        else:
            candidates.append(Candidate(f"evt-{number}", decoded, text))
    return candidates


def accept(day: Day, candidates: list[Candidate]) -> list[PaymentAccepted]:
    accepted: list[PaymentAccepted] = []
    for verdict in deduplicate(candidates, store=MemoryDedupStore(clock=FakeClock())):
        if isinstance(verdict, Duplicate):
            day.finish(verdict.candidate.authorization.payment_id, "parked", verdict.reason)
        else:
            accepted.append(verdict)
    return accepted


def decide(day: Day, accepted: list[PaymentAccepted]) -> list[PaymentApproved]:
    reference = MemoryReferenceBook(
        {account.card_token: account.details for account in ACCOUNTS}, load_rates(CONFIG / "reference" / "rates.yaml")
    )
    enriched: list[PaymentEnriched] = []
    for outcome in enrich(standardise(accepted), reference=reference, merchants=load_merchants(CONFIG / "reference")):
        if isinstance(outcome, PaymentRejected):
            day.finish(outcome.subject_payment_id(), "rejected", outcome.reason_code)
        else:
            enriched.append(outcome)
    rules = load_rule_set(CONFIG / "rules" / "issuer-default.yaml")
    approved: list[PaymentApproved] = []
    velocity = MemoryVelocityBook()
    batches = (enriched[start : start + BATCH] for start in range(0, len(enriched), BATCH))
    decisions = (apply_rules(batch, rules=rules, velocity=velocity, clock=FakeClock()) for batch in batches)
    for decided in chain.from_iterable(decisions):
        if isinstance(decided, PaymentRejected):
            day.finish(decided.subject_payment_id(), "rejected", decided.reason)
        elif isinstance(decided, PaymentReferred):
            day.finish(decided.subject_payment_id(), "referred")
        else:
            approved.append(decided)
    return approved


def post_all(day: Day, approved: list[PaymentApproved]) -> None:
    ids, clock = FakeIds(), FakeClock()
    products = load_products(CONFIG / "products" / "default.yaml")
    for payment, sequence in zip(approved, sequence_postings(approved, products=products), strict=True):
        if isinstance(sequence, PaymentRejected):
            day.finish(sequence.subject_payment_id(), "rejected", sequence.reason_code)
            continue
        cause = start_event(
            payment, correlation_id=payment.authorization.payment_id, producer="road", clock=clock, ids=ids
        )
        parts = [
            next_event(cause.metadata, "PaymentApproved", part, producer="road", clock=clock, ids=ids)
            for part in sequence
        ]
        report = post(parts, ledger=day.ledger, input_format=posting_input_by_name("fixed_width"), clock=clock, ids=ids)
        for event in report.events:
            day.finish(event.data.payment_id, "posted" if report.posted else "rejected")


@pytest.fixture(scope="module")
def day() -> Day:
    options: dict[str, Any] = {"accounts": ACCOUNTS, "started_at": datetime(2026, 10, 1, 12, tzinfo=UTC)}
    samples = sample_inputs(1, COUNT, duplicates=0.1, malformed=0.02, run_id="run_1", **options)
    currencies = {account.details.currency for account in ACCOUNTS}
    ledger = FakeLedger([*(account.spec() for account in ACCOUNTS), *system_accounts(currencies)])
    day = Day({sample.payment_id: sample for sample in samples}, ledger)
    post_all(day, decide(day, accept(day, take_in(day))))
    return day


def test_every_input_ends_once_and_in_one_place(day: Day) -> None:
    assert day.end.keys() == day.inputs.keys()
    ends = Counter(day.end.values())
    assert ends.keys() == {"posted", "parked", "rejected", "referred", "dead_lettered"}
    assert ends.total() == COUNT
    assert ends["posted"] == len(day.ledger.state.transactions) > COUNT * 0.7


def test_exactly_the_repeats_are_parked_and_exactly_the_conflicts_as_conflicts(day: Day) -> None:
    parked = {payment_id for payment_id, end in day.end.items() if end == "parked"}
    assert parked == {sample.payment_id for sample in day.inputs.values() if sample.kind in {"duplicate", "conflict"}}
    assert (day.reasons["DUPLICATE"], day.reasons["CONFLICT"]) == (90, 10)


def test_exactly_the_malformed_are_dead_letters_each_with_the_reason_it_deserves(day: Day) -> None:
    dead = [day.inputs[payment_id] for payment_id, end in day.end.items() if end == "dead_lettered"]
    malformed = [sample for sample in day.inputs.values() if sample.kind == "malformed"]
    assert dead == malformed
    for reason, count in Counter(sample.scenario for sample in malformed).items():
        assert day.reasons[reason] == count


def test_scenarios_end_where_the_rules_send_them(day: Day) -> None:
    ends: dict[str, set[str]] = {}
    for sample in day.inputs.values():
        if sample.kind == "payment":
            ends.setdefault(sample.scenario, set()).add(day.end[sample.payment_id])
    assert ends["unknown_account"] == {"rejected"}
    assert ends["very_large_amount"] == {"rejected"}
    assert ends["watch_listed"] <= {"referred", "rejected"}
    assert ends["large_amount"] <= {"referred", "rejected"}
    assert {"posted", "referred"} <= ends["busy_card"]
    assert "posted" in ends["refund"] & ends["cash"] & ends["no_issuer_country"] & ends["ordinary"]


def test_each_kind_of_refusal_is_met(day: Day) -> None:
    for reason in ("UNKNOWN_ACCOUNT", "NO_EXCHANGE_RATE", "The card had expired", "The account is closed"):
        assert day.reasons[reason] > 0, reason


def test_the_ledger_balances_in_every_currency(day: Day) -> None:
    assert day.ledger.sums_by_currency() == dict.fromkeys(("GBP", "EUR", "USD", "JPY", "KWD"), 0)
    assert any(day.ledger.state.balances.values())
