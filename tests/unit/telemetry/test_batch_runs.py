"""What a batch task tells of its run."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.builders.emf import read_emf, totals

from postrail.adapters.aws.observability import logger
from postrail.batch.chunks import Counts
from postrail.batch.run import RunReport
from postrail.batch.store import Run
from postrail.cli.batch_telemetry import tell_run

OWN = "Postrail/postrail-test"
RUN_ID = "run_" + "0" * 32
COUNTS = Counts(lines=10, posted=4, duplicates=1, conflicts=1, rejected=1, referred=1, malformed=1, failed=1)


def report(**changes: Any) -> RunReport:
    run = Run(RUN_ID, "day.csv", "0" * 64, 100, 1, 1, datetime(2026, 11, 21, tzinfo=UTC))
    made = RunReport(run, COUNTS, 2.5, lines_now=10, workers=1, peak_rss_bytes=1, resumed=False, known=False)
    return replace(made, **changes)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    monkeypatch.setenv("POSTRAIL_METRICS_NAMESPACE", OWN)
    stream = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", stream)
    return stream


def test_a_run_is_one_line_with_its_counts_and_the_correlation_id_of_its_payments(
    log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    tell_run("s3://inbox/incoming/day.csv", report())
    line = json.loads(log.getvalue())
    assert (line["message"], line["correlation_id"], line["file"]) == ("run ended", RUN_ID, "day.csv")
    assert (line["lines"], line["posted"], line["malformed"]) == (10, 4, 1)
    assert totals(read_emf(capsys.readouterr().out), service="batch") == {
        "Received": 10,
        "Posted": 4,
        "Duplicates": 1,
        "Conflicts": 1,
        "Rejected": 1,
        "Referred": 1,
        "Refused": 1,
        "PostingFailed": 1,
    }


@pytest.mark.parametrize("changes", [{"known": True, "lines_now": 0}, {"resumed": True, "lines_now": 3}], ids=str)
def test_what_an_earlier_start_did_is_not_counted_again(
    log: io.StringIO, capsys: pytest.CaptureFixture[str], changes: dict[str, Any]
) -> None:
    tell_run("day.csv", report(**changes))
    assert totals(read_emf(capsys.readouterr().out), service="batch") == {"Received": changes["lines_now"]}
    assert json.loads(log.getvalue())["lines"] == 10


def test_at_a_terminal_nothing_is_told(
    log: io.StringIO, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POSTRAIL_METRICS_NAMESPACE")
    tell_run("day.csv", report())
    assert (log.getvalue(), capsys.readouterr().out) == ("", "")
