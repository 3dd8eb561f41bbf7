"""An exponential moving average without the bias of its beginning, computed as the values come."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, isnan, nan

FACTORS = (0.9, 0.98, 0.995, 0.999)
DEFAULT_FACTOR = FACTORS[0]
"""It follows the few hundred steps of a short run closely; a long one is smooth by being drawn in columns."""


class Smoothing:
    """s <- factor * s + (1 - factor) * x, divided by the weight that the values so far have in s.

    The division is Adam's bias correction (Kingma and Ba, 2015): without it the first averages lean towards zero.
    """

    def __init__(self, factor: float = DEFAULT_FACTOR) -> None:
        if not 0 <= factor < 1:
            raise ValueError(f"a smoothing factor is at least 0 and less than 1, not {factor}")
        self.factor = factor
        self._average = 0.0
        self._weight = 0.0

    @property
    def state(self) -> tuple[float, float]:
        """The average before its division, and the weight of the values in it."""
        return self._average, self._weight

    def go_on_from(self, state: tuple[float, float]) -> None:
        """Be as one with the same factor was that had this state."""
        self._average, self._weight = state

    def extend(self, values: Sequence[float]) -> list[float]:
        """The averages after each of the next values. NaN gives NaN and changes nothing."""
        if not values:
            return []
        share = 1.0 - self.factor
        if self._weight == 1.0 and isfinite(sum(values)):
            average = self._average
            averages = [average := average + (value - average) * share for value in values]
            self._average = average
            return averages
        averages = []
        average, weight = self._average, self._weight
        for value in values:
            if isnan(value):
                averages.append(nan)
                continue
            weight += (1.0 - weight) * share
            if weight > 1.0 - 1e-12:
                weight = 1.0
            average += (value - average) * share
            averages.append(average / weight)
        self._average, self._weight = average, weight
        return averages

    def restore(self, averages: Sequence[float]) -> None:
        """Go back to where these averages, all from the first on, had come out."""
        count = sum(1 for value in averages if not isnan(value))
        weight = 1.0 - self.factor**count
        self._weight = 1.0 if weight > 1.0 - 1e-12 else weight
        newest = next((value for value in reversed(averages) if not isnan(value)), 0.0)
        self._average = newest * self._weight
