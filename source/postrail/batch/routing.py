"""Which partition a row belongs to, and how rows gather into chunks.

Rows of one card go to one partition, so that duplicates of a payment and the uses of a card meet there. Both answers
depend on the rows alone: a second start cuts the file into the same chunks.
"""

from collections.abc import Iterable, Iterator
from typing import Final
from zlib import crc32

from postrail.batch.chunks import RawChunk
from postrail.batch.rows import Row

CHUNK_BYTES_MAX: Final = 4_000_000
"""A chunk of long rows is closed early, so that chunks are bounded in bytes too."""


def partition_of(token: bytes, partitions: int) -> int:
    """The partition of a card token, from 0."""
    return crc32(token) % partitions


def cut_into_chunks(rows: Iterable[Row], *, partitions: int, chunk_size: int) -> Iterator[tuple[int, RawChunk]]:
    """Chunks with their partition, each as soon as it is full; what is left over comes at the end."""
    lines: list[list[int]] = [[] for _ in range(partitions)]
    records: list[list[bytes]] = [[] for _ in range(partitions)]
    sizes = [0] * partitions
    numbers = [0] * partitions
    for line, token, record in rows:
        partition = crc32(token) % partitions
        gathered = records[partition]
        gathered.append(record)
        lines[partition].append(line)
        sizes[partition] += len(record)
        if len(gathered) >= chunk_size or sizes[partition] >= CHUNK_BYTES_MAX:
            yield partition, RawChunk(numbers[partition], lines[partition], gathered)
            numbers[partition] += 1
            lines[partition], records[partition], sizes[partition] = [], [], 0
    for partition in range(partitions):
        if records[partition]:
            yield partition, RawChunk(numbers[partition], lines[partition], records[partition])
