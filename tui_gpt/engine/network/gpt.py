"""The GPT: token ids in, next-token logits out. Reads top to bottom."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tui_gpt.core.config import ModelConfig, WritingPrecision
from tui_gpt.core.errors import ConfigError
from tui_gpt.engine.network.cache import KVCache
from tui_gpt.engine.network.decoding import Decoder
from tui_gpt.engine.network.dropout import dropout
from tui_gpt.engine.network.layers import Block, norm, rotary_tables
from tui_gpt.engine.network.native_decoding import NativeDecoder, native_obstacle
from tui_gpt.engine.network.packing import mask_within, positions_within


class GPT(nn.Module):
    """A decoder-only transformer of the gpt2, qwen3 or llama family.

    They compute what `GPT2LMHeadModel`, `Qwen3ForCausalLM` and `LlamaForCausalLM` of transformers do; tests/parity
    holds them to that.
    """

    rotary_cos: Tensor | None
    rotary_sin: Tensor | None

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocabulary, config.n_embd)
        learned = config.family == "gpt2"
        self.position_embedding = nn.Embedding(config.n_positions, config.n_embd) if learned else None
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.final_norm = norm(config)
        self.head = None if config.tie_word_embeddings else nn.Linear(config.n_embd, config.vocabulary, bias=False)
        cos, sin = (None, None) if learned else rotary_tables(config)
        self.register_buffer("rotary_cos", cos, persistent=False)
        self.register_buffer("rotary_sin", sin, persistent=False)
        self.gradient_checkpointing = False

    @property
    def head_weight(self) -> Tensor:
        """(vocab_size, C): the output head, which may be the token embedding itself."""
        return self.token_embedding.weight if self.head is None else self.head.weight

    def hidden(self, ids: Tensor, cache: KVCache | None = None, segments: Tensor | None = None) -> Tensor:
        """Token ids (B, T) to the last block's normed output (B, T, C).

        With a cache the T tokens follow the ones it holds. With `segments` (B, T) several documents lie in a row: a
        token sees those of its own number only, and positions begin anew with each. Raises ValueError when the tokens
        exceed `n_positions`.
        """
        start = 0 if cache is None else cache.length
        end = start + ids.size(1)
        if end > self.config.n_positions:
            raise ValueError(f"{end} tokens exceed the context of {self.config.n_positions}")
        x = self.token_embedding(ids)
        rotary = mask = None
        places: slice | Tensor = slice(start, end)
        if segments is not None:
            places, mask = positions_within(segments), mask_within(segments)
        if self.position_embedding is not None:
            x = x + self.position_embedding.weight[places]
        else:
            assert self.rotary_cos is not None and self.rotary_sin is not None
            rotary = (self.rotary_cos[places].to(x.dtype), self.rotary_sin[places].to(x.dtype))
            if segments is not None:
                rotary = (rotary[0].unsqueeze(1), rotary[1].unsqueeze(1))  # the same for every head
        if self.training:
            x = dropout(x, self.config.dropout)
        for number, block in enumerate(self.blocks):
            if self.gradient_checkpointing and self.training:
                x = checkpoint(block, x, rotary, None, mask, use_reentrant=False)
            else:
                x = block(x, rotary, None if cache is None else cache.layers[number], mask)
        return self.final_norm(x)  # type: ignore[no-any-return]

    def forward(self, ids: Tensor, cache: KVCache | None = None) -> Tensor:
        """Token ids (B, T) to logits (B, T, vocab_size)."""
        return F.linear(self.hidden(ids, cache), self.head_weight)

    @torch.no_grad()
    def next_logits(self, ids: Tensor, cache: KVCache | None = None) -> Tensor:
        """Logits (B, vocab_size), float32, of the token after `ids` (B, T); the head reads the last row only."""
        return F.linear(self.hidden(ids, cache)[:, -1], self.head_weight).float()

    def decoder(self, precision: WritingPrecision = "float32") -> Decoder | NativeDecoder:
        """What computes the next token's logits for one token at a time, faster than `next_logits`.

        In float32 it uses the weights themselves, as long as they stay where they are; else a copy of them as they are
        now. Raises ConfigError where nothing here computes in `precision`.
        """
        obstacle = native_obstacle(self)
        if not obstacle:
            return NativeDecoder(self, precision)
        if precision != "float32":
            raise ConfigError("--precision", f"{precision} cannot be had here: {obstacle}")
        return Decoder(self)

    def count_parameters(self) -> int:
        """Numbers that are learned, a tied matrix counted once."""
        return sum(p.numel() for p in self.parameters())
