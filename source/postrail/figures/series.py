"""What was read of a figure: series of values by the minute, or why there are none."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from postrail.figures.catalogue import Alarm, Catalogue, Figure, Series

BUCKET_SECONDS: Final = 60
HISTORY_BUCKETS: Final = 30
STATUS_BUCKETS: Final = 5
_SUM: Final = "Sum"


class Point(NamedTuple):
    """One value, and the end of the minute (or the instant) that it stands for."""

    at: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Window:
    """`buckets` stretches of `seconds` each, the last of which ends at `end`."""

    end: datetime
    buckets: int = STATUS_BUCKETS
    seconds: int = BUCKET_SECONDS

    @property
    def start(self) -> datetime:
        """Where the first bucket begins."""
        return self.end - timedelta(seconds=self.buckets * self.seconds)

    def ends_at(self, bucket: int) -> datetime:
        """The end of a bucket; 0 is the last."""
        return self.end - timedelta(seconds=bucket * self.seconds)

    def points(self, values: Mapping[int, float], complete_from: datetime | None = None) -> tuple[Point, ...]:
        """Counts by bucket as points, oldest first; nothing counted is 0, but not before `complete_from`."""
        whole = range(self.buckets - 1, -1, -1)
        return tuple(
            Point(self.ends_at(bucket), float(values.get(bucket, 0)))
            for bucket in whole
            if complete_from is None or complete_from <= self.ends_at(bucket + 1)
        )

    def known_points(self, values: Mapping[int, float | None]) -> tuple[Point, ...]:
        """Measures by bucket as points, oldest first; where nothing was measured there is no point."""
        found = [(bucket, values[bucket]) for bucket in sorted(values, reverse=True)]
        return tuple(Point(self.ends_at(bucket), float(value)) for bucket, value in found if value is not None)


@dataclass(frozen=True, slots=True)
class SeriesReading:
    """One series of a figure. Without points `why` says in a few words why nothing is known; never 0 instead."""

    label: str
    points: tuple[Point, ...] = ()
    why: str = ""

    def latest(self, since: datetime | None = None) -> float | None:
        """The last value, unless it is older than `since`."""
        if not self.points or (since is not None and self.points[-1].at < since):
            return None
        value = self.points[-1].value
        return value if math.isfinite(value) else None

    def total(self, count: int) -> float:
        """The sum of the last `count` values."""
        return math.fsum(point.value for point in self.points[-count:])

    def mean(self) -> float | None:
        """The mean of all values; None when there are none."""
        return math.fsum(point.value for point in self.points) / len(self.points) if self.points else None


Readings = dict[str, list[SeriesReading]]
"""What was read, by figure id. A figure that is not there has no reading where one looked."""


class Level(StrEnum):
    """How bad a value is: what the alarm that it would raise says."""

    WELL = "well"
    TICKET = "ticket"
    PAGE = "page"


def unknown(why: str, label: str = "") -> list[SeriesReading]:
    """One series of which nothing is known."""
    return [SeriesReading(label, (), why)]


def judge(catalogue: Catalogue, figure: Figure, reading: SeriesReading) -> tuple[Level, tuple[Alarm, ...]]:
    """The level of a series' last value, and the alarms whose threshold it is beyond.

    An alarm waits for several values; this looks at one, or at the sum over the alarm's period where the series counts.
    Alarms over other metrics than the series shows are CloudWatch's alone.
    """
    series = _series_of(figure, reading.label)
    value = reading.latest()
    if series is None or value is None:
        return Level.WELL, ()
    raised = tuple(alarm for alarm in catalogue.alarms_of(figure.id) if _is_raised(alarm, series, reading, value))
    if not raised:
        return Level.WELL, ()
    return (Level.PAGE if any(alarm.severity == "page" for alarm in raised) else Level.TICKET), raised


def _is_raised(alarm: Alarm, series: Series, reading: SeriesReading, value: float) -> bool:
    metric = alarm.metric
    if metric is None or (metric.metric, metric.namespace) != (series.metric, series.namespace):
        return False
    if metric.statistic != series.statistic and _SUM in (metric.statistic, series.statistic):
        return False
    if metric.statistic.startswith("p") and metric.statistic != series.statistic:
        return False
    if metric.statistic == _SUM:
        value = reading.total(max(1, alarm.period_seconds // BUCKET_SECONDS))
    return alarm.is_raised_by(value)


def _series_of(figure: Figure, label: str) -> Series | None:
    """The catalogue's series that a label belongs to: by its name, else the one whose label names each of a kind."""
    for series in figure.series:
        if series.label == label:
            return series
    for series in figure.series:
        before, star, after = series.label.partition("*")
        if star and label.startswith(before) and label.endswith(after):
            return series
    return None


def by_label(readings: Sequence[SeriesReading]) -> dict[str, SeriesReading]:
    """The series of a figure by their labels."""
    return {reading.label: reading for reading in readings}
