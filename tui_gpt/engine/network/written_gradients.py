"""Functions with gradients that are written out: what autograd makes of their parts passes over memory more often.

On a CPU a small network's step is half products and half such passes. Where torch compiles, it joins passes itself.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def swiglu(gate_and_up: Tensor) -> Tensor:
    """(..., 2 I) to (..., I): SiLU of the first half times the second (Shazeer, 2020)."""
    if _worth_it(gate_and_up):
        result: Tensor = _SwiGLU.apply(gate_and_up)  # type: ignore[no-untyped-call]
        return result
    gate, up = gate_and_up.chunk(2, dim=-1)
    return F.silu(gate) * up


def rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """(..., C) to (..., C): divided by the root mean square over the last dimension, times `weight` (C)."""
    if _worth_it(x) and x.dtype == weight.dtype == torch.float32:
        result: Tensor = _RMSNorm.apply(x, weight, epsilon)  # type: ignore[no-untyped-call]
        return result
    return F.rms_norm(x, (x.size(-1),), weight, epsilon)


def _worth_it(x: Tensor) -> bool:
    return x.device.type == "cpu" and torch.is_grad_enabled() and not torch.compiler.is_compiling()


class _SwiGLU(torch.autograd.Function):
    """The same operations as autograd's, so the same bits; but both gradients go where they belong at once."""

    @staticmethod
    def forward(ctx: Any, gate_and_up: Tensor) -> Tensor:
        gate, up = gate_and_up.chunk(2, dim=-1)
        activated = F.silu(gate)
        ctx.save_for_backward(gate_and_up, activated)
        result: Tensor = activated * up
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        gate_and_up, activated = ctx.saved_tensors
        gate, up = gate_and_up.chunk(2, dim=-1)
        result = torch.empty_like(gate_and_up)
        of_gate, of_up = result.chunk(2, dim=-1)
        torch.mul(gradient, activated, out=of_up)
        torch.ops.aten.silu_backward.grad_input(gradient * up, gate, grad_input=of_gate)
        return result


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        norms = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scale = norms.square_().mul_(1 / x.size(-1)).add_(epsilon).rsqrt_()
        normed = x * scale
        ctx.save_for_backward(normed, scale, weight)
        result: Tensor = normed * weight
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None]:
        (gradient,) = gradients
        normed, scale, weight = ctx.saved_tensors
        both = gradient * normed
        of_weight = both.reshape(-1, weight.numel()).sum(0) if ctx.needs_input_grad[1] else None
        # What the division by the root mean square takes back of the gradient along x.
        along = (both @ weight).mul_(-1 / weight.numel()).unsqueeze(-1)
        of_x = (gradient * weight).addcmul_(normed, along).mul_(scale)
        return of_x, of_weight, None
