"""Posting: whole or not at all, once for ever, and each refusal by its reason."""

from collections.abc import Callable

import pytest
from tests.integration.ledger.support import (
    ADA,
    BEN,
    CLOCK,
    CLOSED,
    EURO,
    FROZEN,
    IDS,
    MARKUP,
    SETTLEMENT,
    account,
    balance,
    count,
    credit,
    debit,
    make_order,
    make_parts,
    open_accounts,
    post_orders,
    run_engine,
    with_posting,
)

from postrail.adapters.postgres.accounts import PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.orders import BIGINT_MAX
from postrail.adapters.postgres.verify import verify
from postrail.domain.errors import Permanent, ReasonCode
from postrail.domain.ledger import AccountStatus
from postrail.domain.posting import Leg, pair
from postrail.ports import PostingOrder, PostStatus

POSTED, REFUSED = PostStatus.POSTED, PostStatus.REFUSED


@pytest.fixture(autouse=True)
def _opened(database: Database) -> None:
    open_accounts(database)


def test_a_posting_moves_both_balances_and_keeps_its_input(database: Database, ledger: PostgresLedger) -> None:
    order = make_order(*pair(ADA, SETTLEMENT, 2_193, "GBP"))
    (result,) = post_orders(ledger, order)
    assert (result.status, result.transaction_id) == (POSTED, order.posting.transaction_id)
    assert (balance(database, ADA), balance(database, SETTLEMENT)) == (97_807, 2_193)
    kept = database.fetch_one("SELECT format, content FROM audit.posting_inputs")
    assert kept is not None
    assert tuple(kept) == ("json", b"input")
    booking = database.fetch_one("SELECT payment_id, decision ->> 'rule_set' AS rules FROM audit.bookings")
    assert booking is not None
    assert tuple(booking) == (order.posting.payment_id, "issuer-default")


def test_event_time_and_recorded_time_are_both_kept(database: Database, ledger: PostgresLedger) -> None:
    order = make_order()
    post_orders(ledger, order)
    row = database.fetch_one(
        "SELECT occurred_at, recorded_at > occurred_at OR recorded_at <= clock_timestamp() AS recorded"
        "  FROM ledger.journal WHERE kind = 'payment'"
    )
    assert row is not None
    assert row["occurred_at"].timestamp() * 1_000_000 == order.posting.occurred_at_us
    assert row["recorded"]


REFUSALS: dict[str, tuple[ReasonCode, tuple[Leg, ...]]] = {
    "unknown account": (ReasonCode.ACCOUNT_NOT_FOUND, pair("customer:999999:gbp", SETTLEMENT, 10, "GBP")),
    "closed account": (ReasonCode.ACCOUNT_NOT_OPEN, pair(CLOSED, SETTLEMENT, 10, "GBP")),
    "credit of a closed account": (ReasonCode.ACCOUNT_NOT_OPEN, pair(SETTLEMENT, CLOSED, 10, "GBP")),
    "debit of a frozen account": (ReasonCode.ACCOUNT_NOT_OPEN, pair(FROZEN, SETTLEMENT, 10, "GBP")),
    "other currency": (ReasonCode.CURRENCY_MISMATCH, pair(EURO, SETTLEMENT, 10, "GBP")),
    "unbalanced": (ReasonCode.UNBALANCED, (debit(ADA, 10), credit(SETTLEMENT, 9))),
    "one leg": (ReasonCode.UNBALANCED, (debit(ADA, 10),)),
    "no leg": (ReasonCode.UNBALANCED, ()),
    "balanced across currencies only": (ReasonCode.UNBALANCED, (debit(ADA, 10), credit(EURO, 10, "EUR"))),
    "zero amount": (ReasonCode.INVALID_AMOUNT, (debit(ADA, 0), credit(SETTLEMENT, 0))),
    "negative amount": (ReasonCode.INVALID_AMOUNT, pair(ADA, SETTLEMENT, -5, "GBP")),
    "leg beyond a bigint": (ReasonCode.AMOUNT_OVERFLOW, pair(ADA, SETTLEMENT, BIGINT_MAX + 1, "GBP")),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refused_order_has_its_reason_and_leaves_its_neighbours_alone(
    database: Database, ledger: PostgresLedger, name: str
) -> None:
    reason, legs = REFUSALS[name]
    refused = with_posting(make_order(), legs=legs)
    results = post_orders(ledger, make_order(), refused, make_order())
    assert [result.status for result in results] == [POSTED, REFUSED, POSTED]
    assert (results[1].reason, results[1].sequence_id) == (reason, refused.posting.sequence_id)
    assert results[1].detail
    assert balance(database, ADA) == 100_000 - 2_000
    assert count(database, "ledger.posting_sequences", f"status = 'refused' AND reason = '{reason}'") == 1
    assert count(database, "ledger.journal", f"payment_key = '{refused.posting.payment_key}'") == 0
    assert count(database, "ledger.journal_entries", f"transaction_id = '{refused.posting.transaction_id}'") == 0
    assert verify(database).clean


def test_a_frozen_account_takes_credits(database: Database, ledger: PostgresLedger) -> None:
    """What is owed to a customer, a refund for one, still arrives."""
    assert post_orders(ledger, make_order(*pair(SETTLEMENT, FROZEN, 10, "GBP")))[0].status is POSTED
    assert balance(database, FROZEN) == 10


def test_the_first_reason_in_the_documented_order_is_given(ledger: PostgresLedger) -> None:
    """One order with all faults: missing account before currency before status."""
    legs = [debit(CLOSED, 3), credit(SETTLEMENT, 3), debit(EURO, 4), credit(MARKUP, 4)]
    unknown = [debit("customer:999999:gbp", 1), credit(SETTLEMENT, 1)]
    results = post_orders(ledger, make_order(*legs, *unknown), make_order(*legs))
    assert [result.reason for result in results] == [ReasonCode.ACCOUNT_NOT_FOUND, ReasonCode.CURRENCY_MISMATCH]


def test_balances_never_leave_the_range_of_a_bigint(database: Database, ledger: PostgresLedger) -> None:
    """Orders count one after the other: what would overflow is refused, a smaller one after it still fits."""
    huge = make_order(*pair(BEN, SETTLEMENT, BIGINT_MAX - 100, "GBP"))
    too_much = make_order(*pair(ADA, SETTLEMENT, 101, "GBP"))
    fits = make_order(*pair(ADA, SETTLEMENT, 100, "GBP"))
    results = post_orders(ledger, huge, too_much, fits)
    assert [result.status for result in results] == [POSTED, REFUSED, POSTED]
    assert results[1].reason is ReasonCode.AMOUNT_OVERFLOW
    assert balance(database, SETTLEMENT) == BIGINT_MAX
    back = make_order(*pair(SETTLEMENT, BEN, 50, "GBP"))
    again = make_order(*pair(ADA, SETTLEMENT, 50, "GBP"))
    assert [result.status for result in post_orders(ledger, back, again)] == [POSTED, POSTED]
    assert verify(database).clean


def test_a_payment_key_is_posted_once_for_ever(database: Database, ledger: PostgresLedger) -> None:
    first = make_order(key="acq:1:000001:20261001T091530Z:T1:11")
    post_orders(ledger, first)
    same = with_posting(make_order(key=first.posting.payment_key), fingerprint=first.posting.fingerprint)
    other = with_posting(make_order(key=first.posting.payment_key), fingerprint="f" * 32)
    results = post_orders(ledger, same, other, first)
    assert [result.reason for result in results] == [
        ReasonCode.ALREADY_POSTED,
        ReasonCode.POSTING_CONFLICT,
        ReasonCode.ALREADY_POSTED,
    ]
    assert {result.transaction_id for result in results} == {first.posting.transaction_id}
    assert balance(database, ADA) == 99_000
    assert count(database, "ledger.posting_sequences", f"sequence_id = '{first.posting.sequence_id}'"
                                                       " AND status = 'posted'") == 1  # fmt: skip


def test_of_two_orders_with_one_key_in_a_batch_the_first_wins(database: Database, ledger: PostgresLedger) -> None:
    first, second = make_order(key="key:the-same"), make_order(*pair(BEN, SETTLEMENT, 7, "GBP"), key="key:the-same")
    results = post_orders(ledger, first, second)
    assert [result.status for result in results] == [POSTED, REFUSED]
    assert results[1].reason is ReasonCode.POSTING_CONFLICT
    assert balance(database, BEN) == 50_000


def test_a_refused_order_does_not_use_up_its_key(ledger: PostgresLedger) -> None:
    refused = make_order(*pair(CLOSED, SETTLEMENT, 7, "GBP"), key="key:the-same")
    good = make_order(key="key:the-same")
    assert [result.status for result in post_orders(ledger, refused, good)] == [REFUSED, POSTED]


def test_a_refused_sequence_stays_refused(database: Database, ledger: PostgresLedger) -> None:
    """Its failure was told to the world; another try needs another payment."""
    order = make_order(*pair(CLOSED, SETTLEMENT, 7, "GBP"))
    post_orders(ledger, order)
    PostgresAccounts(database).set_status(CLOSED, AccountStatus.OPEN)
    (again,) = post_orders(ledger, order)
    assert (again.status, again.reason) == (REFUSED, ReasonCode.ACCOUNT_NOT_OPEN)


def test_a_sequence_cannot_be_posted_as_another_payment(ledger: PostgresLedger) -> None:
    order = make_order()
    stranger = with_posting(make_order(), sequence_id=order.posting.sequence_id)
    results = post_orders(ledger, order, stranger)
    assert [result.reason for result in results] == [None, ReasonCode.SEQUENCE_INCONSISTENT]


def test_a_closed_account_is_seen_at_once(database: Database, ledger: PostgresLedger) -> None:
    accounts = PostgresAccounts(database)
    accounts.set_status(ADA, AccountStatus.CLOSED)
    assert post_orders(ledger, make_order())[0].reason is ReasonCode.ACCOUNT_NOT_OPEN
    accounts.set_status(ADA, AccountStatus.OPEN)
    assert post_orders(ledger, make_order())[0].status is POSTED


def test_an_exception_in_a_session_undoes_all_of_it(database: Database, ledger: PostgresLedger) -> None:
    parts = make_parts([(ADA, SETTLEMENT, 5)])

    def work_and_fail() -> None:
        with ledger.session() as session:
            session.receive_parts(parts)
            session.post([make_order()])
            session.enqueue(parts)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work_and_fail()
    assert count(database, "ledger.posting_sequences") == 0
    assert count(database, "ledger.outbox") == 0
    assert balance(database, ADA) == 100_000
    assert ledger.take_committed() == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda order: with_posting(order, description="a NUL \x00 in text"),
        lambda order: with_posting(order, occurred_at_us=-(10**17)),
    ],
    ids=["NUL in text", "instant before the common era"],
)
def test_a_value_that_no_column_can_hold_is_permanent(
    ledger: PostgresLedger, spoil: Callable[[PostingOrder], PostingOrder]
) -> None:
    with pytest.raises((Permanent, OverflowError)):
        post_orders(ledger, spoil(make_order()))
    assert post_orders(ledger, make_order())[0].status is POSTED


def test_the_engine_reports_refusals_by_events_in_the_outbox(database: Database, ledger: PostgresLedger) -> None:
    good, bad = make_parts([(ADA, SETTLEMENT, 5)]), make_parts([("customer:999999:gbp", SETTLEMENT, 5)])
    report = run_engine(ledger, [*good, *bad])
    assert {event.data.detail_type() for event in report.events} == {"PaymentPosted", "PaymentPostingFailed"}
    assert count(database, "ledger.outbox", "detail_type = 'PaymentPostingFailed'") == 1


def test_opening_twice_changes_nothing(database: Database, accounts: PostgresAccounts) -> None:
    again = accounts.open_accounts([account(ADA)], openings={ADA: 5}, clock=CLOCK, ids=IDS)
    assert (again.accounts, again.openings) == (0, 0)
    assert balance(database, ADA) == 100_000
    assert balance(database, "equity:opening:gbp") == -150_000
    assert verify(database).clean


def test_an_overdrawn_account_opens_with_a_debit_balance(database: Database, accounts: PostgresAccounts) -> None:
    specs = [account("customer:000077:jpy"), account("customer:000078:jpy")]
    opened = accounts.open_accounts(
        specs, openings={"customer:000077:jpy": -300, "customer:000078:jpy": 0}, clock=CLOCK, ids=IDS
    )
    assert (opened.accounts, opened.openings) == (3, 1)
    assert balance(database, "customer:000077:jpy") == -300
    assert balance(database, "equity:opening:jpy") == 300


def test_an_account_does_not_change_its_currency(accounts: PostgresAccounts) -> None:
    spec = account(ADA)
    other = type(spec)(ADA, spec.type, "USD", spec.status, spec.name)
    with pytest.raises(Permanent, match="another type or currency") as caught:
        accounts.open_accounts([other], clock=CLOCK, ids=IDS)
    assert caught.value.reason is ReasonCode.CURRENCY_MISMATCH


def test_an_opening_balance_needs_its_account(accounts: PostgresAccounts) -> None:
    with pytest.raises(Permanent, match="customer:000099:gbp"):
        accounts.open_accounts([account(BEN)], openings={"customer:000099:gbp": 1}, clock=CLOCK, ids=IDS)
    with pytest.raises(Permanent, match="no account"):
        accounts.set_status("customer:000099:gbp", AccountStatus.FROZEN)


def test_balances_are_read_page_by_page(accounts: PostgresAccounts) -> None:
    first = accounts.read_balances(limit=3)
    rest = accounts.read_balances(after=first[-1].account_id)
    assert [row.account_id for row in (*first, *rest)] == sorted(row.account_id for row in accounts.read_balances())
    assert accounts.read_balances([ADA, "customer:none:gbp"])[0].total_minor == 100_000
