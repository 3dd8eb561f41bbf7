"""From logits to a drawn token. Pure functions on float32 logits (B, V), meaning what transformers' processors mean.

Tokens that are left out get a logit of minus infinity. The order is transformers' own: repetition penalty, temperature,
top-k, top-p, min-p.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from tui_gpt.core.config import SampleConfig

# Consecutive seeds would make sample 1 of seed 7 equal sample 0 of seed 8; a large odd stride keeps them apart.
_SEED_STRIDE = 0x9E3779B97F4A7C15
_SEED_RANGE = 1 << 63

# How many tokens are looked at for a small nucleus before all are sorted.
_NUCLEUS_HEAD = 512

# Temperature and penalty both at this leave float32 logits finite; smaller ones would choose no other token.
_SMALLEST_DIVISOR = 1e-15


def penalize_repetition(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Make the tokens in `seen` (B, T) less likely: divide positive logits by `penalty`, multiply negative ones (Keskar
    et al., 2019). However often a token was seen, it counts once."""
    chosen = logits.gather(1, seen)
    penalty = max(penalty, _SMALLEST_DIVISOR)
    return logits.scatter(1, seen, torch.where(chosen < 0, chosen * penalty, chosen / penalty))


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Leave out all but the `k` likeliest tokens; those level with the last of them stay too."""
    if k >= logits.size(-1):
        return logits
    threshold = logits.topk(k, dim=-1).values[..., -1:]
    return logits.masked_fill(logits < threshold, -math.inf)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Leave out the least likely tokens that together have a probability of at most 1 - `p`; the likeliest always stays
    (nucleus sampling, Holtzman et al., 2020)."""
    if logits.size(-1) > _NUCLEUS_HEAD * 8:
        # Sorting 50,000 words costs more than a small network's step, and most nuclei are small.
        likely, order = logits.topk(_NUCLEUS_HEAD, dim=-1)
        probabilities = (likely - logits.logsumexp(dim=-1, keepdim=True)).exp()
        unlikely = probabilities.cumsum(dim=-1) - probabilities >= p
        if bool(unlikely[:, -1].all()):
            return torch.full_like(logits, -math.inf).scatter(-1, order, likely.masked_fill(unlikely, -math.inf))
    ascending, order = logits.sort(dim=-1)
    unlikely = ascending.softmax(dim=-1).cumsum(dim=-1) <= 1 - p
    unlikely[..., -1] = False
    return logits.masked_fill(torch.zeros_like(unlikely).scatter(-1, order, unlikely), -math.inf)


def keep_min_p(logits: Tensor, share: float) -> Tensor:
    """Leave out tokens less likely than `share` times the likeliest (Nguyen et al., 2024)."""
    probabilities = logits.softmax(dim=-1)
    return logits.masked_fill(probabilities < share * probabilities.amax(dim=-1, keepdim=True), -math.inf)


def shape_logits(logits: Tensor, config: SampleConfig) -> Tensor:
    """Apply temperature (which must not be 0), top-k, top-p and min-p, each where it is switched on."""
    logits = logits / max(config.temperature, _SMALLEST_DIVISOR)
    if config.top_k:
        logits = keep_top_k(logits, config.top_k)
    if config.top_p < 1:
        logits = keep_top_p(logits, config.top_p)
    if config.min_p:
        logits = keep_min_p(logits, config.min_p)
    return logits


def draw(logits: Tensor, generators: Sequence[torch.Generator]) -> list[int]:
    """One token per row of `logits` (B, V), each by the next number of its own generator (on the CPU, so that a seed
    draws the same on every device)."""
    # One number per token and a running sum in double: cheaper than one number per word, and exact enough for many.
    running = logits.softmax(dim=-1).cpu().double().cumsum(dim=-1)
    numbers = torch.cat([torch.rand(1, generator=g, dtype=torch.float64) for g in generators]).unsqueeze(1)
    chosen = torch.searchsorted(running, numbers * running[:, -1:], right=True)
    return chosen.squeeze(1).tolist()


def choose(
    logits: Tensor, seen: Tensor | None, config: SampleConfig, generators: Sequence[torch.Generator]
) -> list[int]:
    """The next token of each row of `logits` (B, V): the likeliest at temperature 0, drawn otherwise.

    `seen` (B, T) are the tokens in view, needed only with a repetition penalty.
    """
    if config.repetition_penalty != 1:
        assert seen is not None
        logits = penalize_repetition(logits, seen, config.repetition_penalty)
    if config.temperature == 0:
        return logits.argmax(dim=-1).tolist()
    return draw(shape_logits(logits, config), generators)


def sample_generator(seed: int, sample: int) -> torch.Generator:
    """The source of chance of one sample: a function of seed and number alone, however many are written together."""
    return torch.Generator().manual_seed((seed + sample * _SEED_STRIDE) % _SEED_RANGE)
