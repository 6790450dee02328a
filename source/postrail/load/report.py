"""A run's report for people: what was asked, what came of it, where it hurts, and what may be concluded from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from postrail.load.results import Results
from postrail.load.schedule import Profile

MILLION: Final = 1_000_000
MISSION_SECONDS: Final = 900
"""A million payments are to be posted in fifteen minutes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run was asked to do, and where."""

    run_id: str
    target: str
    via: str
    profile: Profile
    count: int
    rate: float
    started_at: str
    machine: Mapping[str, Any]


def document(asked: Asked, results: Results) -> dict[str, Any]:
    """The report as one JSON object."""
    return {
        "run_id": asked.run_id,
        "target": asked.target,
        "via": asked.via,
        "profile": asked.profile.value,
        "count": asked.count,
        "rate": asked.rate,
        "started_at": asked.started_at,
        "machine": dict(asked.machine),
        "sender_kept_pace": results.sender_kept_pace,
        **results.document(),
        "verdict": verdict(results),
    }


def verdict(results: Results) -> str:
    """The run in a sentence."""
    if not results.sender_kept_pace:
        return (
            f"The machine that sent fell behind by {results.sender_late_s:,.1f} s: the figures are of the sender, not "
            "of the graph. Use more --lanes, a lower --rate, or a larger machine."
        )
    if results.unaccounted:
        return (
            f"{len(results.unaccounted):,} of {results.injected:,} payments have no end yet: wait longer, or look why."
        )
    if results.saturated_at_s is not None:
        return (
            f"Saturated from second {results.saturated_at_s:.0f} on: the graph settles about "
            f"{_number(results.sustained_per_s)} payments a second of {results.offered_per_s:,.1f} offered."
        )
    return f"The graph kept up with {results.offered_per_s:,.1f} payments a second; every payment has its end."


def markdown(asked: Asked, results: Results, *, chart: str | None) -> str:
    """The report as a page; `chart` is the picture's name beside it."""
    machine = ", ".join(f"{name} {value}" for name, value in asked.machine.items() if not isinstance(value, dict))
    lines = [
        f"# Load {asked.run_id}",
        "",
        verdict(results),
        "",
        (
            f"{asked.started_at}, target {asked.target}, via {asked.via}, profile {asked.profile.value}, "
            f"{asked.count:,} payments at {asked.rate:g}/s. {machine}."
        ),
        "",
        "| outcome | payments | reasons |",
        "|---|---:|---|",
    ]
    for outcome, count in results.outcomes.items():
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in results.reasons.get(outcome, {}).items())
        lines.append(f"| {outcome.replace('_', ' ')} | {count:,} | {reasons} |")
    lines += [
        f"| refused at the door | {results.refused:,} | |",
        f"| without an end | {len(results.unaccounted):,} | {', '.join(results.unaccounted[:3])} |",
        f"| injected | {results.injected:,} | |",
        "",
        "| milliseconds | " + " | ".join(results.latency_ms) + " |",
        "|---|" + "---:|" * len(results.latency_ms),
        "| due to posted | " + " | ".join(f"{value:,.1f}" for value in results.latency_ms.values()) + " |",
        "| sent to posted | " + " | ".join(f"{value:,.1f}" for value in results.service_ms.values()) + " |",
        "",
        (
            "A payment's time runs from when it was due, so that waiting for a busy sender counts as well; the second "
            "row runs from the call that sent it, and shows how much of the time that was."
        ),
        "",
        "| payments a second | |",
        "|---|---:|",
        f"| offered | {results.offered_per_s:,.1f} |",
        f"| settled, from the first to the last | {_number(results.settled_per_s)} |",
        f"| settled, the middle eight tenths | {_number(results.sustained_per_s)} |",
        "",
        f"Latest send: {results.sender_late_s:.3f} s after it was due.",
        "",
    ]
    if chart:
        lines += [f"![Rates, backlog and latencies by the second, latency by percentile]({chart})", ""]
    return "\n".join([*lines, *extrapolation(asked, results), ""])


def extrapolation(asked: Asked, results: Results) -> list[str]:
    """What the run says of a million payments, and what it would have to assume for that."""
    rate = results.sustained_per_s
    if rate is None or rate <= 0:
        return []
    minutes = MILLION / rate / 60
    needed = MILLION / MISSION_SECONDS
    if asked.target == "local":
        caveat = (
            "It assumes that the rate does not fall with the size of the run, and says nothing of AWS: one process "
            "plays bus, queues, tables and functions here, and its CPU is the limit. There, each of them is a service "
            "with a quota of its own; `postrail capacity` says which of them such a rate would meet."
        )
    else:
        caveat = (
            "It assumes that the rate does not fall with the size of the run, that quotas are as they were, and that "
            "Aurora does not reach its largest capacity. Run the million before you rely on it: see docs/load.md."
        )
    return [
        "## What this says of a million payments",
        "",
        (
            f"At {rate:,.1f} a second a million payments take {minutes:,.1f} minutes; fifteen minutes need "
            f"{needed:,.0f} a second, {needed / rate:,.1f} times this run. {caveat}"
        ),
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"
