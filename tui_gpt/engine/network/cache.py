"""The KV cache: keys and values of the tokens already read, so that a new token costs one row instead of a square."""

from __future__ import annotations

import torch
from torch import Tensor

from tui_gpt.core.config import ModelConfig


class LayerCache:
    """Keys and values of one block, (B, K, S, D) views into buffers that are allocated once."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self._keys, self._values = keys, values
        self.length = 0

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store (B, K, T, D) new keys and values; return all of them, (B, K, S, D)."""
        end = self.length + k.size(2)
        self._keys[:, :, self.length : end] = k.detach()
        self._values[:, :, self.length : end] = v.detach()
        self.length = end
        return self._keys[:, :, :end], self._values[:, :, :end]


class KVCache:
    """The caches of all blocks for a batch of `batch` sequences of at most `n_positions` tokens."""

    def __init__(
        self,
        config: ModelConfig,
        batch: int = 1,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
    ) -> None:
        self.n_positions = config.n_positions
        shape = (config.n_layer, 2, batch, config.kv_heads, config.n_positions, config.head_size)
        # Of all blocks in one piece, so that a new token is given its place in all of them at once.
        self._both = torch.zeros(shape, dtype=dtype, device=device)
        self.layers = [LayerCache(keys, values) for keys, values in self._both.unbind(0)]

    @property
    def length(self) -> int:
        """Tokens held."""
        return self.layers[0].length

    def truncate(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot keep {length} of {self.length} cached tokens")
        self._count(length)

    def lengthen(self) -> Tensor:
        """Count one more token, whose keys and values the caller writes into the buffer (n_layer, 2, B, K, n_positions,
        D) that this returns. Raises ValueError when the cache is full."""
        if self.length == self.n_positions:
            raise ValueError(f"{self.length + 1} tokens exceed the context of {self.n_positions}")
        self._count(self.length + 1)
        return self._both

    def extend(self) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Make room for one more token; of each block where its key and value go (2, B, K, D), and all keys and all
        values, with the new ones, (B, K, S, D). Raises ValueError when the cache is full."""
        place = self.length
        seen = self.lengthen().narrow(4, 0, place + 1)
        return self._both.select(4, place).unbind(0), seen.select(1, 0).unbind(0), seen.select(1, 1).unbind(0)

    def _count(self, length: int) -> None:
        for layer in self.layers:
            layer.length = length
