"""postrail status: what people and programs see of the figures."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from postrail.cli import status, status_page
from postrail.cli.status_page import StatusPage
from postrail.domain.errors import Retryable
from postrail.figures.catalogue import Catalogue, read_catalogue
from postrail.figures.reading import GraphFigures
from postrail.figures.series import Point, Readings, SeriesReading, Window

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue(Path(__file__).parents[3] / "config" / "figures.yaml")


def known(label: str, *values: float) -> SeriesReading:
    count = len(values)
    return SeriesReading(label, tuple(Point(NOW - timedelta(minutes=count - 1 - i), v) for i, v in enumerate(values)))


READINGS: Readings = {
    "throughput": [known("accepted", 10, 20), known("posted", 8, 16)],
    "latency": [SeriesReading("p50", (), "nothing was posted"), SeriesReading("p99", (), "nothing was posted")],
    "dead-letters": [known("enrich-dlq", 0), known("posting-dlq", 2), known("rules-undelivered", 0)],
    "queue-depth": [known("enrich", 0), known("posting", 0), known("standardise", 0)],
}


def page_of(catalogue: Catalogue, readings: Readings = READINGS) -> StatusPage:
    return StatusPage("postrail-test in eu-west-2", catalogue, Window(NOW), readings)


@pytest.fixture
def local_graph(no_graph: Path) -> Path:
    """The files of a local cloud of which nothing runs."""
    outputs: dict[str, Any] = {
        "name_prefix": "postrail-test",
        "region": "eu-west-2",
        "bus_name": "b",
        "bus_arn": "b",
        "tables": {},
        "parked_bucket": "p",
        "queues": {},
        "topics": {},
    }
    (no_graph / "outputs.json").write_text(json.dumps({name: {"value": value} for name, value in outputs.items()}))
    cloud = {
        "emulator": "ministack",
        "endpoint_url": "http://127.0.0.1:1",
        "region": "eu-west-2",
        "access_key_id": "test",
        "secret_access_key": "test",
        "ledger_dsn": "postgresql://nobody@127.0.0.1:1/none",
    }
    (no_graph / "cloud.json").write_text(json.dumps(cloud))
    return no_graph


def screen(page: StatusPage, capsys: pytest.CaptureFixture[str]) -> str:
    status_page.console.out().print(page.as_screen())
    return capsys.readouterr().out


def test_figures_are_shown_by_section_with_the_mean_of_the_minutes_before(
    catalogue: Catalogue, capsys: pytest.CaptureFixture[str]
) -> None:
    text = screen(page_of(catalogue), capsys)
    assert "The road of a payment" in text
    assert "accepted 20 (15)   posted 16 (12)" in text


def test_what_is_unknown_is_a_dash_with_its_reason(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    assert "p99 \N{EN DASH} nothing was posted" in screen(page_of(catalogue), capsys)


def test_many_series_without_anything_are_told_in_one_word(
    catalogue: Catalogue, capsys: pytest.CaptureFixture[str]
) -> None:
    text = screen(page_of(catalogue), capsys)
    waiting = next(line for line in text.splitlines() if "Messages waiting" in line)
    assert "0 everywhere" in waiting


def test_a_value_beyond_its_threshold_is_named_with_the_runbook(
    catalogue: Catalogue, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "Beyond thresholds: dead-letters. See docs/alarms.md#dead-letters." in screen(page_of(catalogue), capsys)


def test_parts_of_a_price_are_added_up(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    readings = {"cost": [known("bus", 0.006), known("ledger", 0.0015)]}
    assert "together 0.00750 USD   bus 0.00600 USD   ledger 0.00150 USD" in screen(page_of(catalogue, readings), capsys)


def test_what_was_not_read_is_not_shown(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    assert "The APIs" not in screen(page_of(catalogue), capsys)


def test_programs_get_null_and_the_reason_for_what_is_unknown(catalogue: Catalogue) -> None:
    document = json.loads(json.dumps(page_of(catalogue).as_document()))
    figures = {figure["id"]: figure for section in document["sections"] for figure in section["figures"]}
    assert figures["latency"]["series"][1] == {
        "label": "p99",
        "value": None,
        "level": "well",
        "why": "nothing was posted",
    }
    assert figures["throughput"]["series"][0]["mean"] == 15
    assert figures["dead-letters"]["series"][1]["raises"] == ["dead-letters"]
    assert document["raised"] == [{"id": "dead-letters", "severity": "page", "risk": True, "runbook": "dead-letters"}]


def test_without_a_graph_there_is_one_sentence_and_a_failure(postrail: Any, no_graph: Path) -> None:
    code, out, err = postrail("status")
    assert (code, out) == (1, "")
    assert err == "postrail: No local cloud is running here: run `make local` first.\n"


def test_a_graph_that_does_not_answer_is_one_sentence_and_a_failure(postrail: Any, local_graph: Path) -> None:
    """Its files are there, nothing runs: every dash would say the same."""
    code, out, err = postrail("status", "--json")
    assert (code, out) == (1, "")
    assert err.startswith("postrail: The graph does not answer (")
    assert err.count("\n") == 1


def test_outputs_of_an_older_version_say_what_to_do(
    postrail: Any, graph: Any, no_graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTRAIL_OUTPUTS", str(no_graph / "aws-outputs.json"))
    code, _, err = postrail("status")
    assert code == 1
    assert "terraform apply" in err


def test_a_watch_that_is_no_terminal_writes_a_line_each_time_and_ends_well_on_ctrl_c(
    postrail: Any, local_graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([1, 2])

    def read(_: GraphFigures, buckets: int = 5) -> tuple[Window, Readings]:
        next(looks)
        return Window(NOW), READINGS

    def sleep(_: float) -> None:
        if next(naps) == "interrupt":
            raise KeyboardInterrupt

    naps = iter(["sleep", "interrupt"])
    monkeypatch.setattr(GraphFigures, "read", read)
    monkeypatch.setattr(status.time, "sleep", sleep)
    code, out, err = postrail("status", "--watch")
    assert (code, err) == (0, "")
    dash = "\N{EN DASH}"
    line = f"12:00:00  throughput posted 16  latency p99 {dash}  outbox-backlog waiting {dash}  dead letters 2"
    assert out.splitlines() == [f"{line}  beyond thresholds: dead-letters"] * 2


def test_a_watch_as_json_writes_a_document_each_time(
    postrail: Any, local_graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(GraphFigures, "read", lambda *_: (Window(NOW), READINGS))
    monkeypatch.setattr(status.time, "sleep", sleep)
    code, out, _ = postrail("status", "--watch", "--json")
    assert code == 0
    (line,) = out.splitlines()
    assert json.loads(line)["at"] == "2026-11-21T12:00:00+00:00"


def test_a_graph_that_goes_away_ends_the_watch_with_a_sentence(
    postrail: Any, local_graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> Any:
        raise Retryable("the connection was cut")

    monkeypatch.setattr(GraphFigures, "read", away)
    code, _, err = postrail("status", "--watch")
    assert code == 1
    assert "the connection was cut" in err


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        pytest.param(None, "count", "\N{EN DASH}", id="unknown"),
        pytest.param(0, "count", "0", id="none"),
        pytest.param(1_234, "count", "1,234", id="a count"),
        pytest.param(11.4, "count", "11.4", id="a mean"),
        pytest.param(950.4, "milliseconds", "950 ms", id="milliseconds"),
        pytest.param(33_900, "milliseconds", "33.9 s", id="many milliseconds"),
        pytest.param(42.4, "seconds", "42 s", id="seconds"),
        pytest.param(0.0265107, "usd", "0.02651 USD", id="dollars"),
    ],
)
def test_values_are_shown_in_their_units(value: float | None, unit: str, expected: str) -> None:
    assert status_page.show_value(value, unit) == expected
