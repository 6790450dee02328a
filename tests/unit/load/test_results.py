"""The figures of a run: from when a payment was due, with saturation where the backlog grows, and an honest verdict."""

import re

import pytest

from postrail.load.charts import draw_load
from postrail.load.report import Asked, document, extrapolation, markdown, verdict
from postrail.load.results import saturation, summarise
from postrail.load.run import Ended, Record
from postrail.load.schedule import Profile

START = 1_000.0


def _record(*, count=200, rate=10.0, lag_of=lambda number: 0.1, sent_late=0.0, lost=()):
    record = Record(started_at=START)
    for number in range(count):
        payment, due = f"p{number}", START + number / rate
        record.due[payment] = due
        record.sent[payment] = due + sent_late
        if number not in lost:
            record.ends[payment] = Ended("posted", "", due + lag_of(number))
    return record


def _asked(**changes):
    facts = {
        "run_id": "run_1",
        "target": "local",
        "via": "table",
        "profile": Profile.STEADY,
        "count": 200,
        "rate": 10.0,
        "started_at": "2026-01-01T00:00:00Z",
        "machine": {"cpu": "one", "cores": 2},
    }
    return Asked(**(facts | changes))


def test_latency_runs_from_when_a_payment_was_due():
    results = summarise(_record(lag_of=lambda _: 0.5, sent_late=0.4))
    assert results.latency_ms["p50"] == pytest.approx(500, rel=0.002)
    assert results.service_ms["p50"] == pytest.approx(100, rel=0.002)


def test_a_stall_shows_in_the_high_percentiles():
    """Everybody who was due in the second of a stall is charged for it, not only the one that was on the way."""
    results = summarise(_record(lag_of=lambda number: 1.0 - number % 10 / 10 if 100 <= number < 110 else 0.01))
    assert results.latency_ms["p50"] == pytest.approx(10, rel=0.01)
    assert results.latency_ms["p99"] == pytest.approx(900, rel=0.15)
    assert results.latency_ms["max"] == pytest.approx(1_000, rel=0.01)


def test_a_backlog_that_grows_is_saturation_from_where_it_begins():
    record = _record(count=600, lag_of=lambda number: 0.1 if number < 200 else 0.1 + (number - 200) / 10)
    results = summarise(record)
    assert results.saturated_at_s == pytest.approx(20, abs=11)
    assert "Saturated from second" in verdict(results)


def test_a_backlog_that_stays_is_none():
    results = summarise(_record(count=600, lag_of=lambda _: 5.0))
    assert results.saturated_at_s is None
    assert verdict(results).startswith("The graph kept up with 10.0 payments a second")


def test_a_graph_that_catches_up_is_not_called_saturated():
    record = _record(count=600, lag_of=lambda number: 0.1 + max(0.0, 15 - abs(number - 150) / 10))
    assert summarise(record).saturated_at_s is None


def test_saturation_of_nothing_is_none():
    assert saturation([], 0.0) is None


def test_payments_without_an_end_are_named():
    results = summarise(_record(lost=(3, 4)))
    assert results.unaccounted == ["p3", "p4"]
    assert "2 of 200 payments have no end yet" in verdict(results)


def test_figures_of_a_sender_that_fell_behind_are_called_so():
    results = summarise(_record(sent_late=2.5, lag_of=lambda _: 3.0))
    assert not results.sender_kept_pace
    assert "fell behind by 2.5 s" in verdict(results)


def test_rates_and_series_count_every_payment():
    results = summarise(_record())
    assert results.offered_per_s == pytest.approx(10, rel=0.02)
    assert results.sustained_per_s == pytest.approx(10, rel=0.02)
    assert sum(each.due for each in results.series) == sum(each.ended for each in results.series) == 200
    assert results.series[-1].backlog == 0


def test_the_extrapolation_says_what_it_assumes():
    (title, _, text) = extrapolation(_asked(), summarise(_record()))
    assert title == "## What this says of a million payments"
    assert "a million payments take" in text
    assert float(re.search(r"take ([\d,.]+) minutes", text)[1].replace(",", "")) == pytest.approx(1_666, rel=0.02)
    assert "says nothing of AWS" in text
    assert "Aurora" in extrapolation(_asked(target="aws"), summarise(_record()))[2]


def test_the_page_has_every_outcome_and_its_picture():
    results = summarise(_record())
    page = markdown(_asked(), results, chart="charts.png")
    for text in ("| posted | 200 |", "| without an end | 0 |", "(charts.png)", "| due to posted |"):
        assert text in page


def test_the_document_is_complete():
    shown = document(_asked(), summarise(_record()))
    assert (shown["injected"], shown["posted"], shown["unaccounted"]) == (200, 200, 0)
    assert shown["latency_ms"].keys() == {"p50", "p90", "p95", "p99", "p99.9", "max"}


def test_the_histogram_is_in_the_form_of_its_plotters():
    text = summarise(_record()).histogram
    assert text.lstrip().startswith("Value")
    assert "TotalCount     =      200.000" in text


def test_a_run_in_which_nothing_was_posted_has_no_latency():
    results = summarise(_record(lost=range(200)))
    assert results.latency_ms == {}
    assert extrapolation(_asked(), results) == []


def test_charts_are_drawn(tmp_path):
    path = tmp_path / "charts.png"
    draw_load(summarise(_record()), path, title="200 payments")
    assert path.read_bytes().startswith(b"\x89PNG")
