"""Next-token cross-entropy, without holding all logits of a large vocabulary at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tui_gpt.engine.text.batches import IGNORED

# Below this many logits the plain form is as small and faster.
_PLAIN_MAX_VOCABULARY = 8192
_CHUNK_ROWS = 512


def sum_loss(hidden: Tensor, head_weight: Tensor, targets: Tensor) -> Tensor:
    """Sum in float32 of the cross-entropy in nats of `targets` (B, T) given `hidden` (B, T, C) and the head (V, C).

    Targets equal to IGNORED count nothing.
    """
    rows, flat = hidden.reshape(-1, hidden.size(-1)), targets.reshape(-1)
    if head_weight.size(0) <= _PLAIN_MAX_VOCABULARY:
        logits = F.linear(rows, head_weight)
        return F.cross_entropy(logits.float(), flat, reduction="sum", ignore_index=IGNORED)
    total = torch.zeros((), dtype=torch.float32, device=hidden.device)
    for part, wanted in zip(torch.split(rows, _CHUNK_ROWS), torch.split(flat, _CHUNK_ROWS), strict=True):
        total = total + _chunk_loss(part, head_weight, wanted)
    return total


def _chunk_loss(rows: Tensor, head_weight: Tensor, targets: Tensor) -> Tensor:
    if not torch.is_grad_enabled():
        return _plain(rows, head_weight, targets)
    from torch.utils.checkpoint import checkpoint

    result: Tensor = checkpoint(_plain, rows, head_weight, targets, use_reentrant=False)
    return result


def _plain(rows: Tensor, head_weight: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(rows, head_weight).float(), targets, reduction="sum", ignore_index=IGNORED)
