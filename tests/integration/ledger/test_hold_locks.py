"""Sessions that want the same holds, keys and accounts at once: who waits for whom, and what comes of it."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from random import Random
from typing import TypeVar

import psycopg
import pytest
from psycopg import errors
from tests.integration.ledger.hold_support import (
    NOW,
    capture,
    check_holds,
    extend_request,
    place_request,
    release_request,
    standing,
)
from tests.integration.ledger.support import ADA, BEN, SETTLEMENT, account, count, open_accounts, post_orders

from postrail.adapters.postgres.accounts import PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.holds import PostgresHolds
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.domain.errors import Permanent, ReasonCode, Retryable
from postrail.domain.ledger import AccountStatus
from postrail.ports import HoldOutcome

T = TypeVar("T")


@pytest.fixture(autouse=True)
def _opened(database: Database) -> Iterator[None]:
    """Ada has 1,000.00 and no overdraft."""
    open_accounts(database)
    PostgresAccounts(database).set_overdraft_limit(ADA, 0)
    yield
    check_holds(database)


@contextmanager
def _meanwhile(dsn: str, ask: Callable[[Database], T], *, waits: bool = True) -> Iterator[Callable[[], "Future[T]"]]:
    """A second session that asks while the first has its transaction open; `waits` until it waits for a lock."""

    def asked() -> T:
        with Database(dsn) as other:
            return ask(other)

    def begin() -> "Future[T]":
        future = thread.submit(asked)
        if waits:
            _await_waiting(dsn)
        return future

    with ThreadPoolExecutor(1) as thread:
        yield begin


def _await_waiting(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for _ in range(1_000):
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchone()
            if row is not None and row[0]:
                return
            time.sleep(0.01)
    pytest.fail("the other session did not come to wait")


def test_two_sessions_cannot_both_hold_the_last_money(postgres_dsn: str, database: Database) -> None:
    request = place_request(amount_minor=60_000)
    with _meanwhile(postgres_dsn, lambda other: PostgresHolds(other).place([request])) as begin:
        with database.transaction():
            PostgresHolds(database).place([place_request(amount_minor=60_000)])
            late = begin()
        (result,) = late.result(timeout=30)
    assert (result.reason, result.available_minor) == (ReasonCode.INSUFFICIENT_FUNDS, 40_000)


def test_a_hold_and_a_posting_cannot_both_take_the_last_money(postgres_dsn: str, database: Database) -> None:
    (held,) = PostgresHolds(database).place([place_request(amount_minor=60_000)])
    request = place_request(amount_minor=60_000)
    with _meanwhile(postgres_dsn, lambda other: PostgresHolds(other).place([request])) as begin:
        with PostgresLedger(database).session() as session:
            session.post([capture(held.hold_id, 60_000)])
            late = begin()
        assert late.result(timeout=30)[0].reason is ReasonCode.INSUFFICIENT_FUNDS
    assert standing(database) == (40_000, 0, 0, 40_000)


@pytest.mark.parametrize("amount_minor", [700, 701], ids=["repeated", "in conflict"])
def test_a_key_that_another_session_is_just_using_is_waited_for(
    postgres_dsn: str, database: Database, amount_minor: int
) -> None:
    """On the same account the balance's lock brings them together."""
    again = place_request(amount_minor=amount_minor, change_key="key:raced")
    with _meanwhile(postgres_dsn, lambda other: PostgresHolds(other).place([again])) as begin:
        with database.transaction():
            (first,) = PostgresHolds(database).place([place_request(amount_minor=700, change_key="key:raced")])
            late = begin()
        (result,) = late.result(timeout=30)
    if amount_minor == 700:
        assert (result.outcome, result.hold_id) == (HoldOutcome.REPEATED, first.hold_id)
    else:
        assert result.reason is ReasonCode.HOLD_CONFLICT
    assert standing(database)[1] == 700


def test_a_key_raced_on_two_accounts_is_done_once_and_neighbours_go_on(postgres_dsn: str, database: Database) -> None:
    """The sessions share no account: the unique key alone brings them together."""
    elsewhere = [place_request(BEN, 700, change_key="key:raced"), place_request(BEN, 50)]
    with _meanwhile(postgres_dsn, lambda other: PostgresHolds(other).place(elsewhere)) as begin:
        with database.transaction():
            PostgresHolds(database).place([place_request(amount_minor=700, change_key="key:raced")])
            late = begin()
        assert [result.reason for result in late.result(timeout=30)] == [ReasonCode.HOLD_CONFLICT, None]
    assert (standing(database)[1], standing(database, BEN)[1]) == (700, 50)


def test_a_key_raced_by_two_changes_is_done_once(postgres_dsn: str, database: Database) -> None:
    mine, theirs = PostgresHolds(database).place([place_request(), place_request(BEN)])
    change = release_request(theirs.hold_id, change_key="key:raced")
    with _meanwhile(postgres_dsn, lambda other: PostgresHolds(other).change([change])) as begin:
        with database.transaction():
            PostgresHolds(database).change([extend_request(mine.hold_id, 5, change_key="key:raced")])
            late = begin()
        assert late.result(timeout=30)[0].reason is ReasonCode.HOLD_CONFLICT
    assert (standing(database)[1], standing(database, BEN)[1]) == (1_005, 1_000)


def test_two_captures_of_one_hold_share_it(postgres_dsn: str, database: Database) -> None:
    (held,) = PostgresHolds(database).place([place_request(amount_minor=1_000)])
    order = capture(held.hold_id, 600)
    with _meanwhile(postgres_dsn, lambda other: post_orders(PostgresLedger(other), order)) as begin:
        with PostgresLedger(database).session() as session:
            session.post([capture(held.hold_id, 600)])
            late = begin()
        assert late.result(timeout=30)[0].reason is ReasonCode.CAPTURE_EXCEEDS_HOLD
    assert standing(database) == (99_400, 400, 0, 99_000)


def test_a_release_that_waited_for_a_capture_sees_what_is_left(postgres_dsn: str, database: Database) -> None:
    (held,) = PostgresHolds(database).place([place_request(amount_minor=1_000)])
    release = release_request(held.hold_id)
    with _meanwhile(postgres_dsn, lambda other: PostgresHolds(other).change([release])) as begin:
        with PostgresLedger(database).session() as session:
            session.post([capture(held.hold_id, 600)])
            late = begin()
        assert late.result(timeout=30)[0].outcome is HoldOutcome.DONE
    assert [change.held_minor for change in PostgresHolds(database).history(held.hold_id)] == [1_000, -600, -400]


def test_a_status_is_waited_for_by_what_comes_later(postgres_dsn: str, database: Database) -> None:
    request = place_request()
    with _meanwhile(postgres_dsn, lambda other: PostgresHolds(other).place([request])) as begin:
        with database.transaction():
            PostgresAccounts(database).set_status(ADA, AccountStatus.FROZEN)
            late = begin()
        assert late.result(timeout=30)[0].reason is ReasonCode.ACCOUNT_NOT_OPEN


def test_a_limit_waits_for_a_hold_that_is_just_placed(postgres_dsn: str, database: Database) -> None:
    PostgresAccounts(database).set_overdraft_limit(ADA, 500)
    with _meanwhile(postgres_dsn, lambda other: PostgresAccounts(other).set_overdraft_limit(ADA, 0)) as begin:
        with database.transaction():
            PostgresHolds(database).place([place_request(amount_minor=100_100)])
            late = begin()
        with pytest.raises(Permanent, match="INSUFFICIENT_FUNDS"):
            late.result(timeout=30)


def test_a_sweep_leaves_busy_accounts_to_the_next_and_waits_for_nobody(postgres_dsn: str, database: Database) -> None:
    holds = PostgresHolds(database)
    due = NOW - timedelta(hours=1)
    busy, free = holds.place([place_request(expires_at=due), place_request(BEN, expires_at=due)])
    sweep = _meanwhile(postgres_dsn, lambda other: PostgresHolds(other).expire(NOW, limit=10), waits=False)
    with sweep as begin, database.transaction():
        holds.change([extend_request(busy.hold_id, 1)])
        assert begin().result(timeout=30) == [free.hold_id]
    assert holds.expire(NOW, limit=10) == [busy.hold_id]


def test_two_sweeps_at_once_end_each_hold_once(postgres_dsn: str, database: Database) -> None:
    specs = [account(f"customer:{number:06d}:gbp") for number in range(500, 540)]
    open_accounts(database, specs)
    requests = [place_request(spec.account_id, 10, expires_at=NOW) for spec in specs for _ in range(5)]
    placed = {result.hold_id for result in PostgresHolds(database).place(requests)}

    def sweep(_: int) -> list[str]:
        ended: list[str] = []
        with Database(postgres_dsn) as own:
            while count(own, "ledger.holds", "status = 'active'"):
                ended += PostgresHolds(own).expire(NOW, limit=7)
        return ended

    with ThreadPoolExecutor(3) as threads:
        ended = [hold_id for some in threads.map(sweep, range(3)) for hold_id in some]
    assert len(ended) == len(set(ended)) == len(placed)
    assert set(ended) == placed


def test_holds_placed_on_the_same_accounts_in_any_order_do_not_deadlock(postgres_dsn: str, database: Database) -> None:
    specs = [account(f"customer:{number:06d}:gbp") for number in range(600, 608)]
    open_accounts(database, specs)

    def place_shuffled(seed: int) -> int:
        random = Random(seed)
        with Database(postgres_dsn) as own:
            holds, done = PostgresHolds(own), 0
            for _ in range(15):
                chosen = random.sample(specs, 5)
                placed = holds.place([place_request(spec.account_id, 3) for spec in chosen])
                random.shuffle(placed)
                changed = holds.change([release_request(result.hold_id, 1) for result in placed])
                done += sum(result.outcome is HoldOutcome.DONE for result in (*placed, *changed))
        return done

    with ThreadPoolExecutor(5) as threads:
        assert sum(threads.map(place_shuffled, range(5))) == 5 * 15 * 10
    deadlocks = database.fetch("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert deadlocks[0]["deadlocks"] == 0
    assert sum(standing(database, spec.account_id)[1] for spec in specs) == 5 * 15 * 5 * 2


def test_waiting_too_long_for_an_account_is_retryable_and_places_nothing(postgres_dsn: str, database: Database) -> None:
    request = place_request()
    with Database(postgres_dsn, lock_seconds_max=0.1) as impatient:
        with database.transaction():
            PostgresHolds(database).place([place_request(amount_minor=1)])
            with pytest.raises(Retryable, match="55P03"):
                PostgresHolds(impatient).place([request])
        assert PostgresHolds(impatient).place([request])[0].outcome is HoldOutcome.DONE


# --- the law of holds, whoever writes ---


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("DELETE FROM ledger.holds", errors.RestrictViolation),
        ("DELETE FROM ledger.hold_changes", errors.RestrictViolation),
        ("UPDATE ledger.hold_changes SET amount_minor = 1", errors.RestrictViolation),
        ("UPDATE ledger.holds SET kind = 'dispute'", errors.RestrictViolation),
        ("UPDATE ledger.holds SET tolerance_minor = 9", errors.RestrictViolation),
        ("UPDATE ledger.holds SET hold_id = gen_random_uuid()", errors.RestrictViolation),
        ("UPDATE ledger.holds SET remaining_minor = 1", errors.CheckViolation),
        ("UPDATE ledger.holds SET status = 'released'", errors.CheckViolation),
        ("UPDATE ledger.holds SET captured_minor = 2000, remaining_minor = 0", errors.CheckViolation),
        ("UPDATE ledger.holds SET amount_minor = 100001, remaining_minor = 100001", errors.CheckViolation),
        ("UPDATE ledger.balances SET held_minor = 0", errors.RestrictViolation),
    ],
)
def test_the_database_refuses_what_would_break_a_hold(
    postgres_dsn: str, database: Database, statement: str, error: type[Exception]
) -> None:
    PostgresHolds(database).place([place_request()])
    with psycopg.connect(postgres_dsn) as owner, pytest.raises(error):
        owner.execute(statement.encode())
    assert standing(database) == (100_000, 1_000, 0, 99_000)


def test_a_hold_that_ended_stays_so_and_a_hot_account_is_never_held(postgres_dsn: str, database: Database) -> None:
    (result,) = PostgresHolds(database).place([place_request()])
    PostgresHolds(database).change([release_request(result.hold_id)])
    with psycopg.connect(postgres_dsn) as owner, pytest.raises(errors.RestrictViolation, match="is released"):
        owner.execute("UPDATE ledger.holds SET status = 'active', remaining_minor = 1000, closed_at = NULL")
    with psycopg.connect(postgres_dsn) as owner, pytest.raises(errors.CheckViolation, match="hot"):
        owner.execute(
            "INSERT INTO ledger.holds"
            " (hold_id, account_no, kind, amount_minor, remaining_minor, expires_at, occurred_at)"
            " SELECT gen_random_uuid(), account_no, 'dispute', 1, 1, now(), now()"
            " FROM ledger.accounts WHERE account_id = %s",
            (SETTLEMENT,),
        )
