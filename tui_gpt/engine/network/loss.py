"""Next-token cross-entropy, without holding all logits of a large vocabulary at once."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tui_gpt.engine.text.batches import IGNORED

# Below this many logits the plain form is as small and faster.
_PLAIN_MAX_VOCABULARY = 8192
_CHUNK_ROWS = 512


def sum_loss(hidden: Tensor, head_weight: Tensor, targets: Tensor) -> Tensor:
    """Sum in float32 of the cross-entropy in nats of `targets` (B, T) given `hidden` (B, T, C) and the head (V, C).

    Targets equal to IGNORED count nothing. Above a certain vocabulary the gradients are found together with the loss,
    and can be asked for once.
    """
    rows, flat = hidden.reshape(-1, hidden.size(-1)), targets.reshape(-1)
    if head_weight.size(0) <= _PLAIN_MAX_VOCABULARY:
        return _plain(rows, head_weight, flat)
    if torch.is_grad_enabled() and (rows.requires_grad or head_weight.requires_grad):
        result: Tensor = _ChunkedLoss.apply(rows, head_weight, flat)  # type: ignore[no-untyped-call]
        return result
    total = torch.zeros((), dtype=torch.float32, device=hidden.device)
    for part, wanted in zip(torch.split(rows, _CHUNK_ROWS), torch.split(flat, _CHUNK_ROWS), strict=True):
        total = total + _plain(part, head_weight, wanted)
    return total


def _plain(rows: Tensor, head_weight: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(rows, head_weight).float(), targets, reduction="sum", ignore_index=IGNORED)


class _ChunkedLoss(torch.autograd.Function):
    """The loss of some rows after the other, with its gradients while their logits are there.

    Computing the logits anew for the backward pass, as checkpointing does, would be a fourth product with the head.
    torch's own `linear_cross_entropy` with chunks does likewise, and was half as fast on the CPU.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        """(N, C) rows, (V, C) weight and (N,) targets to the sum of the losses in float32."""
        ctx.set_materialize_grads(False)
        rows_wanted, weight_wanted = ctx.needs_input_grad[:2]
        rows_gradient = torch.empty_like(rows) if rows_wanted else None
        weight_gradient = torch.zeros_like(weight) if weight_wanted else None
        total = torch.zeros((), dtype=torch.float32, device=rows.device)
        for start in range(0, rows.size(0), _CHUNK_ROWS):
            part = slice(start, start + _CHUNK_ROWS)
            counts = (targets[part] != IGNORED).unsqueeze(1)
            wanted = targets[part].unsqueeze(1).clamp_min(0)
            log_probabilities = F.log_softmax(F.linear(rows[part], weight), dim=-1, dtype=torch.float32)
            total -= (log_probabilities.gather(1, wanted) * counts).sum()
            # By logits: the probability of each token, less one for the token that came. What does not count is left
            # out where it costs least, among the narrow rows.
            gradient = log_probabilities.exp_()
            gradient.scatter_add_(1, wanted, gradient.new_full((), -1.0).expand(wanted.shape))
            gradient = gradient.to(weight.dtype)
            if rows_gradient is not None:
                rows_gradient[part] = (gradient @ weight) * counts
            if weight_gradient is not None:
                weight_gradient.addmm_(gradient.t(), rows[part] * counts)
            # Before the next chunk's logits come.
            del log_probabilities, gradient
        ctx.gradients = (rows_gradient, weight_gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *outer: Tensor | None) -> tuple[Tensor | None, Tensor | None, None]:
        """The gradients times that of the loss, given away: a second backward pass finds none."""
        (factor,) = outer
        gradients, ctx.gradients = ctx.gradients, (None, None)
        if factor is None:
            return None, None, None
        rows_gradient, weight_gradient = (None if g is None else g.mul_(factor) for g in gradients)
        return rows_gradient, weight_gradient, None
