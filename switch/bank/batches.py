"""Gathers messages into micro-batches, which share a database transaction and so a commit.

A message waits for others a millisecond or two, unless enough have come. Several batches are on the way at once: one
computes while another commits. Messages that share a name (a card, a key) are never on the way at the same time: the
second waits here, holding nothing, and not in the database, holding a connection.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")

SECONDS_PER_MS: Final = 0.001


@dataclass(slots=True)
class BatchCounters:
    """How the work was cut. `refused` is what found no room."""

    batches: int = 0
    items: int = 0
    refused: int = 0


class MicroBatches(Generic[T]):
    """Hands batches to `work`. What waits is bounded by `waiting_max`."""

    def __init__(
        self,
        work: Callable[[list[T]], Awaitable[None]],
        *,
        names: Callable[[T], tuple[Hashable, ...]],
        count_max: int,
        at_once: int,
        linger_ms: float,
        waiting_max: int,
    ) -> None:
        """`work` must not raise. `names` says what an item must not share with another that is on the way."""
        self._work = work
        self._names = names
        self._count_max = count_max
        self._at_once = at_once
        self._linger_seconds = linger_ms * SECONDS_PER_MS
        self._waiting_max = waiting_max
        self._ready: deque[T] = deque()
        self._behind: dict[Hashable, deque[T]] = {}
        self._waiting = 0
        self._running: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self.counters = BatchCounters()

    @property
    def waiting(self) -> int:
        """Items that are not on the way yet."""
        return self._waiting

    def offer(self, item: T) -> bool:
        """Take an item, or say that there is no room."""
        if self._waiting >= self._waiting_max:
            self.counters.refused += 1
            return False
        self._waiting += 1
        self._idle.clear()
        self._admit(item)
        self._consider()
        return True

    async def drain(self, seconds: float) -> bool:
        """Wait until nothing waits and nothing is on the way; whether that came about in time."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def _admit(self, item: T) -> None:
        """Put an item where it belongs: ready, or behind the first name that is taken."""
        names = self._names(item)
        for name in names:
            behind = self._behind.get(name)
            if behind is not None:
                behind.append(item)
                return
        for name in names:
            self._behind[name] = deque()
        self._ready.append(item)

    def _consider(self) -> None:
        """Start a batch now, or set the time for it."""
        if not self._ready or len(self._running) >= self._at_once:
            return
        if len(self._ready) >= self._count_max:
            self._launch()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._linger_seconds, self._linger_is_over)

    def _linger_is_over(self) -> None:
        self._timer = None
        if self._ready and len(self._running) < self._at_once:
            self._launch()

    def _launch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ready = self._ready
        batch = [ready.popleft() for _ in range(min(self._count_max, len(ready)))]
        self._waiting -= len(batch)
        self.counters.batches += 1
        self.counters.items += len(batch)
        task = asyncio.get_running_loop().create_task(self._run(batch))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, batch: list[T]) -> None:
        try:
            await self._work(batch)
        finally:
            # Before the names are free: whoever waits for them may start at once.
            task = asyncio.current_task()
            if task is not None:
                self._running.discard(task)
            for item in batch:
                for name in self._names(item):
                    self._free(name)
            if self._waiting:
                self._consider()
            elif not self._running:
                self._idle.set()

    def _free(self, name: Hashable) -> None:
        """A name is free: the first that waits for it goes on, the others wait behind that one."""
        behind = self._behind.pop(name)
        while behind:
            self._admit(behind.popleft())
            taken = self._behind.get(name)
            if taken is not None:
                taken.extendleft(reversed(behind))
                return
