"""The hash chain, computed from the words of docs/ledger.md: they suffice to check the ledger without its code."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from struct import pack
from typing import Any
from uuid import UUID

from tests.integration.ledger.support import (
    ADA,
    CLOCK,
    IDS,
    MARKUP,
    SETTLEMENT,
    credit,
    debit,
    make_order,
    open_accounts,
    post_orders,
    with_posting,
)

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.reversals import PostgresReversals

MILLENNIUM = datetime(2000, 1, 1, tzinfo=UTC)


def _microseconds(instant: datetime) -> int:
    return (instant - MILLENNIUM) // timedelta(microseconds=1)


KINDS: dict[str, tuple[int, Callable[[Any], bytes]]] = {
    "int2": (21, lambda value: pack(">h", value)),
    "int4": (23, lambda value: pack(">i", value)),
    "int8": (20, lambda value: pack(">q", value)),
    "text": (25, lambda value: value.encode()),
    "uuid": (2950, lambda value: UUID(str(value)).bytes),
    "timestamptz": (1184, lambda value: pack(">q", _microseconds(value))),
}
TRANSACTION = {
    "position": "int4",
    "leg_count": "int2",
    "kind": "text",
    "occurred_at": "timestamptz",
    "transaction_id": "uuid",
    "payment_id": "uuid",
    "sequence_id": "uuid",
    "reverses": "uuid",
    "fingerprint": "uuid",
    "payment_key": "text",
    "description": "text",
}
ENTRY = {"position": "int4", "leg_no": "int2", "account_no": "int4", "currency_no": "int2", "amount_minor": "int8"}


def _array(kind: str, values: Sequence[Any]) -> bytes:
    oid, encode = KINDS[kind]
    parts = [pack(">iiiii", 1, int(None in values), oid, len(values), 1)]
    for value in values:
        encoded = b"" if value is None else encode(value)
        parts.append(pack(">i", -1 if value is None else len(encoded)) + encoded)
    return b"".join(parts)


def _content_hash(database: Database, batch_id: int) -> bytes:
    transactions = database.fetch(
        "SELECT * FROM ledger.journal_transactions WHERE batch_id = $1 ORDER BY position", batch_id
    )
    entries = database.fetch("SELECT * FROM ledger.entries WHERE batch_id = $1 ORDER BY position, leg_no", batch_id)
    arrays = [
        _array(kind, [row[name] for row in rows])
        for rows, columns in ((transactions, TRANSACTION), (entries, ENTRY))
        for name, kind in columns.items()
    ]
    assert len(arrays) == 16
    return sha256(b"".join(arrays)).digest()


def test_every_link_can_be_computed_from_the_rows_as_the_guide_says(database: Database, ledger: PostgresLedger) -> None:
    """Openings, payments of one leg pair and of several, an accent, a reversal: nulls and texts of all kinds."""
    open_accounts(database)
    split = make_order(debit(ADA, 100), credit(SETTLEMENT, 97), credit(MARKUP, 3))
    named = with_posting(replace(make_order(), booking=None), description="Café Müller, 東京")
    results = post_orders(ledger, split, named)
    PostgresReversals(database).reverse([results[0].transaction_id], reason="by hand", occurred_at=CLOCK.now(), ids=IDS)
    batches = database.fetch("SELECT * FROM ledger.batches ORDER BY lane, lane_no")
    assert [batch["transaction_count"] for batch in batches] == [2, 2, 1]
    heads: dict[int, tuple[int, bytes]] = {}
    for batch in batches:
        lane = batch["lane"]
        number, previous = heads.get(lane, (0, sha256(f"postrail ledger, lane {lane}".encode()).digest()))
        content = _content_hash(database, batch["batch_id"])
        link = pack(">qhqi", batch["batch_id"], lane, number + 1, batch["transaction_count"])
        heads[lane] = (
            number + 1,
            sha256(previous + link + pack(">q", _microseconds(batch["recorded_at"])) + content).digest(),
        )
        assert (batch["lane_no"], batch["previous_hash"]) == (number + 1, previous)
        assert (batch["content_hash"], batch["hash"]) == (content, heads[lane][1])
    for lane, (number, head) in heads.items():
        (row,) = database.fetch("SELECT last_no, head_hash FROM ledger.lanes WHERE lane = $1", lane)
        assert tuple(row) == (number, head)
