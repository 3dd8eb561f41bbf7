"""Batches of windows: batch number n is a pure function of (seed, n), and each rank takes its slice of it.

An epoch visits every window of the text once, in an order given by a keyed permutation that needs no memory: so the
position in the data is the step number, and resuming is arithmetic.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_ROUNDS = 4
_MASK = np.uint64(0xFFFFFFFF)


def _mix(values: npt.NDArray[np.uint64], key: np.uint64) -> npt.NDArray[np.uint64]:
    """A 32-bit hash of each value, keyed (the finaliser of SplitMix64)."""
    with np.errstate(over="ignore"):
        z = values + key
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) & _MASK


def _key(seed: int, epoch: int) -> int:
    # Hashed one after the other: a sum would make the second epoch of a seed the first one of the next.
    hashed = _mix(np.array([seed], dtype=np.uint64), np.uint64(0))
    return int(_mix(hashed << np.uint64(20), np.uint64(epoch))[0])


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


class Batches:
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
        # The last token is only ever a target. The random offset costs at most one window.
        self.windows_per_epoch = max(1, (len(tokens) - 1) // n_positions - 1)
        self._slack = (len(tokens) - 1) - self.windows_per_epoch * n_positions

    @property
    def steps_per_epoch(self) -> float:
        """Optimizer steps in which every window is visited once."""
        return self.windows_per_epoch / self.batch_size

    def starts(self, step: int) -> npt.NDArray[np.int64]:
        """Positions (batch_size,) at which the windows of batch `step` begin."""
        numbers = np.arange(step * self.batch_size, (step + 1) * self.batch_size, dtype=np.int64)
        epochs, places = np.divmod(numbers, self.windows_per_epoch)
        result = np.empty_like(numbers)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            key = _key(self._seed, int(epoch))
            offset = key % (self._slack + 1)
            result[here] = permute(places[here], self.windows_per_epoch, key) * self._length + offset
        return result

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> npt.NDArray[np.int64]:
        """Tokens (batch_size / world_size, n_positions + 1) of batch `step` for one of `world_size` ranks."""
        share = self.batch_size // world_size
        starts = self.starts(step)[rank * share : (rank + 1) * share]
        windows: npt.NDArray[np.int64] = self._tokens[starts[:, None] + np.arange(self._length + 1)].astype(np.int64)
        return windows
