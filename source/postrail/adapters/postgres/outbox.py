"""The transactional outbox: events leave if, and only if, the state they speak of was committed.

A row holds one event, or stands for PaymentPosted of every payment of a batch: those are made from the journal when
they leave, since a million of them would double what a file writes.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.queries import statements
from postrail.contracts.events import Event, PaymentPosted
from postrail.contracts.payment import LegData
from postrail.domain.posting import Direction
from postrail.ports import OutboxRow
from postrail.stages.follow_up import first_event

LEASE_SECONDS = 30
"""How long claimed rows are left alone by others. Publishing a batch takes well under a second."""
BACKLOG_ROWS_MAX: Final = 100_000
"""Rows of the outbox that are counted at most: some tens of milliseconds."""

_SQL = statements("outbox.sql")
_BATCH_PRODUCER: Final = "batch"


def event_json(event: Event[Any]) -> str:
    """An event as it stands on the bus: JSON that the strict contract reads back, absent fields left out."""
    return event.model_dump_json(by_alias=True, exclude_none=True)


def add_to_outbox(
    database: Database, events: Sequence[Event[Any]], *, lease_seconds: int = LEASE_SECONDS
) -> list[OutboxRow]:
    """Insert events in the open transaction; rows in the order of the events.

    The rows are born leased to this caller, who is expected to publish them right after the commit. When it dies
    instead, the lease runs out and `claim_unsent` gives them to the relay.
    """
    if not events:
        return []
    types = [event.data.detail_type() for event in events]
    details = [event_json(event) for event in events]
    payments = [event.metadata.payment_id for event in events]
    rows = database.fetch(_SQL["add"], payments, types, details, lease_seconds)
    return [OutboxRow(row["outbox_id"], type_, detail) for row, type_, detail in zip(rows, types, details, strict=True)]


class PostgresOutbox:
    """Fills `ports.Outbox`. Rows are claimed with SKIP LOCKED: any number of relays may run at once.

    A row that stands for a batch is sent in slices. Which slice was claimed, this object remembers until it is marked:
    claim and mark on the same one.
    """

    def __init__(self, database: Database | str | Callable[[], str], *, lease_seconds: int = LEASE_SECONDS) -> None:
        self._database = Database.of(database)
        self._lease_seconds = lease_seconds
        self._slices: dict[int, int] = {}

    def claim_unsent(self, limit: int) -> list[OutboxRow]:
        """Up to `limit` unsent and unleased events, oldest first, now leased to this caller.

        A row that stands for a batch gives one event for each of its payments, all with the row's id; as many as fit,
        and the rest when these are marked.
        """
        events: list[OutboxRow] = []
        for row in self._database.fetch(_SQL["claim_unsent"], limit, self._lease_seconds):
            if row["batch_id"] is None:
                events.append(OutboxRow(row["outbox_id"], row["detail_type"], row["detail"]))
            else:
                events += self._claim_slice(row, limit - len(events))
        return events

    def _claim_slice(self, row: asyncpg.Record, size: int) -> list[OutboxRow]:
        first = row["sent_position"] + 1
        facts = self._database.fetch(_SQL["read_batch"], row["batch_id"])[0]
        last = min(first + size - 1, facts["transaction_count"])
        payments = self._database.fetch(_SQL["read_payments"], row["batch_id"], first, last)
        self._slices[row["outbox_id"]] = last
        if not payments:
            # No payments in this slice: there is nothing to say of it.
            self.mark_sent([row["outbox_id"]])
        return [
            OutboxRow(row["outbox_id"], row["detail_type"], event_json(posted_event(row["batch_id"], facts, payment)))
            for payment in payments
        ]

    def mark_sent(self, outbox_ids: Sequence[int]) -> None:
        """The bus has taken these: of a row that stands for a batch, all events that were claimed last.

        Marking twice keeps the first time.
        """
        wanted = set(outbox_ids)
        through = {outbox_id: self._slices.pop(outbox_id) for outbox_id in wanted & self._slices.keys()}
        single = sorted(wanted - through.keys())
        if single:
            self._database.execute(_SQL["mark_sent"], single)
        if through:
            self._database.execute(_SQL["mark_slices_sent"], list(through), list(through.values()))

    def backlog(self) -> tuple[int, float]:
        """How many events are unsent, and the age of the oldest in seconds (0.0 when there is none).

        Rows beyond `BACKLOG_ROWS_MAX` are not counted: there are at least so many then.
        """
        row = self._database.fetch_one(_SQL["backlog"], BACKLOG_ROWS_MAX)
        return (row["unsent"], row["oldest_seconds"]) if row else (0, 0.0)


def posted_event(batch_id: int, batch: asyncpg.Record, payment: asyncpg.Record) -> Event[PaymentPosted]:
    """What happened to one payment of a batch. The same payment gives the same event, whenever it is made.

    The trail of a payment that came in a file is kept with its chunk, and does not travel.
    """
    posted_at = batch["recorded_at"]
    legs = zip(payment["account_ids"], payment["amounts_minor"], payment["currencies"], strict=True)
    data = PaymentPosted(
        payment_id=payment["payment_id"],
        sequence_id=payment["sequence_id"],
        transaction_id=payment["transaction_id"],
        payment_key=payment["payment_key"],
        legs=tuple(
            LegData(
                account_id=account_id,
                direction=Direction.DEBIT if amount_minor < 0 else Direction.CREDIT,
                amount_minor=abs(amount_minor),
                currency=currency,
            )
            for account_id, amount_minor, currency in legs
        ),
        posted_at=posted_at,
    )
    return first_event(
        data,
        owner=payment["transaction_id"],
        caused_at=posted_at,
        correlation_id=batch["correlation_id"] or f"batch-{batch_id:010}",
        producer=_BATCH_PRODUCER,
        clock=_At(posted_at),
    )


class _At:
    """A clock that stands still: what happened in a batch happened when it was recorded."""

    def __init__(self, instant: datetime) -> None:
        self._instant = instant

    def now(self) -> datetime:
        return self._instant
