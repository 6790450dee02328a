"""Runs of the batch road: their chunks are committed with the postings that they stand for."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import asyncpg
import orjson

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger, PostgresLedgerSession
from postrail.adapters.postgres.outcomes import PostgresOutcomes
from postrail.adapters.postgres.queries import statements
from postrail.batch.chunks import COUNT_NAMES, ChunkKey, ChunkRecord, Counts, RefusedRow, RowOutcome
from postrail.batch.store import DoneChunk, Run
from postrail.domain.errors import Permanent, ReasonCode
from postrail.ports import Announcement, PostingOrder, PostResult, RecordedOutcome

_SQL: Final = statements("batch_runs.sql")
_CHUNKS_PER_PAGE: Final = 100


class PostgresBatchRuns:
    """Fills `batch.store.RunStore`."""

    def __init__(self, database: Database | str | Callable[[], str]) -> None:
        self._database = Database.of(database)

    def open_run(self, wanted: Run) -> Run:
        """The run of this content, started now or before. Raises Retryable."""
        self._database.execute(
            _SQL["open_run"],
            wanted.run_id,
            wanted.source,
            wanted.content_sha256,
            wanted.size_bytes,
            wanted.partitions,
            wanted.chunk_size,
            wanted.started_at,
        )
        found = self.read_run(wanted.run_id)
        if found is None or found.content_sha256 != wanted.content_sha256:
            raise Permanent(ReasonCode.INVALID_VALUE, f"the ledger knows {wanted.run_id} with another content")
        return found

    def read_run(self, run_id: str) -> Run | None:
        """One run."""
        return next(iter(self._read_runs(run_id, 1)), None)

    def list_runs(self, limit: int) -> list[Run]:
        """The newest runs first."""
        return self._read_runs(None, limit)

    def finish_run(self, run_id: str, lines: int) -> None:
        """Every row of the file is committed. Finishing again changes nothing."""
        self._database.execute(_SQL["finish_run"], run_id, lines)

    def totals(self, run_id: str) -> Counts:
        """The counts of all committed chunks together."""
        row = self._database.fetch_one(_SQL["totals"], run_id)
        return Counts() if row is None else _counts(row)

    def refused_rows(self, run_id: str) -> Iterator[RefusedRow]:
        """All refused rows of committed chunks by line; at most a page of chunks of each partition is in memory."""
        run = self.read_run(run_id)
        partitions = 0 if run is None else run.partitions
        return heapq.merge(*(self._refused_of(run_id, partition) for partition in range(partitions)))

    def documents(self, run_id: str) -> Iterator[bytes]:
        """The packed documents of every committed chunk, partition by partition; one chunk is in memory."""
        partition, chunk_no = -1, -1
        while (row := self._database.fetch_one(_SQL["next_documents"], run_id, partition, chunk_no)) is not None:
            yield row["documents"]
            partition, chunk_no = row["partition"], row["chunk_no"]

    def _refused_of(self, run_id: str, partition: int) -> Iterator[RefusedRow]:
        after = -1
        while page := self._database.fetch(_SQL["refused_after"], run_id, partition, after, _CHUNKS_PER_PAGE):
            for row in page:
                yield from _refused(row["refused"])
            after = page[-1]["chunk_no"]

    def _read_runs(self, run_id: str | None, limit: int) -> list[Run]:
        return [Run(**dict(row)) for row in self._database.fetch(_SQL["read_runs"], run_id, limit)]


class PostgresChunks:
    """Fills `batch.store.ChunkStore`. One thread's: it has one connection."""

    def __init__(self, database: Database | str | Callable[[], str]) -> None:
        self._database = Database.of(database)
        self._ledger = PostgresLedger(self._database)
        self._outcomes = PostgresOutcomes(self._database)

    def done_chunks(self, run_id: str, partition: int) -> int:
        """How many chunks of the partition are committed."""
        row = self._database.fetch_one(_SQL["done_chunks"], run_id, partition)
        return 0 if row is None else int(row["chunks"])

    def read_done(self, key: ChunkKey) -> DoneChunk:
        """A committed chunk. Raises Permanent when there is none."""
        row = self._database.fetch_one(_SQL["read_chunk"], *key)
        if row is None:
            raise Permanent(ReasonCode.INVALID_VALUE, f"the ledger has no chunk {key}")
        return DoneChunk(row["first_line"], row["last_line"], _counts(row), _refused(row["refused"]))

    @contextmanager
    def chunk(self, key: ChunkKey) -> Iterator["PostgresChunkSession | Counts"]:
        """One transaction around a chunk, or its counts when it is committed; see the port.

        The partition is locked until the end, so that a worker whose parent died and the one that took its place
        commit one after the other, and the second finds the chunk done.
        """
        with self._ledger.session() as session:
            self._database.fetch(_SQL["lock_partition"], key.run_id, str(key.partition))
            known = self._database.fetch_one(_SQL["read_counts"], *key)
            yield (
                _counts(known)
                if known is not None
                else PostgresChunkSession(self._database, session, self._outcomes.record)
            )

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        self._database.close()


class PostgresChunkSession:
    """Fills `batch.store.ChunkSession` on the open transaction of a ledger session."""

    def __init__(
        self,
        database: Database,
        session: PostgresLedgerSession,
        record: Callable[[Sequence[RecordedOutcome]], None],
    ) -> None:
        self._database = database
        self._session = session
        self.record_outcomes = record

    def post(self, orders: Sequence[PostingOrder], *, announce: Announcement | None) -> list[PostResult]:
        """Post each order whole or not at all; results align with orders."""
        return self._session.post(orders, announce=announce)

    def keep(self, record: ChunkRecord) -> None:
        """Write the checkpoint."""
        self._database.execute(
            _SQL["keep_chunk"],
            *record.key,
            record.first_line,
            record.last_line,
            *(getattr(record.counts, name) for name in COUNT_NAMES),
            orjson.dumps([tuple(row) for row in record.refused]).decode(),
            record.documents,
            record.documents_size_bytes,
            self._session.batch_ids[0] if self._session.batch_ids else None,
        )


def documents_of_payment(
    database: Database, *, batch_id: int | None = None, key: ChunkKey | None = None
) -> Iterator[tuple[ChunkKey, bytes]]:
    """The packed documents of chunks where a payment's may be: of the chunk named, or of those of a journal batch."""
    if key is not None:
        row = database.fetch_one(_SQL["documents_of_chunk"], *key)
        if row is not None:
            yield key, row["documents"]
    if batch_id is not None:
        for row in database.fetch(_SQL["chunks_near_batch"], batch_id):
            yield ChunkKey(row["run_id"], row["partition"], row["chunk_no"]), row["documents"]


def _counts(row: asyncpg.Record) -> Counts:
    return Counts(**{name: row[name] for name in COUNT_NAMES})


def _refused(text: str) -> list[RefusedRow]:
    rows: list[list[Any]] = orjson.loads(text)
    return [RefusedRow(line, payment_id, RowOutcome(outcome), *texts) for line, payment_id, outcome, *texts in rows]
