"""Percentiles of measured times."""

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The smallest value that at least `percent` % of the values do not exceed; None for no values.

    This is the nearest-rank method: the answer is always one of the measured values, never an interpolation.
    """
    if not values:
        return None
    ordered = sorted(values)
    rank = max(1, math.ceil(percent / 100 * len(ordered)))
    return ordered[rank - 1]
