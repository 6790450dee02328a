"""When payments are due. A schedule is made before the first one leaves, so that no answer can delay it."""

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

BURST_SECONDS: Final = 10.0
"""A burst profile sends, every so many seconds, all that a steady one would have sent in that time."""
RAMP_STEPS: Final = 10


class Profile(StrEnum):
    """How the rate behaves over time."""

    STEADY = "steady"
    BURST = "burst"
    RAMP = "ramp"


def due_times(profile: Profile, count: int, rate: float) -> list[float]:
    """Seconds from the start at which each of `count` payments is due, ascending.

    `rate` is payments a second: of a steady load throughout, of bursts on average, of a ramp at its end. A ramp climbs
    in ten equal steps of equal length, from a tenth of the rate to all of it. Raises ValueError for a rate or count
    that is not positive.
    """
    if count < 1 or rate <= 0:
        msg = "a load has at least one payment and a rate above 0"
        raise ValueError(msg)
    if profile is Profile.STEADY:
        return [number / rate for number in range(count)]
    if profile is Profile.BURST:
        size = max(1, round(rate * BURST_SECONDS))
        return [(number // size) * BURST_SECONDS for number in range(count)]
    return _ramp(count, rate)


def offered_until(due: Sequence[float], seconds: float) -> int:
    """How many payments are due within the first `seconds`."""
    low, high = 0, len(due)
    while low < high:
        middle = (low + high) // 2
        if due[middle] <= seconds:
            low = middle + 1
        else:
            high = middle
    return low


def _ramp(count: int, rate: float) -> list[float]:
    # Step k of n has k/n of the rate: together (n + 1) / 2 steps' worth of it.
    step_s = count / (rate * (RAMP_STEPS + 1) / 2)
    due: list[float] = []
    for step in range(1, RAMP_STEPS + 1):
        step_rate = rate * step / RAMP_STEPS
        start, room = (step - 1) * step_s, math.ceil(step_s * step_rate - 1e-9)
        due += [start + number / step_rate for number in range(room)]
    return (due + [RAMP_STEPS * step_s] * (count - len(due)))[:count]
