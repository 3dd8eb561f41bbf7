"""Dropout leaves out what it should, at the rate it should, and the same again from the same seed."""

from __future__ import annotations

import pytest
import torch

from tui_gpt.engine.network.dropout import dropout


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_a_share_is_zero_and_the_rest_is_scaled_so_that_the_mean_stays(rate: float) -> None:
    torch.manual_seed(1)
    found = dropout(torch.ones(1000, 1001), rate)
    kept = found[found != 0]
    assert 1 - kept.numel() / found.numel() == pytest.approx(rate, abs=0.002)
    assert torch.allclose(kept, torch.full_like(kept, 1 / (1 - rate)), rtol=2e-4)
    # Neighbours, which come from one drawn number, are no more alike than others.
    zero = (found == 0).double()
    for apart in (1, 2, 3, 4):
        both = (zero[:, apart:] * zero[:, :-apart]).mean().item()
        assert both == pytest.approx(rate**2, abs=0.003)


def test_the_seed_decides_and_nothing_is_dropped_at_rate_zero() -> None:
    x = torch.randn(3, 5, 7)
    assert dropout(x, 0.0) is x
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(dropout(x, 0.4))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert torch.equal(dropout(x, 1e-9), x)
    assert dropout(torch.empty(0, 4), 0.3).shape == (0, 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_was_dropped_has_no_gradient_and_the_rest_has_the_scale(dtype: torch.dtype) -> None:
    x = torch.rand(64, 63, dtype=dtype).add_(1).requires_grad_()
    found = dropout(x, 0.25)
    assert found.dtype == dtype
    torch.autograd.backward(found.sum())
    assert x.grad is not None
    assert torch.equal(x.grad != 0, found != 0)
    assert torch.allclose(x.grad[found != 0], torch.tensor(4 / 3, dtype=dtype), rtol=1e-2)
