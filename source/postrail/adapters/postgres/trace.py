"""Everything the database knows of one payment, for `postrail trace`."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from postrail.adapters.postgres.batch_trace import BatchRow, postings_without_sequence, row_of_outcome
from postrail.adapters.postgres.connection import Database, Isolation
from postrail.adapters.postgres.queries import statements
from postrail.adapters.postgres.switch_trace import SwitchTrace, trace_switch

_SQL = statements("trace.sql")


@dataclass(frozen=True, slots=True)
class PartTrace:
    """One part of a posting sequence, as it was received. `event` is the detail of its PostingRequested."""

    index: int
    event_id: str
    received_at: datetime
    event: dict[str, Any]
    contradicts: bool


@dataclass(frozen=True, slots=True)
class LegTrace:
    """One entry. Amounts and balances in minor units of `currency`, credit positive.

    `balance_after_minor` is the account's balance once this entry was in; `balance_now_minor` is the present one.
    """

    leg_no: int
    account_id: str
    account_name: str
    amount_minor: int
    currency: str
    balance_after_minor: int
    balance_now_minor: int


@dataclass(frozen=True, slots=True)
class TransactionTrace:
    """The journal transaction of a posted payment. `committed_at` is None unless the server tracks commits."""

    transaction_id: str
    payment_key: str
    description: str
    occurred_at: datetime
    recorded_at: datetime
    committed_at: datetime | None
    legs: tuple[LegTrace, ...]
    posting_input_format: str | None
    posting_input: bytes | None


@dataclass(frozen=True, slots=True)
class SequenceTrace:
    """A posting sequence of the payment: its state, its parts by index, and its transaction when it was posted.

    A payment of a batch has no parts: all of it came in one `row` of a file.
    """

    sequence_id: str
    correlation_id: str
    payment_key: str
    fingerprint: str
    status: str
    reason: str | None
    detail: str | None
    total: int
    first_part_at: datetime
    overdue_alerted_at: datetime | None
    closed_at: datetime | None
    parts: tuple[PartTrace, ...]
    transaction: TransactionTrace | None
    row: BatchRow | None = None

    @property
    def booking(self) -> dict[str, Any] | None:
        """The approved payment that part 1 or the row carried: message, decision. None while part 1 is missing."""
        if self.row is not None:
            return self.row.document
        data = self._first_part().get("data", {})
        return data.get("booking") if isinstance(data, dict) else None

    @property
    def decision(self) -> dict[str, Any] | None:
        """What the rules decided, with version, matches and inputs."""
        booking = self.booking
        return booking.get("decision") if booking else None

    @property
    def trail(self) -> list[dict[str, Any]]:
        """The events before the posting requests, oldest first: type, event_id, at."""
        metadata = self._first_part().get("metadata", {})
        return list(metadata.get("trail", [])) if isinstance(metadata, dict) else []

    def _first_part(self) -> dict[str, Any]:
        return next((part.event for part in self.parts if part.index == 1 and not part.contradicts), {})


@dataclass(frozen=True, slots=True)
class OutcomeTrace:
    """An event of the payment's that the audit trail keeps: how it ended outside the ledger, or was reversed."""

    event_id: str
    detail_type: str
    occurred_at: datetime
    recorded_at: datetime
    reason_code: str | None
    event: dict[str, Any]
    row: BatchRow | None = None


@dataclass(frozen=True, slots=True)
class OutboxTrace:
    """An event about the payment in the outbox; `sent_at` is None until the bus has taken it."""

    outbox_id: int
    detail_type: str
    created_at: datetime
    sent_at: datetime | None
    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PaymentTrace:
    """All of it, each list by time. `switch` is what the issuing bank knows, and what took a posting back."""

    payment_id: str
    sequences: tuple[SequenceTrace, ...]
    outcomes: tuple[OutcomeTrace, ...]
    outbox: tuple[OutboxTrace, ...]
    switch: SwitchTrace = field(default_factory=SwitchTrace)


def trace(database: Database | str | Callable[[], str], payment_id: str) -> PaymentTrace | None:
    """What the database knows of a payment at one instant, or None when it knows nothing. Raises Retryable.

    Balances after an entry are counted back from the present one, which takes time in proportion to the entries that
    came since: milliseconds for a customer, more for an old entry of a settlement account.
    """
    source = Database.of(database)
    try:
        with source.transaction(Isolation.SNAPSHOT):
            found = _trace(source, payment_id)
    finally:
        if source is not database:
            source.close()
    return found if found.sequences or found.outcomes or found.outbox or found.switch else None


def _trace(database: Database, payment_id: str) -> PaymentTrace:
    parts = database.fetch(_SQL["parts"], payment_id)
    legs = database.fetch(_SQL["legs"], payment_id)
    sequences = [_sequence(row, parts, legs) for row in database.fetch(_SQL["sequences"], payment_id)]
    of_batches = [_batch_sequence(row, found, legs) for row, found in postings_without_sequence(database, payment_id)]
    return PaymentTrace(
        payment_id=payment_id,
        sequences=(*of_batches, *sequences),
        outcomes=tuple(_outcome(database, payment_id, row) for row in database.fetch(_SQL["outcomes"], payment_id)),
        outbox=tuple(_outbox_row(row) for row in database.fetch(_SQL["outbox"], payment_id)),
        switch=trace_switch(database, payment_id),
    )


def _sequence(row: asyncpg.Record, parts: Sequence[asyncpg.Record], legs: Sequence[asyncpg.Record]) -> SequenceTrace:
    return SequenceTrace(
        sequence_id=row["sequence_id"],
        correlation_id=row["correlation_id"],
        payment_key=row["payment_key"],
        fingerprint=row["fingerprint"],
        status=row["status"],
        reason=row["reason"],
        detail=row["detail"],
        total=row["total"],
        first_part_at=row["first_part_at"],
        overdue_alerted_at=row["overdue_alerted_at"],
        closed_at=row["closed_at"],
        parts=tuple(_part(part) for part in parts if part["sequence_id"] == row["sequence_id"]),
        transaction=_transaction(dict(row), legs) if row["transaction_id"] is not None else None,
    )


def _batch_sequence(row: asyncpg.Record, found: BatchRow | None, legs: Sequence[asyncpg.Record]) -> SequenceTrace:
    document = found.document if found else {}
    posting_input = document.get("posting_input")
    content = posting_input if isinstance(posting_input, str) else json.dumps(posting_input, separators=(",", ":"))
    return SequenceTrace(
        sequence_id=row["sequence_id"],
        correlation_id=found.run_id if found else row["correlation_id"] or "",
        payment_key=row["payment_key"],
        fingerprint=row["fingerprint"],
        status="posted",
        reason=None,
        detail=None,
        total=0,
        first_part_at=row["recorded_at"],
        overdue_alerted_at=None,
        closed_at=row["recorded_at"],
        parts=(),
        transaction=_transaction(
            {
                **dict(row),
                "posting_input_format": document.get("posting_input_format"),
                "posting_input": content.encode() if posting_input is not None else None,
            },
            legs,
        ),
        row=found,
    )


def _part(row: asyncpg.Record) -> PartTrace:
    return PartTrace(
        row["part_index"], row["event_id"], row["received_at"], json.loads(row["event"]), row["contradicts"]
    )


def _transaction(row: Mapping[str, Any], legs: Sequence[asyncpg.Record]) -> TransactionTrace:
    return TransactionTrace(
        transaction_id=row["transaction_id"],
        payment_key=row["posted_key"],
        description=row["description"],
        occurred_at=row["occurred_at"],
        recorded_at=row["recorded_at"],
        committed_at=row["committed_at"],
        legs=tuple(
            LegTrace(
                leg_no=leg["leg_no"],
                account_id=leg["account_id"],
                account_name=leg["account_name"],
                amount_minor=leg["amount_minor"],
                currency=leg["currency"],
                balance_after_minor=leg["balance_after_minor"],
                balance_now_minor=leg["balance_now_minor"],
            )
            for leg in legs
            if leg["transaction_id"] == row["transaction_id"]
        ),
        posting_input_format=row["posting_input_format"],
        posting_input=row["posting_input"],
    )


def _outcome(database: Database, payment_id: str, row: asyncpg.Record) -> OutcomeTrace:
    event = json.loads(row["event"])
    found = row_of_outcome(database, payment_id, event)
    if found is not None:
        # The event points to the row's document instead of holding it a second time.
        event["data"] = found.document | event["data"]
    return OutcomeTrace(
        event_id=row["event_id"],
        detail_type=row["detail_type"],
        occurred_at=row["occurred_at"],
        recorded_at=row["recorded_at"],
        reason_code=row["reason_code"],
        event=event,
        row=found,
    )


def _outbox_row(row: asyncpg.Record) -> OutboxTrace:
    return OutboxTrace(
        row["outbox_id"], row["detail_type"], row["created_at"], row["sent_at"], json.loads(row["detail"])
    )
