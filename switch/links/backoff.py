"""How long to wait before connecting again."""

import random
from collections.abc import Callable


class Backoff:
    """Waits that double from `first_seconds` to `max_seconds`, each shortened by up to half of itself.

    The jitter keeps the links of many processes from coming back in one instant, which would be the next failure.
    """

    def __init__(
        self,
        first_seconds: float = 0.2,
        max_seconds: float = 30.0,
        *,
        random_share: Callable[[], float] = random.random,
    ) -> None:
        """`random_share` gives numbers from 0 to below 1."""
        self._first = first_seconds
        self._max = max_seconds
        self._random_share = random_share
        self._next = first_seconds

    def next_seconds(self) -> float:
        """The wait before the next attempt."""
        whole = self._next
        self._next = min(whole * 2, self._max)
        return whole * (1.0 - self._random_share() / 2)

    def reset(self) -> None:
        """An attempt succeeded: begin anew."""
        self._next = self._first
