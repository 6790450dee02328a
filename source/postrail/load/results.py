"""From a run's record to its figures: latency in an HDR histogram, time series, the point of saturation."""

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hdrh.histogram import HdrHistogram

from postrail.load.run import Ended, Record

PERCENTILES: Final = (50.0, 90.0, 95.0, 99.0, 99.9, 100.0)
_LONGEST_MS: Final = 3_600_000
_DIGITS: Final = 3
SLOPE_SECONDS: Final = 10
"""The backlog is judged over windows of this length."""
_GROWTH: Final = 0.05
"""A graph keeps up when its backlog grows by less than this share of what is offered."""
_LATE_SECONDS: Final = 1.0
_ENDS_MIN: Final = 10
"""Of fewer ends a rate says nothing."""


@dataclass(frozen=True, slots=True)
class Second:
    """One second of a run: payments due, handed over and posted in it, the backlog at its end, and its latencies.

    Latencies (ms) are of the payments posted in this second, from when each was due; None where none was.
    """

    second: int
    due: int
    sent: int
    ended: int
    backlog: int
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Results:
    """The figures of one run. Latencies in milliseconds, rates a second, times in seconds from the start."""

    injected: int
    refused: int
    outcomes: Mapping[str, int]
    reasons: Mapping[str, Mapping[str, int]]
    unaccounted: Sequence[str]
    offered_per_s: float
    settled_per_s: float | None
    latency_ms: Mapping[str, float]
    service_ms: Mapping[str, float]
    histogram: str
    series: Sequence[Second]
    saturated_at_s: float | None
    sustained_per_s: float | None
    sender_late_s: float

    @property
    def sender_kept_pace(self) -> bool:
        """Whether the figures are of the graph: the machine that sent was never later than a second."""
        return self.sender_late_s <= _LATE_SECONDS

    def document(self) -> dict[str, Any]:
        """One JSON object, without the histogram's text."""
        return {
            "injected": self.injected,
            "refused": self.refused,
            **dict(self.outcomes),
            "unaccounted": len(self.unaccounted),
            "unaccounted_ids": list(self.unaccounted[:20]),
            "reasons": {outcome: dict(counts) for outcome, counts in self.reasons.items()},
            "offered_per_s": self.offered_per_s,
            "settled_per_s": self.settled_per_s,
            "sustained_per_s": self.sustained_per_s,
            "saturated_at_s": self.saturated_at_s,
            "latency_ms": dict(self.latency_ms),
            "service_ms": dict(self.service_ms),
            "sender_late_s": self.sender_late_s,
            "series": [
                {"second": each.second, "due": each.due, "sent": each.sent, "ended": each.ended}
                | {"backlog": each.backlog, "p50_ms": each.p50_ms, "p99_ms": each.p99_ms}
                for each in self.series
            ],
        }


def summarise(record: Record) -> Results:
    """The figures of a finished run."""
    posted = {payment_id: end for payment_id, end in record.ends.items() if end.outcome == "posted"}
    latency = _histogram((end.at - record.due[payment_id]) * 1000 for payment_id, end in posted.items())
    service = _histogram(
        (end.at - record.sent[payment_id]) * 1000 for payment_id, end in posted.items() if payment_id in record.sent
    )
    series = _series(record)
    ends_at = sorted(end.at for end in record.ends.values())
    due_last = max(record.due.values(), default=record.started_at) - record.started_at
    saturated = saturation(series, due_last)
    return Results(
        injected=len(record.due),
        refused=len(record.refused),
        outcomes=_outcomes(record),
        reasons=_reasons(record.ends.values()),
        unaccounted=sorted(set(record.due) - set(record.ends) - set(record.refused)),
        offered_per_s=round(len(record.due) / due_last, 1) if due_last > 0 else float(len(record.due)),
        settled_per_s=_rate(ends_at, record.started_at),
        latency_ms=_percentiles(latency),
        service_ms=_percentiles(service),
        histogram=_distribution(latency),
        series=series,
        saturated_at_s=saturated,
        sustained_per_s=_middle_rate(ends_at),
        sender_late_s=round(
            max((record.sent.get(each, due) - due for each, due in record.due.items()), default=0.0), 3
        ),
    )


def saturation(series: Sequence[Second], offered_seconds: float) -> float | None:
    """When the graph stopped keeping up, in seconds from the start; None when it did to the end.

    It stops where the backlog, over ten seconds and to the end of the offer, grows by more than a twentieth of what is
    offered. A backlog that settles at a height is a queue doing its work, and no saturation.
    """
    offered = [each for each in series if each.second < offered_seconds]
    first: float | None = None
    for position in range(SLOPE_SECONDS, len(offered)):
        window = offered[position - SLOPE_SECONDS : position]
        due = sum(each.due for each in window)
        grown = window[-1].backlog - window[0].backlog
        if due and grown > _GROWTH * due and window[-1].backlog > due / SLOPE_SECONDS:
            first = float(window[0].second) if first is None else first
        else:
            first = None
    return first


def _series(record: Record) -> list[Second]:
    start = record.started_at
    due = Counter(int(at - start) for at in record.due.values())
    sent = Counter(int(at - start) for at in record.sent.values())
    latencies: dict[int, list[float]] = {}
    ended: Counter[int] = Counter()
    for payment_id, end in record.ends.items():
        second = max(0, int(end.at - start))
        ended[second] += 1
        if end.outcome == "posted":
            latencies.setdefault(second, []).append((end.at - record.due[payment_id]) * 1000)
    refused = Counter(int(record.sent[each] - start) for each in record.refused if each in record.sent)
    series, backlog = [], 0
    for second in range(max([*due, *sent, *ended, 0]) + 1):
        backlog += due[second] - ended[second] - refused[second]
        some = sorted(latencies.get(second, []))
        series.append(
            Second(second, due[second], sent[second], ended[second], backlog, _nearest(some, 50), _nearest(some, 99))
        )
    return series


def _nearest(ordered: Sequence[float], percent: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))], 1)


def _histogram(values_ms: Any) -> HdrHistogram:
    """Microseconds inside, so that three digits hold from a fraction of a millisecond to an hour."""
    histogram = HdrHistogram(1, _LONGEST_MS * 1000, _DIGITS)
    for value in values_ms:
        histogram.record_value(min(max(1, round(value * 1000)), _LONGEST_MS * 1000))
    return histogram


def _percentiles(histogram: HdrHistogram) -> dict[str, float]:
    if not histogram.get_total_count():
        return {}
    return {_name(each): round(histogram.get_value_at_percentile(each) / 1000, 1) for each in PERCENTILES}


def _name(percent: float) -> str:
    return "max" if percent == 100 else f"p{percent:g}"


def _distribution(histogram: HdrHistogram) -> str:
    """The histogram in the text form that HdrHistogram's plotters read, values in milliseconds."""
    if not histogram.get_total_count():
        return ""
    text = io.BytesIO()
    histogram.output_percentile_distribution(text, 1000.0)
    return text.getvalue().decode()


def _outcomes(record: Record) -> dict[str, int]:
    counts = Counter(end.outcome for end in record.ends.values())
    return {outcome: counts[outcome] for outcome in ("posted", "parked", "rejected", "referred", "dead_lettered")}


def _reasons(ends: Any) -> dict[str, dict[str, int]]:
    reasons: dict[str, Counter[str]] = {}
    end: Ended
    for end in ends:
        if end.reason:
            reasons.setdefault(end.outcome, Counter())[end.reason] += 1
    return {outcome: dict(counts.most_common()) for outcome, counts in sorted(reasons.items())}


def _rate(ordered: Sequence[float], start: float) -> float | None:
    """Ends a second, from `start` to the last one."""
    seconds = ordered[-1] - start if ordered else 0.0
    return round(len(ordered) / seconds, 1) if seconds > 0 else None


def _middle_rate(ordered: Sequence[float]) -> float | None:
    """Ends a second without the first and the last tenth, where a run begins and runs dry."""
    edge = len(ordered) // 10
    middle = ordered[edge : len(ordered) - edge]
    if len(middle) < _ENDS_MIN:
        return None
    seconds = middle[-1] - middle[0]
    return round((len(middle) - 1) / seconds, 1) if seconds > 0 else None
