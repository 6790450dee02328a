"""Many orders in one call: the bad ones are refused alone, what fits together is taken, nothing is half done."""

from dataclasses import replace

import pytest
from tests.integration.ledger.support import (
    ADA,
    BEN,
    CLOSED,
    EURO,
    FROZEN,
    MARKUP,
    SETTLEMENT,
    account,
    balance,
    count,
    credit,
    debit,
    make_order,
    open_accounts,
    post_orders,
    with_posting,
)

from postrail.adapters.postgres.accounts import PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.orders import BIGINT_MAX, LEGS_MAX
from postrail.adapters.postgres.verify import verify
from postrail.domain.errors import Permanent, ReasonCode
from postrail.domain.posting import Leg, pair
from postrail.ports import Announcement, PostingOrder, PostResult

POOR = "customer:000009:gbp"


@pytest.fixture(autouse=True)
def _opened(database: Database) -> None:
    open_accounts(database)
    open_accounts(database, [replace(account(POOR), overdraft_limit_minor=0)])


def _order(*legs: Leg, key: str | None = None, fingerprint: str | None = None) -> PostingOrder:
    """An order as the batch road brings it: without a booking, so without a posting sequence."""
    return replace(make_order(*legs, key=key, fingerprint=fingerprint), booking=None)


def _pay(debited: str, credited: str, amount_minor: int) -> PostingOrder:
    return _order(*pair(debited, credited, amount_minor, "GBP"))


def _reasons(results: list[PostResult]) -> list[ReasonCode | None]:
    return [result.reason for result in results]


BAD = {
    ReasonCode.ACCOUNT_NOT_FOUND: lambda: _pay("customer:999999:gbp", SETTLEMENT, 1),
    ReasonCode.CURRENCY_MISMATCH: lambda: _pay(EURO, SETTLEMENT, 1),
    ReasonCode.ACCOUNT_NOT_OPEN: lambda: _pay(CLOSED, SETTLEMENT, 1),
    ReasonCode.UNBALANCED: lambda: _order(debit(ADA, 10), credit(SETTLEMENT, 9)),
    ReasonCode.INVALID_AMOUNT: lambda: _pay(ADA, SETTLEMENT, 0),
    ReasonCode.AMOUNT_OVERFLOW: lambda: _pay(ADA, SETTLEMENT, BIGINT_MAX + 1),
    ReasonCode.UNKNOWN_CURRENCY: lambda: _order(*pair(ADA, SETTLEMENT, 1, "XXQ")),
    ReasonCode.INSUFFICIENT_FUNDS: lambda: _pay(POOR, SETTLEMENT, 1),
    ReasonCode.HOLD_NOT_FOUND: lambda: replace(_pay(ADA, SETTLEMENT, 1), hold_id="hld_" + "a" * 32),
    ReasonCode.INVALID_VALUE: lambda: with_posting(_pay(ADA, SETTLEMENT, 1), payment_id="paym_" + "a" * 32),
}


def test_one_bad_order_of_each_kind_in_a_batch_leaves_all_good_ones(database: Database, ledger: PostgresLedger) -> None:
    good = [_pay(ADA, SETTLEMENT, 10) for _ in BAD]
    bad = [make() for make in BAD.values()]
    mixed = [order for couple in zip(good, bad, strict=True) for order in couple]
    results = post_orders(ledger, *mixed)
    assert _reasons(results) == [reason for code in BAD for reason in (None, code)]
    assert all(result.detail for result in results if result.reason)
    assert balance(database, ADA) == 100_000 - 10 * len(good)
    assert count(database, "ledger.journal", "kind = 'payment'") == len(good)
    assert verify(database).clean


def test_a_batch_with_all_orders_bad_writes_nothing(database: Database, ledger: PostgresLedger) -> None:
    batches = count(database, "ledger.batches")
    with ledger.session() as session:
        results = session.post([make() for make in BAD.values()], announce=Announcement("run-of-a-test"))
        assert session.batch_ids == []
    assert _reasons(results) == list(BAD)
    assert count(database, "ledger.batches") == batches
    assert count(database, "ledger.outbox") == 0
    assert verify(database).clean


def test_no_orders_are_no_batch(database: Database, ledger: PostgresLedger) -> None:
    before = count(database, "ledger.batches")
    assert post_orders(ledger) == []
    assert count(database, "ledger.batches") == before


@pytest.mark.parametrize("off", [-1, 1])
def test_leg_sums_off_by_one_are_refused(database: Database, ledger: PostgresLedger, off: int) -> None:
    legs = (debit(ADA, 100), credit(SETTLEMENT, 60), credit(MARKUP, 40 + off))
    assert _reasons(post_orders(ledger, _order(*legs), _pay(ADA, SETTLEMENT, 1))) == [ReasonCode.UNBALANCED, None]
    assert balance(database, MARKUP) == 0


def test_an_order_may_have_as_many_legs_as_the_ledger_numbers_and_no_more(
    database: Database, ledger: PostgresLedger
) -> None:
    most = [leg for number in range(1, LEGS_MAX // 2 + 1) for leg in pair(ADA, SETTLEMENT, number, "GBP")]
    one_more = [*most[:-1], credit(SETTLEMENT, 1), credit(MARKUP, most[-1].amount_minor - 1)]
    many = [leg for _ in range(20_000) for leg in pair(ADA, SETTLEMENT, 1, "GBP")]
    results = post_orders(ledger, _order(*most), _order(*one_more), _order(*many), _pay(ADA, SETTLEMENT, 1))
    assert _reasons(results) == [None, ReasonCode.INVALID_VALUE, ReasonCode.INVALID_VALUE, None]
    assert balance(database, ADA) == 100_000 - sum(range(1, LEGS_MAX // 2 + 1)) - 1
    assert verify(database).clean


def test_one_order_may_move_several_currencies_each_in_its_accounts(database: Database, ledger: PostgresLedger) -> None:
    open_accounts(database, [account("settlement:scheme:eur")])
    legs = (*pair(ADA, SETTLEMENT, 100, "GBP"), *pair("settlement:scheme:eur", EURO, 115, "EUR"))
    crossed = (*pair(ADA, SETTLEMENT, 100, "GBP"), debit(EURO, 5, "EUR"), credit(SETTLEMENT, 5, "EUR"))
    assert _reasons(post_orders(ledger, _order(*legs), _order(*crossed))) == [None, ReasonCode.CURRENCY_MISMATCH]
    assert (balance(database, ADA), balance(database, EURO)) == (99_900, 115)
    assert verify(database).clean


def test_one_account_in_two_currencies_is_refused_for_the_wrong_one_alone(
    database: Database, ledger: PostgresLedger
) -> None:
    """The account stands twice among the accounts of the call."""
    wrong = _order(*pair(ADA, EURO, 7, "EUR"))
    assert _reasons(post_orders(ledger, _pay(ADA, BEN, 5), wrong, _pay(BEN, ADA, 3))) == [
        None,
        ReasonCode.CURRENCY_MISMATCH,
        None,
    ]
    assert (balance(database, ADA), balance(database, BEN)) == (99_998, 50_002)


def test_of_a_key_that_comes_three_times_in_a_call_the_first_is_posted(
    database: Database, ledger: PostgresLedger
) -> None:
    first = _order(key="key:once", fingerprint="a" * 32)
    same = _order(key="key:once", fingerprint="a" * 32)
    other = _order(*pair(BEN, SETTLEMENT, 7, "GBP"), key="key:once", fingerprint="b" * 32)
    results = post_orders(ledger, first, _pay(BEN, ADA, 1), same, other)
    assert _reasons(results) == [None, None, ReasonCode.ALREADY_POSTED, ReasonCode.POSTING_CONFLICT]
    assert {results[place].transaction_id for place in (0, 2, 3)} == {first.posting.transaction_id}
    assert balance(database, BEN) == 49_999


def test_a_limit_that_the_third_of_five_orders_hits_refuses_that_one(
    database: Database, ledger: PostgresLedger
) -> None:
    post_orders(ledger, _pay(ADA, POOR, 100))
    amounts = (40, 30, 31, 20, 10)
    results = post_orders(ledger, *(_pay(POOR, SETTLEMENT, amount) for amount in amounts))
    assert _reasons(results) == [None, None, ReasonCode.INSUFFICIENT_FUNDS, None, None]
    assert POOR in results[2].detail
    assert balance(database, POOR) == 0
    assert verify(database).clean


def test_a_credit_makes_room_for_a_later_debit_of_the_same_batch(database: Database, ledger: PostgresLedger) -> None:
    """With and without a refusal beside it, which makes the ledger look order by order."""
    assert _reasons(post_orders(ledger, _pay(ADA, POOR, 50), _pay(POOR, SETTLEMENT, 50))) == [None, None]
    results = post_orders(ledger, _pay(CLOSED, ADA, 1), _pay(ADA, POOR, 50), _pay(POOR, SETTLEMENT, 50))
    assert _reasons(results) == [ReasonCode.ACCOUNT_NOT_OPEN, None, None]
    assert balance(database, POOR) == 0


def test_orders_that_fit_together_are_taken_and_else_one_after_the_other(
    database: Database, ledger: PostgresLedger
) -> None:
    """A batch is one instant: a debit before the credit that pays for it is fine when all of the batch fits."""
    assert _reasons(post_orders(ledger, _pay(POOR, SETTLEMENT, 50), _pay(ADA, POOR, 50))) == [None, None]
    results = post_orders(ledger, _pay(POOR, SETTLEMENT, 50), _pay(ADA, POOR, 50), _pay(POOR, SETTLEMENT, 51))
    assert _reasons(results) == [ReasonCode.INSUFFICIENT_FUNDS, None, ReasonCode.INSUFFICIENT_FUNDS]
    assert balance(database, POOR) == 50
    assert verify(database).clean


def test_a_refused_debit_gives_its_room_to_the_next(database: Database, ledger: PostgresLedger) -> None:
    post_orders(ledger, _pay(ADA, POOR, 100))
    too_much = _order(debit(POOR, 60), credit(SETTLEMENT, 50), credit(CLOSED, 10))
    results = post_orders(ledger, too_much, _pay(POOR, SETTLEMENT, 100))
    assert _reasons(results) == [ReasonCode.ACCOUNT_NOT_OPEN, None]


def test_the_overdraft_limit_is_how_far_below_zero_an_account_may_go(
    database: Database, ledger: PostgresLedger, accounts: PostgresAccounts
) -> None:
    accounts.set_overdraft_limit(POOR, 25)
    assert _reasons(post_orders(ledger, _pay(POOR, SETTLEMENT, 26))) == [ReasonCode.INSUFFICIENT_FUNDS]
    assert _reasons(post_orders(ledger, _pay(POOR, SETTLEMENT, 25))) == [None]
    with pytest.raises(Permanent) as caught:
        accounts.set_overdraft_limit(POOR, 24)
    assert caught.value.reason is ReasonCode.INSUFFICIENT_FUNDS
    accounts.set_overdraft_limit(POOR, None)
    assert _reasons(post_orders(ledger, _pay(POOR, SETTLEMENT, 1_000_000))) == [None]


def test_a_hot_account_keeps_more_than_64_bits_in_all_and_no_shard_does(
    database: Database, ledger: PostgresLedger
) -> None:
    """What overflows is one balance row, not the logical balance."""
    assert _reasons(post_orders(ledger, _pay(ADA, SETTLEMENT, BIGINT_MAX))) == [None]
    again = post_orders(ledger, _pay(BEN, SETTLEMENT, 1))
    assert _reasons(again) == [ReasonCode.AMOUNT_OVERFLOW]
    assert balance(database, SETTLEMENT) == BIGINT_MAX
    assert verify(database).clean


def test_legs_of_one_order_count_together_against_range_and_limit(database: Database, ledger: PostgresLedger) -> None:
    """Between its legs an order may stand anywhere: it is one movement."""
    post_orders(ledger, _pay(ADA, SETTLEMENT, BIGINT_MAX))
    through = (credit(SETTLEMENT, 9), debit(BEN, 9), debit(SETTLEMENT, 9), credit(BEN, 9))
    drawn_and_given = (debit(POOR, 5), credit(BEN, 5), credit(POOR, 5), debit(BEN, 5))
    careful = post_orders(ledger, _pay(CLOSED, BEN, 1), _order(*through), _order(*drawn_and_given))
    assert _reasons(careful) == [ReasonCode.ACCOUNT_NOT_OPEN, None, None]
    assert balance(database, SETTLEMENT) == BIGINT_MAX


def test_a_refused_order_of_the_batch_road_leaves_no_row_at_all(database: Database, ledger: PostgresLedger) -> None:
    post_orders(ledger, _pay(FROZEN, SETTLEMENT, 5), _pay(ADA, SETTLEMENT, 5))
    assert count(database, "ledger.posting_sequences") == 0
    assert count(database, "audit.posting_inputs") == 0
    assert count(database, "ledger.journal", "kind = 'payment'") == 1


def test_one_call_is_one_batch_and_one_link_of_the_chain(database: Database, ledger: PostgresLedger) -> None:
    with ledger.session() as session:
        session.post([_pay(ADA, SETTLEMENT, number) for number in range(1, 301)], announce=Announcement("run_1"))
        (batch_id,) = session.batch_ids
    rows = database.fetch("SELECT transaction_count, correlation_id FROM ledger.batches WHERE batch_id = $1", batch_id)
    assert [tuple(row) for row in rows] == [(300, "run_1")]
    recorded = database.fetch("SELECT count(DISTINCT recorded_at) FROM ledger.journal WHERE batch_id = $1", batch_id)
    assert recorded[0][0] == 1
    assert count(database, "ledger.outbox", f"batch_id = {batch_id}") == 1
    assert verify(database).clean


def test_a_payment_that_comes_again_under_another_key_is_refused_whichever_road_brought_it(
    database: Database, ledger: PostgresLedger
) -> None:
    """A posting sequence is posted once, for ever: in one call, in a later one, and by the event road after a file."""
    first = _pay(ADA, SETTLEMENT, 10)
    same = {"sequence_id": first.posting.sequence_id, "payment_id": first.posting.payment_id}
    again = [with_posting(_pay(ADA, SETTLEMENT, 10), **same) for _ in range(2)]
    delivered = with_posting(make_order(*pair(ADA, SETTLEMENT, 10, "GBP")), **same)
    neighbour = _pay(BEN, SETTLEMENT, 10)
    assert _reasons(post_orders(ledger, first, again[0])) == [None, ReasonCode.SEQUENCE_INCONSISTENT]
    assert _reasons(post_orders(ledger, again[1], neighbour)) == [ReasonCode.SEQUENCE_INCONSISTENT, None]
    (refused,) = post_orders(ledger, delivered)
    assert refused.reason is ReasonCode.SEQUENCE_INCONSISTENT
    assert first.posting.transaction_id in refused.detail
    assert count(database, "ledger.journal_transactions", "kind = 'payment'") == 2
    assert verify(database).clean
