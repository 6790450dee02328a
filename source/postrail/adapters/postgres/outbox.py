"""The transactional outbox: events leave if, and only if, the state they speak of was committed."""

from collections.abc import Callable, Sequence
from typing import Any

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.queries import statements
from postrail.contracts.events import Event
from postrail.ports import OutboxRow

LEASE_SECONDS = 30
"""How long claimed rows are left alone by others. Publishing a batch takes well under a second."""

_SQL = statements("outbox.sql")


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
    """Fills `ports.Outbox`. Rows are claimed with SKIP LOCKED: any number of relays may run at once."""

    def __init__(self, database: Database | str | Callable[[], str], *, lease_seconds: int = LEASE_SECONDS) -> None:
        self._database = Database.of(database)
        self._lease_seconds = lease_seconds

    def claim_unsent(self, limit: int) -> list[OutboxRow]:
        """Up to `limit` unsent and unleased rows, oldest first, now leased to this caller."""
        rows = self._database.fetch(_SQL["claim_unsent"], limit, self._lease_seconds)
        return [OutboxRow(row["outbox_id"], row["detail_type"], row["detail"]) for row in rows]

    def mark_sent(self, outbox_ids: Sequence[int]) -> None:
        """The bus has taken these. Marking twice keeps the first time."""
        if outbox_ids:
            self._database.execute(_SQL["mark_sent"], list(outbox_ids))

    def backlog(self) -> tuple[int, float]:
        """How many rows are unsent, and the age of the oldest in seconds (0.0 when there is none)."""
        row = self._database.fetch_one(_SQL["backlog"])
        return (row["unsent"], row["oldest_seconds"]) if row else (0, 0.0)
