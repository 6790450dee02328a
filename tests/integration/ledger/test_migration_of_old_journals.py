"""A ledger of the first layout (migrations 1 to 7) is carried over: same balances, same history, and a chain."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import tuple_row
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
    make_order,
    make_parts,
    open_accounts,
    post_orders,
    run_engine,
)

from postrail.adapters.postgres import migrate as migrate_module
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.migrate import migrate
from postrail.adapters.postgres.trace import trace
from postrail.adapters.postgres.verify import verify
from postrail.domain.errors import ReasonCode
from postrail.domain.posting import pair

FOLDER = Path(migrate_module.__file__).parent / "migrations"
NAMES = sorted(path.stem for path in FOLDER.glob("*.sql"))
FIRST_LAYOUT = 7
EQUITY = "equity:opening:gbp"

PAYMENTS = {
    f"pay_{number:032x}": [(ADA, SETTLEMENT, 1_000 * number), (ADA, MARKUP, number)] for number in range(1, 6)
} | {f"pay_{6:032x}": [(FROZEN, SETTLEMENT, 40)], f"pay_{7:032x}": [(CLOSED, SETTLEMENT, 500)]}

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def old_dsn(empty_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database of the first layout with accounts, openings, payments, and a sequence that waits."""
    for name in NAMES[:FIRST_LAYOUT]:
        shutil.copy(FOLDER / f"{name}.sql", tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(migrate_module, "files", lambda _: _Package(tmp_path))
        assert migrate(empty_dsn) == NAMES[:FIRST_LAYOUT]
    migrate_module.yoyo.migrations.Migration._Migration__all_migrations.clear()
    with psycopg.connect(empty_dsn) as connection:
        _open(connection)
        for payment, pairs in PAYMENTS.items():
            _post(connection, payment, pairs)
        # What was posted stands, though the account was closed or frozen since.
        connection.execute("UPDATE ledger.accounts SET status = 'closed' WHERE account_id = %s", (CLOSED,))
        connection.execute("UPDATE ledger.accounts SET status = 'frozen' WHERE account_id = %s", (FROZEN,))
    return empty_dsn


class _Package:
    """Stands for the package's resources: its migrations lie elsewhere."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __truediv__(self, name: str) -> Path:
        return self._folder


def _open(connection: Connection) -> None:
    names = [EQUITY, ADA, BEN, FROZEN, CLOSED, EURO, SETTLEMENT, MARKUP]
    specs = [account(name) for name in names]
    openings = {ADA: 100_000, CLOSED: 500}
    connection.execute(
        "SELECT * FROM ledger.open_accounts("
        " %s, %s, %s, %s, %s, %s::bigint[], %s::text[], %s, '2026-01-02 03:04:05+00')",
        (
            names,
            [spec.type.value for spec in specs],
            [spec.currency for spec in specs],
            ["open"] * len(specs),
            [spec.name for spec in specs],
            [openings.get(name) for name in names],
            [f"txn_{number:032x}" for number in range(100, 100 + len(names))],
            [f"{number:032x}" for number in range(len(names))],
        ),
    )


def _post(connection: Connection, payment: str, pairs: list[tuple[str, str, int]]) -> None:
    """Post one payment with the function of the first layout, as its adapter did."""
    parts = make_parts(pairs, payment=payment)
    part, legs = parts[0].data, [leg for one in parts for leg in one.data.part.legs]
    transaction = f"txn_{payment.removeprefix('pay_')}"
    events = [one.model_dump_json(by_alias=True, exclude_none=True) for one in parts]
    rows = connection.cursor(row_factory=tuple_row).execute(
        "SELECT * FROM ledger.receive_parts(%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            [part.sequence_id] * len(parts),
            [one.data.index for one in parts],
            [part.total] * len(parts),
            [payment] * len(parts),
            [part.payment_key] * len(parts),
            [part.fingerprint] * len(parts),
            ["run-of-a-test"] * len(parts),
            [one.metadata.event_id for one in parts],
            events,
        ),
    )
    assert len(rows.fetchall()) == len(parts)
    (row,) = connection.execute(
        "SELECT transaction_id, reason FROM ledger.post("
        " %s, %s, %s, %s, %s, %s, %s::timestamptz[], %s::integer[], %s, %s::integer[], %s::text[], %s::text[], %s,"
        " %s::bytea[], %s::text[], %s::text[], %s::integer[], %s, %s::bigint[], %s)",
        (
            [transaction],
            [part.sequence_id],
            [payment],
            [part.payment_key],
            [part.fingerprint],
            ["Café Central"],
            ["2026-03-04T05:06:07.890123Z"],
            [len(legs)],
            ["run-of-a-test"],
            [part.total],
            [None],
            [None],
            ["json"],
            [json.dumps({"payment_id": payment}).encode()],
            [None],
            [None],
            [1] * len(legs),
            [leg.account_id for leg in legs],
            [leg.direction.signed(leg.amount_minor) for leg in legs],
            [leg.currency for leg in legs],
        ),
    ).fetchall()
    assert row == (transaction, None)


OLD_JOURNAL = (
    "SELECT transaction_id, kind, payment_id, sequence_id, payment_key, fingerprint, description, leg_count::integer,"
    " occurred_at, recorded_at FROM ledger.{} ORDER BY transaction_id"
)
OLD_ENTRIES = (
    "SELECT transaction_id, leg_no::integer, account_id, amount_minor, currency FROM ledger.{}"
    " ORDER BY transaction_id, leg_no"
)
OLD_BALANCES = "SELECT account_id, total_minor::bigint, entry_count::bigint FROM ledger.{} ORDER BY account_id"
INPUTS = "SELECT {} AS transaction_id, format, content FROM audit.posting_inputs ORDER BY transaction_id"


def _read(dsn: str, *queries: str) -> list[list[tuple[object, ...]]]:
    with psycopg.connect(dsn) as connection:
        return [connection.execute(query.encode()).fetchall() for query in queries]


def _read_old(dsn: str) -> list[list[tuple[object, ...]]]:
    return _read(
        dsn,
        OLD_JOURNAL.format("journal_transactions"),
        OLD_ENTRIES.format("entries"),
        OLD_BALANCES.format("balances"),
        INPUTS.format("transaction_id"),
    )


def _read_new(dsn: str) -> list[list[tuple[object, ...]]]:
    return _read(
        dsn,
        OLD_JOURNAL.format("journal"),
        OLD_ENTRIES.format("journal_entries"),
        OLD_BALANCES.format("account_balances"),
        INPUTS.format("ledger.id_text('txn', transaction_id)"),
    )


def test_balances_history_and_recorded_times_are_carried_over(old_dsn: str) -> None:
    before = _read_old(old_dsn)
    assert len(before[0]) == len(PAYMENTS) + 2
    assert migrate(old_dsn) == NAMES[FIRST_LAYOUT:]
    assert _read_new(old_dsn) == before
    assert migrate(old_dsn) == []
    assert _read_new(old_dsn) == before


def test_the_chain_begins_with_the_oldest_transaction_and_verifies(old_dsn: str) -> None:
    migrate(old_dsn)
    with Database(old_dsn) as database:
        report = verify(database)
        assert report.clean, report.differences
        rows = database.fetch("SELECT recorded_at FROM ledger.batches ORDER BY lane_no")
        assert [row["recorded_at"] for row in rows] == sorted(row["recorded_at"] for row in rows)
        assert len(rows) == len(PAYMENTS) + 2
        genesis = (
            "SELECT previous_hash = sha256('postrail ledger, lane 1') AS right FROM ledger.batches WHERE lane_no = 1"
        )
        (first,) = database.fetch(genesis)
        assert first["right"]


def test_statuses_are_what_they_were(old_dsn: str) -> None:
    migrate(old_dsn)
    with Database(old_dsn) as database:
        results = post_orders(
            PostgresLedger(database),
            make_order(*pair(CLOSED, SETTLEMENT, 1, "GBP")),
            make_order(*pair(FROZEN, SETTLEMENT, 1, "GBP")),
        )
        assert [result.reason for result in results] == [ReasonCode.ACCOUNT_NOT_OPEN] * 2
        assert (balance(database, CLOSED), balance(database, FROZEN)) == (0, -40)


def test_a_payment_that_was_posted_before_is_known_after(old_dsn: str) -> None:
    migrate(old_dsn)
    payment, pairs = next(iter(PAYMENTS.items()))
    with Database(old_dsn) as database:
        ledger = PostgresLedger(database)
        again = run_engine(ledger, make_parts(pairs, payment=payment))
        assert (again.posted, again.refused) == ((), ())
        other = make_order(key=f"key:{payment}")
        (result,) = post_orders(ledger, other)
        assert (result.reason, result.transaction_id) == (
            ReasonCode.POSTING_CONFLICT,
            f"txn_{payment.removeprefix('pay_')}",
        )
        found = trace(database, payment)
        assert found is not None
        assert found.sequences[0].transaction is not None
        assert found.sequences[0].transaction.legs[0].balance_after_minor == 99_000


def test_a_sequence_that_waited_is_posted_after_the_migration(old_dsn: str) -> None:
    parts = make_parts([(BEN, SETTLEMENT, 5), (BEN, MARKUP, 1)])
    with psycopg.connect(old_dsn) as connection:
        connection.execute(
            "SELECT * FROM ledger.receive_parts(%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                [parts[0].data.sequence_id],
                [1],
                [2],
                [parts[0].data.payment_id],
                [parts[0].data.payment_key],
                [parts[0].data.fingerprint],
                [parts[0].metadata.correlation_id],
                [parts[0].metadata.event_id],
                [parts[0].model_dump_json(by_alias=True, exclude_none=True)],
            ),
        )
    migrate(old_dsn)
    with Database(old_dsn) as database:
        assert len(run_engine(PostgresLedger(database), parts[1:]).posted) == 1
        assert balance(database, BEN) == -6
        assert verify(database).clean


def test_opening_again_after_the_migration_changes_nothing(old_dsn: str) -> None:
    migrate(old_dsn)
    with Database(old_dsn) as database:
        before = count(database, "ledger.journal")
        open_accounts(database, [account(ADA)])
        assert count(database, "ledger.journal") == before
        assert balance(database, ADA) == 100_000 - sum(1_001 * number for number in range(1, 6))


def test_migrators_at_once_carry_everything_over_once(old_dsn: str) -> None:
    before = _read_old(old_dsn)
    with ThreadPoolExecutor(3) as threads:
        applied = list(threads.map(migrate, [old_dsn] * 3))
    assert sorted(applied, key=len) == [[], [], NAMES[FIRST_LAYOUT:]]
    assert _read_new(old_dsn) == before
