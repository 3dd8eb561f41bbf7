"""Medians and percentiles, as the rows use them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def median(values: Sequence[float]) -> float:
    """The middle one, or the mean of the two in the middle. Raises ValueError when there are none."""
    if not values:
        raise ValueError("there is no median of nothing")
    return float(statistics.median(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of a hundred do not exceed (nearest rank, nothing interpolated).

    Raises ValueError when there are none, or for a percentage outside 0 to 100.
    """
    if not values or not 0 <= percent <= 100:
        raise ValueError("a percentile needs values, and a percentage from 0 to 100")
    ordered = sorted(values)
    return float(ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)])


def missing_steps(steps: Sequence[int]) -> int:
    """How many optimizer steps a curve lacks or has twice: `steps` are those of its lines, in the order of the file."""
    if not steps:
        return 0
    wanted = range(1, max(steps) + 1)
    return len(set(wanted) - set(steps)) + len(steps) - len(set(steps))
