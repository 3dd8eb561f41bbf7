"""Batches of several corpora, each with its share of every step: which sequences a step holds is arithmetic.

A step of B sequences owes a corpus with the share s exactly s B of them, which is seldom a whole number. The whole part
it gets in every step; what is left over goes round so that in every step each corpus has s B sequences rounded down or
up, and in all steps so far less than one sequence more or less than its due. That such an order exists for any shares,
and that the rule below finds it, is known from the fair scheduling of processors (Baruah, Cohen, Plaxton and Varvel,
1996; the rule, PD2, is Anderson and Srinivasan's, 2004). It repeats after at most 10,000 steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import numpy as np
import numpy.typing as npt

from tui_gpt.engine.text.batches import Batch, Batches, WindowBatches


def allotments(weights: Sequence[int], batch_size: int) -> npt.NDArray[np.int64]:
    """How many sequences of each part the first n steps hold, (n_steps + 1, n_parts), until the order repeats.

    `weights` are the parts' shares in whole numbers, each at least 1.
    """
    total = sum(weights)
    owed = np.array([weight * batch_size for weight in weights], dtype=np.int64)
    left = [int(rest) for rest in owed % total]
    period = total // gcd(total, *left)
    extra = np.zeros((period, len(weights)), dtype=np.int64)
    seats = sum(left) // total
    next_of = {part: 1 for part, rest in enumerate(left) if rest}
    for step in range(period if seats else 0):
        waiting = [(_urgency(number, left[part], total), part) for part, number in next_of.items()]
        # A sequence cannot come before it is due by a share of itself.
        due = sorted((urgency, part) for urgency, part in waiting if (next_of[part] - 1) * total // left[part] <= step)
        for _, part in due[:seats]:
            extra[step, part] = 1
            next_of[part] += 1
    counts = np.zeros((period + 1, len(weights)), dtype=np.int64)
    np.cumsum(owed // total + extra, axis=0, out=counts[1:])
    return counts


def _urgency(number: int, left: int, total: int) -> tuple[int, bool, int]:
    """Sorts first what must come first: the `number`-th of the sequences of which each step owes left / total."""
    deadline = -(-number * total // left)
    # Whether the next one may come in the deadline's own step, so that waiting until then narrows its choice.
    overlaps = number * total % left != 0
    # Of parts that are owed more than half, the step up to which one delay pushes on the next.
    pushed = 0
    if 2 * left >= total:
        free = total - left
        steps = -(-deadline * free // total)
        pushed = -(-steps * total // free)
    return deadline, not overlaps, -pushed


class MixedBatches(Batches):
    """Sequences of several corpora, in every step so many of each as its share says."""

    def __init__(self, parts: Sequence[WindowBatches], weights: Sequence[int], batch_size: int) -> None:
        """`parts` have one context, and the first is the main one, which measures the epoch; `weights` are shares."""
        self._parts = tuple(parts)
        self._share = sum(weights) / weights[0]
        self.batch_size = batch_size
        self._counts = allotments(weights, batch_size)

    @property
    def rows_per_epoch(self) -> float:
        return self._parts[0].rows_per_epoch * self._share

    def before(self, step: int) -> npt.NDArray[np.int64]:
        """How many sequences of each part the steps before `step` hold, (n_parts,)."""
        rounds, place = divmod(step, len(self._counts) - 1)
        found: npt.NDArray[np.int64] = rounds * self._counts[-1] + self._counts[place]
        return found

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        size = self.batch_size // world_size
        first, after = self.before(step), self.before(step + 1)
        ends = np.cumsum(after - first)
        windows = []
        # The step's sequences stand part by part, and each rank takes its piece of the row.
        for part, begin, end, number in zip(self._parts, ends - (after - first), ends, first, strict=True):
            low, high = max(int(begin), rank * size), min(int(end), (rank + 1) * size)
            if low < high:
                numbers = int(number) + np.arange(low - int(begin), high - int(begin), dtype=np.int64)
                windows.append(part.windows(part.starts_of(numbers)))
        rows = np.concatenate(windows)
        return Batch(rows[:, :-1], rows[:, 1:], self.batch_size * (rows.shape[1] - 1))
