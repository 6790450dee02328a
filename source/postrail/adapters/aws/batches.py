"""Cutting work into requests that a service takes, and the pauses between attempts."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

_PAUSE_FIRST_S: Final = 0.05
_PAUSE_MAX_S: Final = 1.0


def in_tens(items: Sequence[T], size: int = 10) -> Iterator[Sequence[T]]:
    """`items` in runs of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def by_size(sizes: Sequence[int], *, count_max: int, bytes_max: int) -> list[list[int]]:
    """The indexes of `sizes` (bytes) in runs of at most `count_max` and `bytes_max` together, in order.

    An item that is larger than `bytes_max` by itself makes a run of one.
    """
    runs: list[list[int]] = []
    total = 0
    for index, size in enumerate(sizes):
        if not runs or len(runs[-1]) >= count_max or total + size > bytes_max:
            runs.append([])
            total = 0
        runs[-1].append(index)
        total += size
    return runs


def pause_s(attempt: int, jitter: Callable[[], float] = random.random) -> float:
    """Seconds to wait before attempt number `attempt` (1 is the first repeat): exponential, with full jitter."""
    longest: float = min(_PAUSE_MAX_S, _PAUSE_FIRST_S * 2 ** (attempt - 1))
    return longest * jitter()
