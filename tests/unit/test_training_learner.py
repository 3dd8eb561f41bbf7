"""One step of learning: the same however its batch is computed, and exact from its saved state on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tui_gpt.core.config import RunConfig
from tui_gpt.core.config_loading import build_config
from tui_gpt.core.errors import RunError
from tui_gpt.core.runs.records import ExecutionRecord
from tui_gpt.engine.text.batches import WindowBatches
from tui_gpt.engine.training.learner import Learner
from tui_gpt.engine.training.state import Counters, read_state, write_state

TOKENS = np.random.default_rng(0).integers(0, 50, 4000).astype(np.uint16)
COUNTERS = Counters(step=6, elapsed_seconds=1.5, tokens_seen=99, best_val_loss=1.25, lr_scale=0.5)


def config(model: dict[str, Any] | None = None, **train: Any) -> RunConfig:
    shape = {"family": "qwen3", "vocab_size": 50, "n_positions": 16, "n_embd": 32, "n_layer": 2, "n_head": 4}
    return build_config(("test", {"model": shape | (model or {}), "train": {"max_steps": 50, "batch_size": 8} | train}))


def learner(settings: RunConfig, precision: str = "float32", *, compiled: bool = False) -> Learner:
    execution = ExecutionRecord(device="cpu", device_name="a CPU", precision=precision, compile=compiled, threads=1)
    return Learner(settings, execution, WindowBatches.of(TOKENS, settings))


def make_steps(pupil: Learner, first: int, last: int, factor: float = 1.0) -> list[tuple[float, float]]:
    return [(r.loss, r.grad_norm) for r in (pupil.train_step(step, factor) for step in range(first, last))]


def saved(pupil: Learner, folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Model and state as they come back from the disk."""
    write_state(folder, pupil.state_tensors(), COUNTERS)
    state, counters = read_state(folder, torch.device("cpu"))
    assert counters == COUNTERS
    return {name: tensor.clone() for name, tensor in pupil.model_state().items()}, state


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "adamw": ({"optimizer": "adamw"}, "float32"),
    "muon in bf16": ({"optimizer": "muon"}, "bf16"),
    "dropout": ({"optimizer": "adamw", "model": {"dropout": 0.3}}, "float32"),
    "average": ({"optimizer": "muon", "weight_average": 0.9}, "float32"),
    "average in bf16 with accumulation": ({"weight_average": 0.9, "grad_accumulation_steps": 4}, "bf16"),
    "gpt2": ({"optimizer": "muon", "model": {"family": "gpt2", "dropout": 0.1}}, "float32"),
    "lora": ({"lora_rank": 4, "optimizer": "muon"}, "float32"),
    "lora with average in bf16": ({"lora_rank": 4, "weight_average": 0.9, "model": {"family": "gpt2"}}, "bf16"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_learner_goes_on_from_its_saved_state_bit_for_bit(case: str, tmp_path: Path) -> None:
    settings, precision = CASES[case]
    whole = learner(config(**settings), precision)
    make_steps(whole, 0, 6)
    model, state = saved(whole, tmp_path)
    resumed = learner(config(**settings), precision)
    resumed.load(model, state)
    assert make_steps(resumed, 6, 12) == make_steps(whole, 6, 12)
    for (name, mine), theirs in zip(resumed.model_state().items(), whole.model_state().values(), strict=True):
        assert torch.equal(mine, theirs), name


def drop(prefix: str) -> Callable[[dict[str, Tensor]], None]:
    """Zero what a part of the state remembers."""

    def change(state: dict[str, Tensor]) -> None:
        found = [name for name in state if name.startswith(prefix)]
        assert found, f"nothing in the state is named {prefix}"
        for name in found:
            state[name].zero_()

    return change


@pytest.mark.parametrize(
    ("part", "first", "factor"),
    [
        ("adamw.exp_avg.", 6, 1.0),
        ("adamw.exp_avg_sq.", 6, 1.0),
        ("adamw.step.", 6, 1.0),
        ("muon.momentum.", 6, 1.0),
        ("master.", 6, 1.0),
        (None, 7, 1.0),  # the number of the step
        (None, 6, 0.5),  # what a person made of the learning rate
    ],
)
def test_every_part_of_the_state_counts(part: str | None, first: int, factor: float, tmp_path: Path) -> None:
    """The negative controls of exact resuming: without any one part the comparison fails."""
    settings = config(optimizer="muon", weight_average=0.9)
    whole = learner(settings)
    make_steps(whole, 0, 6)
    model, state = saved(whole, tmp_path)
    if part is not None:
        drop(part)(state)
    resumed = learner(settings)
    resumed.load(model, state)
    assert make_steps(resumed, first, first + 3, factor) != make_steps(whole, 6, 9)


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_the_state_of_before_the_first_step_can_be_saved_and_loaded(kind: str, tmp_path: Path) -> None:
    fresh, other = learner(config(optimizer=kind)), learner(config(optimizer=kind))
    model, state = saved(fresh, tmp_path)
    for parameter in other.optimizer.masters:
        parameter.zero_()
    other.load(model, state)
    assert make_steps(other, 0, 2) == make_steps(fresh, 0, 2)


def test_state_that_is_damaged_is_told_in_a_sentence(tmp_path: Path) -> None:
    saved(learner(config()), tmp_path)
    (tmp_path / "state.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(RunError, match=r"state\.safetensors cannot be used"):
        read_state(tmp_path, torch.device("cpu"))
    (tmp_path / "state.json").write_text('{"step": "many"}', encoding="utf-8")
    with pytest.raises(RunError, match=r"state\.json cannot be used"):
        read_state(tmp_path, torch.device("cpu"))


@pytest.mark.parametrize("change", [{"grad_accumulation_steps": 2}, {"grad_accumulation_steps": 8}])
@pytest.mark.parametrize("family", ["gpt2", "qwen3"])
def test_a_batch_in_parts_teaches_what_the_batch_at_once_does(family: str, change: dict[str, Any]) -> None:
    plain = make_steps(learner(config({"family": family})), 0, 5)
    parts = make_steps(learner(config({"family": family}, **change)), 0, 5)
    np.testing.assert_allclose(parts, plain, rtol=1e-5)


@pytest.mark.parametrize("family", ["gpt2", "qwen3"])
def test_gradient_checkpointing_teaches_the_same_with_dropout_too(family: str) -> None:
    shape = {"family": family, "dropout": 0.2}
    plain = make_steps(learner(config(shape)), 0, 5)
    recomputed = make_steps(learner(config(shape, gradient_checkpointing=True)), 0, 5)
    np.testing.assert_allclose(recomputed, plain, rtol=1e-5)


def test_dropout_is_drawn_anew_at_every_step_and_alike_at_the_same_one() -> None:
    settings = config({"dropout": 0.4}, learning_rate=0.0)
    pupil = learner(settings)
    torch.manual_seed(123)
    (first,) = make_steps(pupil, 3, 4)
    torch.manual_seed(321)
    torch.rand(17)
    assert make_steps(pupil, 3, 4) == [first]
    seeds = []
    for step in range(4):
        pupil._seed_dropout(step)
        seeds.append(torch.initial_seed())
    assert len(set(seeds)) == 4


def test_the_average_follows_its_formula_and_is_what_is_evaluated_and_saved() -> None:
    pupil = learner(config(weight_average=0.5))
    name = next(iter(pupil.model_state()))
    expected = pupil.optimizer.master_state()[name].clone()
    assert torch.equal(pupil.model_state()[name], expected)
    for step in range(12):
        make_steps(pupil, step, step + 1)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * pupil.optimizer.master_state()[name]
        torch.testing.assert_close(pupil.model_state()[name], expected)
    live = {n: p.detach().clone() for n, p in pupil.network.named_parameters()}
    assert not torch.equal(live[name], expected)
    with pupil.evaluation_network() as network:
        assert not network.training
        torch.testing.assert_close(dict(network.named_parameters())[name].detach(), expected)
    assert pupil.network.training
    assert all(torch.equal(live[n], p) for n, p in pupil.network.named_parameters())


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_evaluating_in_between_changes_nothing(precision: str) -> None:
    disturbed, calm = (learner(config({"dropout": 0.1}, weight_average=0.9), precision) for _ in range(2))
    make_steps(disturbed, 0, 3)
    make_steps(calm, 0, 3)
    with pytest.raises(InterruptedError), disturbed.evaluation_network() as network:
        network(torch.zeros(1, 4, dtype=torch.long))
        raise InterruptedError
    assert make_steps(disturbed, 3, 6) == make_steps(calm, 3, 6)


def test_a_loss_that_is_not_finite_leaves_everything_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    pupil, calm = learner(config(weight_average=0.9)), learner(config(weight_average=0.9))
    make_steps(pupil, 0, 3)
    make_steps(calm, 0, 3)
    forward = pupil._forward_backward
    with monkeypatch.context() as patch:
        patch.setattr(pupil, "_forward_backward", lambda step: forward(step) * torch.nan)
        result = pupil.train_step(3, 1.0)
    assert not result.applied and result.loss != result.loss
    assert make_steps(pupil, 3, 5) == make_steps(calm, 3, 5)


def test_a_compiler_that_fails_is_done_without_and_the_reason_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(nn.Module):
        def forward(self, *_: Tensor) -> Tensor:
            raise RuntimeError("no such instruction\nand more")

    monkeypatch.setattr(torch, "compile", lambda module: Broken())
    pupil = learner(config({"dropout": 0.1}), compiled=True)
    assert make_steps(pupil, 0, 3) == make_steps(learner(config({"dropout": 0.1})), 0, 3)
    assert pupil.compile_failure == "RuntimeError: no such instruction"


def test_an_error_of_the_model_itself_is_not_taken_for_one_of_the_compiler() -> None:
    pupil = learner(config())
    pupil.batches._tokens = np.full_like(TOKENS, 60)
    with pytest.raises(IndexError):
        pupil.train_step(0, 1.0)


def test_counters_refuse_what_they_do_not_know() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"step": 1, "elapsed_seconds": 0, "tokens_seen": 0, "mood": "good"}', type=Counters)
