"""Cut connections, killed processes, waits and contention: retryable, and nothing half done."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import psycopg
import pytest
from tests.integration.ledger.support import (
    ADA,
    LOCK_BALANCE,
    SETTLEMENT,
    account,
    await_waiting_session,
    balance,
    count,
    make_order,
    make_parts,
    open_accounts,
    post_orders,
    run_engine,
)

from postrail.adapters.postgres.connection import Database, Isolation
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.outbox import PostgresOutbox
from postrail.adapters.postgres.verify import verify
from postrail.domain.errors import ReasonCode, Retryable
from postrail.domain.posting import pair
from postrail.ports import PostStatus

REPO = Path(__file__).resolve().parents[3]

HALF_WAY = """
import sys, time
from postrail.adapters.postgres.ledger import PostgresLedger
from tests.integration.ledger.support import ADA, SETTLEMENT, make_order, make_parts
parts = make_parts([(ADA, SETTLEMENT, 500)], payment=sys.argv[2])
with PostgresLedger(sys.argv[1]).session() as session:
    session.receive_parts(parts)
    session.post([make_order()])
    session.enqueue(parts)
    print("half way", flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _opened(database: Database) -> None:
    open_accounts(database)


def _cut(dsn: str) -> None:
    """Ends all other connections to the database, from the server's side."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_kill_9_in_the_middle_of_a_session_leaves_nothing_and_the_retry_posts_once(
    postgres_dsn: str, database: Database, ledger: PostgresLedger
) -> None:
    payment = "pay_0197f0a0c0de7abc8def00000000dddd"
    child = subprocess.Popen(
        [sys.executable, "-c", HALF_WAY, postgres_dsn, payment],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPO,
        env=os.environ | {"PYTHONPATH": str(REPO)},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "half way\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    parts = make_parts([(ADA, SETTLEMENT, 500)], payment=payment)
    assert len(run_engine(ledger, parts).posted) == 1
    assert count(database, "ledger.journal", "kind = 'payment'") == 1
    assert count(database, "ledger.outbox") == 1
    assert balance(database, ADA) == 99_500
    assert verify(database).clean


def test_a_connection_that_was_cut_while_idle_is_replaced_unseen(postgres_dsn: str, ledger: PostgresLedger) -> None:
    assert post_orders(ledger, make_order())[0].status is PostStatus.POSTED
    _cut(postgres_dsn)
    assert post_orders(ledger, make_order())[0].status is PostStatus.POSTED


def test_a_connection_cut_inside_a_session_is_retryable_and_undoes_it(
    postgres_dsn: str, database: Database, ledger: PostgresLedger
) -> None:
    order = make_order()

    def post_then_cut() -> None:
        with ledger.session() as session:
            session.post([order])
            _cut(postgres_dsn)
            session.enqueue([])
            session.post([make_order()])

    with pytest.raises(Retryable):
        post_then_cut()
    assert balance(database, ADA) == 100_000
    assert post_orders(ledger, order)[0].status is PostStatus.POSTED


def test_a_connection_cut_before_the_commit_is_retryable(
    postgres_dsn: str, database: Database, ledger: PostgresLedger
) -> None:
    def post_then_cut() -> None:
        with ledger.session() as session:
            session.post([make_order()])
            _cut(postgres_dsn)

    with pytest.raises(Retryable):
        post_then_cut()
    assert ledger.take_committed() == []
    assert balance(database, ADA) == 100_000


def test_an_error_that_was_swallowed_inside_a_session_does_not_pass_for_a_commit(
    database: Database, ledger: PostgresLedger
) -> None:
    def swallow() -> None:
        with ledger.session() as session:
            session.post([make_order()])
            with pytest.raises(Retryable):
                database.fetch("SELECT * FROM ledger.no_such_table")

    with pytest.raises(Retryable, match="rolled back"):
        swallow()
    assert balance(database, ADA) == 100_000


def test_waiting_too_long_for_a_lock_is_retryable(postgres_dsn: str, database: Database) -> None:
    with Database(postgres_dsn, lock_seconds_max=0.1) as impatient, database.transaction():
        database.fetch(LOCK_BALANCE, ADA)
        with pytest.raises(Retryable, match="55P03"):
            post_orders(PostgresLedger(impatient), make_order())


def test_a_session_that_stalls_frees_its_locks(postgres_dsn: str, ledger: PostgresLedger) -> None:
    """A function that is frozen in a transaction would otherwise hold the settlement account for ever."""
    with Database(postgres_dsn, idle_in_transaction_seconds_max=0.2) as stalled:

        def stall() -> None:
            with stalled.transaction():
                stalled.fetch(LOCK_BALANCE, SETTLEMENT)
                assert post_orders(ledger, make_order())[0].status is PostStatus.POSTED

        with pytest.raises(Retryable):
            stall()


def test_a_server_that_is_not_there_is_retryable() -> None:
    outbox = PostgresOutbox("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(Retryable, match="cannot be reached"):
        outbox.claim_unsent(1)


def test_a_rotated_password_is_picked_up_at_the_next_connect(postgres_dsn: str) -> None:
    answers = iter([postgres_dsn.replace("@", "-of-yesterday@"), postgres_dsn])
    with Database(lambda: next(answers)) as database:
        with pytest.raises(Retryable, match=r"28(000|P01)"):
            database.fetch("SELECT 1")
        assert database.fetch("SELECT 1")[0][0] == 1


def test_sessions_do_not_nest(ledger: PostgresLedger) -> None:
    def nest() -> None:
        with ledger.session(), ledger.session():
            pass

    with pytest.raises(RuntimeError, match="do not nest"):
        nest()


def test_a_snapshot_sees_one_instant_and_writes_nothing(postgres_dsn: str, database: Database) -> None:
    def look_then_write() -> None:
        with Database(postgres_dsn) as other, database.transaction(Isolation.SNAPSHOT):
            before = balance(database, ADA)
            post_orders(PostgresLedger(other), make_order())
            assert balance(database, ADA) == before
            database.execute("DELETE FROM ledger.outbox")

    with pytest.raises(Retryable, match="25006"):
        look_then_write()
    assert balance(database, ADA) == 99_000


@pytest.mark.parametrize(
    ("fingerprint", "reason"),
    [("a" * 32, ReasonCode.ALREADY_POSTED), ("b" * 32, ReasonCode.POSTING_CONFLICT)],
)
def test_a_key_that_another_session_is_just_posting_is_waited_for_and_refused(
    postgres_dsn: str, database: Database, ledger: PostgresLedger, fingerprint: str, reason: ReasonCode
) -> None:
    """The sessions share no account: the unique key alone brings them together."""
    specs = [account(f"customer:{number:06d}:gbp") for number in range(300, 302)]
    open_accounts(database, specs)
    elsewhere = make_order(
        *pair(specs[0].account_id, specs[1].account_id, 9, "GBP"), key="key:raced", fingerprint=fingerprint
    )
    neighbour = make_order(*pair(specs[1].account_id, specs[0].account_id, 4, "GBP"))
    with Database(postgres_dsn) as other, ThreadPoolExecutor(1) as thread:
        with ledger.session() as session:
            session.post([make_order(key="key:raced", fingerprint="a" * 32)])
            late = thread.submit(post_orders, PostgresLedger(other), elsewhere, neighbour)
            await_waiting_session(postgres_dsn)
        results = late.result(timeout=30)
    assert [result.reason for result in results] == [reason, None]
    assert balance(database, specs[0].account_id) == 4
    assert verify(database).clean


def test_threads_that_post_overlapping_accounts_in_any_order_do_not_deadlock(
    postgres_dsn: str, database: Database
) -> None:
    specs = [account(f"customer:{number:06d}:gbp") for number in range(100, 106)]
    open_accounts(database, specs)
    names = [spec.account_id for spec in specs]

    def post_shuffled(seed: int) -> int:
        random, posted = Random(seed), 0
        with Database(postgres_dsn) as own:
            ledger = PostgresLedger(own)
            for _ in range(25):
                orders = [make_order(*pair(*random.sample(names, 2), 1, "GBP")) for _ in range(5)]
                posted += sum(result.status is PostStatus.POSTED for result in post_orders(ledger, *orders))
        return posted

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(post_shuffled, range(6))) == 6 * 25 * 5
    deadlocks = database.fetch("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert deadlocks[0]["deadlocks"] == 0
    assert verify(database).clean


def test_threads_that_post_the_same_payments_post_each_once(postgres_dsn: str, database: Database) -> None:
    """All threads carry all keys, on accounts of their own, so that only the key brings them together."""
    specs = [account(f"customer:{number:06d}:gbp") for number in range(200, 208)]
    open_accounts(database, specs)
    keys = [f"key:contended-{number}" for number in range(20)]

    def post_all(worker: int) -> int:
        legs = pair(specs[2 * worker].account_id, specs[2 * worker + 1].account_id, 1, "GBP")
        shuffled = Random(worker).sample(keys, len(keys))
        with Database(postgres_dsn) as own:
            ledger = PostgresLedger(own)
            results = [
                result
                for start in range(0, len(keys), 4)
                for result in post_orders(ledger, *(make_order(*legs, key=key) for key in shuffled[start : start + 4]))
            ]
        return sum(result.status is PostStatus.POSTED for result in results)

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(post_all, range(4))) == len(keys)
    assert count(database, "ledger.journal", "payment_key LIKE 'key:contended-%'") == len(keys)
    assert verify(database).clean
