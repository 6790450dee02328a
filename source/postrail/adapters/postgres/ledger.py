"""`ports.Ledger` on PostgreSQL: a session is a transaction, and each step of it is one set-wise call.

The law of the ledger stands in the database (migrations 0005, 0008 to 0015, 0023 and 0024). This module carries batches
in and verdicts out.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import asyncpg

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.orders import posting_columns, waves
from postrail.adapters.postgres.outbox import LEASE_SECONDS, add_to_outbox, event_json
from postrail.adapters.postgres.queries import statements
from postrail.contracts.events import Event, PostingRequested
from postrail.domain.errors import ReasonCode
from postrail.ports import Announcement, CompleteSequence, OutboxRow, PostingOrder, PostResult, PostStatus

_SQL = statements("ledger.sql")
_PartEvent = Event[PostingRequested]


class PostgresLedger:
    """Fills `ports.Ledger`. One session at a time; threads take a ledger each."""

    def __init__(
        self, database: Database | str | Callable[[], str], *, outbox_lease_seconds: int = LEASE_SECONDS
    ) -> None:
        self._database = Database.of(database)
        self._outbox_lease_seconds = outbox_lease_seconds
        self._committed: list[OutboxRow] = []

    @contextmanager
    def session(self) -> Iterator["PostgresLedgerSession"]:
        """One transaction: commits at the end of the block, and rolls back when an exception leaves it.

        Raises Retryable for a deadlock, a timeout, a cut connection; the caller may run the whole block again. When
        the connection is cut during the commit itself, it may have happened: run again, the session finds the
        sequences posted and posts nothing twice.
        """
        self._committed = []
        session = PostgresLedgerSession(self._database, self._outbox_lease_seconds)
        with self._database.transaction():
            yield session
        self._committed = session.outbox_rows

    def take_committed(self) -> list[OutboxRow]:
        """The outbox rows of the last committed session, handed out once, leased to the caller for publishing."""
        rows, self._committed = self._committed, []
        return rows

    def close(self) -> None:
        """Close the connection; the next session opens another."""
        self._database.close()


class PostgresLedgerSession:
    """Fills `ports.LedgerSession` on the open transaction of a database."""

    def __init__(self, database: Database, outbox_lease_seconds: int) -> None:
        self._database = database
        self._outbox_lease_seconds = outbox_lease_seconds
        self._brought: dict[tuple[str, int, str], _PartEvent] = {}
        self._assembled: set[str] = set()
        self._inconsistent: list[_PartEvent] = []
        self.outbox_rows: list[OutboxRow] = []
        self.batch_ids: list[int] = []
        """The batches that this session wrote: one for each call that posted anything."""

    def receive_parts(self, parts: Sequence[_PartEvent]) -> list[CompleteSequence]:
        """Keep the parts and return the sequences that are complete now; see the port.

        Content is what moves money: legs, kind, total, payment key and fingerprint. A part that differs in its
        booking's time of decision alone is a repetition. Contradicting parts are kept in `audit.contradicting_parts`.
        """
        if not parts:
            return []
        for part in parts:
            self._brought.setdefault((part.data.sequence_id, part.data.index, part.metadata.event_id), part)
        rows = self._database.fetch(_SQL["receive_parts"], *_part_columns(parts))
        self._inconsistent += [parts[row["batch_no"] - 1] for row in rows if row["verdict"] == "inconsistent"]
        complete = [row for row in rows if row["verdict"] == "complete"]
        sequences = [
            CompleteSequence(sequence_id, tuple(map(self._read_part, group)))
            for sequence_id, group in groupby(complete, key=lambda row: str(row["sequence_id"]))
        ]
        self._assembled.update(sequence.sequence_id for sequence in sequences)
        return sequences

    def inconsistent(self) -> list[_PartEvent]:
        """For each sequence that this session refused as inconsistent, the part that showed it."""
        return list(self._inconsistent)

    def post(
        self, orders: Sequence[PostingOrder], *, announce: Announcement | None = None, kind: str = "payment"
    ) -> list[PostResult]:
        """Post each order whole or not at all; results align with orders.

        The reasons to refuse, and which comes first when several hold, stand in migration 0024. Of a refusal because
        the payment key is in the journal already, `transaction_id` names the transaction that stands there. Orders
        that share a payment key or a sequence are posted one after the other: the first wins. Orders with a booking
        come from the event road: their sequences are closed, and their posting inputs kept, in this transaction.
        """
        results: list[PostResult | None] = [None] * len(orders)
        for wave in waves(orders):
            chosen = [orders[place] for place in wave]
            for place, result in zip(wave, self._post_wave(chosen, announce, kind), strict=True):
                results[place] = result
        return [result for result in results if result is not None]

    def _post_wave(self, orders: Sequence[PostingOrder], announce: Announcement | None, kind: str) -> list[PostResult]:
        with_booking = [order for order in orders if order.booking is not None]
        refusals = self._claim_sequences(orders) if with_booking else {}
        correlation_id = announce.correlation_id if announce else _common_correlation(with_booking)
        rows = self._database.fetch(_SQL["post"], *posting_columns(orders, refusals, kind, correlation_id))
        refused = {row["order_no"]: row for row in rows if row["order_no"] is not None}
        results = [
            _refused(order, refused[number]) if number in refused else _posted(order)
            for number, order in enumerate(orders, start=1)
        ]
        if with_booking:
            self._close_sequences(orders, results)
        batch_id = next((row["batch_id"] for row in rows if row["batch_id"] is not None), None)
        if batch_id is not None:
            self.batch_ids.append(batch_id)
            if announce is not None:
                self._database.execute(_SQL["announce"], batch_id)
        return results

    def refuse(self, sequence_id: str, reason: ReasonCode, detail: str) -> None:
        """Close a waiting sequence without posting it. One that is closed already stays as it is."""
        self._database.execute(_SQL["refuse"], sequence_id, reason.value, detail)

    def enqueue(self, events: Sequence[Event[Any]]) -> None:
        """Put events into the outbox; they leave if, and only if, this transaction commits."""
        self.outbox_rows += add_to_outbox(self._database, events, lease_seconds=self._outbox_lease_seconds)

    def _read_part(self, row: asyncpg.Record) -> _PartEvent:
        if row["event"] is None:
            return self._brought[row["sequence_id"], row["part_index"], row["event_id"]]
        return _PartEvent.model_validate_json(row["event"])

    def _claim_sequences(self, orders: Sequence[PostingOrder]) -> dict[int, tuple[str, str]]:
        """Lock the sequences of the orders; the reasons of those that must not be posted, by order number from 1."""
        numbers = [number for number, order in enumerate(orders, start=1) if order.booking is not None]
        columns = [
            (
                order.posting.sequence_id,
                order.posting.payment_id,
                order.posting.payment_key,
                order.posting.fingerprint,
                order.booking.data.total,
                order.booking.metadata.correlation_id,
            )
            for order in orders
            if order.booking is not None
        ]
        rows = self._database.fetch(_SQL["claim_sequences"], *map(list, zip(*columns, strict=True)))
        return {numbers[row["order_no"] - 1]: (row["reason"], row["detail"]) for row in rows}

    def _close_sequences(self, orders: Sequence[PostingOrder], results: Sequence[PostResult]) -> None:
        """Keep bookings and posting inputs, and close the sequences as their orders came out."""
        columns = [
            (
                order.posting.sequence_id,
                result.reason.value if result.reason else None,
                result.detail or None,
                result.transaction_id[4:],
                order.posting_input_format,
                order.posting_input,
                order.booking.metadata.event_id,
                # A booking that came in as part 1 is kept already.
                None if order.posting.sequence_id in self._assembled else event_json(order.booking),
            )
            for order, result in zip(orders, results, strict=True)
            if order.booking is not None
        ]
        self._database.execute(_SQL["close_sequences"], *map(list, zip(*columns, strict=True)))


def _part_columns(parts: Sequence[_PartEvent]) -> list[list[object]]:
    rows = [
        (
            part.data.sequence_id,
            part.data.index,
            part.data.total,
            part.data.payment_id,
            part.data.payment_key,
            part.data.fingerprint,
            part.metadata.correlation_id,
            part.metadata.event_id,
            event_json(part),
        )
        for part in parts
    ]
    return [list(column) for column in zip(*rows, strict=True)]


def _common_correlation(orders: Sequence[PostingOrder]) -> str | None:
    """The correlation id that all orders of a batch share, if they do: it is noted with the batch."""
    found = {order.booking.metadata.correlation_id for order in orders if order.booking is not None}
    return found.pop() if len(found) == 1 else None


def _posted(order: PostingOrder) -> PostResult:
    return PostResult(order.posting.sequence_id, PostStatus.POSTED, order.posting.transaction_id)


def _refused(order: PostingOrder, row: asyncpg.Record) -> PostResult:
    standing = row["standing"]
    return PostResult(
        order.posting.sequence_id,
        PostStatus.REFUSED,
        order.posting.transaction_id if standing is None else f"txn_{standing.hex}",
        ReasonCode(row["reason"]),
        row["detail"],
    )
