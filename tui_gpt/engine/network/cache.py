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
        shape = (batch, config.kv_heads, config.n_positions, config.head_size)

        def buffer() -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        self.layers = [LayerCache(buffer(), buffer()) for _ in range(config.n_layer)]

    @property
    def length(self) -> int:
        """Tokens held."""
        return self.layers[0].length

    def truncate(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot keep {length} of {self.length} cached tokens")
        for layer in self.layers:
            layer.length = length
