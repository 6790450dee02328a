"""Trying again for a while when the ledger cannot be reached."""

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from postrail.domain.errors import Retryable

T = TypeVar("T")

_PAUSE_SECONDS: Final = 0.05
_PAUSE_SECONDS_MAX: Final = 2.0


def patiently(call: Callable[[], T], seconds: float) -> T:
    """What `call` returns, tried again after Retryable with growing pauses until `seconds` have passed.

    Raises the last Retryable. The call must do no harm when it is made again.
    """
    give_up_at = time.monotonic() + seconds
    pause = _PAUSE_SECONDS
    while True:
        try:
            return call()
        except Retryable:
            if time.monotonic() >= give_up_at:
                raise
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(pause * 2, _PAUSE_SECONDS_MAX)
