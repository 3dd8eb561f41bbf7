"""One more token: what the network computes for it, in as few operations as there are.

For a single token the products are small, and what Python and torch do around each of them takes as long as the
arithmetic. Layers, modules and shapes are therefore looked at once, and a step is a list of operations.

Shapes: B batch, S tokens in view, C width, H heads, K key-value heads, D numbers per head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tui_gpt.engine.network.cache import KVCache
from tui_gpt.engine.network.layers import Attention, Block, RMSNorm

if TYPE_CHECKING:
    from tui_gpt.engine.network.gpt import GPT

Map = Callable[[Tensor], Tensor]
"""(B, in) to (B, out)."""


@dataclass(slots=True)
class _Step:
    """What one block does to one token."""

    norm_1: Map
    qkv: Map
    norm_heads: Map | None
    """(B, H + K, D) to the same, of families that norm queries and keys."""
    out: Map
    norm_2: Map
    up: Map
    down: Map


class Decoder:
    """Writes with a network's weights as they stand, which must stay where they are. Dropout is never applied."""

    def __init__(self, network: GPT) -> None:
        self._network = network
        self._config = config = network.config
        self._gated = config.family != "gpt2"
        self._widths = (config.n_head, config.kv_heads, config.kv_heads)
        self._grouped = config.n_head != config.kv_heads
        self._steps = [_step(block) for block in network.blocks]
        self._final_norm = _norm(network.final_norm)
        self._head = partial(F.linear, weight=network.head_weight)
        if network.rotary_cos is not None and network.rotary_sin is not None:
            half = config.head_size // 2
            dtype = network.token_embedding.weight.dtype
            self._cos = network.rotary_cos.to(dtype)
            # The first half of each head is turned by the second with the other sign.
            self._sin = torch.cat((-network.rotary_sin[:, :half], network.rotary_sin[:, half:]), dim=1).to(dtype)
            self._half = half

    @torch.no_grad()
    def next_logits(self, ids: Tensor, cache: KVCache) -> Tensor:
        """Logits (B, vocab_size), float32, of the token after `ids` (B), which follow the tokens that `cache` holds.

        What `GPT.next_logits` gives for ids (B, 1). Raises ValueError when the cache is full.
        """
        network, place = self._network, cache.length
        places, keys, values = cache.extend()
        x = F.embedding(ids, network.token_embedding.weight)
        if network.position_embedding is not None:
            x = x + network.position_embedding.weight[place]
        else:
            cos, sin = self._cos[place], self._sin[place]
        batch, (n_head, n_kv_head, _) = ids.size(0), self._widths
        turned = n_head + n_kv_head
        size = self._config.head_size
        for step, new, k, v in zip(self._steps, places, keys, values, strict=True):
            heads = step.qkv(step.norm_1(x)).view(batch, -1, size)
            if self._gated:
                q_and_k = heads[:, :turned]
                if step.norm_heads is not None:
                    q_and_k = step.norm_heads(q_and_k)
                q_and_k = torch.addcmul(q_and_k * cos, q_and_k.roll(self._half, -1), sin)
                q = q_and_k[:, :n_head]
                new[0].copy_(q_and_k[:, n_head:])
                new[1].copy_(heads[:, turned:])
            else:
                q = heads[:, :n_head]
                new.copy_(heads[:, n_head:].view(batch, 2, n_kv_head, size).transpose(0, 1))
            mixed = F.scaled_dot_product_attention(q.unsqueeze(2), k, v, enable_gqa=self._grouped)
            x = x + step.out(mixed.view(batch, -1))
            hidden = step.up(step.norm_2(x))
            if self._gated:
                gate, up = hidden.chunk(2, dim=-1)
                hidden = F.silu(gate).mul_(up)
            else:
                hidden = F.gelu(hidden, approximate="tanh")
            x = x + step.down(hidden)
        return self._head(self._final_norm(x)).float()


def _step(block: nn.Module) -> _Step:
    assert isinstance(block, Block)
    attention, mlp = block.attention, block.mlp
    return _Step(
        norm_1=_norm(block.norm_1),
        qkv=_map(attention.qkv),
        norm_heads=_norm_of_heads(attention) if attention.norms_heads else None,
        out=_map(attention.out),
        norm_2=_norm(block.norm_2),
        up=_map(mlp.up),
        down=_map(mlp.down),
    )


def _map(layer: nn.Module) -> Map:
    # What has adapters beside its weight is a Linear too, but multiplies in its own way.
    return partial(F.linear, weight=layer.weight, bias=layer.bias) if type(layer) is nn.Linear else layer


def _norm(norm: nn.Module) -> Map:
    if isinstance(norm, nn.LayerNorm):
        return partial(
            F.layer_norm, normalized_shape=norm.normalized_shape, weight=norm.weight, bias=norm.bias, eps=norm.eps
        )
    assert isinstance(norm, RMSNorm)
    return partial(F.rms_norm, normalized_shape=tuple(norm.weight.shape), weight=norm.weight, eps=norm.epsilon)


def _norm_of_heads(attention: Attention) -> Map:
    """Queries and keys at once: each head over its own numbers, then scaled by the norm that it belongs to."""
    q, k = attention.q_norm, attention.k_norm
    scale = torch.cat((q.weight.expand(attention.n_head, -1), k.weight.expand(attention.n_kv_head, -1)))

    def normed(heads: Tensor) -> Tensor:
        return F.rms_norm(heads, (attention.head_size,), None, q.epsilon).mul_(scale)

    return normed
