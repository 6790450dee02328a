"""What the batch road asks of the ledger's database: runs, chunks, and one transaction around each chunk."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from postrail.batch.chunks import ChunkKey, ChunkRecord, Counts, RefusedRow
from postrail.ports import Announcement, PostingOrder, PostResult, RecordedOutcome


@dataclass(frozen=True, slots=True)
class Run:
    """One file's way through the ledger. `lines` and `finished_at` are None while rows are left.

    The number of partitions and the chunk size are those of the first start: they decide what a chunk is.
    """

    run_id: str
    source: str
    content_sha256: str
    size_bytes: int
    partitions: int
    chunk_size: int
    started_at: datetime
    lines: int | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DoneChunk:
    """What a worker needs of a committed chunk to rebuild its memory from the file."""

    first_line: int
    last_line: int
    counts: Counts
    refused: list[RefusedRow]


class ChunkSession(Protocol):
    """The one transaction in which a chunk is committed."""

    def post(self, orders: Sequence[PostingOrder], *, announce: Announcement | None) -> list[PostResult]:
        """Post each order whole or not at all; results align with orders. `announce`: see `ports.LedgerSession`."""
        ...

    def record_outcomes(self, outcomes: Sequence[RecordedOutcome]) -> None:
        """Keep where the refused payments ended."""
        ...

    def keep(self, record: ChunkRecord) -> None:
        """Write the checkpoint."""
        ...


class ChunkStore(Protocol):
    """What a worker needs: it commits chunks, and looks at those that are committed."""

    def done_chunks(self, run_id: str, partition: int) -> int:
        """How many chunks of the partition are committed: 0 to n-1 of them, since they are committed in order."""
        ...

    def read_done(self, key: ChunkKey) -> DoneChunk:
        """A committed chunk."""
        ...

    def chunk(self, key: ChunkKey) -> AbstractContextManager["ChunkSession | Counts"]:
        """The transaction of one chunk, or its counts when it is committed already. Commits without an exception.

        Two workers that bring the same chunk are served one after the other. Raises Retryable.
        """
        ...

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        ...


class RunStore(Protocol):
    """What the parent process and the commands need."""

    def open_run(self, wanted: Run) -> Run:
        """The run of this content: the one that was started before, else a new one as wanted."""
        ...

    def finish_run(self, run_id: str, lines: int) -> None:
        """Every row of the file is committed."""
        ...

    def totals(self, run_id: str) -> Counts:
        """The counts of all committed chunks together."""
        ...

    def refused_rows(self, run_id: str) -> Iterator[RefusedRow]:
        """All refused rows of committed chunks in the order of the file; reads as it goes."""
        ...
