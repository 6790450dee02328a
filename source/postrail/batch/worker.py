"""One worker process: prepares the chunks of one partition, while a thread commits the chunk before.

The worker decides by itself what is left to do: it asks the ledger how many chunks of its partition are committed, and
rebuilds its memory from those without posting. It ends when its parent says so, or is gone.
"""

import gc
import queue
import resource
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Final

from postrail.batch.chunks import Counts, RawChunk
from postrail.batch.patience import patiently
from postrail.batch.prepared import PreparedChunk
from postrail.batch.road import Road
from postrail.batch.store import ChunkStore
from postrail.domain.errors import PostrailError
from postrail.ports import Announcement

_LOOK_SECONDS: Final = 0.2
_ALLOCATIONS_PER_COLLECTION: Final = 200_000
# The thread that commits waits for the interpreter after each answer of the ledger, with a transaction open.
_SWITCH_SECONDS: Final = 0.0005


@dataclass(frozen=True, slots=True)
class WorkerTask:
    """What a worker works on. `header` holds the columns of a CSV file, and is empty when rows are JSON.

    `patience_seconds` is how long a worker tries again when the ledger cannot be reached; `announce` asks for
    PaymentPosted events.
    """

    run_id: str
    partition: int
    partitions: int
    header: tuple[str, ...]
    patience_seconds: float
    announce: bool = True


@dataclass(frozen=True, slots=True)
class Workshop:
    """What a worker works with. Each thread opens a store of its own."""

    road: Road
    open_store: Callable[[], ChunkStore]


BuildWorkshop = Callable[[WorkerTask], Workshop]
"""Made in the worker's process; the function itself must be picklable."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A chunk is in the ledger; `before` says that it was there when this worker began."""

    counts: Counts
    before: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker gives up: one sentence."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The worker has nothing left to do."""

    peak_rss_bytes: int


def peak_rss_bytes() -> int:
    """The largest resident size of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def work(connection: Connection, build: BuildWorkshop, task: WorkerTask) -> None:
    """Take chunks from the parent until it sends None or is gone; tell it of every commit."""
    # Ctrl-C reaches the whole group of processes: the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        _Worker(connection, build(task), task).run()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except PostrailError as error:
        _say(connection, Failed(str(error)))
    except Exception as error:
        _say(connection, Failed(f"a worker met {type(error).__name__}: {error}"))
        raise


def _say(connection: Connection, message: Any) -> None:
    with suppress(OSError):
        connection.send(message)


class _Worker:
    def __init__(self, connection: Connection, workshop: Workshop, task: WorkerTask) -> None:
        self._connection = connection
        self._road = workshop.road
        self._open_store = workshop.open_store
        self._task = task

    def run(self) -> None:
        """Rebuild, prepare, hand over."""
        looking = self._open_store()
        patience = self._task.patience_seconds
        done = patiently(partial(looking.done_chunks, self._task.run_id, self._task.partition), patience)
        gc.collect()
        gc.freeze()
        gc.set_threshold(_ALLOCATIONS_PER_COLLECTION)
        sys.setswitchinterval(_SWITCH_SECONDS)
        poster = _Poster(self._open_store, self._connection, self._task)
        poster.start()
        try:
            while (raw := self._connection.recv()) is not None:
                if raw.number < done:
                    self._remember(raw, looking)
                else:
                    poster.hand_over(self._road.prepare(raw))
        finally:
            looking.close()
            poster.finish()
        poster.raise_failure()
        self._connection.send(Finished(peak_rss_bytes()))

    def _remember(self, raw: RawChunk, looking: ChunkStore) -> None:
        done = patiently(partial(looking.read_done, self._road.key_of(raw)), self._task.patience_seconds)
        self._road.remember(raw, done)
        self._connection.send(Committed(done.counts, before=True))


class _Poster(threading.Thread):
    """Commits prepared chunks in order; one waits while another is on its way."""

    def __init__(self, open_store: Callable[[], ChunkStore], connection: Connection, task: WorkerTask) -> None:
        super().__init__(name="poster", daemon=True)
        self._open_store = open_store
        self._connection = connection
        self._task = task
        self._waiting: queue.Queue[PreparedChunk | None] = queue.Queue(maxsize=1)
        self._failure: BaseException | None = None

    def hand_over(self, chunk: PreparedChunk) -> None:
        """Give the next chunk; waits while two are under way. Raises what stopped the thread."""
        while True:
            self.raise_failure()
            with suppress(queue.Full):
                self._waiting.put(chunk, timeout=_LOOK_SECONDS)
                return

    def finish(self) -> None:
        """Commit what was handed over, then end."""
        while self.is_alive():
            with suppress(queue.Full):
                self._waiting.put(None, timeout=_LOOK_SECONDS)
                break
        self.join()

    def raise_failure(self) -> None:
        """Raise what stopped the thread, if anything did."""
        if self._failure is not None:
            raise self._failure

    def _announcement(self) -> Announcement | None:
        return Announcement(correlation_id=self._task.run_id) if self._task.announce else None

    def run(self) -> None:
        """The thread."""
        store = self._open_store()
        patience_seconds = self._task.patience_seconds
        try:
            while (chunk := self._waiting.get()) is not None:
                chunk.pack()
                counts = patiently(partial(_commit_once, store, chunk, self._announcement()), patience_seconds)
                # A parent that is gone does not undo a commit.
                with suppress(OSError):
                    self._connection.send(Committed(counts, before=False))
        except Exception as error:  # noqa: BLE001 - carried to the worker's main thread, which raises it
            self._failure = error
        finally:
            store.close()


def _commit_once(store: ChunkStore, chunk: PreparedChunk, announce: Announcement | None) -> Counts:
    with store.chunk(chunk.key) as session:
        if isinstance(session, Counts):
            # The commit had happened when the connection was cut, or another start of this run was faster.
            return session
        results = session.post(chunk.orders, announce=announce) if chunk.orders else []
        record, outcomes = chunk.settle(results)
        if outcomes:
            session.record_outcomes(outcomes)
        session.keep(record)
        return record.counts
