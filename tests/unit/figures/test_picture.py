"""The picture of dashboards: their own layout, only what was read, and values as people write them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from postrail.domain.errors import ConfigInvalid
from postrail.figures.picture import Drawing, Section, draw, lay_out, merge_points, write_value
from postrail.figures.series import Point, Readings, SeriesReading

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _series(label: str, *values: float) -> SeriesReading:
    points = [Point(NOON + timedelta(minutes=number), value) for number, value in enumerate(values)]
    return SeriesReading(label, tuple(points))


def _text(title: str, y: int) -> dict[str, Any]:
    return {"type": "text", "x": 0, "y": y, "width": 24, "height": 1, "properties": {"markdown": f"## {title}"}}


def _metric(title: str, x: int, y: int, *, stacked: bool = False, threshold: float | None = None) -> dict[str, Any]:
    lines = [] if threshold is None else [{"value": threshold, "label": "p99: alarm above"}]
    return {
        "type": "metric", "x": x, "y": y, "width": 12, "height": 6,
        "properties": {
            "title": title, "stacked": stacked, "annotations": {"horizontal": lines},
            "yAxis": {"left": {"label": "count"}},
        },
    }  # fmt: skip


DEFINITION = {
    "widgets": [
        {"type": "alarm", "x": 0, "y": 0, "width": 24, "height": 8, "properties": {}},
        _text("Queues", 15),
        _text("The road", 8),
        _metric("Late", 12, 9, threshold=60.0),
        _metric("Through", 0, 9, stacked=True),
        _metric("Waiting", 0, 16),
    ]
}
IDS = {"Late": "late", "Through": "through", "Waiting": "waiting"}


def test_sections_follow_the_dashboard() -> None:
    """From top to bottom and left to right, each drawing under its heading, with its thresholds."""
    readings = {"late": [_series("p99", 1, 2)], "through": [_series("a", 1, 2)], "waiting": [_series("q", 3)]}
    sections = lay_out(DEFINITION, readings, IDS)
    assert [(section.title, [drawing.title for drawing in section.drawings]) for section in sections] == [
        ("The road", ["Through", "Late"]),
        ("Queues", ["Waiting"]),
    ]
    assert [drawing.thresholds for drawing in sections[0].drawings] == [(), (("p99: alarm above", 60.0),)]
    assert sections[0].drawings[0].stacked


def test_nothing_is_drawn_of_what_was_not_read() -> None:
    """A series without points is no line at zero, a figure without series no empty frame, a section no heading."""
    readings = {"late": [SeriesReading("p50", (), "no data"), _series("p99", 1, 2)], "through": [SeriesReading("a")]}
    (section,) = lay_out(DEFINITION, readings, IDS)
    assert [(drawing.title, [one.label for one in drawing.series]) for drawing in section.drawings] == [
        ("Late", ["p99"])
    ]


def test_a_dashboard_of_another_version_is_refused() -> None:
    """A title that the list does not have would be drawn with another figure's values, or none."""
    with pytest.raises(ConfigInvalid, match="draws 'Late'"):
        lay_out(DEFINITION, {}, {"Through": "through", "Waiting": "waiting"})


@pytest.mark.parametrize("definition", [{}, {"widgets": [{}] * 501}], ids=["no-widgets", "too-many"])
def test_what_is_no_dashboard_is_refused(definition: dict[str, Any]) -> None:
    """Bounded as CloudWatch bounds it."""
    with pytest.raises(ConfigInvalid, match="at most 500 widgets"):
        lay_out(definition, {}, IDS)


def test_moments_become_a_history() -> None:
    """What is known for one moment only gets a line of the looks; histories are the last look's own."""

    def at(minute: int, value: float) -> Readings:
        moment = SeriesReading("posting", (Point(NOON + timedelta(minutes=minute), value),))
        return {"depth": [moment], "through": [_series("a", *range(minute + 2))]}

    merged = merge_points([at(0, 5.0), at(1, 7.0), at(2, 0.0)])
    assert [point.value for point in merged["depth"][0].points] == [5.0, 7.0, 0.0]
    assert [point.value for point in merged["through"][0].points] == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        pytest.param(0, "seconds", "0 s", id="nothing"),
        pytest.param(1234.0, "count", "1,234", id="thousands"),
        pytest.param(250.0, "milliseconds", "250 ms", id="milliseconds"),
        pytest.param(60_000.0, "milliseconds", "60 s", id="seconds-of-milliseconds"),
        pytest.param(2_500.0, "milliseconds", "2.5 s", id="small-ones-with-a-digit"),
        pytest.param(600.0, "seconds", "10 min", id="minutes"),
        pytest.param(0.00647, "usd", "0.0065", id="small-money"),
        pytest.param(3_000_000_000.0, "bytes", "3 GB", id="bytes"),
    ],
)
def test_values_are_written_for_people(value: float, unit: str, words: str) -> None:
    """In the unit that suits them."""
    assert write_value(value, unit) == words


def _drawing(title: str, *series: SeriesReading, stacked: bool = False) -> Drawing:
    return Drawing(title, "count", stacked, 12, 6, (("alarm above", 1.0), ("alarm above", 1_000.0)), series)


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_the_same_values_make_the_same_picture(ending: str, tmp_path: Path) -> None:
    """Lines, areas, bars and a number: no date inside, so that a repository sees changes of values alone."""
    sections = [
        Section("The road", (_drawing("Lines", _series("a", 1, 5, 2), _series("b", 0, 0, 0)),)),
        Section("Stacked", (_drawing("Areas", _series("a", 1, 5, 2), _series("b", 3, 1), stacked=True),)),
        Section("Now", (_drawing("Bars", _series("q", 3), _series("r", 0)), _drawing("Number", _series("parked", 9)))),
    ]
    paths = [tmp_path / f"{name}.{ending}" for name in ("one", "two")]
    for path in paths:
        draw(sections, path, title="Postrail", note="here")
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].stat().st_size > 10_000


def test_an_empty_picture_is_not_written(tmp_path: Path) -> None:
    """Somebody is told what to do instead."""
    with pytest.raises(ConfigInvalid, match="postrail inject"):
        draw([], tmp_path / "none.png", title="Postrail", note="here")
    assert list(tmp_path.iterdir()) == []
