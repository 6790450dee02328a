"""`postrail bench ledger` and `pipeline` on a scratch PostgreSQL of their own. No test looks at a time."""

import json

import pytest
from typer.testing import CliRunner

from postrail.bench import ledger as ledger_bench
from postrail.bench.ledger import LedgerCheckFailed
from postrail.bench.pipeline import PipelineCheckFailed, PipelineRun, _check_books
from postrail.cli.bench import app

KEYS = {
    "payments_per_s",
    "baseline_payments_per_s",
    "payments",
    "seconds",
    "peak_rss_mib",
    "wal_bytes_per_payment",
    "runs",
    "machine",
    "postgresql",
}


def run(*arguments: str) -> dict[str, object]:
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert isinstance(report, dict)
    return report


def test_the_ledger_is_measured_with_durable_commits_and_its_books_are_checked() -> None:
    report = run("ledger", "--payments", "3000", "--runs", "2", "--baseline-payments", "100", "--accounts", "200")
    assert report.keys() >= KEYS
    assert report["payments"] == 3000
    assert report["rows_per_payment"] == pytest.approx(3.0, abs=0.01)
    assert len(report["runs"]) == 2  # type: ignore[arg-type]
    assert report["settings"]["fsync"] == report["settings"]["synchronous_commit"] == "on"  # type: ignore[index]
    assert report["wal_bytes_per_payment"] > 500  # type: ignore[operator]


def test_the_pipeline_is_measured_by_the_command_itself_and_every_row_has_its_end() -> None:
    report = run("pipeline", "--count", "1000", "--runs", "1", "--baseline-count", "100", "--accounts", "200")
    assert report.keys() >= KEYS
    ends = report["ends"]
    assert isinstance(ends, dict)
    assert sum(ends.values()) == report["payments"] == 1000
    assert ends["duplicates"] + ends["conflicts"] == 50
    assert ends["posted"] > 700
    assert ends["failed"] == 0


def test_a_run_whose_books_are_wrong_is_no_measurement(postgres_dsn: str) -> None:
    """The ledger is empty, so whoever says that something was posted is wrong."""
    with pytest.raises(LedgerCheckFailed, match="do not hold 5 payments"):
        ledger_bench._check_books(postgres_dsn, 5)
    with pytest.raises(PipelineCheckFailed, match="do not hold 5 payments"):
        _check_books(postgres_dsn, 5)


def test_the_rate_of_a_run_is_of_the_files_rows() -> None:
    assert PipelineRun({"lines": 100, "seconds": 4.0}, 0, 0).rate == 25.0
