"""Where each shard of each stream was left: one small file per shard, replaced as a whole.

A checkpoint is written after its records are settled, never before: a runner that dies in between plays them again.
"""

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far one shard was settled.

    `opened_at` (epoch seconds) is when the pipe first read the shard: with LATEST and nothing settled yet, it says
    from when on records belong to the pipe. `finished` marks a closed shard that was read to its end.
    """

    stream_arn: str
    shard_id: str
    opened_at: float
    sequence_number: str | None = None
    finished: bool = False

    def at(self, sequence_number: str) -> "Checkpoint":
        """The same shard, settled up to and including a sequence number."""
        return replace(self, sequence_number=sequence_number)


def write_atomically(path: Path, text: str) -> None:
    """Replace a file by a complete and durable new version: readers see the old text or the new, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


class CheckpointFiles:
    """The checkpoints of one pipe, in a directory of its own."""

    def __init__(self, directory: Path, stream_arn: str) -> None:
        self._directory = directory
        self._stream_arn = stream_arn
        directory.mkdir(parents=True, exist_ok=True)

    def discard_stale(self) -> int:
        """Remove what belongs to another stream (the table was made anew) or cannot be read; return how many."""
        stale = 0
        for path in self._directory.glob("*.json"):
            checkpoint = self._read(path)
            if checkpoint is None or checkpoint.stream_arn != self._stream_arn:
                path.unlink(missing_ok=True)
                stale += 1
        if stale:
            logger.warning("stale checkpoints discarded", extra={"fields": {"count": stale, "now": self._stream_arn}})
        return stale

    def load(self, shard_id: str) -> Checkpoint | None:
        """The shard's checkpoint, or None when there is none for this stream."""
        checkpoint = self._read(self._path(shard_id))
        return checkpoint if checkpoint is not None and checkpoint.stream_arn == self._stream_arn else None

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint so that it survives the death of the process at any moment."""
        write_atomically(self._path(checkpoint.shard_id), json.dumps(asdict(checkpoint)))

    def _path(self, shard_id: str) -> Path:
        digest = hashlib.sha256(f"{self._stream_arn}\n{shard_id}".encode()).hexdigest()
        return self._directory / f"{digest[:24]}.json"

    @staticmethod
    def _read(path: Path) -> Checkpoint | None:
        try:
            return Checkpoint(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
