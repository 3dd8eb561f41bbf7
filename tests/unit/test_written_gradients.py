"""Gradients that are written out are those that autograd finds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tui_gpt.engine.network.written_gradients import _RMSNorm, _SwiGLU, rms_norm, swiglu


def plain_swiglu(x: Tensor) -> Tensor:
    gate, up = x.chunk(2, dim=-1)
    return F.silu(gate) * up


def found(function: Callable[..., Tensor], *inputs: Tensor) -> list[Tensor]:
    """The value, and the gradient of each input."""
    leaves = [each.clone().requires_grad_() for each in inputs]
    value = function(*leaves)
    generator = torch.Generator().manual_seed(5)
    gradient = torch.randn(value.shape, generator=generator).to(value.dtype)
    torch.autograd.backward(value, gradient)
    gradients = [leaf.grad for leaf in leaves]
    assert all(each is not None for each in gradients)
    return [value.detach(), *(each for each in gradients if each is not None)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_swiglu_is_the_same_to_the_bit(dtype: torch.dtype) -> None:
    x = torch.randn(3, 7, 40, generator=torch.Generator().manual_seed(1)).mul(3).to(dtype)
    for here, there in zip(found(swiglu, x), found(plain_swiglu, x), strict=True):
        assert torch.equal(here, there)


@pytest.mark.parametrize("shape", [(5,), (3, 8), (2, 6, 24), (2, 5, 3, 16)])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_rms_norm_is_the_same_but_for_rounding(shape: tuple[int, ...], scale: float) -> None:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(shape, generator=generator) * scale
    weight = torch.randn(shape[-1], generator=generator)
    exact = found(lambda a, b: F.rms_norm(a, (shape[-1],), b, 1e-6), x.double(), weight.double())
    for here, there in zip(found(lambda a, b: rms_norm(a, b, 1e-6), x, weight), exact, strict=True):
        assert torch.allclose(here.double(), there, rtol=2e-5, atol=2e-6 * float(there.abs().max()))


def test_finite_differences_agree() -> None:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(2, 3, 8, dtype=torch.float64, generator=generator, requires_grad=True)
    weight = torch.randn(8, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b: _RMSNorm.apply(a, b, 1e-5), (x, weight))
    assert torch.autograd.gradcheck(_SwiGLU.apply, (x,))


def test_a_frozen_weight_gets_no_gradient_and_nothing_is_kept_without_gradients() -> None:
    x, weight = torch.randn(4, 8, requires_grad=True), torch.ones(8)
    torch.autograd.backward(rms_norm(x, weight, 1e-5).sum())
    assert x.grad is not None
    assert weight.grad is None
    with torch.no_grad():
        assert torch.equal(rms_norm(x, weight, 1e-5), F.rms_norm(x, (8,), weight, 1e-5))
        assert torch.equal(swiglu(x), plain_swiglu(x))
