"""Stores advices durably before anybody is told of them: those that come together share a commit.

While the database is away what came waits here, bounded, and the network takes no new authorizations: it could not
undo them.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final

from postrail.adapters.aws.observability import logger
from postrail.domain.errors import Permanent, Retryable
from switch.network.store import NetworkStore, NewAdvice
from switch.network.tasks import EndlessTask

TOGETHER_MAX: Final = 200
RETRY_SECONDS: Final = 0.1
RETRY_SECONDS_MAX: Final = 5.0


class StoreIsFull(Exception):
    """As many advices as may be wait to be stored."""


class AdviceWriter:
    """One task that writes, in the order of `keep`."""

    def __init__(
        self, store: NetworkStore, *, delay_seconds: float, waiting_max: int, kept: Callable[[str], None]
    ) -> None:
        """`delay_seconds`: how long stored advices rest before the first attempt. `kept` is told each bank id."""
        self._store = store
        self._delay_seconds = delay_seconds
        self._waiting_max = waiting_max
        self._kept = kept
        self._waiting: deque[tuple[NewAdvice, asyncio.Future[bool]]] = deque()
        self._wake = asyncio.Event()
        self._task = EndlessTask("store advices", self._run)
        self._stopping = False
        self.well = True
        """False from a write that failed to the next that succeeds."""

    def __len__(self) -> int:
        return len(self._waiting)

    async def start(self) -> None:
        """Begin to write."""
        self._task.start()

    async def stop(self) -> None:
        """Write what waits, once more at most, and end."""
        self._stopping = True
        self._wake.set()
        await self._task.stop()

    async def keep(self, advice: NewAdvice, *, must: bool = False) -> bool:
        """Returns when the advice is stored: whether under its key, or False when another message has that.

        Raises StoreIsFull at the bound, unless it `must` be kept (it speaks of a payment that the bank may have
        approved; the payments on the way bound how many these are). Raises Permanent when it cannot be stored ever.
        """
        if not must and len(self._waiting) >= self._waiting_max:
            raise StoreIsFull
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((advice, future))
        self._wake.set()
        return await future

    async def _run(self) -> None:
        pause = RETRY_SECONDS
        while not (self._stopping and not self._waiting):
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            # They stay in their place until they are stored: whatever happens here, nobody is forgotten.
            batch = list(islice(self._waiting, TOGETHER_MAX))
            if await self._write(batch):
                for _ in batch:
                    self._waiting.popleft()
                pause = RETRY_SECONDS
                continue
            if self._stopping:
                logger.error("advices could not be stored", advices=len(self._waiting))
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, RETRY_SECONDS_MAX)

    async def _write(self, batch: list[tuple[NewAdvice, "asyncio.Future[bool]"]]) -> bool:
        try:
            outcomes = await self._store.keep_advices([each[0] for each in batch], delay_seconds=self._delay_seconds)
        except Retryable as error:
            if self.well:
                logger.error("the store is away, advices wait", error_text=str(error))
            self.well = False
            return False
        except Permanent as error:
            if len(batch) == 1:
                _tell(batch[0][1], error)
                return True
            # one of them is to blame: each for itself
            return all([await self._write([each]) for each in batch])
        self.well = True
        for (advice, future), kept in zip(batch, outcomes, strict=True):
            if not future.done():
                future.set_result(kept)
            self._kept(advice.bank_id)
        return True


def _tell(future: "asyncio.Future[bool]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
