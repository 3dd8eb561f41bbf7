"""Batches: batch number n is a pure function of (seed, n), and each rank takes its slice of it.

An epoch visits every window of the text once, in an order given by a keyed permutation that needs no memory: so the
position in the data is the step number, and resuming is arithmetic.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tui_gpt.core.config import RunConfig

IGNORED = -100
"""A target that does not count."""

_ROUNDS = 4
_MASK = np.uint64(0xFFFFFFFF)
_FIRST_PART = 1 << 48
"""Beyond every epoch, so that no part's seed is an epoch's key."""


def _mix(values: npt.NDArray[np.uint64], key: np.uint64) -> npt.NDArray[np.uint64]:
    """A 32-bit hash of each value, keyed (the finaliser of SplitMix64)."""
    with np.errstate(over="ignore"):
        z = values + key
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) & _MASK


def epoch_key(seed: int, epoch: int, part: int | None = None) -> int:
    """The key of an epoch's order; with `part`, that of one part of the text."""
    # Hashed one after the other: a sum would make the second epoch of a seed the first one of the next.
    hashed = _mix(np.array([seed], dtype=np.uint64), np.uint64(0))
    hashed = _mix(hashed << np.uint64(20), np.uint64(epoch))
    if part is not None:
        hashed = _mix(hashed << np.uint64(20), np.uint64(part))
    return int(hashed[0])


def seed_of_part(seed: int, part: int) -> int:
    """A seed of its own for each corpus of a mix; the first one has the run's."""
    return epoch_key(seed, _FIRST_PART + part) if part else seed


def permute(indices: npt.NDArray[np.int64], size: int, key: int) -> npt.NDArray[np.int64]:
    """Where a keyed permutation of range(size) sends `indices`: a Feistel network, walked until it lands inside."""
    half_bits = max(1, ((max(size - 1, 1)).bit_length() + 1) // 2)
    low_mask = np.uint64((1 << half_bits) - 1)
    shift = np.uint64(half_bits)
    keys = _mix(np.arange(1, _ROUNDS + 1, dtype=np.uint64), np.uint64(key))
    result = indices.astype(np.uint64)
    outside = np.ones(result.shape, dtype=bool)
    while outside.any():
        left, right = result[outside] >> shift, result[outside] & low_mask
        for number in range(_ROUNDS):
            left, right = right, left ^ (_mix(right, keys[number]) & low_mask)
        result[outside] = (left << shift) | right
        outside = result >= np.uint64(size)
    return result.astype(np.int64)


class Batch(NamedTuple):
    """One rank's share of a step's sequences: B of them, T tokens each."""

    ids: npt.NDArray[np.int64]
    """(B, T): what is read."""
    targets: npt.NDArray[np.int64]
    """(B, T): the token after each, or IGNORED."""
    n_targets: int
    """How many targets count, over all ranks; the loss is their mean."""
    segments: npt.NDArray[np.int64] | None = None
    """(B, T): tokens see only those of the same number, and positions begin anew with each; None: all of a sequence."""


class Batches(ABC):
    """Where the sequences of a run's steps come from."""

    batch_size: int
    """Sequences of a step, over all ranks."""

    @property
    @abstractmethod
    def rows_per_epoch(self) -> float:
        """Sequences in which everything is visited once."""

    @property
    def steps_per_epoch(self) -> float:
        """Optimizer steps in which everything is visited once."""
        return self.rows_per_epoch / self.batch_size

    @abstractmethod
    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        """Batch number `step` for one of `world_size` ranks."""


def windows_per_epoch(n_tokens: int, n_positions: int) -> int:
    """Windows of `n_positions` tokens that an epoch of so many tokens has."""
    # The last token is only ever a target. The random offset costs at most one window.
    return max(1, (n_tokens - 1) // n_positions - 1)


def shuffled(numbers: npt.NDArray[np.int64], size: int, seed: int) -> npt.NDArray[np.int64]:
    """What stands at these places of an endless sequence in which every `size` entries are range(size), shuffled."""
    epochs, places = np.divmod(numbers, size)
    result = np.empty_like(numbers)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        result[here] = permute(places[here], size, epoch_key(seed, int(epoch)))
    return result


class WindowBatches(Batches):
    """Windows of `n_positions` tokens and the token after each, drawn from a flat array of tokens.

    `tokens` holds at least n_positions + 1 of them. In every epoch the windows start at another offset, so that the
    model does not always see the same borders.
    """

    def __init__(self, tokens: npt.NDArray[np.integer], n_positions: int, batch_size: int, seed: int) -> None:
        if len(tokens) <= n_positions:
            raise ValueError(f"{len(tokens)} tokens do not fill one window of {n_positions} and the token after it")
        self._tokens, self._length = tokens, n_positions
        self.batch_size = batch_size
        self._seed = seed
        self.windows_per_epoch = windows_per_epoch(len(tokens), n_positions)
        self._slack = (len(tokens) - 1) - self.windows_per_epoch * n_positions

    @classmethod
    def of(cls, tokens: npt.NDArray[np.integer], config: RunConfig) -> WindowBatches:
        """As a run of that configuration draws them."""
        return cls(tokens, config.model.n_positions, config.train.batch_size, config.train.seed)

    @property
    def rows_per_epoch(self) -> float:
        return self.windows_per_epoch

    def starts(self, step: int) -> npt.NDArray[np.int64]:
        """Positions (batch_size,) at which the windows of batch `step` begin."""
        return self.starts_of(np.arange(step * self.batch_size, (step + 1) * self.batch_size, dtype=np.int64))

    def starts_of(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Positions at which the windows of these numbers begin, counted from 0 through all epochs."""
        epochs, places = np.divmod(numbers, self.windows_per_epoch)
        result = np.empty_like(numbers)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            key = epoch_key(self._seed, int(epoch))
            offset = key % (self._slack + 1)
            result[here] = permute(places[here], self.windows_per_epoch, key) * self._length + offset
        return result

    def windows(self, starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The windows (N, T + 1) that begin at these positions, the token after each included."""
        found: npt.NDArray[np.int64] = self._tokens[starts[:, None] + np.arange(self._length + 1)].astype(np.int64)
        return found

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        share = self.batch_size // world_size
        windows = self.windows(self.starts(step)[rank * share : (rank + 1) * share])
        return Batch(windows[:, :-1], windows[:, 1:], self.batch_size * self._length)
