"""`ports.Ledger` on PostgreSQL: a session is a transaction, and each step of it is one set-wise call.

The law of the ledger stands in the database (migrations 0002, 0005, 0006). This module carries batches in and
verdicts out.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import asyncpg

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.outbox import LEASE_SECONDS, add_to_outbox, event_json
from postrail.adapters.postgres.queries import statements
from postrail.contracts.events import Event, PostingRequested
from postrail.domain.errors import Permanent, ReasonCode
from postrail.domain.posting import check_balanced
from postrail.ports import CompleteSequence, OutboxRow, PostingOrder, PostResult, PostStatus

BIGINT_MAX = 2**63 - 1
"""Largest amount of one leg, in minor units: what PostgreSQL keeps in eight bytes."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SQL = statements("ledger.sql")
_ORDER_COLUMNS = 16
_LEG_COLUMNS = 4
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

    def post(self, orders: Sequence[PostingOrder]) -> list[PostResult]:
        """Post each order whole or not at all; results align with orders.

        The reasons to refuse, and which comes first when several hold, stand in migration 0006. Of a refusal because
        the payment key is in the journal already, `transaction_id` names the transaction that stands there. Orders
        that share a payment key or a sequence are posted one after the other: the first wins.
        """
        results: dict[int, PostResult] = {}
        for wave in _waves(orders):
            rows = self._database.fetch(_SQL["post"], *self._order_columns([orders[place] for place in wave]))
            for place, row in zip(wave, rows, strict=True):
                results[place] = _result(orders[place], row)
        return [results[place] for place in range(len(orders))]

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

    def _order_columns(self, orders: Sequence[PostingOrder]) -> list[list[object]]:
        columns = _Columns()
        for order in orders:
            columns.add(order, with_booking=order.posting.sequence_id not in self._assembled)
        return columns.transposed()


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


def _waves(orders: Sequence[PostingOrder]) -> list[list[int]]:
    """Places of orders in groups that repeat no payment key and no sequence; later ones of a kind in later groups."""
    waves: list[list[int]] = []
    taken: list[set[str]] = []
    for place, order in enumerate(orders):
        names = {f"key {order.posting.payment_key}", f"sequence {order.posting.sequence_id}"}
        last = max((number for number, wave in enumerate(taken) if wave & names), default=-1)
        if last + 1 == len(waves):
            waves.append([])
            taken.append(set())
        waves[last + 1].append(place)
        taken[last + 1] |= names
    return waves


def _result(order: PostingOrder, row: asyncpg.Record) -> PostResult:
    if row["reason"] is None:
        return PostResult(order.posting.sequence_id, PostStatus.POSTED, row["transaction_id"])
    return PostResult(
        order.posting.sequence_id,
        PostStatus.REFUSED,
        row["transaction_id"],
        ReasonCode(row["reason"]),
        row["detail"],
    )


def _own_refusal(order: PostingOrder) -> Permanent | None:
    """What is wrong with the legs themselves, before the database is asked."""
    try:
        check_balanced(order.posting.legs)
    except Permanent as refusal:
        return refusal
    if any(leg.amount_minor > BIGINT_MAX for leg in order.posting.legs):
        return Permanent(ReasonCode.AMOUNT_OVERFLOW, "the amount of a leg does not fit the ledger")
    return None


class _Columns:
    """Orders and their legs as the parallel arrays that `ledger.post` takes."""

    def __init__(self) -> None:
        self._orders: list[tuple[object, ...]] = []
        self._legs: list[tuple[object, ...]] = []

    def add(self, order: PostingOrder, *, with_booking: bool) -> None:
        """Add one order; its booking travels only when the ledger has not kept it as part 1."""
        posting, booking = order.posting, order.booking
        refusal = _own_refusal(order)
        self._orders.append(
            (
                posting.transaction_id,
                posting.sequence_id,
                posting.payment_id,
                posting.payment_key,
                posting.fingerprint,
                posting.description,
                _EPOCH + timedelta(microseconds=posting.occurred_at_us),
                len(posting.legs),
                booking.metadata.correlation_id,
                booking.data.total,
                booking.metadata.event_id,
                event_json(booking) if with_booking else None,
                order.posting_input_format,
                order.posting_input,
                refusal.reason.value if refusal else None,
                refusal.detail if refusal else None,
            )
        )
        if refusal is None:
            number = len(self._orders)
            self._legs += [
                (number, leg.account_id, leg.direction.signed(leg.amount_minor), leg.currency) for leg in posting.legs
            ]

    def transposed(self) -> list[list[object]]:
        """All columns, those of the orders first."""
        return [
            *([row[column] for row in self._orders] for column in range(_ORDER_COLUMNS)),
            *([row[column] for row in self._legs] for column in range(_LEG_COLUMNS)),
        ]
