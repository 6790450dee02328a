"""How `postrail status` looks: sections of figures, one line each, coloured by the alarms that they would raise."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from postrail.cli import console
from postrail.figures.catalogue import Alarm, Catalogue, Figure, Series
from postrail.figures.series import Level, Readings, SeriesReading, Window, judge

UNKNOWN: Final = "\N{EN DASH}"
_COLOURS: Final = {Level.WELL: "", Level.TICKET: "yellow", Level.PAGE: "bold red"}
_MS_SHOWN_MAX: Final = 10_000
_WHOLE_FROM: Final = 100
_UNITS: Final = {
    "milliseconds": (1, 0, "ms"),
    "long": (1, 1, "s"),
    "seconds": (1, 0, "s"),
    "bytes": (2**20, 0, "MiB"),
    "percent": (1, 1, "%"),
    "acu": (1, 1, "ACU"),
    "usd": (1, 5, "USD"),
}
"""Divisor, decimals and name of a unit; counts have none."""
_QUIET_MIN: Final = 3
"""So many series or more that are all 0 are told in one word."""


@dataclass(frozen=True, slots=True)
class StatusPage:
    """What was read of a graph, and where it runs."""

    place: str
    catalogue: Catalogue
    window: Window
    readings: Readings

    def raised(self) -> list[Alarm]:
        """The alarms whose threshold some value is beyond, in the catalogue's order."""
        found = {
            alarm.id
            for figure in self._figures()
            for reading in self.readings[figure.id]
            for alarm in judge(self.catalogue, figure, reading)[1]
        }
        return [alarm for alarm in self.catalogue.alarms if alarm.id in found]

    def as_document(self) -> dict[str, Any]:
        """The page as one JSON-ready object; values are null where they are unknown, with `why`."""
        return {
            "graph": self.place,
            "at": self.window.end.isoformat(timespec="seconds"),
            "sections": [
                {
                    "id": section.id,
                    "title": section.title,
                    "figures": [self._figure_document(figure) for figure in self._figures(section.id)],
                }
                for section in self.catalogue.sections
                if self._figures(section.id)
            ],
            "raised": [
                {"id": alarm.id, "severity": alarm.severity, "risk": alarm.risk, "runbook": alarm.runbook}
                for alarm in self.raised()
            ],
        }

    def as_screen(self) -> Group:
        """The page for a terminal."""
        # The verdict comes first: a low terminal cuts what is below.
        parts: list[Any] = [Text(f"{self.place} at {self.window.end:%H:%M:%S} UTC", style="bold"), self._verdict()]
        for section in self.catalogue.sections:
            figures = self._figures(section.id)
            if not figures:
                continue
            grid = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
            grid.add_column(no_wrap=True, min_width=46)
            grid.add_column(overflow="fold")
            for figure in figures:
                grid.add_row(f"  {_short(figure.title)}", self._values(figure))
            parts += [Text(section.title, style="bold cyan"), grid]
        return Group(*parts)

    def as_line(self) -> Text:
        """The page in one line, for logs and pipes."""
        pieces = [f"{self.window.end:%H:%M:%S}"]
        for figure_id, label in (("throughput", "posted"), ("latency", "p99"), ("outbox-backlog", "waiting")):
            reading = next((one for one in self.readings.get(figure_id, []) if one.label == label), None)
            unit = self._unit(figure_id)
            pieces.append(f"{figure_id} {label} {show_value(reading.latest() if reading else None, unit)}")
        letters = [one.latest() for one in self.readings.get("dead-letters", [])]
        known = [value for value in letters if value is not None]
        pieces.append(f"dead letters {show_value(sum(known) if known else None, 'count')}")
        raised = ", ".join(alarm.id for alarm in self.raised())
        pieces.append(f"beyond thresholds: {raised}" if raised else "within thresholds")
        return Text("  ".join(pieces))

    def _figures(self, section: str | None = None) -> list[Figure]:
        """The figures that were read."""
        wanted = self.catalogue.figures if section is None else self.catalogue.figures_of(section)
        return [figure for figure in wanted if figure.id in self.readings]

    def _unit(self, figure_id: str) -> str:
        return next((figure.unit for figure in self.catalogue.figures if figure.id == figure_id), "count")

    def _values(self, figure: Figure) -> Text:
        series = self.readings[figure.id]
        if len(series) >= _QUIET_MIN and all(
            reading.latest() == 0 and not any(_earlier(reading)) for reading in series
        ):
            return Text("0 everywhere")
        text = Text()
        if figure.unit == "usd" and len(series) > 1:
            text.append("together ", style="dim")
            text.append(show_value(math.fsum(reading.latest() or 0.0 for reading in series), figure.unit) + "   ")
        for index, reading in enumerate(series):
            level, _ = judge(self.catalogue, figure, reading)
            value = reading.latest()
            text.append("   " if index else "")
            text.append(f"{reading.label} " if reading.label else "", style="dim")
            text.append(show_value(value, figure.unit), style=_COLOURS[level])
            mean = reading.mean()
            if _is_rate(figure) and mean is not None and len(reading.points) > 1:
                text.append(f" ({show_value(mean, figure.unit)})", style="dim")
            if value is None and reading.why:
                text.append(f" {reading.why}", style="dim")
        return text

    def _figure_document(self, figure: Figure) -> dict[str, Any]:
        return {
            "id": figure.id,
            "title": figure.title,
            "unit": figure.unit,
            "series": [self._series_document(figure, reading) for reading in self.readings[figure.id]],
        }

    def _series_document(self, figure: Figure, reading: SeriesReading) -> dict[str, Any]:
        level, raised = judge(self.catalogue, figure, reading)
        document: dict[str, Any] = {"label": reading.label, "value": reading.latest(), "level": level.value}
        if _is_rate(figure):
            document["mean"] = reading.mean()
        if reading.latest() is None:
            document["why"] = reading.why
        if raised:
            document["raises"] = [alarm.id for alarm in raised]
        return document

    def _verdict(self) -> Text:
        raised = self.raised()
        if not raised:
            return Text("Every value that is known is within its alarm's threshold.", style="green")
        text = Text("Beyond thresholds: ")
        for index, alarm in enumerate(raised):
            text.append(", " if index else "")
            level = Level.PAGE if alarm.severity == "page" else Level.TICKET
            text.append(alarm.id, style=_COLOURS[level])
        return text.append(f". See docs/alarms.md#{raised[0].runbook}.")


def _is_rate(figure: Figure) -> bool:
    """Whether its values are counts of a minute, of which five make a mean."""
    return bool(figure.series) and all(_is_sum(series) for series in figure.series)


def _is_sum(series: Series) -> bool:
    return series.statistic == "Sum" and series.period_seconds == 60


def _earlier(reading: SeriesReading) -> Sequence[float]:
    return [point.value for point in reading.points[:-1]]


def _short(title: str) -> str:
    """Without what the head line says once."""
    return title.removesuffix(", a minute")


def show_value(value: float | None, unit: str) -> str:
    """A value in a unit of the catalogue, as people read it."""
    if value is None:
        return UNKNOWN
    if unit == "milliseconds" and value >= _MS_SHOWN_MAX:
        value, unit = value / 1_000, "long"
    if unit in _UNITS:
        divisor, decimals, name = _UNITS[unit]
        return f"{value / divisor:,.{decimals}f} {name}"
    return f"{value:,.0f}" if value == int(value) or value >= _WHOLE_FROM else f"{value:,.1f}"


def write_document(page: StatusPage) -> None:
    """The page as JSON on standard output."""
    console.write_json(page.as_document())
