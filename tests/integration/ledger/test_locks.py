"""Who waits for whom: one test for each lock. A transaction is held open while another session comes by."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from random import Random
from threading import Barrier
from typing import TypeVar

import psycopg
import pytest
from tests.integration.ledger.support import (
    ADA,
    BEN,
    CLOCK,
    CLOSED,
    IDS,
    LOCK_BALANCE,
    MARKUP,
    SETTLEMENT,
    account,
    await_waiting_session,
    balance,
    count,
    make_order,
    open_accounts,
    post_orders,
)

from postrail.adapters.postgres.accounts import PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.verify import verify
from postrail.domain.errors import ReasonCode, Retryable
from postrail.domain.ledger import AccountStatus
from postrail.domain.posting import pair
from postrail.ports import PostingOrder, PostResult, PostStatus

T = TypeVar("T")
LANES = 16
POOR = "customer:000009:gbp"


@pytest.fixture(autouse=True)
def _opened(database: Database) -> None:
    open_accounts(database)
    open_accounts(database, [replace(account(POOR), overdraft_limit_minor=0)])


@pytest.fixture
def other(postgres_dsn: str) -> Iterator[Database]:
    """A second connection."""
    with Database(postgres_dsn) as opened:
        yield opened


@pytest.fixture
def impatient(postgres_dsn: str) -> Iterator[Database]:
    """A connection that rather fails than waits for a lock."""
    with Database(postgres_dsn, lock_seconds_max=0.05) as opened:
        yield opened


def _pay(debited: str, credited: str, amount_minor: int, key: str | None = None) -> PostingOrder:
    return replace(make_order(*pair(debited, credited, amount_minor, "GBP"), key=key), booking=None)


def _lane_of(database: Database, order: PostingOrder) -> int:
    (row,) = database.fetch(
        "SELECT lane FROM ledger.batches JOIN ledger.journal USING (batch_id) WHERE payment_key = $1",
        order.posting.payment_key,
    )
    return int(row["lane"])


def test_writers_of_one_hot_account_do_not_wait_for_each_other(
    database: Database, ledger: PostgresLedger, impatient: Database
) -> None:
    """Each has its own lane, and its own shard of the settlement account and of the markup account."""
    first, second = _pay(ADA, SETTLEMENT, 100), _pay(BEN, SETTLEMENT, 20)
    back = _pay(SETTLEMENT, MARKUP, 5)
    with ledger.session() as session:
        session.post([first])
        (result, _) = post_orders(PostgresLedger(impatient), second, back)
        assert result.status is PostStatus.POSTED
        assert balance(impatient, SETTLEMENT) == 15
    assert _lane_of(database, first) != _lane_of(database, second)
    assert balance(database, SETTLEMENT) == 115
    shards = "SELECT total_minor FROM ledger.balances JOIN ledger.accounts USING (account_no) WHERE account_id = $1"
    assert sorted(row[0] for row in database.fetch(shards, SETTLEMENT)) == [0] * (LANES - 2) + [15, 100]
    assert verify(database).clean


def test_writers_of_one_customer_wait_for_each_other(
    postgres_dsn: str, database: Database, ledger: PostgresLedger, other: Database
) -> None:
    """The lock of a customer's balance: of 100.00 two sessions cannot take 60.00 each."""
    post_orders(ledger, _pay(ADA, POOR, 10_000))
    with ThreadPoolExecutor(1) as thread:
        with ledger.session() as session:
            session.post([_pay(POOR, SETTLEMENT, 6_000)])
            late = thread.submit(post_orders, PostgresLedger(other), _pay(POOR, SETTLEMENT, 6_000))
            await_waiting_session(postgres_dsn)
        assert late.result(timeout=30)[0].reason is ReasonCode.INSUFFICIENT_FUNDS
    assert balance(database, POOR) == 4_000
    assert verify(database).clean


def test_a_debit_that_was_rolled_back_leaves_its_room_to_the_one_who_waited(
    postgres_dsn: str, database: Database, ledger: PostgresLedger, other: Database
) -> None:
    post_orders(ledger, _pay(ADA, POOR, 100))
    with ThreadPoolExecutor(1) as thread:
        future = _post_beside(postgres_dsn, thread, ledger, other, [_pay(POOR, SETTLEMENT, 60)])
        assert future.result(timeout=30)[0].status is PostStatus.POSTED
    assert balance(database, POOR) == 40


def _post_beside(
    dsn: str, thread: ThreadPoolExecutor, ledger: PostgresLedger, other: Database, orders: list[PostingOrder]
) -> "Future[list[PostResult]]":
    """Posts orders in a session that is rolled back once another session waits to post the same."""

    def post_and_fail() -> "Future[list[PostResult]]":
        with ledger.session() as session:
            session.post(orders)
            future.append(thread.submit(post_orders, PostgresLedger(other), *orders))
            await_waiting_session(dsn)
            raise ZeroDivisionError

    future: list[Future[list[PostResult]]] = []
    with pytest.raises(ZeroDivisionError):
        post_and_fail()
    return future[0]


def test_a_payment_key_whose_session_rolled_back_is_free_for_the_one_who_waited(
    postgres_dsn: str, database: Database, ledger: PostgresLedger, other: Database
) -> None:
    """The lock of a payment key; hot accounts only, so that nothing else is shared."""
    order = _pay(SETTLEMENT, MARKUP, 7, key="key:contended")
    with ThreadPoolExecutor(1) as thread:
        future = _post_beside(postgres_dsn, thread, ledger, other, [order])
        assert future.result(timeout=30)[0].status is PostStatus.POSTED
    assert count(database, "ledger.journal", "payment_key = 'key:contended'") == 1
    assert balance(database, MARKUP) == 7


def test_a_writer_takes_the_first_free_lane(database: Database, ledger: PostgresLedger, postgres_dsn: str) -> None:
    order = _pay(ADA, SETTLEMENT, 1)
    with psycopg.connect(postgres_dsn) as holder:
        holder.execute("SELECT FROM ledger.lanes WHERE lane IN (1, 2) FOR UPDATE")
        assert post_orders(ledger, order)[0].status is PostStatus.POSTED
    assert _lane_of(database, order) == 3


def test_when_all_lanes_are_taken_a_writer_waits_for_one(
    database: Database, ledger: PostgresLedger, postgres_dsn: str, other: Database
) -> None:
    holder = psycopg.connect(postgres_dsn)
    holder.execute("SELECT FROM ledger.lanes FOR UPDATE")
    with ThreadPoolExecutor(1) as thread:
        late = thread.submit(post_orders, PostgresLedger(other), _pay(ADA, SETTLEMENT, 1))
        await_waiting_session(postgres_dsn)
        holder.close()
        assert late.result(timeout=30)[0].status is PostStatus.POSTED
    assert verify(database).clean


def test_a_session_that_posts_twice_keeps_its_chain(database: Database, ledger: PostgresLedger) -> None:
    with ledger.session() as session:
        for amount_minor in range(1, 5):
            session.post([_pay(ADA, SETTLEMENT, amount_minor)])
        batch_ids = session.batch_ids
    rows = database.fetch("SELECT lane, lane_no FROM ledger.batches WHERE batch_id = ANY ($1) ORDER BY 2", batch_ids)
    first = rows[0]["lane_no"]
    assert [tuple(row) for row in rows] == [(rows[0]["lane"], first + step) for step in range(4)]
    assert verify(database).clean


@pytest.mark.parametrize("changed", [ADA, SETTLEMENT], ids=["customer", "hot account"])
def test_a_change_of_status_waits_for_postings_in_flight_and_later_ones_see_it(
    postgres_dsn: str, database: Database, ledger: PostgresLedger, other: Database, changed: str
) -> None:
    with ThreadPoolExecutor(1) as thread:
        with ledger.session() as session:
            assert session.post([_pay(ADA, SETTLEMENT, 1)])[0].status is PostStatus.POSTED
            change = thread.submit(PostgresAccounts(other).set_status, changed, AccountStatus.CLOSED)
            await_waiting_session(postgres_dsn)
        change.result(timeout=30)
    assert post_orders(ledger, _pay(ADA, SETTLEMENT, 1))[0].reason is ReasonCode.ACCOUNT_NOT_OPEN
    assert balance(database, ADA) == 99_999
    assert verify(database).clean


CHANGES = {
    "status": (
        f"UPDATE ledger.accounts SET status = 'frozen' WHERE account_id = '{ADA}'",
        ReasonCode.ACCOUNT_NOT_OPEN,
    ),
    "status of a hot account": (
        f"UPDATE ledger.accounts SET status = 'closed' WHERE account_id = '{SETTLEMENT}'",
        ReasonCode.ACCOUNT_NOT_OPEN,
    ),
    "limit": (
        f"UPDATE ledger.accounts SET overdraft_limit_minor = 0 WHERE account_id = '{ADA}'",
        ReasonCode.INSUFFICIENT_FUNDS,
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_posting_waits_for_a_change_in_flight_and_is_judged_by_it(
    postgres_dsn: str, database: Database, other: Database, name: str
) -> None:
    change, reason = CHANGES[name]
    order = _pay(ADA, SETTLEMENT, 100_001)
    with ThreadPoolExecutor(1) as thread:
        with database.transaction():
            database.execute(change)
            late = thread.submit(post_orders, PostgresLedger(other), order)
            await_waiting_session(postgres_dsn)
        assert late.result(timeout=30)[0].reason is reason
    assert balance(database, ADA) == 100_000


def test_a_lock_that_is_not_freed_in_time_is_retryable_and_leaves_nothing(
    database: Database, impatient: Database
) -> None:
    batches = count(database, "ledger.batches")
    with database.transaction():
        database.fetch(LOCK_BALANCE, ADA)
        with pytest.raises(Retryable, match="55P03"):
            post_orders(PostgresLedger(impatient), _pay(ADA, SETTLEMENT, 1))
    assert count(database, "ledger.batches") == batches
    assert post_orders(PostgresLedger(impatient), _pay(ADA, SETTLEMENT, 1))[0].status is PostStatus.POSTED
    assert verify(database).clean


def _retry(work: Callable[[], T]) -> T:
    """What callers do: Retryable is tried again, a few times."""
    for _ in range(20):
        try:
            return work()
        except Retryable:
            continue
    return work()


def test_more_writers_than_lanes_keep_every_chain_and_balance(postgres_dsn: str, database: Database) -> None:
    """Hot and cold accounts, refusals that make the ledger careful, and keys that several writers bring."""
    specs = [account(f"customer:{number:06d}:gbp") for number in range(500, 508)]
    open_accounts(database, specs)
    names = [spec.account_id for spec in specs]
    writers = LANES + 4
    barrier = Barrier(writers)

    def write(seed: int) -> int:
        random, posted = Random(seed), 0
        with Database(postgres_dsn) as own:
            ledger = PostgresLedger(own)
            own.fetch("SELECT 1")
            barrier.wait()
            for step in range(6):
                orders = [_pay(random.choice(names), SETTLEMENT, 1) for _ in range(4)]
                orders.append(_pay(*random.sample(names, 2), 3, key=f"key:shared-{random.randrange(10)}"))
                if step % 3 == 0:
                    orders.append(_pay(CLOSED, SETTLEMENT, 1))
                random.shuffle(orders)
                results = _retry(lambda orders=orders: post_orders(ledger, *orders))  # type: ignore[misc]
                posted += sum(result.status is PostStatus.POSTED for result in results)
        return posted

    with ThreadPoolExecutor(writers) as threads:
        posted = sum(threads.map(write, range(writers)))
    shared = count(database, "ledger.journal", "payment_key LIKE 'key:shared-%'")
    assert shared == 10
    assert posted == writers * 6 * 4 + shared
    assert balance(database, SETTLEMENT) == writers * 6 * 4
    assert count(database, "ledger.journal", "kind = 'payment'") == posted
    assert verify(database).clean


def test_accounts_opened_by_several_at_once_are_opened_once_with_one_opening(
    postgres_dsn: str, database: Database
) -> None:
    """A customer and a hot account that exist without an opening, and one that opens closed."""
    specs = [
        account("customer:000600:gbp"),
        account("income:interchange:gbp"),
        account("customer:000601:gbp", AccountStatus.CLOSED),
    ]
    openings = {spec.account_id: 700 for spec in specs}
    PostgresAccounts(database).open_accounts(specs[:2], clock=CLOCK, ids=IDS)
    barrier = Barrier(4)

    def open_all(_: int) -> tuple[int, int]:
        with Database(postgres_dsn) as own:
            own.fetch("SELECT 1")
            barrier.wait()
            opened = PostgresAccounts(own).open_accounts(specs, openings=openings, clock=CLOCK, ids=IDS)
            return opened.accounts, opened.openings

    with ThreadPoolExecutor(4) as threads:
        opened = list(threads.map(open_all, range(4)))
    assert (sum(one[0] for one in opened), sum(one[1] for one in opened)) == (1, 3)
    assert [balance(database, spec.account_id) for spec in specs] == [700] * 3
    (closed,) = PostgresAccounts(database).read_balances(["customer:000601:gbp"])
    assert closed.status is AccountStatus.CLOSED
    assert verify(database).clean
