"""Follows the payments of one run to their end, wherever that is, and counts them.

A payment ends in the ledger, in the audit trail (parked, rejected, referred) or in a dead-letter queue. When two
places speak of one payment, the ledger is believed first, then the audit trail: a late copy of an event may well
have become a dead letter after its payment was posted.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from postrail.cli.dead_letters import Letter
from postrail.percentiles import percentile

POLL_SECONDS = 0.5
DEAD_LETTERS_EVERY_SECONDS = 2.0


class Outcome(StrEnum):
    """Where a payment's road ends, in the order in which they are reported."""

    POSTED = "posted"
    PARKED = "parked"
    REJECTED = "rejected"
    REFERRED = "referred"
    DEAD_LETTERED = "dead_lettered"


@dataclass(frozen=True, slots=True)
class End:
    """The end of one payment: outcome, reason code ("" when posted), and when, in seconds of the epoch."""

    outcome: Outcome
    reason: str
    at: float


class EndsInLedger(Protocol):
    """What the ledger and its audit trail know of a run."""

    def ends(self) -> Mapping[str, End]:
        """The end of every payment of the run that has one, by payment id."""
        ...


class NewLetters(Protocol):
    """The dead-letter queues."""

    def look(self) -> list[Letter]:
        """The letters that no earlier look has shown."""
        ...


@dataclass(slots=True)
class Tally:
    """The ends known so far. `nameless` are dead letters of the run that no longer say which payment they were."""

    payment_ids: frozenset[str]
    run_id: str
    ends: dict[str, End] = field(default_factory=dict)
    nameless: dict[str, End] = field(default_factory=dict)

    def take_ledger(self, ends: Mapping[str, End]) -> None:
        """Believe the ledger, whatever was known before."""
        self.ends.update((payment_id, end) for payment_id, end in ends.items() if payment_id in self.payment_ids)

    def take_letters(self, letters: Iterable[Letter]) -> None:
        """Count the letters of this run, unless the ledger knows an end for their payment."""
        for letter in letters:
            end = End(Outcome.DEAD_LETTERED, letter.reason, letter.at)
            if letter.correlation_id not in {self.run_id, None}:
                continue
            if letter.payment_id in self.payment_ids:
                self.ends.setdefault(letter.payment_id or "", end)
            elif letter.correlation_id == self.run_id:
                self.nameless[letter.message_id] = end

    @property
    def settled(self) -> int:
        """How many payments have an end; never more than were sent."""
        return min(len(self.ends) + len(self.nameless), len(self.payment_ids))

    @property
    def all_ends(self) -> list[End]:
        """Every end, nameless ones included."""
        room = len(self.payment_ids) - len(self.ends)
        return [*self.ends.values(), *list(self.nameless.values())[:room]]

    def unaccounted(self) -> list[str]:
        """The ids of payments without an end, as far as they can be told. Empty when the numbers agree."""
        if self.settled == len(self.payment_ids):
            return []
        return sorted(self.payment_ids - self.ends.keys())


def follow(
    tally: Tally,
    ledger: EndsInLedger,
    letters: NewLetters,
    *,
    timeout_seconds: float,
    on_progress: Callable[[int], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Poll until every payment of the tally has its end, or until the time is over."""
    deadline = clock() + timeout_seconds
    next_letters_at = clock()
    while True:
        tally.take_ledger(ledger.ends())
        if tally.settled < len(tally.payment_ids) and clock() >= next_letters_at:
            tally.take_letters(letters.look())
            next_letters_at = clock() + DEAD_LETTERS_EVERY_SECONDS
        on_progress(tally.settled)
        if tally.settled >= len(tally.payment_ids) or clock() >= deadline:
            return
        sleep(POLL_SECONDS)


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a run. Times in seconds and milliseconds; None where nothing could be measured."""

    run_id: str
    injected: int
    counts: Mapping[Outcome, int]
    reasons: Mapping[Outcome, Mapping[str, int]]
    unaccounted: Sequence[str]
    unaccounted_count: int
    seconds: float | None
    throughput_per_s: float | None
    latency_p50_ms: float | None
    latency_p99_ms: float | None

    def document(self) -> dict[str, object]:
        """The report as one JSON object."""
        return {
            "run_id": self.run_id,
            "injected": self.injected,
            **{outcome.value: self.counts[outcome] for outcome in Outcome},
            "unaccounted": self.unaccounted_count,
            "unaccounted_ids": list(self.unaccounted),
            "seconds": self.seconds,
            "throughput_per_s": self.throughput_per_s,
            "latency_ms": {"p50": self.latency_p50_ms, "p99": self.latency_p99_ms},
            "reasons": {outcome.value: dict(reasons) for outcome, reasons in self.reasons.items()},
        }


UNACCOUNTED_NAMED_MAX = 5


def report_on(tally: Tally, sent_at: Mapping[str, float]) -> Report:
    """Counts, reasons, throughput and latency of a run.

    Throughput is settled payments over the time from the first injection to the last settlement. Latency is from
    just before the call that injected a payment to the commit of its posting, posted payments only.
    """
    ends = tally.all_ends
    counts = Counter(end.outcome for end in ends)
    first_at = min(sent_at.values(), default=0.0)
    seconds = max((end.at for end in ends), default=first_at) - first_at
    latencies = [
        (end.at - sent_at[payment_id]) * 1000
        for payment_id, end in tally.ends.items()
        if end.outcome is Outcome.POSTED and payment_id in sent_at
    ]
    unaccounted = tally.unaccounted()
    return Report(
        run_id=tally.run_id,
        injected=len(tally.payment_ids),
        counts={outcome: counts[outcome] for outcome in Outcome},
        reasons={outcome: _reasons(ends, outcome) for outcome in Outcome if outcome is not Outcome.POSTED},
        unaccounted=unaccounted[:UNACCOUNTED_NAMED_MAX],
        unaccounted_count=len(tally.payment_ids) - tally.settled,
        seconds=round(seconds, 3) if ends else None,
        throughput_per_s=round(len(ends) / seconds, 1) if seconds > 0 else None,
        latency_p50_ms=_rounded(percentile(latencies, 50)),
        latency_p99_ms=_rounded(percentile(latencies, 99)),
    )


def _reasons(ends: Sequence[End], outcome: Outcome) -> dict[str, int]:
    return dict(Counter(end.reason for end in ends if end.outcome is outcome).most_common())


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
