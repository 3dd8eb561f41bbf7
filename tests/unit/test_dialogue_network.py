"""Conversations in one row are computed as each would be alone, and a batch counts by its answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tui_gpt.core.config import ModelConfig, RunConfig
from tui_gpt.core.config_loading import build_config
from tui_gpt.core.runs.records import ExecutionRecord
from tui_gpt.engine.network import GPT, build_network
from tui_gpt.engine.network import layers as network_layers
from tui_gpt.engine.network.growing import grow_vocabulary
from tui_gpt.engine.network.packing import mask_within, positions_within
from tui_gpt.engine.text.batches import IGNORED, Batch, Batches
from tui_gpt.engine.training.distributed import Ranks
from tui_gpt.engine.training.learner import Learner

FAMILIES = ("gpt2", "qwen3", "llama")
LENGTHS = (7, 1, 12, 5)
LENGTH = 32
"""Tokens of a row, of which the last are nobody's."""


def network(family: str) -> GPT:
    more: dict[str, Any] = {} if family == "gpt2" else {"n_kv_head": 2}
    shape = {"n_positions": LENGTH, "n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 50, **more}
    built = build_network(ModelConfig(family=family, **shape), 3)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    return built


def a_row() -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(0, 50, (1, LENGTH), generator=torch.Generator().manual_seed(0))
    numbers = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    segments = torch.full((1, LENGTH), -1)
    segments[0, : len(numbers)] = torch.from_numpy(numbers)
    return ids, segments


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "fused"])
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_gives_what_each_conversation_gives_alone(
    family: str, checkpointing: bool, plain: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not plain:
        monkeypatch.setattr(network_layers, "_PLAIN_ATTENTION_MAX_TOKENS", 0)
    built = network(family).to(dtype)
    built.gradient_checkpointing = checkpointing
    built.train(checkpointing)
    ids, segments = a_row()
    together = F.linear(built.hidden(ids, segments=segments), built.head_weight)
    assert torch.isfinite(together).all(), "what fills up a row is computed too"
    begin = 0
    for length in LENGTHS:
        alone = built(ids[:, begin : begin + length])
        tolerance = {"atol": 1e-4, "rtol": 1e-4} if dtype == torch.float32 else {"atol": 0.15, "rtol": 0.05}
        torch.testing.assert_close(together[:, begin : begin + length], alone, **tolerance)
        begin += length


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_of_another_conversation_is_seen(family: str) -> None:
    built = network(family).eval()
    ids, segments = a_row()
    changed = ids.clone()
    changed[:, :8] = (ids[:, :8] + 1) % 50
    first, second = (built.hidden(each, segments=segments) for each in (ids, changed))
    assert torch.equal(first[:, 8:], second[:, 8:])
    assert not torch.equal(first[:, :8], second[:, :8])


def test_positions_begin_anew_and_masks_reach_back_to_there() -> None:
    segments = torch.tensor([[0, 0, 0, 1, 2, 2, -1, -1], [3, 3, 3, 3, 3, 3, 3, 3]])
    assert positions_within(segments).tolist() == [[0, 1, 2, 0, 0, 1, 0, 1], list(range(8))]
    mask = mask_within(segments)
    assert mask.shape == (2, 1, 8, 8)
    for row in range(2):
        for at in range(8):
            seen = [k for k in range(8) if k <= at and segments[row, k] == segments[row, at]]
            assert torch.nonzero(mask[row, 0, at]).flatten().tolist() == seen


class GivenBatches(Batches):
    """The same rows at every step; `counts` says how many of the last targets of each row count."""

    def __init__(self, counts: list[int]) -> None:
        self.batch_size = len(counts)
        chance = np.random.default_rng(0)
        self._ids = chance.integers(0, 50, (len(counts), LENGTH))
        self._targets = chance.integers(0, 50, (len(counts), LENGTH))
        for row, count in enumerate(counts):
            self._targets[row, : LENGTH - count] = IGNORED
        self._segments = np.sort(chance.integers(0, 4, (len(counts), LENGTH)), axis=1)

    @property
    def rows_per_epoch(self) -> float:
        return self.batch_size

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        share = slice(rank * self.batch_size // world_size, (rank + 1) * self.batch_size // world_size)
        n_targets = int((self._targets != IGNORED).sum())
        return Batch(self._ids[share], self._targets[share], n_targets, self._segments[share])


def learner(counts: list[int], precision: str = "float32", *, compiled: bool = False, **train: Any) -> Learner:
    shape = {"family": "qwen3", "vocab_size": 50, "n_positions": LENGTH, "n_embd": 32, "n_layer": 2, "n_head": 4}
    settings: RunConfig = build_config(
        ("test", {"model": shape, "train": {"max_steps": 50, "batch_size": len(counts)} | train})
    )
    execution = ExecutionRecord(device="cpu", device_name="a CPU", precision=precision, compile=compiled, threads=1)
    return Learner(settings, execution, GivenBatches(counts))


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_batch_without_any_answer_has_a_loss_of_nothing(optimizer: str, parts: int, precision: str) -> None:
    pupil = learner([0] * 8, precision, optimizer=optimizer, grad_accumulation_steps=parts, weight_average=0.9)
    for step in range(3):
        result = pupil.train_step(step, 1.0)
        assert (result.loss, result.grad_norm, result.applied) == (0.0, 0.0, True)
    assert all(torch.isfinite(tensor).all() for tensor in pupil.model_state().values())
    assert all(torch.isfinite(tensor.float()).all() for tensor in pupil.state_tensors().values())


@pytest.mark.parametrize("counts", [[1, 30, 0, 5, 32, 0, 0, 9], [0, 0, 0, 0, 0, 0, 0, 1]])
def test_parts_with_different_numbers_of_answers_teach_what_the_batch_does(counts: list[int]) -> None:
    whole, parts = learner(counts), learner(counts, grad_accumulation_steps=4)
    for step in range(4):
        one, other = whole.train_step(step, 1.0), parts.train_step(step, 1.0)
        assert other.loss == pytest.approx(one.loss, rel=1e-5)
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-4)


def test_the_loss_is_the_mean_over_answers_and_the_shares_of_ranks_make_it_up() -> None:
    counts = [1, 30, 0, 5, 32, 0, 0, 9]
    pupil = learner(counts)
    batch = pupil.batches.batch(0)
    built = pupil.network
    assert batch.segments is not None
    hidden = built.hidden(torch.from_numpy(batch.ids), segments=torch.from_numpy(batch.segments))
    logits = F.linear(hidden, built.head_weight).flatten(0, 1)
    wanted = F.cross_entropy(logits, torch.from_numpy(batch.targets).flatten(), ignore_index=IGNORED).detach()
    assert float(pupil._forward_backward(0)) == pytest.approx(float(wanted), rel=1e-5)
    gradient = {name: p.grad.clone() for name, p in built.named_parameters() if p.grad is not None}
    built.zero_grad()
    losses = []
    for rank in range(4):  # as four processes would, of whose gradients and losses the mean is taken
        pupil.ranks = Ranks(rank, rank, 4)
        losses.append(float(pupil._forward_backward(0)))
    assert np.mean(losses) == pytest.approx(float(wanted), rel=1e-5)
    for name, parameter in built.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad / 4, gradient[name], atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_compiled_network_learns_the_same_from_packed_rows() -> None:
    counts = [1, 30, 0, 5, 32, 0, 0, 9]
    compiled, plain = learner(counts, compiled=True), learner(counts)
    for step in range(3):
        one, other = plain.train_step(step, 1.0), compiled.train_step(step, 1.0)
        assert other.loss == pytest.approx(one.loss, rel=1e-4)
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-3)
    assert not compiled.compile_failure


def test_a_network_grows_by_tokens_and_computes_the_old_ones_as_before() -> None:
    built = network("qwen3").eval()
    ids, _ = a_row()
    before = built(ids)
    weights = {name: parameter.detach() for name, parameter in built.named_parameters()}
    for wanted in (48, 50, 54):  # within the padding, all of it, and beyond
        grown = grow_vocabulary(weights, 46, wanted, seed=1)
        assert torch.equal(grown["token_embedding.weight"][:46], weights["token_embedding.weight"][:46])
        assert grown["token_embedding.weight"].shape == (max(50, wanted), 32)
        assert torch.equal(grown["token_embedding.weight"][wanted:], weights["token_embedding.weight"][wanted:])
        again = grow_vocabulary(weights, 46, wanted, seed=1)
        assert all(torch.equal(grown[name], again[name]) for name in grown)
    larger = build_network(ModelConfig(**{**to_dict(built.config), "vocab_size": 54}), 0).eval()
    larger.load_state_dict(grown, strict=False)
    known = ids.clamp(max=45)
    torch.testing.assert_close(larger(known)[..., :46], built(known)[..., :46])
    assert before.shape[-1] == 50


def to_dict(config: ModelConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in config.__struct_fields__}
