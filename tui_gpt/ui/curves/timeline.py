"""Where records lie along x: by step, by seconds of training, by tokens seen. All three ascend."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from math import isnan
from typing import cast

from tui_gpt.ui.curves.columns import Part, finite
from tui_gpt.ui.curves.moments import Axis


class Timeline:
    """Steps strictly ascend; seconds and tokens do not fall. What is missing of these is as at the record before."""

    def __init__(self) -> None:
        self.steps = array("q")
        self.elapsed = array("d")
        self.tokens = array("d")

    def __len__(self) -> int:
        return len(self.steps)

    def extend(self, steps: Sequence[int], elapsed: Sequence[float | None], tokens: Sequence[float | None]) -> None:
        """Append records."""
        self.steps.extend(array("q", steps))
        _climb(self.elapsed, elapsed)
        _climb(self.tokens, tokens)

    def truncate(self, length: int) -> None:
        """Keep the first `length` records."""
        for column in (self.steps, self.elapsed, self.tokens):
            del column[length:]

    def parts(self, length: int) -> list[Part]:
        """The first `length` records, axis by axis."""
        return [Part(column, length) for column in (self.steps, self.elapsed, self.tokens)]

    def restore(self, steps: array[int], elapsed: array[float], tokens: array[float]) -> None:
        """Be as the timeline was of which these are the axes."""
        self.steps, self.elapsed, self.tokens = steps, elapsed, tokens

    def along(self, axis: Axis) -> array[int] | array[float]:
        """The places of the records on the axis."""
        return self.steps if axis == "step" else self.elapsed if axis == "elapsed" else self.tokens

    def nearest(self, x: float, axis: Axis = "step") -> int | None:
        """The index of the record nearest to a place on the axis; of two as near, the earlier one."""
        along = self.along(axis)
        if not along:
            return None
        place = bisect_left(along, x)
        if place == len(along):
            return place - 1
        return place - 1 if place and x - along[place - 1] <= along[place] - x else place

    def position(self, step: float, axis: Axis) -> float:
        """Where on the axis a step is; between two records in proportion, beyond the ends at the end."""
        along = self.along(axis)
        if axis == "step" or not along:
            return step if axis == "step" else 0.0
        place = bisect_left(self.steps, step)
        if place == len(along):
            return along[-1]
        if place == 0 or self.steps[place] == step:
            return along[place]
        before, after = self.steps[place - 1], self.steps[place]
        return along[place - 1] + (along[place] - along[place - 1]) * (step - before) / (after - before)


def _climb(column: array[float], values: Sequence[float | None]) -> None:
    """Append so that the column does not fall, whatever the clock or the file said."""
    fresh, whole = finite(values)
    newest = column[-1] if column else 0.0
    rising = list(cast(Sequence[float], values)) if whole else fresh.tolist()
    if rising and (not whole or rising[0] < newest or sorted(rising) != rising):
        rising = list(accumulate((newest if isnan(value) else value for value in rising), max, initial=newest))
        fresh = array("d", rising[1:])
    column.extend(fresh)
