"""Work that goes on as long as the process: an error that nobody thought of is logged, and the work begins again."""

import asyncio
import traceback
from collections.abc import Callable, Coroutine
from pathlib import PurePath
from typing import Any, Final

from postrail.adapters.aws.observability import logger

AGAIN_SECONDS: Final = 1.0


class EndlessTask:
    """Runs `work` until it returns by itself."""

    def __init__(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """`name` stands in logs. `work` returns when its owner is stopping, and can be begun anew at any point."""
        self._name = name
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self._again: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin."""
        self._again = None
        self._task = asyncio.create_task(self._work(), name=self._name)
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Wait until the work has returned. Its owner has told it to."""
        if self._again is not None:
            self._again.cancel()
            self.start()
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._again is not None:
            self._again.cancel()

    def cancel(self) -> None:
        """End the work wherever it is."""
        if self._again is not None:
            self._again.cancel()
        if self._task is not None:
            self._task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            logger.error("unforeseen error, beginning again", task=self._name, error=describe_error(error))
            self._again = asyncio.get_running_loop().call_later(AGAIN_SECONDS, self.start)


def describe_error(error: BaseException | None) -> str:
    """What of an error may be logged: its class, and where it was raised. Its text may hold card data."""
    if error is None:
        return "cancelled"
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    where = f" at {PurePath(frames[0].filename).name}:{frames[0].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
