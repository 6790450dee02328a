"""Measures a reconciliation: a day's file of authorizations, the ledger that it was posted into, a settlement file.

The ledger is filled by the batch road. The settlement file is written from what was posted, and some of its lines are
spoiled in known places: a run that does not find exactly these is no measurement.
"""

import csv
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final

import psycopg

from postrail.adapters.postgres.migrate import migrate
from postrail.adapters.postgres.reconciliation import Outcome, PostgresReconciliation, Sides, Span
from postrail.batch.files import LocalFile
from postrail.bench.machine import describe_machine
from postrail.bench.pipeline import generate_sample, run_postrail
from postrail.bench.scratch_postgres import SETTINGS, scratch_server
from postrail.domain.errors import PostrailError
from postrail.reconcile.authorizations import AuthorizationFile
from postrail.reconcile.settlement import COLUMNS, read_settlement

SPOILED_EVERY: Final = 1_000
"""Of so many lines one is left out, one has another amount, and one is settled twice."""
_ACCOUNTS: Final = 100_000
_POSTED: Final = (
    "SELECT ledger.id_text('pay', t.payment_id), a.currency, sum(e.amount_minor)::bigint, t.occurred_at::date,"
    " power(10, c.exponent)::bigint, c.exponent"
    " FROM ledger.journal_transactions t JOIN ledger.entries e ON e.batch_id = t.batch_id AND e.position = t.position"
    " JOIN ledger.accounts a ON a.account_no = e.account_no AND a.type = 'settlement'"
    " JOIN ledger.currencies c ON c.currency = a.currency WHERE t.kind = 'payment'"
    " GROUP BY t.payment_id, a.currency, t.occurred_at, c.exponent ORDER BY t.payment_id"
)


class ReconciliationCheckFailed(PostrailError):
    """The run found other breaks than were made: its time means nothing."""


@dataclass(frozen=True, slots=True)
class _Spoiled:
    """How many lines the settlement file has, and how many breaks it must give."""

    lines: int
    breaks: dict[str, int]


def measure_reconciliation(count: int, *, runs: int) -> dict[str, Any]:
    """Reconcile `count` authorizations `runs` times; returns the JSON-able report.

    Raises InstallationError without a PostgreSQL to run, and ReconciliationCheckFailed.
    """
    with scratch_server() as server, tempfile.TemporaryDirectory(prefix="postrail-bench-") as folder:
        sample, reference, lines = (Path(folder) / name for name in ("day.jsonl", "reference.jsonl", "settlement.csv"))
        generate_sample(sample, count, _ACCOUNTS, ["--reference", str(reference)])
        dsn = server.create_database("bench_reconcile")
        migrate(dsn)
        run_postrail(["batch", "open-accounts", str(reference), "--ledger", dsn])
        run_postrail(["batch", "run", str(sample), "--ledger", dsn, "--reference", str(reference), "--json"])
        spoiled = _write_settlement(dsn, lines)
        times = [_run(dsn, sample, lines, spoiled, f"rec_{number}") for number in range(runs)]
        version = server.version
    middle = sorted(times, key=lambda each: each[0])[len(times) // 2]
    return {
        "bench": "reconcile",
        "seconds": round(median(each[0] for each in times), 1),
        "runs": [round(each[0], 1) for each in times],
        "authorizations": middle[1].sides["authorizations"],
        "posted": middle[1].sides["ledger"],
        "settlement_lines": spoiled.lines,
        "breaks": {kind: number for kind, (number, _) in middle[1].breaks.items()},
        "steps": {name: round(seconds, 2) for name, seconds in middle[1].seconds.items() if seconds >= 0.1},
        "postgresql": version,
        "settings": SETTINGS,
        "machine": describe_machine(),
    }


def _write_settlement(dsn: str, path: Path) -> _Spoiled:
    lines, left_out, changed, twice = 0, 0, 0, 0
    with psycopg.connect(dsn) as connection, path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        with connection.cursor(name="posted") as cursor:
            cursor.itersize = 10_000
            for number, (payment_id, currency, minor, day, scale, exponent) in enumerate(cursor.execute(_POSTED)):
                place = number % SPOILED_EVERY
                if place == 1:
                    left_out += 1
                    continue
                changed += place == 2
                settled = minor + (place == 2)
                whole, part = divmod(abs(settled), scale)
                amount = f"{'-' if settled < 0 else ''}{whole}" + (f".{part:0{exponent}d}" if exponent else "")
                for _ in range(2 if place == 3 else 1):
                    writer.writerow((payment_id, "", amount, currency, day.isoformat()))
                    lines += 1
                twice += place == 3
    return _Spoiled(lines, {"unsettled": left_out, "settled_amount": changed, "settled_twice": twice})


def _run(dsn: str, sample: Path, lines: Path, spoiled: _Spoiled, run_id: str) -> tuple[float, Outcome]:
    now = datetime.now(UTC)
    span = Span(now - timedelta(days=3650), now + timedelta(days=3650), settlement_days=0)
    file = AuthorizationFile(LocalFile(sample))
    sides = Sides(file.payments(), authorizations_complete=True, settlement=read_settlement(lines))
    began = time.perf_counter()
    outcome = PostgresReconciliation(dsn).compare(run_id, span, sides, now=now + timedelta(days=3650))
    seconds = time.perf_counter() - began
    found = {kind: number for kind, (number, _) in outcome.breaks.items()}
    if found != {kind: number for kind, number in spoiled.breaks.items() if number}:
        msg = f"found {found}, and made were {spoiled.breaks}"
        raise ReconciliationCheckFailed(msg)
    return seconds, outcome
