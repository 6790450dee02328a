"""The parent process of a batch run: reads and routes the file, feeds the workers, follows what they commit.

Every queue is bounded, so that a fast reader waits for slow workers. Whatever ends the run early, what is committed
stays, and the same file given again goes on from there.
"""

import itertools
import multiprocessing
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Final

from postrail.batch.chunks import Counts, RawChunk
from postrail.batch.failures import FileUnusable, RunFailed, RunStopped
from postrail.batch.files import Source, digest, recognise
from postrail.batch.patience import patiently
from postrail.batch.routing import cut_into_chunks
from postrail.batch.rows import Row, RowFile, open_rows
from postrail.batch.store import Run, RunStore
from postrail.batch.worker import BuildWorkshop, Committed, Failed, Finished, WorkerTask, peak_rss_bytes, work

CHUNK_SIZE: Final = 1_000
_CHUNKS_WAITING_MAX: Final = 2
_LOOK_SECONDS: Final = 0.2
_END_SECONDS_MAX: Final = 60.0
_RUN_ID_DIGITS: Final = 32


@dataclass(slots=True)
class Progress:
    """How far a run has come. `before` are rows that were committed by an earlier start."""

    fraction: float = 0.0
    counts: Counts = field(default_factory=Counts)
    before: int = 0


@dataclass(frozen=True, slots=True)
class RunReport:
    """How a run ended. `known` says that the file had been run to its end before, and nothing was done now.

    `resumed` says that an earlier start had committed a part; `counts` are those of the whole file.
    """

    run: Run
    counts: Counts
    seconds: float
    lines_now: int
    workers: int
    peak_rss_bytes: int
    resumed: bool
    known: bool


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run needs. `workers` and `chunk_size` count for a file that was not started before."""

    source: Source
    store: RunStore
    build: BuildWorkshop
    workers: int
    chunk_size: int = CHUNK_SIZE
    patience_seconds: float = 30.0
    announce: bool = True
    on_progress: Callable[[Progress], None] = lambda _: None


def run_batch(plan: RunPlan) -> RunReport:
    """Run one file to its end.

    Raises FileUnusable (the file is empty, is no file of authorizations, or breaks off), RunFailed (a worker or the
    ledger gave up) and RunStopped (interrupted); Retryable when the ledger cannot be reached at all.
    """
    started = time.monotonic()
    file = open_rows(plan.source, recognise(plan.source))
    rows = file.rows()
    first = next(rows, None)
    if first is None:
        raise FileUnusable(f"{plan.source.name} holds no payments: there is nothing to post.")
    run = plan.store.open_run(_wanted(plan))
    if run.finished_at is not None:
        return RunReport(
            run, plan.store.totals(run.run_id), time.monotonic() - started, 0, 0, peak_rss_bytes(), False, True
        )
    crew = _Crew(plan, run, file)
    crew.start()
    try:
        crew.feed(itertools.chain((first,), rows))
        peak = crew.finish()
    except KeyboardInterrupt:
        crew.stop()
        raise RunStopped(f"Stopped. {_what_stays(plan, run)}") from None
    except FileUnusable as error:
        with suppress(RunFailed):
            crew.finish()
        raise FileUnusable(f"{error} {_what_stays(plan, run)}") from error
    except RunFailed as error:
        crew.stop()
        raise RunFailed(f"{str(error).rstrip('.')}. {_what_stays(plan, run)}") from error
    except BaseException:
        crew.stop()
        raise
    # The connection lay idle while the workers worked, and may have been cut without a word.
    counts = patiently(partial(plan.store.totals, run.run_id), plan.patience_seconds)
    if counts.lines != crew.lines_fed:
        raise RunFailed(f"The file has {crew.lines_fed:,} rows and the ledger has {counts.lines:,} of them.")
    patiently(partial(plan.store.finish_run, run.run_id, counts.lines), plan.patience_seconds)
    before = crew.progress.before
    return RunReport(
        run=run,
        counts=counts,
        seconds=time.monotonic() - started,
        lines_now=counts.lines - before,
        workers=run.partitions,
        peak_rss_bytes=peak + peak_rss_bytes(),
        resumed=before > 0,
        known=False,
    )


def _wanted(plan: RunPlan) -> Run:
    sha256, size_bytes = digest(plan.source)
    return Run(
        run_id=f"run_{sha256[:_RUN_ID_DIGITS]}",
        source=plan.source.name,
        content_sha256=sha256,
        size_bytes=size_bytes,
        partitions=plan.workers,
        chunk_size=plan.chunk_size,
        started_at=datetime.now(UTC),
    )


def _what_stays(plan: RunPlan, run: Run) -> str:
    try:
        lines = patiently(partial(plan.store.totals, run.run_id), _LOOK_SECONDS).lines
    except Exception:  # noqa: BLE001 - the ledger may be why the run ended; the sentence must come all the same
        return "What was committed stays; the same command goes on from there."
    return f"{lines:,} rows are committed and stay; the same command goes on from there."


class _Crew:
    """The workers of a run, a thread that feeds each, and a thread that listens to all."""

    def __init__(self, plan: RunPlan, run: Run, file: RowFile) -> None:
        self._plan = plan
        self._run = run
        self._file = file
        self.progress = Progress()
        self.lines_fed = 0
        self._context = multiprocessing.get_context("spawn")
        self._processes: list[BaseProcess] = []
        self._connections: list[Connection] = []
        self._queues: list[queue.Queue[RawChunk | None]] = []
        self._failure: str | None = None
        self._ended = threading.Event()
        self._finished: dict[Connection, int] = {}
        self._listener = threading.Thread(target=self._listen, name="listener", daemon=True)

    def start(self) -> None:
        """Start all workers; they build what they need while the first rows are read."""
        for partition in range(self._run.partitions):
            ours, theirs = self._context.Pipe()
            task = WorkerTask(
                run_id=self._run.run_id,
                partition=partition,
                partitions=self._run.partitions,
                header=self._file.header,
                patience_seconds=self._plan.patience_seconds,
                announce=self._plan.announce,
            )
            process = self._context.Process(
                target=work, args=(theirs, self._plan.build, task), name=f"postrail-batch-{partition}", daemon=True
            )
            process.start()
            theirs.close()
            waiting: queue.Queue[RawChunk | None] = queue.Queue(maxsize=_CHUNKS_WAITING_MAX)
            self._processes.append(process)
            self._connections.append(ours)
            self._queues.append(waiting)
            threading.Thread(target=_send_all, args=(waiting, ours), daemon=True).start()
        self._listener.start()

    def feed(self, rows: Iterator[Row]) -> None:
        """Route all rows. Raises RunFailed when a worker is gone, and what reading raises."""
        chunks = cut_into_chunks(rows, partitions=self._run.partitions, chunk_size=self._run.chunk_size)
        for partition, chunk in chunks:
            self._put(partition, chunk)
            self.lines_fed += len(chunk.lines)
            self.progress.fraction = self._file.progress()

    def finish(self) -> int:
        """Let the workers come to their end; the sum of their peak sizes in bytes. Raises RunFailed."""
        for partition in range(len(self._queues)):
            self._put(partition, None)
        while not self._ended.wait(_LOOK_SECONDS):
            self._check()
        self._check()
        self.stop()
        return sum(self._finished.values())

    def stop(self) -> None:
        """Hang up. Workers commit what they have in hand and end; those that do not are ended."""
        for connection in self._connections:
            connection.close()
        give_up_at = time.monotonic() + _END_SECONDS_MAX
        for process in self._processes:
            process.join(max(0.1, give_up_at - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()

    def _put(self, partition: int, chunk: RawChunk | None) -> None:
        while True:
            self._check()
            with suppress(queue.Full):
                self._queues[partition].put(chunk, timeout=_LOOK_SECONDS)
                return

    def _check(self) -> None:
        if self._failure is not None:
            raise RunFailed(self._failure)

    def _listen(self) -> None:
        """The listener thread: until every worker has finished or one has failed."""
        open_ends = list(self._connections)
        try:
            while open_ends and self._failure is None:
                for connection in wait(open_ends, timeout=_LOOK_SECONDS):
                    if isinstance(connection, Connection) and self._hear(connection):
                        open_ends.remove(connection)
        except Exception as error:  # noqa: BLE001 - nobody joins this thread: the main thread asks for the failure
            # A closed connection says that the parent hung up, and then nobody asks.
            self._failure = self._failure or f"listening to the workers failed: {error}"
        finally:
            self._ended.set()

    def _hear(self, connection: Connection) -> bool:
        """Take one message; whether it was the last of its sender."""
        try:
            message = connection.recv()
        except (EOFError, OSError):
            self._failure = self._failure or self._describe_loss(connection)
            return True
        match message:
            case Committed():
                self.progress.counts.add(message.counts)
                self.progress.before += message.counts.lines if message.before else 0
                self._plan.on_progress(self.progress)
            case Failed():
                self._failure = self._failure or message.sentence
            case Finished():
                self._finished[connection] = message.peak_rss_bytes
                return True
        return False

    def _describe_loss(self, connection: Connection) -> str:
        process = self._processes[self._connections.index(connection)]
        process.join(1.0)
        code = process.exitcode
        how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"
        return f"The worker process {process.name} {how}"


def _send_all(waiting: "queue.Queue[RawChunk | None]", connection: Connection) -> None:
    """A feeder thread: the pipe takes a chunk when the worker is ready for it."""
    while True:
        chunk = waiting.get()
        try:
            connection.send(chunk)
        except (OSError, ValueError, TypeError):
            # The worker is gone, or the parent hung up; the listener knows. A pipe that is closed in the midst of a
            # call has no handle any more: TypeError.
            return
        if chunk is None:
            return
