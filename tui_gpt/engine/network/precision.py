"""Weights kept in fewer bits while text is written on the CPU, where reading them is what a token takes.

- float16: weights rounded to 11 significant bits, everything else as in float32.
- int8: each row of a weight in 255 steps of its own size, and each token's activations in 256 steps of theirs, which
  the processor multiplies as integers (Jacob et al., 2017). Norms, attention and sums stay in float32.

The products are torch's own (FBGEMM on x86, QNNPACK on Arm). How much they change a model: docs/models.md.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tui_gpt.core.config import WritingPrecision
from tui_gpt.core.errors import ConfigError
from tui_gpt.engine.network.decoding import Map, Product, exact

_LARGEST_STEP = 127


def product_in(precision: WritingPrecision, device: torch.device) -> Product:
    """How to multiply in that precision. Raises ConfigError where `device` cannot."""
    if precision == "float32":
        return exact
    product = _float16 if precision == "float16" else _int8
    if device.type != "cpu":
        raise ConfigError("--precision", f"{precision} is for writing on the CPU, and the model is on {device}")
    try:
        product(torch.ones(8, 8), None)(torch.ones(1, 8))
    except RuntimeError:
        raise ConfigError("--precision", f"torch cannot multiply in {precision} on this processor") from None
    return product


def _float16(weight: Tensor, bias: Tensor | None) -> Map:
    packed: Any = torch.ops.quantized.linear_prepack_fp16(weight.detach().float(), _plain(bias))
    multiply = torch.ops.quantized.linear_dynamic_fp16

    def product(x: Tensor) -> Tensor:
        return multiply(x, packed)  # type: ignore[no-any-return]

    return product


def _int8(weight: Tensor, bias: Tensor | None) -> Map:
    rows = weight.detach().float().nan_to_num()  # damaged weights are noticed by what comes out
    steps = rows.abs().amax(dim=1).double().clamp_(min=torch.finfo(torch.float32).tiny) / _LARGEST_STEP
    zeros = torch.zeros(len(rows), dtype=torch.int64)
    packed: Any = torch.ops.quantized.linear_prepack(
        torch.quantize_per_channel(rows, steps, zeros, axis=0, dtype=torch.qint8), _plain(bias)
    )
    multiply = torch.ops.quantized.linear_dynamic
    # Without VNNI sums of two products are kept in 16 bits, which full activations would exceed.
    smaller = not torch.cpu._is_vnni_supported()

    def product(x: Tensor) -> Tensor:
        return multiply(x, packed, smaller)  # type: ignore[no-any-return]

    return product


def _plain(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.detach().float()
