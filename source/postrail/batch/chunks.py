"""The units of a batch run: raw chunks that travel to workers, and what a chunk leaves behind when it is committed.

A chunk is the checkpoint: it is committed as a whole, with everything that follows from its rows, or not at all. Which
rows make up which chunk is a function of the file, the number of partitions and the chunk size.
"""

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import NamedTuple


class RowOutcome(StrEnum):
    """How a row ended that was not posted."""

    MALFORMED = "malformed"
    PARKED = "parked"
    REJECTED = "rejected"
    REFERRED = "referred"
    FAILED = "failed"


class RefusedRow(NamedTuple):
    """A row that was not posted. `line` is its place in the file; `reason` names fields and rules, never values.

    `stage` is the stage function that refused it. `payment_id` is empty when none could be read.
    """

    line: int
    payment_id: str
    outcome: RowOutcome
    reason_code: str
    reason: str
    stage: str


class ChunkKey(NamedTuple):
    """Which chunk: `number` counts from 0 within its partition."""

    run_id: str
    partition: int
    number: int


@dataclass(frozen=True, slots=True)
class RawChunk:
    """Rows of one partition as they stand in the file; `lines` and `records` are aligned, in file order."""

    number: int
    lines: list[int]
    records: list[bytes]


@dataclass(slots=True)
class Counts:
    """How many rows ended how. All but `lines` add up to `lines`."""

    lines: int = 0
    posted: int = 0
    duplicates: int = 0
    conflicts: int = 0
    rejected: int = 0
    referred: int = 0
    malformed: int = 0
    failed: int = 0

    def add(self, other: "Counts") -> None:
        """Add another count to this one."""
        for name in COUNT_NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def as_dict(self) -> dict[str, int]:
        """Names and numbers, in order."""
        return {name: getattr(self, name) for name in COUNT_NAMES}


COUNT_NAMES = tuple(each.name for each in fields(Counts))


@dataclass(frozen=True, slots=True)
class ChunkRecord:
    """What a committed chunk leaves: its place in the file, its counts, its refused rows and its audit documents.

    `documents` is a Zstandard frame of JSON Lines, one document for each row, in file order.
    """

    key: ChunkKey
    first_line: int
    last_line: int
    counts: Counts
    refused: list[RefusedRow] = field(default_factory=list)
    documents: bytes = b""
    documents_size_bytes: int = 0
