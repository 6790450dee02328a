"""What the database tells of one payment, and of all payments of a run."""

import json

import pytest
from tests.integration.ledger.support import (
    ADA,
    CLOCK,
    CLOSED,
    IDS,
    MARKUP,
    SETTLEMENT,
    make_parts,
    open_accounts,
    payment_id,
    run_engine,
)

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.follow import FollowStatus, PostgresFollower
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.outbox import PostgresOutbox
from postrail.adapters.postgres.outcomes import PostgresOutcomes
from postrail.adapters.postgres.trace import trace
from postrail.domain.errors import ReasonCode
from postrail.ports import RecordedOutcome

OUTCOME = {"data": {"stage": "enrich"}}
TWO = [(ADA, SETTLEMENT, 1_000), (ADA, MARKUP, 30)]


@pytest.fixture(autouse=True)
def _opened(database: Database) -> None:
    open_accounts(database)


def _outcome(
    payment: str, detail_type: str = "PaymentRejected", correlation_id: str = "run-of-a-test"
) -> RecordedOutcome:
    return RecordedOutcome(
        payment,
        correlation_id,
        detail_type,
        IDS.new_id("evt"),
        CLOCK.now(),
        "UNKNOWN_ACCOUNT",
        json.dumps(OUTCOME),
    )


def test_a_posted_payment_is_traced_from_its_decision_to_its_balances(
    database: Database, ledger: PostgresLedger
) -> None:
    parts = make_parts(TWO)
    run_engine(ledger, parts)
    PostgresOutbox(database).mark_sent([row.outbox_id for row in ledger.take_committed()])
    run_engine(ledger, make_parts([(ADA, SETTLEMENT, 70)]))
    found = trace(database, parts[0].data.payment_id)
    assert found is not None
    (sequence,) = found.sequences
    assert (sequence.status, [part.index for part in sequence.parts]) == ("posted", [1, 2])
    assert sequence.decision is not None
    assert sequence.decision["rule_set"] == "issuer-default"
    assert sequence.booking is not None
    assert sequence.booking["authorization"]["payment_id"] == found.payment_id
    transaction = sequence.transaction
    assert transaction is not None
    assert transaction.posting_input_format == "json"
    assert transaction.posting_input
    assert transaction.committed_at is not None
    assert transaction.committed_at >= transaction.recorded_at
    first, second, third, _ = transaction.legs
    assert (first.account_id, first.amount_minor, first.balance_after_minor) == (ADA, -1_000, 99_000)
    assert (second.account_id, second.balance_after_minor, second.balance_now_minor) == (SETTLEMENT, 1_000, 1_070)
    assert (third.amount_minor, third.balance_after_minor, third.balance_now_minor) == (-30, 98_970, 98_900)
    assert [(row.detail_type, row.sent_at is not None) for row in found.outbox] == [("PaymentPosted", True)]


def test_a_waiting_payment_is_traced_with_what_is_known(database: Database, ledger: PostgresLedger) -> None:
    parts = make_parts(TWO)
    run_engine(ledger, parts[1:])
    found = trace(database, parts[0].data.payment_id)
    assert found is not None
    (sequence,) = found.sequences
    assert (sequence.status, sequence.decision, sequence.trail, sequence.transaction) == ("waiting", None, [], None)


def test_a_contradicting_part_is_shown_as_such(database: Database, ledger: PostgresLedger) -> None:
    parts = make_parts(TWO)
    run_engine(ledger, parts[:1])
    run_engine(ledger, make_parts(TWO, payment=parts[0].data.payment_id, total=3)[1:])
    found = trace(database, parts[0].data.payment_id)
    assert found is not None
    assert [part.contradicts for part in found.sequences[0].parts] == [False, True]
    assert found.sequences[0].reason == "SEQUENCE_INCONSISTENT"


def test_a_payment_that_ended_elsewhere_is_traced_by_its_outcome(database: Database) -> None:
    payment = payment_id()
    PostgresOutcomes(database).record([_outcome(payment)])
    found = trace(database, payment)
    assert found is not None
    assert (found.outcomes[0].detail_type, found.outcomes[0].event) == (
        "PaymentRejected",
        OUTCOME,
    )


@pytest.mark.parametrize("unknown", ["", "nonsense", "pay_x", f"paym_{'a' * 32}", f"pay_{'A' * 32}"])
def test_an_unknown_payment_has_no_trace(postgres_dsn: str, unknown: str) -> None:
    """Also a text that is no payment's id: somebody mistyped it."""
    assert trace(postgres_dsn, payment_id()) is None
    assert trace(postgres_dsn, unknown) is None


def test_a_payment_with_an_id_of_another_kind_is_refused_and_its_trace_says_so(
    database: Database, ledger: PostgresLedger
) -> None:
    """The journal keeps ids without their prefix: it takes none that would come back as another."""
    foreign, sequence = f"paym_{'a' * 32}", f"seq_{'a' * 32}"
    report = run_engine(ledger, [*make_parts([TWO[0]], payment=foreign, sequence_id=sequence), *make_parts([TWO[0]])])
    assert [len(report.posted), [result.reason for result in report.refused]] == [1, [ReasonCode.INVALID_VALUE]]
    found = trace(database, foreign)
    assert found is not None
    assert found.sequences[0].reason == "INVALID_VALUE"
    assert found.sequences[0].transaction is None


def test_a_run_is_followed_to_the_end_of_each_payment(database: Database, ledger: PostgresLedger) -> None:
    before = CLOCK.now()
    posted, waiting, refused = make_parts(TWO), make_parts(TWO), make_parts([(CLOSED, SETTLEMENT, 1)])
    run_engine(ledger, [*posted, waiting[0], *refused])
    rejected = payment_id()
    PostgresOutcomes(database).record([_outcome(rejected), _outcome(payment_id(), correlation_id="another-run")])
    follower = PostgresFollower(database)
    by_id = {payment.payment_id: payment for payment in follower.by_correlation("run-of-a-test")}
    assert {payment.data.payment_id for payment in (posted[0], waiting[0], refused[0])} | {rejected} == set(by_id)
    done = by_id[posted[0].data.payment_id]
    assert (done.status, done.detail_type, done.reason) == (FollowStatus.POSTED, "PaymentPosted", None)
    assert done.settled_at is not None
    assert before <= done.settled_at <= CLOCK.now()
    failed = by_id[refused[0].data.payment_id]
    assert (failed.status, failed.detail_type, failed.reason) == (
        FollowStatus.REFUSED,
        "PaymentPostingFailed",
        "ACCOUNT_NOT_OPEN",
    )
    still = by_id[waiting[0].data.payment_id]
    assert (still.status, still.detail_type, still.settled_at) == (FollowStatus.WAITING, "", None)
    assert by_id[rejected].status is FollowStatus.OUTCOME
    assert by_id[rejected].reason == "UNKNOWN_ACCOUNT"
    assert follower.by_payment([*by_id, payment_id()]) == follower.by_correlation("run-of-a-test")
    assert follower.by_payment([]) == []


def test_a_posted_payment_counts_as_posted_even_when_a_repetition_was_parked(
    database: Database, ledger: PostgresLedger
) -> None:
    parts = make_parts(TWO)
    run_engine(ledger, parts)
    PostgresOutcomes(database).record([_outcome(parts[0].data.payment_id, "DuplicateParked")])
    (payment,) = PostgresFollower(database).by_payment([parts[0].data.payment_id])
    assert payment.status is FollowStatus.POSTED
