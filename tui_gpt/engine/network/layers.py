"""The parts of a block: norms, rotary positions, attention, MLP.

Shapes: B batch, T new tokens, S tokens in view, C width, H heads, K key-value heads, D numbers per head.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tui_gpt.core.config import ModelConfig
from tui_gpt.engine.network.cache import LayerCache
from tui_gpt.engine.network.dropout import dropout
from tui_gpt.engine.network.written_gradients import rms_norm, swiglu

# On the CPU, in bf16, the plain form of attention beats the fused kernel while its (T, S) scores fit into the cache.
_PLAIN_ATTENTION_MAX_TOKENS = 256


class RMSNorm(nn.Module):
    """Divide by the root mean square over the last dimension, then scale (Zhang and Sennrich, 2019)."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) to (..., C)."""
        return rms_norm(x, self.weight, self.epsilon)


def norm(config: ModelConfig) -> nn.Module:
    """The norm that the family uses, over the model's width."""
    if config.family == "gpt2":
        return nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
    return RMSNorm(config.n_embd, config.layer_norm_epsilon)


def rotary_tables(config: ModelConfig) -> tuple[Tensor, Tensor]:
    """Cosines and sines (n_positions, D) of rotary positions (Su et al., 2021), halves concatenated as in Qwen."""
    if torch.get_default_device().type == "meta":
        # Shapes only: the first division there would import a second's worth of PyTorch for numbers without a place.
        shape = (config.n_positions, config.head_size)
        return torch.empty(shape), torch.empty(shape)
    half = torch.arange(0, config.head_size, 2, dtype=torch.int64).float() / config.head_size
    frequencies = 1.0 / (config.rope_theta**half)
    angles = torch.outer(torch.arange(config.n_positions).float(), frequencies)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair of numbers of `x` (B, H, T, D) by its position's angle; `cos`, `sin`: (T, D) or (B, 1, T, D)."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class Attention(nn.Module):
    """Causal self-attention: every token looks at itself and at what came before."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.n_head, self.n_kv_head, self.head_size = config.n_head, config.kv_heads, config.head_size
        self.dropout = config.dropout
        biased = config.family == "gpt2"
        heads = self.n_head + 2 * self.n_kv_head
        self.qkv = nn.Linear(config.n_embd, heads * self.head_size, bias=biased)
        self.out = nn.Linear(self.n_head * self.head_size, config.n_embd, bias=biased)
        self.norms_heads = config.family == "qwen3"
        if self.norms_heads:
            self.q_norm = RMSNorm(self.head_size, config.layer_norm_epsilon)
            self.k_norm = RMSNorm(self.head_size, config.layer_norm_epsilon)

    def forward(
        self, x: Tensor, rotary: tuple[Tensor, Tensor] | None, cache: LayerCache | None, mask: Tensor | None = None
    ) -> Tensor:
        """`x` (B, T, C) to (B, T, C). With a cache the T tokens follow the ones it holds.

        `mask` (B, 1, T, T) is True where a token may look; without one it sees itself and all before it.
        """
        batch, length, _ = x.shape
        heads = self.qkv(x).view(batch, length, -1, self.head_size)
        q, k, v = heads.split((self.n_head, self.n_kv_head, self.n_kv_head), dim=2)
        if self.norms_heads:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)  # (B, H or K, T, D)
        if rotary is not None:
            q, k = rotate(q, *rotary), rotate(k, *rotary)
        if cache is not None:
            k, v = cache.append(k, v)
        mixed = self._attend(q, k, v, mask)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, -1))  # type: ignore[no-any-return]

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """(B, H, T, D) queries over (B, K, S, D) keys and values, the T queries being the last of the S."""
        length, seen = q.size(2), k.size(2)
        rate = self.dropout if self.training else 0.0
        if q.device.type == "cpu" and length > 1:
            short = seen <= _PLAIN_ATTENTION_MAX_TOKENS and (q.dtype != torch.float32 or mask is not None)
            # With dropout torch has no fused kernel there.
            if rate or short:
                return plain_attention(q, k, v, rate, mask)
        grouped = self.n_head != self.n_kv_head
        if mask is None and length in (1, seen):
            # One query sees all; as many queries as keys is the square causal case the kernels know.
            return F.scaled_dot_product_attention(q, k, v, dropout_p=rate, is_causal=length > 1, enable_gqa=grouped)
        if mask is None:
            mask = causal_mask(length, seen, q.device)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=rate, enable_gqa=grouped)


def causal_mask(length: int, seen: int, device: torch.device) -> Tensor:
    """(T, S) booleans: True where the query, one of the last T of S tokens, may look."""
    return torch.ones(length, seen, dtype=torch.bool, device=device).tril(seen - length)


def plain_attention(q: Tensor, k: Tensor, v: Tensor, rate: float, mask: Tensor | None = None) -> Tensor:
    """Attention as two matrix products and a softmax, its weights dropped at `rate`; else as `Attention._attend`."""
    length, seen = q.size(2), k.size(2)
    if k.size(1) != q.size(1):
        repeats = q.size(1) // k.size(1)
        k, v = k.repeat_interleave(repeats, dim=1), v.repeat_interleave(repeats, dim=1)
    scores = (q * (1.0 / math.sqrt(q.size(-1)))) @ k.transpose(-2, -1)
    if mask is None:
        blocked = torch.full((length, seen), -math.inf, dtype=scores.dtype, device=scores.device)
        scores = scores + blocked.triu_(1 + seen - length)
    else:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = F.softmax(scores, dim=-1)
    weights = dropout(weights, rate)
    return weights @ v


class MLP(nn.Module):
    """What each token does by itself: up to `n_inner`, a nonlinearity, and back down."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gated = config.family != "gpt2"
        biased = not self.gated
        self.up = nn.Linear(config.n_embd, config.inner * (2 if self.gated else 1), bias=biased)
        self.down = nn.Linear(config.inner, config.n_embd, bias=biased)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) to (B, T, C)."""
        if self.gated:  # gate and up projections lie in one matrix
            return self.down(swiglu(self.up(x)))  # type: ignore[no-any-return]
        return self.down(F.gelu(self.up(x), approximate="tanh"))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Attention, then MLP, each on a normed copy and added to the stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.norm_1 = norm(config)
        self.attention = Attention(config)
        self.norm_2 = norm(config)
        self.mlp = MLP(config)
        self.dropout = config.dropout

    def forward(
        self,
        x: Tensor,
        rotary: tuple[Tensor, Tensor] | None,
        cache: LayerCache | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """(B, T, C) to (B, T, C)."""
        x = x + self._drop(self.attention(self.norm_1(x), rotary, cache, mask))
        return x + self._drop(self.mlp(self.norm_2(x)))

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout) if self.training else x
