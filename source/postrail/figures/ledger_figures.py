"""Figures that stand in the ledger's database: the road, refusals, the outbox, the switch.

Everything that a payment passes leaves its trail in the events that the ledger keeps, so that a graph on one machine
needs no store of metrics of its own.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.outbox import PostgresOutbox
from postrail.adapters.postgres.queries import statements
from postrail.adapters.postgres.sequences import PostgresSequences
from postrail.figures.series import STATUS_BUCKETS, Point, SeriesReading, Window, unknown

_SQL: Final = statements("figures.sql", "postrail.figures")
ROWS_MAX: Final = 20_000
"""Rows that a reading of five minutes looks at: all of them up to some 60 payments a second, fewer minutes beyond."""
HISTORY_ROWS_MAX: Final = 100_000
"""The same of a longer window."""
_TIMED_OUT: Final = "4021"
"""ISO 8583:1993 message reason (DE 25): no response before timeout."""
_CLOCKS_APART: Final = timedelta(seconds=60)
_RULES: Final = "apply_rules"
_ENDS: Final = frozenset({"PaymentRejected", "PaymentPostingFailed"})


@dataclass(slots=True)
class _Counts:
    """Numbers by bucket, and from when on they are complete."""

    by_bucket: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    complete_from: datetime | None = None

    def __add__(self, other: "_Counts") -> "_Counts":
        both = _Counts(complete_from=_later(self.complete_from, other.complete_from))
        for counts in (self, other):
            for bucket, number in counts.by_bucket.items():
                both.by_bucket[bucket] += number
        return both


class LedgerFigures:
    """Readings of one window. Each statement is asked at most once, by whichever figure needs it first."""

    def __init__(self, database: Database, window: Window, *, overdue_seconds: int) -> None:
        """`overdue_seconds` is how long a posting sequence may wait for its parts. Reads raise Retryable."""
        self._database = database
        self._window = window
        self._overdue_seconds = overdue_seconds

    def readings(self) -> dict[str, Callable[[], list[SeriesReading]]]:
        """What can be read, by the names that the catalogue uses."""
        return {
            "throughput": self.throughput,
            "latency": self.latency,
            "decisions": self.decisions,
            "postings": self.postings,
            "refusals": self.refusals,
            "duplicates": self.duplicates,
            "outbox_backlog": self.outbox_backlog,
            "outbox_age": self.outbox_age,
            "sequences": self.sequences,
            "connections": self.connections,
            "holds_expired": self.holds_expired,
            "switch_approved": lambda: self._by_party(self._decided, "approved"),
            "switch_declined": lambda: self._by_party(self._decided, "declined"),
            "switch_reversed": lambda: self._by_party(self._reversed, "number"),
            "switch_stand_in": lambda: self._by_party(self._stored, "stand_in"),
            "switch_timed_out": lambda: self._by_party(self._stored, "timed_out"),
            "switch_latency": lambda: unknown("only CloudWatch keeps response times"),
        }

    def throughput(self) -> list[SeriesReading]:
        """Payments by the stage that they passed."""
        return [
            self._count("accepted", self._passed("PaymentAccepted")),
            self._count("standardised", self._passed("PaymentStandardised")),
            self._count("enriched", self._passed("PaymentEnriched")),
            self._count("decided", self._approved() + self._rejected(_RULES) + self._passed("PaymentReferred")),
            self._count("posted", self._postings_made()),
        ]

    def latency(self) -> list[SeriesReading]:
        """From authorization to posting."""
        found = {row["bucket"]: row for row in self._posted if row["bucket"] is not None}
        if not found:
            return [SeriesReading(label, (), "nothing was posted") for label in ("p50", "p99")]
        return [
            SeriesReading(
                label, self._window.known_points({bucket: row[f"{label}_ms"] for bucket, row in found.items()})
            )
            for label in ("p50", "p99")
        ]

    def decisions(self) -> list[SeriesReading]:
        """What the rules engine decided."""
        return [
            self._count("approved", self._approved()),
            self._count("rejected", self._rejected(_RULES)),
            self._count("referred", self._passed("PaymentReferred")),
        ]

    def postings(self) -> list[SeriesReading]:
        """Posted, and refused by the ledger."""
        return [
            self._count("posted", self._postings_made()),
            self._count("failed", self._passed("PaymentPostingFailed")),
        ]

    def refusals(self) -> list[SeriesReading]:
        """Payments that ended before the journal, by stage and reason."""
        rows = [row for row in (*self._sent, *self._ended) if row["detail_type"] in _ENDS]
        by_label: dict[str, list[Any]] = defaultdict(list)
        for row in rows:
            by_label[f"{row['stage']} {row['reason']}"].append(row)
        complete_from = _later(self._sent[0]["complete_from"], self._ended[0]["complete_from"])
        if not by_label:
            return [self._count("all", _Counts(complete_from=complete_from))]
        return [self._count(label, self._sum(by_label[label])) for label in sorted(by_label)]

    def duplicates(self) -> list[SeriesReading]:
        """What the duplicate check parked."""
        return [
            self._count("duplicates", self._parked(conflict=False)),
            self._count("conflicts", self._parked(conflict=True)),
        ]

    def outbox_backlog(self) -> list[SeriesReading]:
        """Events that the bus has not taken yet."""
        return self._now("waiting", self._backlog[0])

    def outbox_age(self) -> list[SeriesReading]:
        """Seconds since the oldest of them was committed."""
        return self._now("oldest", self._backlog[1])

    def sequences(self) -> list[SeriesReading]:
        """Posting sequences that wait too long for a part."""
        late, _ = PostgresSequences(self._database).lateness(older_than_seconds=self._overdue_seconds)
        return self._now("overdue", late)

    def connections(self) -> list[SeriesReading]:
        """Connections to the database, this one included."""
        (row,) = self._database.fetch(_SQL["connections"])
        return self._now("database", row["used"])

    def holds_expired(self) -> list[SeriesReading]:
        """Holds that ended by time."""
        return [self._count("expired", self._sum(self._fetch("holds_expired")))]

    # what the statements answer

    @cached_property
    def _posted(self) -> list[Any]:
        return self._fetch("posted")

    @cached_property
    def _sent(self) -> list[Any]:
        return self._fetch("sent")

    @cached_property
    def _ended(self) -> list[Any]:
        return self._fetch("ended")

    @cached_property
    def _decided(self) -> list[Any]:
        return self._fetch("decided", _least_id(self._window.start - _CLOCKS_APART))

    @cached_property
    def _reversed(self) -> list[Any]:
        return self._fetch("reversed")

    @cached_property
    def _stored(self) -> list[Any]:
        return self._fetch("stored", _TIMED_OUT)

    @cached_property
    def _backlog(self) -> tuple[int, float]:
        return PostgresOutbox(self._database).backlog()

    def _fetch(self, name: str, *more: object) -> list[Any]:
        window = self._window
        rows_max = ROWS_MAX if window.buckets <= STATUS_BUCKETS else HISTORY_ROWS_MAX
        return self._database.fetch(_SQL[name], window.end, window.seconds, window.buckets, rows_max, *more)

    # counts of them

    def _postings_made(self) -> _Counts:
        counts = _Counts(complete_from=self._posted[0]["complete_from"])
        counts.by_bucket.update({row["bucket"]: row["posted"] for row in self._posted if row["bucket"] is not None})
        return counts

    def _passed(self, detail_type: str) -> _Counts:
        """Events of a type, in trails and at their ends."""
        return self._sum((*self._sent, *self._ended), lambda row: row["detail_type"] == detail_type)

    def _approved(self) -> _Counts:
        return self._passed("PaymentApproved")

    def _rejected(self, stage: str) -> _Counts:
        return self._sum(self._ended, lambda row: row["detail_type"] == "PaymentRejected" and row["stage"] == stage)

    def _parked(self, *, conflict: bool) -> _Counts:
        return self._sum(
            self._ended,
            lambda row: row["detail_type"] == "DuplicateParked" and (row["reason"] == "CONFLICT") is conflict,
        )

    def _sum(self, rows: Iterable[Any], wanted: Callable[[Any], bool] = lambda _: True) -> _Counts:
        counts = _Counts()
        for row in rows:
            counts.complete_from = _later(counts.complete_from, row["complete_from"])
            if row["bucket"] is not None and wanted(row):
                counts.by_bucket[row["bucket"]] += row["number"]
        return counts

    def _by_party(self, rows: list[Any], column: str) -> list[SeriesReading]:
        parties = sorted({row["party"] for row in rows if row["party"] is not None})
        if not parties:
            return unknown("no message in this time")
        readings = []
        for party in parties:
            counts = _Counts(complete_from=rows[0]["complete_from"])
            counts.by_bucket.update({row["bucket"]: row[column] for row in rows if row["party"] == party})
            readings.append(self._count(party, counts))
        return readings

    def _count(self, label: str, counts: _Counts) -> SeriesReading:
        points = self._window.points(counts.by_bucket, counts.complete_from)
        return SeriesReading(label, points, "" if points else "more happened than is counted here")

    def _now(self, label: str, value: float) -> list[SeriesReading]:
        return [SeriesReading(label, (Point(self._window.end, float(value)),))]


def ledger_now(database: Database) -> datetime:
    """The database's own time, which its rows are stamped with. Raises Retryable when it does not answer."""
    now: datetime = database.fetch(_SQL["clock"])[0]["now"]
    return now


def _later(first: datetime | None, second: datetime | None) -> datetime | None:
    return max(filter(None, (first, second)), default=None)


def _least_id(moment: datetime) -> UUID:
    """The least UUIDv7 of an instant (RFC 9562, section 5.7: milliseconds in the upper 48 bits)."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
