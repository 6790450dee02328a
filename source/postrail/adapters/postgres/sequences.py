"""Posting sequences that wait for parts: shown, and alerted once when they wait too long."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.outbox import LEASE_SECONDS, add_to_outbox
from postrail.adapters.postgres.queries import statements
from postrail.contracts.envelope import next_event
from postrail.contracts.events import Event, Metadata, PostingRequested, PostingSequenceOverdue
from postrail.domain.posting import missing_indexes
from postrail.ports import Clock, IdSource, OutboxRow

LATE_ROWS_MAX = 10_000
"""Waiting sequences that are counted at most."""

_SQL = statements("sequences.sql")


@dataclass(frozen=True, slots=True)
class WaitingSequence:
    """A posting sequence whose parts are not all here."""

    sequence_id: str
    payment_id: str
    correlation_id: str
    total: int
    received: tuple[int, ...]
    first_part_at: datetime
    waiting_seconds: int
    alerted_at: datetime | None

    @property
    def missing(self) -> tuple[int, ...]:
        """The indexes that have not arrived."""
        return tuple(missing_indexes(self.received, self.total))


class PostgresSequences:
    """Watches the posting sequences."""

    def __init__(
        self, database: Database | str | Callable[[], str], *, outbox_lease_seconds: int = LEASE_SECONDS
    ) -> None:
        self._database = Database.of(database)
        self._outbox_lease_seconds = outbox_lease_seconds

    def list_waiting(self, *, older_than_seconds: int = 0, limit: int = 100) -> list[WaitingSequence]:
        """Sequences that wait for longer than `older_than_seconds`, oldest first, alerted or not."""
        return [_waiting(row) for row in self._database.fetch(_SQL["list_waiting"], older_than_seconds, limit)]

    def alert_overdue(
        self, *, older_than_seconds: int, clock: Clock, ids: IdSource, producer: str, limit: int = 100
    ) -> list[OutboxRow]:
        """Mark overdue sequences as alerted and put a PostingSequenceOverdue for each into the outbox, together.

        Every sequence is alerted once, by one of any number of watchers. Returns the rows, leased to the caller for
        publishing; fewer than `limit` means that none is left.
        """
        with self._database.transaction():
            rows = self._database.fetch(_SQL["mark_overdue"], older_than_seconds, limit)
            events = [_overdue(row, clock, ids, producer) for row in rows]
            return add_to_outbox(self._database, events, lease_seconds=self._outbox_lease_seconds)

    def lateness(self, *, older_than_seconds: int) -> tuple[int, float]:
        """How many sequences wait for longer than that, and how long the oldest of all waits, in seconds (0.0: none).

        Counted up to `LATE_ROWS_MAX`; there are at least so many then.
        """
        row = self._database.fetch_one(_SQL["lateness"], older_than_seconds, LATE_ROWS_MAX)
        return (row["late"], row["oldest_seconds"]) if row else (0, 0.0)


def _waiting(row: asyncpg.Record) -> WaitingSequence:
    return WaitingSequence(
        sequence_id=row["sequence_id"],
        payment_id=row["payment_id"],
        correlation_id=row["correlation_id"],
        total=row["total"],
        received=tuple(row["received"]),
        first_part_at=row["first_part_at"],
        waiting_seconds=row["waiting_seconds"],
        alerted_at=row["overdue_alerted_at"],
    )


def _overdue(row: asyncpg.Record, clock: Clock, ids: IdSource, producer: str) -> Event[PostingSequenceOverdue]:
    waiting = _waiting(row)
    data = PostingSequenceOverdue(
        payment_id=waiting.payment_id,
        sequence_id=waiting.sequence_id,
        missing=waiting.missing,
        total=waiting.total,
        waiting_seconds=waiting.waiting_seconds,
    )
    cause = Metadata.model_validate_json(row["last_metadata"])
    return next_event(cause, PostingRequested.detail_type(), data, producer=producer, clock=clock, ids=ids)
