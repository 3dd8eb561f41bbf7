"""Batches of a text that arrives part by part: still a pure function of (seed, n), and drawn from what is there.

In the first epoch the parts come one after the other, the windows of each in an order of its own; no window crosses
from one part into the next. From the second epoch on all windows of all parts are shuffled together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text.batches import Batch, Batches, epoch_key, permute

_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 60.0
"""A rank that draws what the first rank has seen may see it a little later, on another machine's disk."""

Tokens = npt.NDArray[np.integer]
NextPart = Callable[[int], tuple[Tokens, bool] | None]
"""The part of that number and whether it is the last; None while it is not there."""


def windows_of(n_tokens: int, n_positions: int) -> int:
    """Windows of a part. As of a whole text, the last token is only ever a target and the offset takes one window."""
    full = max(0, (n_tokens - 1) // n_positions)
    return max(min(1, full), full - 1)


class ArrivingBatches(Batches):
    """Windows of `n_positions` tokens and the token after each, of the parts that `next_part` gives in their order."""

    def __init__(
        self, next_part: NextPart, n_positions: int, batch_size: int, seed: int, expected_rows: Callable[[], float]
    ) -> None:
        """`expected_rows` tells how many windows there will be in all, about, as long as nobody can know."""
        self._next_part, self._length, self._seed = next_part, n_positions, seed
        self._expected_rows = expected_rows
        self.batch_size = batch_size
        self._parts: list[Tokens] = []
        self._ends = np.zeros(1, dtype=np.int64)  # windows before each part, and in all of them
        self.is_complete = False

    @property
    def parts(self) -> Sequence[Tokens]:
        """Those that are known to be there."""
        return self._parts

    @property
    def rows_per_epoch(self) -> float:
        """Exact once everything is here, else what is to be expected."""
        return float(self._ends[-1]) if self.is_complete else max(float(self._ends[-1]), self._expected_rows())

    def look(self) -> None:
        """Take up the parts that have come since the last look."""
        while not self.is_complete and (found := self._next_part(len(self._parts))) is not None:
            tokens, self.is_complete = found
            self._parts.append(tokens)
            self._ends = np.append(self._ends, self._ends[-1] + windows_of(len(tokens), self._length))

    def has(self, step: int) -> bool:
        """Whether batch `step` can be drawn from the parts that are known to be there."""
        return bool(self.is_complete or (step + 1) * self.batch_size <= self._ends[-1])

    def places(self, step: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Part and first token (batch_size,) of each window of a batch. Raises ValueError where they are not here."""
        if not self.has(step) or not self._ends[-1]:
            raise ValueError(f"batch {step} is of text that has not come yet")
        numbers = np.arange(step * self.batch_size, (step + 1) * self.batch_size, dtype=np.int64)
        epochs, windows = np.divmod(numbers, self._ends[-1])
        if not self.is_complete:
            epochs, windows = np.zeros_like(numbers), numbers
        for epoch in np.unique(epochs):
            if epoch:
                here = epochs == epoch
                windows[here] = permute(windows[here], int(self._ends[-1]), epoch_key(self._seed, int(epoch)))
        parts = np.searchsorted(self._ends, windows, side="right") - 1
        starts = np.empty_like(numbers)
        for epoch, part in {(int(e), int(p)) for e, p in zip(epochs, parts, strict=True)}:
            here = (epochs == epoch) & (parts == part)
            starts[here] = self._starts(epoch, part, windows[here] - self._ends[part])
        return parts, starts

    def _starts(self, epoch: int, part: int, windows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Where windows of a part begin, by their numbers within it."""
        size = int(self._ends[part + 1] - self._ends[part])
        key = epoch_key(self._seed, epoch, part)
        if not epoch:
            windows = permute(windows, size, key)
        slack = (len(self._parts[part]) - 1) - size * self._length
        return windows * self._length + key % (slack + 1)

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        self._wait_for(step)
        share = self.batch_size // world_size
        mine = slice(rank * share, (rank + 1) * share)
        parts, starts = (places[mine] for places in self.places(step))
        windows = np.empty((share, self._length + 1), dtype=np.int64)
        for part in np.unique(parts):
            here = parts == part
            windows[here] = self._parts[part][starts[here][:, None] + np.arange(self._length + 1)]
        return Batch(windows[:, :-1], windows[:, 1:], self.batch_size * self._length)

    def _wait_for(self, step: int) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self.has(step):
            self.look()
            if self.has(step):
                break
            if time.monotonic() > deadline:
                raise CorpusError(
                    f"the text of step {step + 1} is not there, although another process has it; look at the disk that "
                    "holds the cache"
                )
            time.sleep(_POLL_SECONDS)
