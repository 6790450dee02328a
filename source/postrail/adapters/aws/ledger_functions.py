"""The functions that stand on the ledger: posting, the audit trail, what runs on schedules, the migration."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from aws_lambda_powertools.metrics import MetricUnit

from postrail.adapters.aws.bus import logged_ids
from postrail.adapters.aws.observability import Telemetry, logger
from postrail.adapters.aws.outcomes import outcome_of
from postrail.contracts.events import Delivered, Event
from postrail.domain.anchor import Anchor
from postrail.domain.errors import Retryable
from postrail.ports import (
    AnchorStore,
    Clock,
    EventBus,
    IdSource,
    Ledger,
    Outbox,
    OutboxRow,
    OutcomeLog,
    PostingInputFormat,
)
from postrail.stages.post import PostReport, post

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_RELAY_EVENTS: Final = 500
_SECONDS_MAX: Final = 40.0
"""A scheduled function has 50 seconds, and the schedule comes again every minute."""
_EXPIRE_HOLDS: Final = 1_000
"""At once: their accounts are locked for some tens of milliseconds."""
_WATCH_ROWS: Final = 100
_WATCH_ROUNDS_MAX: Final = 20


class LedgerWithOutbox(Ledger, Protocol):
    """A ledger that hands out the outbox rows of its last committed session."""

    def take_committed(self) -> list[OutboxRow]:
        """The rows, handed out once, leased to the caller."""
        ...


class OverdueSequences(Protocol):
    """Finds the posting sequences that wait too long, and says each once."""

    def alert_overdue(
        self, *, older_than_seconds: int, clock: Clock, ids: IdSource, producer: str, limit: int
    ) -> list[OutboxRow]:
        """Mark up to `limit` of them and put an event for each into the outbox; the rows, leased to the caller."""
        ...

    def lateness(self, *, older_than_seconds: int) -> tuple[int, float]:
        """How many wait for longer than that, and for how many seconds the oldest of all waits."""
        ...


class DueHolds(Protocol):
    """Ends holds that are due; part of `ports.HoldBook`."""

    def expire(self, now: datetime, *, limit: int) -> list[str]:
        """End at most `limit` of those due by `now`; their ids. Holds of busy accounts are left for the next call."""
        ...


class OutboxSender:
    """Carries outbox rows to the bus and marks those that it took. Claims and marks on one outbox."""

    def __init__(self, *, outbox: Outbox, bus: EventBus) -> None:
        self._outbox = outbox
        self._bus = bus

    def send(self, rows: Sequence[OutboxRow]) -> int:
        """Publish the rows; returns how many the bus took. Raises Retryable when they could not be marked.

        What was taken and not marked leaves again later, as the same event with the same id.
        """
        if not rows:
            return 0
        refused = self._bus.publish_raw([(row.detail_type, row.detail) for row in rows])
        # Several events may share a row: it is done when the bus has taken all of them.
        left = {rows[index].outbox_id for index in refused}
        sent = dict.fromkeys(row.outbox_id for row in rows if row.outbox_id not in left)
        self._outbox.mark_sent(list(sent))
        return len(rows) - len(refused)

    def backlog(self) -> tuple[int, float]:
        """How many events the bus has not taken yet, and the age of the oldest in seconds."""
        return self._outbox.backlog()

    def send_unsent(self, limit: int) -> tuple[int, int]:
        """Claim up to `limit` unsent events and send them; how many were claimed, and how many the bus took."""
        rows = self._outbox.claim_unsent(limit)
        return len(rows), self.send(rows)


class PostingStage:
    """The posting engine, and its events on their way as soon as the ledger has committed."""

    def __init__(
        self,
        *,
        ledger: LedgerWithOutbox,
        sender: OutboxSender,
        input_format: PostingInputFormat,
        clock: Clock,
        ids: IdSource,
        telemetry: Telemetry,
    ) -> None:
        self._ledger = ledger
        self._sender = sender
        self._input_format = input_format
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry

    def take(self, events: Sequence[Delivered[Any]]) -> list[list[Event[Any]]]:
        """Take the parts in, in one ledger transaction. Nothing is left to publish: the outbox does it."""
        parts = [delivered.detail for delivered in events]
        report = post(parts, ledger=self._ledger, input_format=self._input_format, clock=self._clock, ids=self._ids)
        self._count(report)
        rows = self._ledger.take_committed()
        try:
            sent = self._sender.send(rows)
        except Retryable as error:
            # What is committed is done: the relay publishes it when the lease of these rows has run out.
            ids = logged_ids(row.detail for row in rows)
            logger.warning("left to the outbox relay", rows=len(rows), error_text=str(error), **ids)
        else:
            # They leave by the outbox, and not with the batch's own events.
            self._telemetry.count("Published", sent)
            if sent < len(rows):
                logger.warning("left to the outbox relay", rows=len(rows) - sent)
        return [[] for _ in events]

    def _count(self, report: PostReport) -> None:
        """What was posted, how long after its authorization it was committed, and what was refused for which reason."""
        if report.posted:
            committed_ms = (self._clock.now() - _EPOCH) // _MILLISECOND
            self._telemetry.count("Posted", len(report.posted))
            for authorized_us in report.authorized_at_us:
                # A terminal's clock may be ahead of ours.
                self._telemetry.measure("PostingLatency", max(0, committed_ms - authorized_us // 1000))
        if report.refused:
            self._telemetry.count("PostingFailed", len(report.refused))
            for result in report.refused:
                if result.reason is not None:
                    self._telemetry.refuse(result.reason.value)


class OutcomeStage:
    """The audit trail of payments that ended outside the ledger."""

    def __init__(self, log: OutcomeLog) -> None:
        self._log = log

    def take(self, events: Sequence[Delivered[Any]]) -> list[list[Event[Any]]]:
        """Record the outcomes, in one call. Nothing follows from them."""
        self._log.record([outcome_of(delivered) for delivered in events])
        return [[] for _ in events]


class OutboxRelay:
    """Publishes what was committed and has not left: the second chance after every crash and every refusal."""

    def __init__(
        self, *, sender: OutboxSender, telemetry: Telemetry, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._sender = sender
        self._telemetry = telemetry
        self._seconds = seconds

    def handle(self, event: Any) -> dict[str, int]:  # noqa: ARG002 - a schedule says nothing
        """Send rounds of events until none is left, the bus refuses some, or it is time; {"sent": n, "left": n}."""
        sent = left = 0
        end_at = self._seconds() + _SECONDS_MAX
        while not left and self._seconds() < end_at:
            claimed, taken = self._sender.send_unsent(_RELAY_EVENTS)
            sent += taken
            left += claimed - taken
            if claimed < _RELAY_EVENTS:
                break
        unsent, oldest_seconds = self._sender.backlog()
        self._telemetry.measure("OutboxBacklog", unsent, MetricUnit.Count)
        self._telemetry.measure("OutboxOldestSeconds", oldest_seconds, MetricUnit.Seconds)
        self._telemetry.batch(received=sent + left, published=sent, refused=0, failed=left)
        return {"sent": sent, "left": left}


class SequenceWatch:
    """Says of each posting sequence that waits too long that it does, once."""

    def __init__(
        self,
        *,
        sequences: OverdueSequences,
        sender: OutboxSender,
        older_than_seconds: int,
        clock: Clock,
        ids: IdSource,
        telemetry: Telemetry,
    ) -> None:
        self._sequences = sequences
        self._sender = sender
        self._older_than_seconds = older_than_seconds
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry

    def handle(self, event: Any) -> dict[str, int]:  # noqa: ARG002 - a schedule says nothing
        """Alert all overdue sequences; {"overdue": n, "sent": n}. What is not sent stays in the outbox."""
        overdue = sent = 0
        for _ in range(_WATCH_ROUNDS_MAX):
            rows = self._sequences.alert_overdue(
                older_than_seconds=self._older_than_seconds,
                clock=self._clock,
                ids=self._ids,
                producer="watch_sequences",
                limit=_WATCH_ROWS,
            )
            overdue += len(rows)
            sent += self._sender.send(rows)
            if len(rows) < _WATCH_ROWS:
                break
        late, oldest_seconds = self._sequences.lateness(older_than_seconds=self._older_than_seconds)
        self._telemetry.measure("SequencesOverdue", late, MetricUnit.Count)
        self._telemetry.measure("OldestSequenceSeconds", oldest_seconds, MetricUnit.Seconds)
        self._telemetry.batch(received=overdue, published=sent, refused=0, failed=overdue - sent)
        return {"overdue": overdue, "sent": sent}


class HoldSweep:
    """Ends the holds that are due, set by set."""

    def __init__(
        self,
        *,
        holds: DueHolds,
        clock: Clock,
        telemetry: Telemetry,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._holds = holds
        self._clock = clock
        self._telemetry = telemetry
        self._seconds = seconds

    def handle(self, event: Any) -> dict[str, int]:  # noqa: ARG002 - a schedule says nothing
        """End sets of holds until none is due and free, or it is time; {"expired": n, "cut_short": 0 or 1}.

        Each set commits by itself. After a sweep cut short the next one goes on. Raises Retryable.
        """
        now, end_at = self._clock.now(), self._seconds() + _SECONDS_MAX
        expired = cut_short = 0
        while some := len(self._holds.expire(now, limit=_EXPIRE_HOLDS)):
            expired += some
            if self._seconds() >= end_at:
                cut_short = 1
                break
        self._telemetry.counts("sweep", holds_expired=expired, hold_sweeps_cut_short=cut_short)
        return {"expired": expired, "cut_short": cut_short}


class LedgerAnchoring:
    """Takes the ends of the hash chains and gives them to a store outside the ledger."""

    def __init__(self, *, take: Callable[[], Anchor], store: AnchorStore, telemetry: Telemetry) -> None:
        self._take = take
        self._store = store
        self._telemetry = telemetry

    def handle(self, event: Any) -> dict[str, Any]:  # noqa: ARG002 - a schedule says nothing
        """Keep one anchor; {"place": its URI, "root": its root hash, "batches": how many stand under it}.

        Raises Retryable or AnchorUnusable: the invocation failed, and Lambda tries again.
        """
        anchor = self._take()
        place = self._store.keep(anchor)
        batches = sum(head.lane_no for head in anchor.heads)
        # The root in the log is one more copy of the proof, in another hand.
        logger.info("anchored", place=place, root=anchor.root)
        self._telemetry.counts("anchor", anchors_kept=1, batches_anchored=batches)
        return {"place": place, "root": anchor.root, "batches": batches}


class LedgerMigration:
    """Brings the ledger's schema up to date, and then the role that uses it, where that is not the owner's own."""

    def __init__(
        self, *, migrate: Callable[[], list[str]], telemetry: Telemetry, ensure_login: Callable[[], None] | None = None
    ) -> None:
        self._migrate = migrate
        self._telemetry = telemetry
        self._ensure_login = ensure_login

    def handle(self, event: Any) -> dict[str, list[str]]:  # noqa: ARG002 - there is nothing to choose
        """Apply what is missing; {"applied": [names]}. Raises Retryable when the database refuses."""
        applied = self._migrate()
        logger.info("migrated", applied=applied)
        if self._ensure_login is not None:
            self._ensure_login()
        self._telemetry.batch(received=len(applied), published=0, refused=0, failed=0)
        return {"applied": applied}
