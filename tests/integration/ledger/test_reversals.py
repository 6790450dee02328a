"""Reversals: a new transaction takes back an old one, leg by leg, once."""

from datetime import UTC, datetime

import pytest
from tests.integration.ledger.hold_support import capture, check_holds, place_request, standing
from tests.integration.ledger.support import (
    ADA,
    BEN,
    IDS,
    MARKUP,
    SETTLEMENT,
    balance,
    count,
    credit,
    debit,
    make_order,
    open_accounts,
    post_orders,
)

from postrail.adapters.postgres.accounts import PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.holds import PostgresHolds
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.reversals import PostgresReversals
from postrail.adapters.postgres.verify import verify
from postrail.domain.errors import Permanent, ReasonCode
from postrail.domain.ledger import AccountStatus
from postrail.ports import PostStatus, ReversalResult

THEN = datetime(2026, 11, 20, 13, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _opened(database: Database) -> None:
    open_accounts(database)


def _reverse(database: Database, *transaction_ids: str) -> list[ReversalResult]:
    return PostgresReversals(database).reverse(transaction_ids, reason="sent twice", occurred_at=THEN, ids=IDS)


def _posted(ledger: PostgresLedger, *orders: object) -> list[str]:
    results = post_orders(ledger, *orders)
    assert {result.status for result in results} == {PostStatus.POSTED}
    return [result.transaction_id for result in results]


def test_a_reversal_gives_every_leg_back_and_names_its_original(database: Database, ledger: PostgresLedger) -> None:
    (original,) = _posted(ledger, make_order(debit(ADA, 1_030), credit(SETTLEMENT, 1_000), credit(MARKUP, 30)))
    (result,) = _reverse(database, original)
    assert (result.original_id, result.status, result.reason) == (original, PostStatus.POSTED, None)
    assert [balance(database, each) for each in (ADA, SETTLEMENT, MARKUP)] == [100_000, 0, 0]
    (row,) = database.fetch("SELECT * FROM ledger.journal WHERE transaction_id = $1", result.transaction_id)
    assert (row["kind"], row["reverses"], row["description"]) == ("reversal", original, "sent twice")
    assert row["occurred_at"] == THEN
    (first,) = database.fetch("SELECT payment_id FROM ledger.journal WHERE transaction_id = $1", original)
    assert row["payment_id"] == first["payment_id"]
    assert verify(database).clean


def test_a_transaction_is_reversed_once(database: Database, ledger: PostgresLedger) -> None:
    (original,) = _posted(ledger, make_order())
    first, again = _reverse(database, original, original)
    (later,) = _reverse(database, original)
    assert (again.reason, again.transaction_id) == (ReasonCode.ALREADY_POSTED, first.transaction_id)
    assert (later.reason, later.transaction_id) == (ReasonCode.ALREADY_POSTED, first.transaction_id)
    assert balance(database, ADA) == 100_000


def test_what_cannot_be_reversed_is_refused_alone(database: Database, ledger: PostgresLedger) -> None:
    one, two = _posted(ledger, make_order(), make_order())
    (reversal,) = _reverse(database, one)
    unknown = IDS.new_id("txn")
    results = _reverse(database, unknown, str(reversal.transaction_id), "pay_is_no_transaction", two)
    assert [(result.reason, result.status) for result in results] == [
        (ReasonCode.TRANSACTION_NOT_FOUND, PostStatus.REFUSED),
        (ReasonCode.NOT_REVERSIBLE, PostStatus.REFUSED),
        (ReasonCode.TRANSACTION_NOT_FOUND, PostStatus.REFUSED),
        (None, PostStatus.POSTED),
    ]
    assert unknown in results[0].detail
    assert balance(database, ADA) == 100_000


def test_a_call_in_which_nothing_can_be_reversed_writes_nothing(database: Database) -> None:
    batches = count(database, "ledger.batches")
    assert _reverse(database) == []
    assert [result.reason for result in _reverse(database, IDS.new_id("txn"))] == [ReasonCode.TRANSACTION_NOT_FOUND]
    assert count(database, "ledger.batches") == batches


def test_a_reversal_keeps_to_status_and_limit(database: Database, ledger: PostgresLedger) -> None:
    """Money that was paid out and spent cannot be taken back; a frozen account may be given back."""
    accounts = PostgresAccounts(database)
    accounts.set_overdraft_limit(BEN, 0)
    received, spent = _posted(
        ledger,
        make_order(debit(SETTLEMENT, 5_000), credit(BEN, 5_000)),
        make_order(debit(BEN, 52_000), credit(SETTLEMENT, 52_000)),
    )
    assert _reverse(database, received)[0].reason is ReasonCode.INSUFFICIENT_FUNDS
    accounts.set_status(BEN, AccountStatus.FROZEN)
    assert _reverse(database, received)[0].reason is ReasonCode.ACCOUNT_NOT_OPEN
    assert _reverse(database, spent)[0].reason is None
    accounts.set_status(BEN, AccountStatus.CLOSED)
    assert _reverse(database, received)[0].reason is ReasonCode.ACCOUNT_NOT_OPEN
    accounts.set_status(BEN, AccountStatus.OPEN)
    assert _reverse(database, received)[0].reason is None
    assert balance(database, BEN) == 50_000


def test_a_reversal_does_not_bring_a_captured_hold_back(database: Database, ledger: PostgresLedger) -> None:
    (held,) = PostgresHolds(database).place([place_request(amount_minor=1_000)])
    (original,) = _posted(ledger, capture(held.hold_id, 600))
    assert _reverse(database, original)[0].reason is None
    assert standing(database) == (100_000, 400, 0, 99_600)
    check_holds(database)


def test_an_opening_balance_can_be_reversed(database: Database) -> None:
    (row,) = database.fetch("SELECT transaction_id FROM ledger.journal WHERE payment_key = 'opening:' || $1", ADA)
    assert _reverse(database, row["transaction_id"])[0].reason is None
    assert balance(database, ADA) == 0


def test_a_reversal_needs_a_reason(database: Database, ledger: PostgresLedger) -> None:
    (original,) = _posted(ledger, make_order())
    with pytest.raises(Permanent, match="reason"):
        PostgresReversals(database).reverse([original], reason="  ", occurred_at=THEN, ids=IDS)
