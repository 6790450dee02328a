"""Figures of a graph in a real account: the series of its dashboards, asked of CloudWatch itself."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from postrail.adapters.aws.clients import error_code
from postrail.figures.resolved import ResolvedMetric, ResolvedSeries
from postrail.figures.series import Point, Readings, SeriesReading, Window, unknown

QUERIES_PER_CALL_MAX: Final = 500
"""GetMetricData takes so many."""
PAGES_MAX: Final = 20
_LATE_SECONDS: Final = 180
"""A minute's values may take so long to arrive."""
_PERIODS_AT_LEAST: Final = 3


@dataclass(frozen=True, slots=True)
class _Asked:
    """A series with the id that its answer will have."""

    figure: str
    id: str
    series: ResolvedSeries


def read_cloudwatch(client: Any, figures: Mapping[str, Sequence[ResolvedSeries]], window: Window) -> Readings:
    """The last values of every series. What CloudWatch has no value of is told so.

    Series of long periods are asked for a window of their own. Raises nothing: a refusal is every series' reason.
    """
    asked = [
        _Asked(figure_id, f"s{figure_no}x{series_no}", series)
        for figure_no, (figure_id, all_series) in enumerate(figures.items())
        for series_no, series in enumerate(all_series)
    ]
    readings: Readings = {figure_id: [] for figure_id in figures}
    for period in sorted({one.series.period_seconds for one in asked}):
        of_period = [one for one in asked if one.series.period_seconds == period]
        try:
            found = _ask(client, of_period, window, period)
        except (BotoCoreError, ClientError) as error:
            for one in of_period:
                readings[one.figure].append(SeriesReading(one.series.label, (), error_code(error)))
            continue
        for one in of_period:
            readings[one.figure] += _readings_of(one, found.get(one.id, []))
    return {figure: series or unknown("this copy has nothing of it") for figure, series in readings.items()}


def _readings_of(one: _Asked, results: Sequence[tuple[str, tuple[Point, ...]]]) -> list[SeriesReading]:
    if one.series.split:
        # One result for each value of the last dimension that CloudWatch has seen, labelled by CloudWatch.
        return [SeriesReading(label, points) for label, points in results if points] or unknown("no data", "all")
    points = results[0][1] if results else ()
    return [SeriesReading(one.series.label, points, "" if points else "no data")]


def _ask(
    client: Any, asked: Sequence[_Asked], window: Window, period: int
) -> dict[str, list[tuple[str, tuple[Point, ...]]]]:
    reach = max(window.buckets * window.seconds + _LATE_SECONDS, _PERIODS_AT_LEAST * period)
    # The period that has begun is not whole yet.
    end = _floor(window.end, period)
    found: dict[str, list[tuple[str, tuple[Point, ...]]]] = {}
    for queries in _in_calls(asked):
        request: dict[str, Any] = {
            "MetricDataQueries": queries,
            "StartTime": end - timedelta(seconds=reach),
            "EndTime": end,
            "ScanBy": "TimestampAscending",
        }
        parts: dict[tuple[str, str], list[Point]] = {}
        for _ in range(PAGES_MAX):
            answer = client.get_metric_data(**request)
            for result in answer["MetricDataResults"]:
                points = parts.setdefault((result["Id"], result.get("Label", "")), [])
                times = [at + timedelta(seconds=period) for at in result["Timestamps"]]
                points += [Point(at, float(value)) for at, value in zip(times, result["Values"], strict=True)]
            if not answer.get("NextToken"):
                break
            request["NextToken"] = answer["NextToken"]
        for (query_id, label), points in parts.items():
            found.setdefault(query_id, []).append((label, tuple(sorted(points)[-window.buckets :])))
    return found


def _in_calls(asked: Sequence[_Asked]) -> Iterator[list[dict[str, Any]]]:
    """The queries of all series, in calls that are small enough; the metrics of an expression go with it."""
    call: list[dict[str, Any]] = []
    for one in asked:
        queries = list(_queries(one))
        if call and len(call) + len(queries) > QUERIES_PER_CALL_MAX:
            yield call
            call = []
        call += queries
    if call:
        yield call


def _queries(one: _Asked) -> Iterator[dict[str, Any]]:
    series = one.series
    if series.split:
        (metric,) = series.uses.values()
        schema = ",".join([f'"{metric.namespace}"', *series.split])
        search = f"SEARCH('{{{schema}}} MetricName=\"{metric.metric}\"', '{metric.statistic}', {series.period_seconds})"
        label = " ".join(f"${{PROP('Dim.{name}')}}" for name in series.split)
        yield {"Id": one.id, "Expression": search, "Label": label, "Period": series.period_seconds}
    elif series.expression is None:
        (metric,) = series.uses.values()
        yield _stat(one.id, metric, series.period_seconds, returned=True)
    else:
        # Ids are one name space for the call: each series' variables get its own prefix.
        expression = series.expression
        for name, metric in series.uses.items():
            expression = re.sub(rf"\b{name}\b", f"{one.id}_{name}", expression)
            yield _stat(f"{one.id}_{name}", metric, series.period_seconds, returned=False)
        yield {"Id": one.id, "Expression": expression, "Label": series.label, "Period": series.period_seconds}


def _stat(query_id: str, metric: ResolvedMetric, period: int, *, returned: bool) -> dict[str, Any]:
    return {
        "Id": query_id,
        "MetricStat": {
            "Metric": {
                "Namespace": metric.namespace,
                "MetricName": metric.metric,
                "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions.items()],
            },
            "Period": period,
            "Stat": metric.statistic,
        },
        "ReturnData": returned,
    }


def _floor(moment: datetime, seconds: int) -> datetime:
    return moment - timedelta(seconds=moment.timestamp() % seconds)
