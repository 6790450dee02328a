"""A picture of dashboards: their definition as CloudWatch has it, with values that were read of a graph.

Drawings stand in CloudWatch's grid of 24 columns. Those of which nothing was read are left out, and the others of their
section move together.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from postrail.domain.errors import ConfigInvalid
from postrail.figures.series import Readings, SeriesReading

GRID_COLUMNS: Final = 24
WIDGETS_MAX: Final = 500
"""CloudWatch takes no more in a dashboard."""
_LINES_SHOWN_MAX: Final = 10
_INCHES_PER_COLUMN: Final = 0.62
_INCHES_PER_ROW: Final = 0.46
_HEADING_ROWS: Final = 1.5
_NUMBER_ROWS: Final = 3.6
_MARGIN: Final = 0.18
_DPI: Final = 110

# Told apart by people who see red and green alike: Okabe and Ito, Color Universal Design (2008), in another order.
_COLOURS: Final = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#7a5195", "#8c6d31", "#4d4d4d")
_ALARM: Final = "#c0392b"
_INK: Final = "#1f2933"
_PALE: Final = "#7b8794"
_PAPER: Final = "#f2f4f7"
_GRID: Final = "#e4e7eb"

_UNITS: Final = {
    "count": "",
    "seconds": " s",
    "milliseconds": " ms",
    "bytes": " B",
    "percent": " %",
    "acu": " ACU",
    "usd": "",  # titles say it
}
# From which value on a longer unit, how many of the unit it is, and how it is written.
_LONGER: Final = {
    "milliseconds": ((1_000, 1_000.0, " s"), (300_000, 60_000.0, " min")),
    "seconds": ((300, 60.0, " min"), (10_800, 3_600.0, " h")),
    "bytes": ((1e6, 1e6, " MB"), (1e9, 1e9, " GB")),
}
_LETTERS_PER_COLUMN: Final = 8.5
_LEGEND_ROWS_MAX: Final = 2


@dataclass(frozen=True, slots=True)
class Drawing:
    """One metric widget, with what was read of its series. `width` is in columns of the grid, `height` in rows.

    `thresholds` are of alarms, each with the words that stand at its line.
    """

    title: str
    unit: str
    stacked: bool
    width: int
    height: int
    thresholds: tuple[tuple[str, float], ...]
    series: tuple[SeriesReading, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the drawings under it."""

    title: str
    drawings: tuple[Drawing, ...]


def lay_out(definition: Mapping[str, Any], readings: Readings, figure_ids: Mapping[str, str]) -> list[Section]:
    """The sections of one dashboard that have something to show, from its definition (a DashboardBody).

    `figure_ids` are the ids of `readings` by the titles that widgets bear. Raises ConfigInvalid when the definition has
    no widgets or too many, or a title that nobody knows: then it is of another version.
    """
    widgets = definition.get("widgets")
    if not isinstance(widgets, list) or len(widgets) > WIDGETS_MAX:
        raise ConfigInvalid("a dashboard's definition has a list of at most 500 widgets")
    headings = sorted((widget for widget in widgets if widget["type"] == "text"), key=lambda widget: widget["y"])
    metrics = sorted((one for one in widgets if one["type"] == "metric"), key=lambda one: (one["y"], one["x"]))
    sections = []
    for number, heading in enumerate(headings):
        end = headings[number + 1]["y"] if number + 1 < len(headings) else math.inf
        below = [widget for widget in metrics if heading["y"] < widget["y"] < end]
        drawings = [_drawing(widget, readings, figure_ids) for widget in below]
        shown = tuple(drawing for drawing in drawings if drawing.series)
        if shown:
            sections.append(Section(heading["properties"]["markdown"].lstrip("# "), shown))
    return sections


def _drawing(widget: Mapping[str, Any], readings: Readings, figure_ids: Mapping[str, str]) -> Drawing:
    properties = widget["properties"]
    title = properties["title"]
    if title not in figure_ids:
        msg = f"the dashboard draws {title!r}, which config/figures.yaml does not have: deploy again"
        raise ConfigInvalid(msg)
    known = [reading for reading in readings.get(figure_ids[title], []) if reading.points]
    return Drawing(
        title=title,
        unit=properties.get("yAxis", {}).get("left", {}).get("label", "count"),
        stacked=bool(properties.get("stacked")),
        width=widget["width"],
        height=widget["height"],
        thresholds=tuple(
            (line["label"], line["value"]) for line in properties.get("annotations", {}).get("horizontal", [])
        ),
        series=tuple(known),
    )


def draw(sections: Sequence[Section], path: Path, *, title: str, note: str) -> None:
    """Write the picture: PNG or SVG, by the path's ending. `note` stands small beside the title.

    Raises ConfigInvalid when there is nothing to draw.
    """
    if not sections:
        raise ConfigInvalid("nothing was read that could be drawn; send payments first: postrail inject")
    rows = 2.2 + sum(_HEADING_ROWS + sum(_row_heights(section)) for section in sections)
    width, height = GRID_COLUMNS * _INCHES_PER_COLUMN, rows * _INCHES_PER_ROW
    # A salt of our own: otherwise ids inside an SVG are random.
    with mpl.rc_context({"font.family": ["DejaVu Sans"], "svg.hashsalt": "postrail"}):
        canvas = Canvas(figsize=(width, height), facecolor=_PAPER)
        page = _Page(canvas, width, height)
        page.write_title(title, note)
        for section in sections:
            page.write_heading(section.title)
            page.place(section)
        # No date and no version inside: the same values make the same file.
        metadata = {"Date": None, "Creator": None} if path.suffix == ".svg" else {"Software": None}
        canvas.savefig(path, dpi=_DPI, facecolor=_PAPER, metadata=metadata)


def _per_row(section: Section) -> list[list[Drawing]]:
    rows: list[list[Drawing]] = [[]]
    for drawing in section.drawings:
        if sum(one.width for one in rows[-1]) + drawing.width > GRID_COLUMNS:
            rows.append([])
        rows[-1].append(drawing)
    return rows


def _row_heights(section: Section) -> list[float]:
    return [_row_height(row) for row in _per_row(section)]


def _row_height(row: Sequence[Drawing]) -> float:
    """As high as its highest drawing; single numbers need less."""
    return max(_NUMBER_ROWS if _is_number(drawing) else drawing.height for drawing in row)


class _Page:
    """Places drawings from top to bottom, in inches."""

    def __init__(self, canvas: Canvas, width: float, height: float) -> None:
        self._canvas = canvas
        self._width = width
        self._height = height
        self._top = 0.0

    def write_title(self, title: str, note: str) -> None:
        self._text(_MARGIN, 0.44, title, size=17, weight="bold", colour=_INK)
        self._text(_MARGIN, 0.80, note, size=10.5, colour=_PALE)
        self._top = 2.2 * _INCHES_PER_ROW

    def write_heading(self, title: str) -> None:
        self._text(_MARGIN, self._top + 0.42, title, size=13.5, weight="bold", colour=_INK)
        self._top += _HEADING_ROWS * _INCHES_PER_ROW

    def place(self, section: Section) -> None:
        for row in _per_row(section):
            height = _row_height(row) * _INCHES_PER_ROW
            left = 0.0
            for drawing in row:
                width = drawing.width * _INCHES_PER_COLUMN
                self._card(drawing, left, width, height)
                left += width
            self._top += height

    def _card(self, drawing: Drawing, left: float, width: float, height: float) -> None:
        gap = 0.07
        x, y = (left + gap) / self._width, 1 - (self._top + height - gap) / self._height
        w, h = (width - 2 * gap) / self._width, (height - 2 * gap) / self._height
        self._canvas.patches.append(
            FancyBboxPatch(
                (x, y), w, h, boxstyle="round,pad=0,rounding_size=0.003", transform=self._canvas.transFigure,
                facecolor="white", edgecolor=_GRID, linewidth=0.8, zorder=-1,
            )
        )  # fmt: skip
        self._text(left + gap + 0.14, self._top + gap + 0.27, drawing.title, size=10.5, weight="bold", colour=_INK)
        if _is_number(drawing):
            (reading,) = drawing.series
            words = write_value(reading.points[-1].value, drawing.unit)
            middle = self._top + height / 2
            self._text(left + width / 2, middle + 0.15, words, size=25, colour=_INK, align="center")
            self._text(left + width / 2, middle + 0.5, reading.label, size=9.5, colour=_PALE, align="center")
            return
        inner_left = left + gap + (1.55 if _is_snapshot(drawing) else 0.72)
        box = (
            inner_left / self._width,
            1 - (self._top + height - gap - (0.30 if _is_snapshot(drawing) else 0.74)) / self._height,
            (left + width - gap - 0.28 - inner_left) / self._width,
            (height - 2 * gap - (0.78 if _is_snapshot(drawing) else 1.22)) / self._height,
        )
        axes = self._canvas.add_axes(box)
        _fill(axes, drawing)

    def _text(
        self, x: float, y: float, text: str, *, size: float, colour: str, weight: str = "normal", align: str = "left"
    ) -> None:
        """`x` and `y` in inches from the upper left corner, to the text's base line."""
        place = x / self._width, 1 - y / self._height
        self._canvas.text(*place, text, fontsize=size, color=colour, fontweight=weight, ha=align, va="baseline")


def _is_snapshot(drawing: Drawing) -> bool:
    """Whether the values are of one moment."""
    return all(len(reading.points) == 1 for reading in drawing.series)


def _is_number(drawing: Drawing) -> bool:
    """Whether there is one value to show, as CloudWatch's number widgets do."""
    return _is_snapshot(drawing) and len(drawing.series) == 1


def _fill(axes: Axes, drawing: Drawing) -> None:
    axes.set_facecolor("white")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_GRID)
    axes.tick_params(colors=_PALE, labelsize=8.5, length=0, pad=5)
    if _is_snapshot(drawing):
        _fill_bars(axes, drawing)
    else:
        _fill_lines(axes, drawing)


def _fill_bars(axes: Axes, drawing: Drawing) -> None:
    """One bar for each series, its value beside it."""
    series = sorted(drawing.series, key=lambda reading: reading.points[-1].value)[-_LINES_SHOWN_MAX:]
    values = [reading.points[-1].value for reading in series]
    axes.barh(range(len(series)), [max([*values, 1.0])] * len(series), height=0.5, color=_PAPER)
    axes.barh(range(len(series)), values, height=0.5, color=_COLOURS[0])
    axes.set_yticks(range(len(series)), [reading.label for reading in series])
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    most = max([*values, 1.0])
    axes.set_xlim(0, most * 1.12)
    write = _writer(drawing.unit, most)
    for position, value in enumerate(values):
        axes.text(value + most * 0.015, position, write(value), va="center", fontsize=8.5, color=_INK)


def _fill_lines(axes: Axes, drawing: Drawing) -> None:
    series = sorted(drawing.series, key=_weight, reverse=True)[:_LINES_SHOWN_MAX]
    order = [reading for reading in drawing.series if reading in series]
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    most = _stack(axes, order) if drawing.stacked and len(order) > 1 else _lines(axes, order)
    _limit(axes, most, drawing)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda minute, _: f"{datetime.fromtimestamp(minute * 60, UTC):%H:%M}"))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=drawing.unit == "count"))
    write = _writer(drawing.unit, axes.get_ylim()[1])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))
    columns = _legend_columns(drawing, order)
    handles, labels = axes.get_legend_handles_labels()
    shown = columns * _LEGEND_ROWS_MAX
    axes.legend(
        handles[:shown], labels[:shown], loc="upper left", bbox_to_anchor=(-0.01, -0.15), ncol=columns,
        fontsize=8.5, frameon=False, labelcolor=_INK,
        handlelength=1.1, columnspacing=1.3, handletextpad=0.5, borderaxespad=0.2,
    )  # fmt: skip


def _lines(axes: Axes, series: Sequence[SeriesReading]) -> float:
    for number, reading in enumerate(series):
        times = [_minute(point.at) for point in reading.points]
        values = [point.value for point in reading.points]
        colour = _COLOURS[number % len(_COLOURS)]
        axes.plot(
            times, values, color=colour, linewidth=1.8, label=reading.label, solid_capstyle="round",
            marker="o" if len(times) <= 3 else None, markersize=3.5,
        )  # fmt: skip
    return max(point.value for reading in series for point in reading.points)


def _stack(axes: Axes, series: Sequence[SeriesReading]) -> float:
    """Areas upon each other; a series without a value at some time counts as nothing there."""
    times = sorted({point.at for reading in series for point in reading.points})
    rows = []
    for reading in series:
        values = {point.at: point.value for point in reading.points}
        rows.append([values.get(at, 0.0) for at in times])
    axes.stackplot(
        [_minute(at) for at in times], *rows, labels=[reading.label for reading in series],
        colors=[_COLOURS[number % len(_COLOURS)] for number in range(len(series))], alpha=0.85, linewidth=0,
    )  # fmt: skip
    return max(math.fsum(column) for column in zip(*rows, strict=True))


def _minute(at: datetime) -> float:
    """A moment on the axis: minutes since 1970."""
    return at.timestamp() / 60


def _limit(axes: Axes, most: float, drawing: Drawing) -> None:
    """From nothing to a little above the highest value; a threshold is drawn where that leaves the values legible."""
    top = most if most > 0 else 1.0
    near = [threshold for _, threshold in drawing.thresholds if threshold <= 3 * top]
    axes.set_ylim(0, max([top, *near]) * 1.12)
    for threshold in near:
        axes.axhline(threshold, color=_ALARM, linewidth=1.0, linestyle=(0, (4, 3)))
    if drawing.thresholds:
        label, lowest = min(drawing.thresholds, key=itemgetter(1))
        text = f"{label} {write_value(lowest, drawing.unit)}"
        axes.text(1.0, 1.05, text, transform=axes.transAxes, ha="right", fontsize=8.5, color=_ALARM)


def _weight(reading: SeriesReading) -> float:
    return math.fsum(abs(point.value) for point in reading.points)


def write_value(value: float, unit: str) -> str:
    """One value as people read it: thousands grouped, long times in seconds or minutes, money with its small digits."""
    return _writer(unit, abs(value))(value)


def _writer(unit: str, most: float) -> Callable[[float], str]:
    """Writes the values of one axis, all in the unit that suits the highest."""
    divisor, suffix = 1.0, _UNITS.get(unit, "")
    for from_value, by, longer in _LONGER.get(unit, ()):
        if most >= from_value:
            divisor, suffix = by, longer
    small = most / divisor < 10
    digits = 4 if unit == "usd" else (1 if small and unit != "count" else 0)

    def write(value: float) -> str:
        shown = value / divisor
        return f"{shown:,.{0 if shown == 0 or (shown == int(shown) and unit != 'usd') else digits}f}{suffix}"

    return write


def _legend_columns(drawing: Drawing, shown: Sequence[SeriesReading]) -> int:
    """As many labels side by side as the card is wide."""
    letters = max(len(reading.label) for reading in shown) + 5
    return max(1, min(len(shown), int(drawing.width * _LETTERS_PER_COLUMN / letters)))


def merge_points(readings: Iterable[Readings]) -> Readings:
    """Several looks at one graph as one.

    Histories are the last look's; what is known for one moment at a time gets a history of the looks.
    """
    looks = list(readings)
    merged: Readings = {}
    for figure, series in (looks[-1] if looks else {}).items():
        merged[figure] = [_with_earlier(reading, figure, looks[:-1]) for reading in series]
    return merged


def _with_earlier(reading: SeriesReading, figure: str, looks: Sequence[Readings]) -> SeriesReading:
    if len(reading.points) > 1:
        return reading
    earlier = [
        point
        for look in looks
        for one in look.get(figure, [])
        if one.label == reading.label and len(one.points) == 1
        for point in one.points
    ]
    points = sorted({point.at: point for point in (*earlier, *reading.points)}.values())
    return SeriesReading(reading.label, tuple(points), "" if points else reading.why)
