"""Measures the ledger: sequenced two-leg payments into the books, with everything on that keeps them right.

Each run starts from a copy of one database: 100,000 customers and 8 hot settlement accounts. Writers are processes with
a connection each; the orders are made beforehand, so that the time is that of the adapter and the database: arrays,
posting, balances, chain, an outbox row a batch, durable commit. After each run the books are counted and summed.

The baseline is what one would write first: bare tables with their keys and no other constraint, one transaction for
each payment, the same connections, the same server.
"""

import asyncio
import multiprocessing
import random
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.synchronize import Barrier
from statistics import median
from typing import Any, Final

import asyncpg
import psycopg

from postrail.adapters.postgres.accounts import PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.migrate import migrate
from postrail.adapters.system import SystemClock, SystemIds
from postrail.bench.machine import describe_machine
from postrail.bench.scratch_postgres import SETTINGS, ScratchServer, scratch_server
from postrail.domain.authorization import content_fingerprint
from postrail.domain.errors import PostrailError
from postrail.domain.ids import format_uuid7
from postrail.domain.ledger import AccountSpec, AccountStatus, AccountType
from postrail.domain.posting import Posting, pair
from postrail.ports import Announcement, PostingOrder, PostStatus

ACCOUNTS: Final = 100_000
HOT_ACCOUNTS: Final = 8
BATCH_SIZE: Final = 2_000
_TEMPLATE: Final = "bench_template"
_DATABASE: Final = "bench_run"
_SEED: Final = 20261001
_WRITER_SECONDS_MAX: Final = 900


class LedgerCheckFailed(PostrailError):
    """The books do not say what was posted: the times of such a run mean nothing."""


@dataclass(frozen=True, slots=True)
class LedgerRun:
    """One run: how long, how much WAL, how many rows, and the memory of all writers together."""

    payments: int
    seconds: float
    wal_bytes: int
    rows: int
    peak_rss_mib: float

    @property
    def payments_per_s(self) -> float:
        """The rate of the run."""
        return self.payments / self.seconds


def measure_ledger(
    payments: int, *, runs: int, writers: int, baseline_payments: int, accounts: int = ACCOUNTS
) -> dict[str, Any]:
    """Post `payments` in each of `runs` runs with `writers` processes; returns the JSON-able report.

    `accounts` is how many customers pay.

    Raises InstallationError without a PostgreSQL to run, and LedgerCheckFailed when the books are not right.
    """
    with scratch_server() as server:
        _prepare_template(server, accounts)
        done = [_run_ledger(server, payments, writers, number, accounts) for number in range(runs)]
        baseline = [_run_baseline(server, baseline_payments, writers, accounts) for _ in range(runs)]
        version = server.version
    middle = sorted(done, key=lambda run: run.seconds)[len(done) // 2]
    rate, baseline_rate = median(run.payments_per_s for run in done), median(baseline)
    return {
        "bench": "ledger",
        "payments_per_s": round(rate),
        "baseline_payments_per_s": round(baseline_rate),
        "times_baseline": round(rate / baseline_rate, 1),
        "payments": payments,
        "seconds": round(middle.seconds, 2),
        "peak_rss_mib": round(max(run.peak_rss_mib for run in done), 1),
        "wal_bytes_per_payment": round(median(run.wal_bytes for run in done) / payments),
        "rows_per_payment": round(middle.rows / payments, 2),
        "runs": [round(run.payments_per_s) for run in done],
        "baseline_runs": [round(rate) for rate in baseline],
        "writers": writers,
        "batch_size": BATCH_SIZE,
        "accounts": accounts,
        "hot_accounts": HOT_ACCOUNTS,
        "postgresql": version,
        "settings": SETTINGS,
        "machine": describe_machine(),
    }


# --- the ledger -----------------------------------------------------------------------------------------------------


def _prepare_template(server: ScratchServer, accounts: int) -> None:
    dsn = server.create_database(_TEMPLATE)
    migrate(dsn)
    specs = [
        AccountSpec(_customer(number), AccountType.CUSTOMER, "GBP", AccountStatus.OPEN, f"Customer {number}")
        for number in range(accounts)
    ] + [
        AccountSpec(_hot(number), AccountType.SETTLEMENT, "GBP", AccountStatus.OPEN, f"Scheme {number}")
        for number in range(HOT_ACCOUNTS)
    ]
    with Database(dsn, statement_seconds_max=120) as database:
        PostgresAccounts(database).open_accounts(specs, clock=SystemClock(), ids=SystemIds())
        database.execute("ANALYZE")


def _customer(number: int) -> str:
    return f"customer:{number:06d}:gbp"


def _hot(number: int) -> str:
    return f"settlement:scheme-{number}:gbp"


def _run_ledger(server: ScratchServer, payments: int, writers: int, number: int, accounts: int) -> LedgerRun:
    dsn = server.create_database(_DATABASE, template=_TEMPLATE)
    started_from = server.wal_bytes()
    spans = _in_processes(
        _write_ledger, [(dsn, count, _SEED + 100 * number + w, accounts) for w, count in _shares(payments, writers)]
    )
    wal_bytes = server.wal_bytes() - started_from
    rows = _check_books(dsn, payments)
    seconds = max(end for _, end, _ in spans) - min(start for start, _, _ in spans)
    return LedgerRun(payments, seconds, wal_bytes, rows, sum(rss for _, _, rss in spans))


def _shares(payments: int, writers: int) -> Iterator[tuple[int, int]]:
    for writer in range(writers):
        yield writer, payments // writers + (writer < payments % writers)


def _write_ledger(dsn: str, count: int, seed: int, accounts: int, ready: Barrier) -> tuple[float, float, float]:
    """One writer's work: returns start and end (of the clock that all processes share) and its peak memory in MiB."""
    orders = list(_orders(count, seed, accounts))
    batches = [orders[start : start + BATCH_SIZE] for start in range(0, count, BATCH_SIZE)]
    with Database(dsn, application_name="postrail-bench") as database:
        database.fetch("SELECT 1")
        ledger = PostgresLedger(database)
        ready.wait()
        started = time.monotonic()
        for batch in batches:
            with ledger.session() as session:
                results = session.post(batch, announce=Announcement("bench-ledger"))
            if any(result.status is not PostStatus.POSTED for result in results):
                msg = "the ledger refused a payment that nothing is wrong with"
                raise LedgerCheckFailed(msg)
        return started, time.monotonic(), _peak_rss_mib()


def _orders(count: int, seed: int, accounts: int) -> Iterator[PostingOrder]:
    rng = random.Random(seed)
    now = datetime.now(UTC)
    now_ms, now_us = int(now.timestamp() * 1000), int(now.timestamp() * 1_000_000)
    for number in range(count):
        identity = format_uuid7("pay", now_ms + number // 1000, rng.getrandbits(80))
        amount = rng.randrange(100, 20_000)
        legs = pair(_customer(rng.randrange(accounts)), _hot(rng.randrange(HOT_ACCOUNTS)), amount, "GBP")
        yield PostingOrder(
            Posting(
                transaction_id=format_uuid7("txn", now_ms + number // 1000, rng.getrandbits(80)),
                sequence_id=f"seq{identity[3:]}",
                payment_id=identity,
                payment_key=f"acq:400100:{number % 1_000_000:06d}:{seed}{number // 1_000_000}:T0000001",
                fingerprint=content_fingerprint(seed, number, amount),
                legs=legs,
                occurred_at_us=now_us,
                description="Corner Coffee, London",
            )
        )


def _check_books(dsn: str, payments: int) -> int:
    """Rows that the run wrote. Raises LedgerCheckFailed unless all is there, sums to zero, and is sealed."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM ledger.journal_transactions), (SELECT count(*) FROM ledger.entries),"
            " (SELECT sum(amount_minor) FROM ledger.entries), (SELECT sum(total_minor) FROM ledger.balances),"
            " (SELECT sum(entry_count) FROM ledger.balances), (SELECT count(*) FROM ledger.batches),"
            " (SELECT count(*) FROM ledger.batches WHERE hash IS NULL), (SELECT count(*) FROM ledger.outbox)"
        ).fetchone()
    if row is None or row[:5] != (payments, 2 * payments, 0, 0, 2 * payments) or row[6] or row[5] != row[7]:
        msg = f"the books do not hold {payments} payments of two legs that sum to zero: {row}"
        raise LedgerCheckFailed(msg)
    return int(row[0] + row[1] + row[5] + row[7])


# --- the baseline ---------------------------------------------------------------------------------------------------

_BASELINE_TABLES: Final = """
CREATE TABLE transactions (transaction_id uuid PRIMARY KEY, payment_key text NOT NULL UNIQUE, description text,
                           occurred_at timestamptz);
CREATE TABLE entries (transaction_id uuid, leg_no int, account_id text, amount_minor bigint, currency text,
                      PRIMARY KEY (transaction_id, leg_no));
CREATE TABLE balances (account_id text PRIMARY KEY, total_minor bigint NOT NULL DEFAULT 0);
"""


def _run_baseline(server: ScratchServer, payments: int, writers: int, accounts: int) -> float:
    """Payments a second, one transaction for each."""
    dsn = server.create_database(_DATABASE)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(_BASELINE_TABLES)
        with connection.cursor().copy("COPY balances (account_id) FROM STDIN") as copy:
            for account in [*map(_customer, range(accounts)), *map(_hot, range(HOT_ACCOUNTS))]:
                copy.write_row((account,))
        connection.execute("ANALYZE")
    spans = _in_processes(
        _write_baseline, [(dsn, count, _SEED + w, accounts) for w, count in _shares(payments, writers)]
    )
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM transactions), (SELECT sum(total_minor) FROM balances)"
        ).fetchone()
    if row != (payments, 0):
        msg = f"the baseline's books are not right: {row}"
        raise LedgerCheckFailed(msg)
    return payments / (max(end for _, end, _ in spans) - min(start for start, _, _ in spans))


def _write_baseline(dsn: str, count: int, seed: int, accounts: int, ready: Barrier) -> tuple[float, float, float]:
    return asyncio.run(_write_one_by_one(dsn, list(_orders(count, seed, accounts)), ready))


async def _write_one_by_one(dsn: str, orders: Sequence[PostingOrder], ready: Barrier) -> tuple[float, float, float]:
    connection = await asyncpg.connect(dsn)
    try:
        ready.wait()
        started = time.monotonic()
        for order in orders:
            async with connection.transaction():
                await _write_one(connection, order.posting)
        return started, time.monotonic(), _peak_rss_mib()
    finally:
        await connection.close()


async def _write_one(connection: "asyncpg.Connection[asyncpg.Record]", posting: Posting) -> None:
    new = await connection.fetchval(
        "INSERT INTO transactions VALUES ($1, $2, $3, to_timestamp($4)) ON CONFLICT DO NOTHING RETURNING true",
        posting.transaction_id[4:],
        posting.payment_key,
        posting.description,
        posting.occurred_at_us / 1_000_000,
    )
    if not new:
        return
    # In sorted order, so that two writers do not deadlock.
    for number, leg in sorted(enumerate(posting.legs, start=1), key=lambda numbered: numbered[1].account_id):
        signed = leg.direction.signed(leg.amount_minor)
        await connection.execute(
            "INSERT INTO entries VALUES ($1, $2, $3, $4, $5)",
            posting.transaction_id[4:],
            number,
            leg.account_id,
            signed,
            leg.currency,
        )
        await connection.execute(
            "UPDATE balances SET total_minor = total_minor + $2 WHERE account_id = $1", leg.account_id, signed
        )


# --- processes ------------------------------------------------------------------------------------------------------


def _in_processes(work: Any, shares: Sequence[tuple[str, int, int, int]]) -> list[tuple[float, float, float]]:
    """Run `work` in a process for each share, all starting together; raises what a process raised."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        ready = manager.Barrier(len(shares))
        with context.Pool(len(shares)) as pool:
            asked = [pool.apply_async(work, (*share, ready)) for share in shares]
            return [answer.get(timeout=_WRITER_SECONDS_MAX) for answer in asked]


def _peak_rss_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / 1024
