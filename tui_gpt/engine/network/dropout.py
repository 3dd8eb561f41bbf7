"""Dropout that draws its chances four at a time where torch draws them one by one, on the CPU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_STEPS = 1 << 16
_DRAWS = 4
"""Chances of 16 bits in one drawn number of 64."""


def dropout(x: Tensor, rate: float) -> Tensor:
    """`x` (any shape) with each number set to zero at a chance of `rate` (0 to below 1), and the others scaled so that
    the mean stays (Srivastava et al., 2014).

    On the CPU the chance is `rate` to the nearest 65,536th, and the noise comes from torch's global generator.
    """
    if not rate:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, rate)
    dropped = min(round(rate * _STEPS), _STEPS - 1)
    if not dropped:
        return x
    drawn = torch.empty(-(-x.numel() // _DRAWS), dtype=torch.int64).random_(-(1 << 63), None)
    chances = drawn.view(torch.int16)[: x.numel()].view(x.shape)
    return torch.where(chances >= dropped - _STEPS // 2, x * (_STEPS / (_STEPS - dropped)), 0.0)
