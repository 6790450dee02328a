"""Measures the batch road from end to end: a raw file of authorizations to a committed ledger, by the command itself.

A sample day is written once. Each run starts from a copy of a ledger with all accounts open and calls `postrail batch
run` as a user would, so that starting processes, hashing the file and writing the result file are in the time. After
each run the counts must add up to the lines of the file, and the books must be whole.

The baseline is the same command with one payment a transaction and one worker, over a part of the file's length.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import psycopg

from postrail.adapters.postgres.migrate import migrate
from postrail.bench.machine import describe_machine
from postrail.bench.scratch_postgres import SETTINGS, ScratchServer, scratch_server
from postrail.domain.errors import PostrailError

ACCOUNTS: Final = 100_000
DUPLICATES: Final = 0.05
MALFORMED: Final = 0.001
_SEED: Final = 20261001
_TEMPLATE: Final = "bench_template"
_DATABASE: Final = "bench_run"
_COMMAND_SECONDS_MAX: Final = 3_600
_CALL: Final = "import sys; from postrail.cli.main import main; sys.exit(main())"
_ENDS: Final = ("posted", "duplicates", "conflicts", "rejected", "referred", "malformed", "failed")


class PipelineCheckFailed(PostrailError):
    """The run did not do what it should have: its time means nothing."""


@dataclass(frozen=True, slots=True)
class PipelineRun:
    """One run of the command: its own JSON report, and what it wrote."""

    report: dict[str, Any]
    wal_bytes: int
    rows: int

    @property
    def rate(self) -> float:
        """Payments (rows of the file) a second."""
        return float(self.report["lines"]) / float(self.report["seconds"])


def measure_pipeline(
    count: int,
    *,
    runs: int,
    workers: int,
    file_format: str,
    baseline_count: int,
    accounts: int = ACCOUNTS,
) -> dict[str, Any]:
    """Run a file of `count` rows `runs` times; returns the JSON-able report.

    Raises InstallationError without a PostgreSQL to run, and PipelineCheckFailed when a run is not right.
    """
    with scratch_server() as server, tempfile.TemporaryDirectory(prefix="postrail-bench-") as folder:
        sample, reference, short = (
            Path(folder) / name for name in (f"day.{file_format}", "reference.jsonl", "short.jsonl")
        )
        generate_sample(sample, count, accounts, ["--reference", str(reference)])
        generate_sample(short, baseline_count, accounts, [])
        dsn = server.create_database(_TEMPLATE)
        migrate(dsn)
        run_postrail(["batch", "open-accounts", str(reference), "--ledger", dsn])
        size_bytes = sample.stat().st_size
        done = [_run(server, sample, reference, ["--workers", str(workers)]) for _ in range(runs)]
        baseline = [_run(server, short, reference, ["--workers", "1", "--chunk-size", "1"]).rate for _ in range(runs)]
        version = server.version
    middle = sorted(done, key=lambda run: run.rate)[len(done) // 2]
    rate, baseline_rate = median(run.rate for run in done), median(baseline)
    return {
        "bench": "pipeline",
        "payments_per_s": round(rate),
        "baseline_payments_per_s": round(baseline_rate),
        "times_baseline": round(rate / baseline_rate, 1),
        "payments": count,
        "seconds": middle.report["seconds"],
        "peak_rss_mib": max(run.report["peak_rss_mib"] for run in done),
        "wal_bytes_per_payment": round(median(run.wal_bytes for run in done) / count),
        "rows_per_payment": round(middle.rows / count, 2),
        "runs": [round(run.rate) for run in done],
        "baseline_runs": [round(each) for each in baseline],
        "ends": {end: middle.report[end] for end in _ENDS},
        "file_format": file_format,
        "file_bytes": size_bytes,
        "workers": workers,
        "accounts": accounts,
        "postgresql": version,
        "settings": SETTINGS,
        "machine": describe_machine(),
    }


def generate_sample(target: Path, count: int, accounts: int, options: Sequence[str]) -> None:
    """Write a day's file of `count` rows, some of them duplicates and malformed. Raises PipelineCheckFailed."""
    shares = ["--duplicates", str(DUPLICATES), "--malformed", str(MALFORMED), "--accounts", str(accounts)]
    run_postrail(
        ["batch", "generate", "--count", str(count), "--seed", str(_SEED), *shares, "--out", str(target), *options]
    )


def _run(server: ScratchServer, sample: Path, reference: Path, options: Sequence[str]) -> PipelineRun:
    dsn = server.create_database(_DATABASE, template=_TEMPLATE)
    before, rows_before = server.wal_bytes(), _rows(dsn)
    answer = run_postrail(
        ["batch", "run", str(sample), "--ledger", dsn, "--reference", str(reference), "--json", *options]
    )
    wal_bytes = server.wal_bytes() - before
    report = json.loads(answer)
    if sum(report[end] for end in _ENDS) != report["lines"]:
        msg = f"the ends of the payments do not add up to {report['lines']}: {report}"
        raise PipelineCheckFailed(msg)
    _check_books(dsn, report["posted"])
    return PipelineRun(report, wal_bytes, _rows(dsn) - rows_before)


def _check_books(dsn: str, posted: int) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM ledger.journal_transactions WHERE kind = 'payment'),"
            " (SELECT sum(total_minor) FROM ledger.balances), (SELECT sum(amount_minor) FROM ledger.entries),"
            " (SELECT count(*) FROM ledger.batches WHERE hash IS NULL)"
        ).fetchone()
    if row != (posted, 0, 0, 0):
        msg = f"the books do not hold {posted} payments that sum to zero: {row}"
        raise PipelineCheckFailed(msg)


def _rows(dsn: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM ledger.journal_transactions) + (SELECT count(*) FROM ledger.entries)"
            " + (SELECT count(*) FROM ledger.batches) + (SELECT count(*) FROM ledger.outbox)"
            " + (SELECT count(*) FROM audit.outcomes) + (SELECT count(*) FROM audit.batch_chunks)"
        ).fetchone()
    return int(row[0]) if row else 0


def run_postrail(arguments: Sequence[str]) -> str:
    """Run the command in a process of its own; returns its standard output. Raises PipelineCheckFailed."""
    done = subprocess.run(
        [sys.executable, "-c", _CALL, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=_COMMAND_SECONDS_MAX,
    )
    if done.returncode != 0:
        msg = f"`postrail {' '.join(arguments[:2])}` failed: {done.stderr.strip()[-500:]}"
        raise PipelineCheckFailed(msg)
    return done.stdout
