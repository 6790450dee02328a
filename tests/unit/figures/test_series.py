"""Series of values: what is known, what is not, and when a value would raise an alarm."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from postrail.figures.catalogue import Catalogue, Figure, read_catalogue
from postrail.figures.series import Level, Point, SeriesReading, Window, judge

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
WINDOW = Window(NOW, buckets=3)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue(Path(__file__).parents[3] / "config" / "figures.yaml")


def figure_of(catalogue: Catalogue, figure_id: str) -> Figure:
    return next(figure for figure in catalogue.figures if figure.id == figure_id)


def reading(label: str, *values: float) -> SeriesReading:
    """One value a minute, the last one now."""
    count = len(values)
    return SeriesReading(
        label,
        tuple(Point(NOW - timedelta(minutes=count - 1 - index), value) for index, value in enumerate(values)),
    )


def level(catalogue: Catalogue, figure_id: str, one: SeriesReading) -> tuple[Level, list[str]]:
    found, raised = judge(catalogue, figure_of(catalogue, figure_id), one)
    return found, [alarm.id for alarm in raised]


def test_counts_fill_every_minute_of_the_window() -> None:
    """Nothing counted is none: the reading looked and found nothing."""
    assert WINDOW.points({0: 7}) == (
        Point(NOW - timedelta(minutes=2), 0),
        Point(NOW - timedelta(minutes=1), 0),
        Point(NOW, 7),
    )


def test_counts_begin_where_they_are_complete() -> None:
    """The minute in which the oldest row was found may lack some."""
    assert WINDOW.points({0: 7, 1: 3}, NOW - timedelta(seconds=90)) == (Point(NOW, 7),)


def test_measures_have_no_point_where_nothing_was_measured() -> None:
    assert WINDOW.known_points({2: 5.0, 0: None}) == (Point(NOW - timedelta(minutes=2), 5.0),)


def test_a_series_without_points_has_no_value() -> None:
    unknown = SeriesReading("p99", (), "nothing was posted")
    assert unknown.latest() is None
    assert unknown.mean() is None


def test_what_is_no_number_is_unknown() -> None:
    """A division by nothing, which metric math answers so."""
    assert reading("x", float("nan")).latest() is None


@pytest.mark.parametrize(
    ("figure", "one", "expected"),
    [
        pytest.param("dead-letters", reading("posting-dlq", 1), (Level.PAGE, ["dead-letters"]), id="a dead letter"),
        pytest.param("dead-letters", reading("posting-dlq", 0), (Level.WELL, []), id="no dead letter"),
        pytest.param("latency", reading("p99", 60_001), (Level.PAGE, ["posting-latency"]), id="beyond a minute"),
        pytest.param("latency", reading("p50", 60_001), (Level.WELL, []), id="the alarm is over the other percentile"),
        pytest.param("duplicates", reading("conflicts", 1), (Level.TICKET, ["conflicts"]), id="a conflict"),
        pytest.param("duplicates", reading("duplicates", 500), (Level.WELL, []), id="duplicates are routine"),
        pytest.param("switch-links", reading("acme", 0), (Level.PAGE, ["switch-links"]), id="below a threshold"),
        pytest.param("switch-links", SeriesReading("acme", (), "no data"), (Level.WELL, []), id="unknown is no alarm"),
    ],
)
def test_a_value_is_judged_by_the_alarm_over_its_metric(
    catalogue: Catalogue, figure: str, one: SeriesReading, expected: tuple[Level, list[str]]
) -> None:
    assert level(catalogue, figure, one) == expected


def test_a_count_is_judged_over_the_period_of_its_alarm(catalogue: Catalogue) -> None:
    """More than ten failures in five minutes, however they are spread."""
    assert level(catalogue, "postings", reading("failed", 3, 3, 3, 2, 0)) == (Level.TICKET, ["postings-failed"])
    assert level(catalogue, "postings", reading("failed", 9, 1, 0, 0, 0, 0)) == (Level.WELL, [])
