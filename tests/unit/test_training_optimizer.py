"""The optimizer's step against references: torch's AdamW and clipping, and Muon written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tui_gpt.core.config import ModelConfig, TrainConfig
from tui_gpt.engine.network import GPT, build_network
from tui_gpt.engine.training.muon import Muon, orthogonalise
from tui_gpt.engine.training.optimizer import Optimizer, muon_matrices


def network(family: str = "qwen3", dtype: torch.dtype = torch.float32) -> GPT:
    config = ModelConfig(family=family, vocab_size=40, n_positions=16, n_embd=32, n_layer=2, n_head=4)  # type: ignore[arg-type]
    return build_network(config, 1).to(dtype)


def backward(net: GPT, seed: int, scale: float = 1.0) -> None:
    ids = torch.randint(0, 40, (4, 16), generator=torch.Generator().manual_seed(seed))
    logits = net(ids[:, :-1]).float()
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
    torch.autograd.backward(loss * scale)


@pytest.mark.parametrize("family", ["gpt2", "qwen3"])
@pytest.mark.parametrize(("grad_clip", "scale"), [(1.0, 50.0), (1.0, 1e-3), (0.0, 50.0)])
def test_adamw_steps_are_torchs_with_decay_on_matrices_only_and_clipping(
    family: str, grad_clip: float, scale: float
) -> None:
    train = TrainConfig(optimizer="adamw", weight_decay=0.3, grad_clip=grad_clip, learning_rate=0.01, beta2=0.9)
    ours, theirs = network(family), network(family)
    optimizer = Optimizer(ours, train)
    parameters = list(theirs.parameters())
    reference = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": 0.3},
            {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
        ],
        betas=(0.9, 0.9),
        eps=1e-8,
        foreach=False,
        fused=False,
    )
    for step in range(6):
        factor = 0.5 + 0.1 * step
        backward(ours, step, scale)
        # The same gradients to the last bit: where they are all but zero, AdamW makes whole steps of the rounding.
        for mine, other in zip(ours.parameters(), parameters, strict=True):
            assert mine.grad is not None
            other.grad = mine.grad.clone()
        norm = optimizer.step(step, factor)
        expected = torch.nn.utils.clip_grad_norm_(parameters, grad_clip or math.inf)
        for group in reference.param_groups:
            group["lr"] = 0.01 * factor
        reference.step()
        reference.zero_grad()
        assert norm == pytest.approx(float(expected), rel=1e-4)
        for (name, mine), other in zip(ours.named_parameters(), parameters, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-7, msg=name)
    assert all(parameter.grad is None for parameter in ours.parameters())


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 48, 16), (2, 16, 64), (1, 128, 32)])
def test_orthogonalised_matrices_have_singular_values_near_one_and_keep_their_directions(
    shape: tuple[int, int, int],
) -> None:
    stack = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 1e-3
    result = orthogonalise(stack)
    values = torch.linalg.svdvals(result)
    assert values.min() > 0.3 and values.max() < 1.3
    # The nearest orthogonal matrix is U V^T: the same singular vectors.
    u, _, vt = torch.linalg.svd(stack, full_matrices=False)
    aligned = torch.diagonal(u.mT @ result @ vt.mT, dim1=-2, dim2=-1)
    torch.testing.assert_close(aligned.sort().values, values.sort().values, rtol=1e-2, atol=1e-3)


def test_a_matrix_of_zeros_stays_one_of_zeros() -> None:
    assert not orthogonalise(torch.zeros(1, 8, 8)).any()


def reference_muon(
    weights: Tensor, buffer: Tensor, gradient: Tensor, rate: float, momentum: float, decay: float
) -> tuple[Tensor, Tensor]:
    """One matrix, as the method is written down."""
    buffer = momentum * buffer + (1 - momentum) * gradient
    nesterov = (1 - momentum) * gradient + momentum * buffer
    update = orthogonalise(nesterov[None])[0] * max(1.0, weights.size(0) / weights.size(1)) ** 0.5
    return weights * (1 - rate * decay) - rate * update, buffer


def test_a_batched_step_of_stacked_blocks_equals_a_loop_over_single_matrices() -> None:
    generator = torch.Generator().manual_seed(0)
    heights = [[16, 8, 8], [16], [64], [32, 32]]
    start = [torch.randn(sum(rows), 16, generator=generator) for rows in heights]
    parameters = [tensor.clone() for tensor in start]
    muon = Muon(list(zip(parameters, heights, strict=True)), compute_dtype=torch.float32)
    singles = [list(torch.split(tensor, rows)) for tensor, rows in zip(start, heights, strict=True)]
    buffers = [[torch.zeros_like(block) for block in blocks] for blocks in singles]
    for step in range(3):
        gradients = [torch.randn(tensor.shape, generator=generator) for tensor in start]
        parts = [torch.split(gradient.clone(), rows) for gradient, rows in zip(gradients, heights, strict=True)]
        muon.step(gradients, 0.02, 0.9 + 0.01 * step, 0.1)
        for index, blocks in enumerate(singles):
            for number, block in enumerate(blocks):
                blocks[number], buffers[index][number] = reference_muon(
                    block, buffers[index][number], parts[index][number], 0.02, 0.9 + 0.01 * step, 0.1
                )
        for parameter, blocks in zip(parameters, singles, strict=True):
            torch.testing.assert_close(parameter, torch.cat(blocks), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", ["gpt2", "qwen3"])
def test_muon_gets_every_matrix_of_the_blocks_cut_where_one_ends_and_nothing_else(family: str) -> None:
    net = network(family)
    matrices = muon_matrices(net)
    parameters = dict(net.named_parameters())
    expected = {name for name, p in parameters.items() if name.startswith("blocks.") and p.dim() == 2}
    assert set(matrices) == expected and len(expected) == 2 * 4
    assert all(sum(rows) == parameters[name].size(0) for name, rows in matrices.items())
    assert matrices["blocks.0.attention.qkv.weight"] == [32, 32, 32]
    gated = family == "qwen3"
    assert len(matrices["blocks.0.mlp.up.weight"]) == (2 if gated else 1)


def test_muon_moves_matrices_and_adamw_the_rest_at_their_own_rates() -> None:
    net = network()
    optimizer = Optimizer(net, TrainConfig(optimizer="muon", learning_rate=0.0, muon_learning_rate=0.02))
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    backward(net, 0)
    optimizer.step(0, 1.0)
    moved = {name for name, p in net.named_parameters() if not torch.equal(p, before[name])}
    assert moved == set(muon_matrices(net))


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_weights_in_bf16_are_those_of_their_float32_masters_after_each_step(kind: str) -> None:
    net = network(dtype=torch.bfloat16)
    optimizer = Optimizer(net, TrainConfig(optimizer=kind, learning_rate=1e-4, muon_learning_rate=1e-4))  # type: ignore[arg-type]
    start = [master.clone() for master in optimizer.masters]
    for step in range(3):
        backward(net, step)
        optimizer.step(step, 1.0)
        for live, master in zip(net.parameters(), optimizer.masters, strict=True):
            assert master.dtype == torch.float32 and torch.equal(live, master.bfloat16())
    # Steps that are too small for bf16 are not lost: they add up in the masters.
    assert all(not torch.equal(old, new) for old, new in zip(start, optimizer.masters, strict=True))


@pytest.mark.parametrize("kind", ["adamw", "muon"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_norm_that_is_not_finite_changes_neither_weights_nor_state(kind: str, bad: float) -> None:
    net = network()
    optimizer = Optimizer(net, TrainConfig(optimizer=kind))  # type: ignore[arg-type]
    backward(net, 0)
    optimizer.step(0, 1.0)
    weights = {name: tensor.clone() for name, tensor in optimizer.master_state().items()}
    state = {name: tensor.clone() for name, tensor in optimizer.state_tensors().items()}
    backward(net, 1)
    gradient = next(iter(net.parameters())).grad
    assert gradient is not None
    gradient.view(-1)[3] = bad
    assert not math.isfinite(optimizer.step(1, 1.0))
    assert all(torch.equal(weights[name], tensor) for name, tensor in optimizer.master_state().items())
    assert all(torch.equal(state[name], tensor) for name, tensor in optimizer.state_tensors().items())


@pytest.mark.parametrize("missing", ["adamw.exp_avg.", "adamw.step.", "muon.momentum."])
def test_state_with_a_part_missing_is_refused_by_the_name_of_the_part(missing: str) -> None:
    train = TrainConfig(optimizer="muon")
    net = network()
    optimizer = Optimizer(net, train)
    backward(net, 0)
    optimizer.step(0, 1.0)
    state = optimizer.state_tensors()
    gone = next(name for name in state if name.startswith(missing))
    del state[gone]
    with pytest.raises(KeyError, match=gone):
        Optimizer(network(), train).load(optimizer.master_state(), state)
