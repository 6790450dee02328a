"""What the audit trail of batches says of one payment: its document lies in the chunk that brought it."""

from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from postrail.adapters.postgres.batch_runs import PostgresBatchRuns, documents_of_payment
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.queries import statements
from postrail.batch.chunks import ChunkKey
from postrail.batch.documents import find_document

_SQL: Final = statements("batch_runs.sql")


@dataclass(frozen=True, slots=True)
class BatchRow:
    """The row of a file that a payment came from, and all that is kept of it (`batch.documents`)."""

    run_id: str
    source: str
    line: int
    document: dict[str, Any]


def postings_without_sequence(database: Database, payment_id: str) -> list[tuple[asyncpg.Record, BatchRow | None]]:
    """Journal transactions of a payment that came without events, with the row that each came from."""
    found = database.fetch(_SQL["postings_of_payment"], payment_id)
    return [(row, _row_of(database, payment_id, batch_id=row["batch_id"])) for row in found]


def row_of_outcome(database: Database, payment_id: str, event: dict[str, Any]) -> BatchRow | None:
    """The row that a recorded outcome points to; None when the outcome is of the event road."""
    place = event.get("data", {}).get("batch")
    if not place:
        return None
    key = ChunkKey(place["run_id"], place["partition"], place["chunk_no"])
    return _row_of(database, payment_id, key=key, line=place["line"])


def _row_of(
    database: Database,
    payment_id: str,
    *,
    batch_id: int | None = None,
    key: ChunkKey | None = None,
    line: int | None = None,
) -> BatchRow | None:
    for chunk, packed in documents_of_payment(database, batch_id=batch_id, key=key):
        document = find_document(packed, payment_id, line)
        if document is not None:
            run = PostgresBatchRuns(database).read_run(chunk.run_id)
            return BatchRow(chunk.run_id, run.source if run else "", document["line"], document)
    return None
