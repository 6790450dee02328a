"""What each pipe has done, counted; and the heartbeat file from which `status` reads it."""

import json
import os
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class PipeCounters:
    """Counts of one pipe since the runner started; `last_at` is epoch seconds of the last settled record."""

    delivered: int = 0
    filtered: int = 0
    retried: int = 0
    dead_lettered: int = 0
    last_at: float | None = None
    state: str = "starting"
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, *, delivered: int = 0, filtered: int = 0, retried: int = 0, dead_lettered: int = 0) -> None:
        """Add to the counts; thread-safe."""
        with self._lock:
            self.delivered += delivered
            self.filtered += filtered
            self.retried += retried
            self.dead_lettered += dead_lettered
            if delivered or filtered or dead_lettered:
                self.last_at = time.time()

    def snapshot(self) -> dict[str, Any]:
        """The counts as a JSON-ready object."""
        with self._lock:
            return {
                "delivered": self.delivered,
                "filtered": self.filtered,
                "retried": self.retried,
                "dead_lettered": self.dead_lettered,
                "last_at": self.last_at,
                "state": self.state,
            }


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The runner's sign of life: who it is, when it last lived, and what its pipes have done."""

    pid: int
    started_at: float
    beat_at: float
    pipes: dict[str, dict[str, Any]]

    def write(self, path: Path) -> None:
        """Replace the heartbeat file; not synced, for it is worthless after a crash of the machine."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(asdict(self)), encoding="utf-8")
        temporary.replace(path)
