"""Numbers that no arithmetic survives: no weight that is not finite is ever saved, and the run says what happened."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from command_line import call
from safetensors.torch import load_file
from training_runs import (
    Scene,
    final_weights,
    last_words,
    learned,
    records,
    release,
    status_of,
    tiny,
    wait_held,
)

from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.runs.checkpoints import verify_checkpoint
from tui_gpt.core.runs.store import Run, RunStore
from tui_gpt.engine.training import trainer as trainer_module
from tui_gpt.engine.training.learner import Learner
from tui_gpt.engine.training.optimizer import Optimizer

slow = pytest.mark.slow

FLOAT32_MOST = torch.finfo(torch.float32).max


def at_step(step: int, work: Callable[..., Any], change: Callable[[Any, Learner], Any]) -> Callable[..., Any]:
    """A `Learner` method whose result at one step is changed."""

    def wrapped(learner: Learner, number: int, *more: Any) -> Any:
        result = work(learner, number, *more)
        return change(result, learner) if number == step else result

    return wrapped


def spoilt_gradients(factor: float, call: int) -> Callable[[Optimizer], list[torch.Tensor]]:
    """The gradients, multiplied by `factor` at that call."""
    original = Optimizer.gradients
    calls = 0

    def gradients(optimizer: Optimizer) -> list[torch.Tensor]:
        nonlocal calls
        calls += 1
        found = original(optimizer)
        if calls == call:
            for gradient in found:
                gradient.mul_(factor)
        return found

    return gradients


def everything_saved_is_finite(scene: Scene, run: Run) -> int:
    """Every checkpoint verifies and holds finite numbers only, and so does every model; returns how many there are."""
    folders = [checkpoint.folder for checkpoint in run.checkpoints()]
    assert all(not verify_checkpoint(folder) for folder in folders)
    folders += [scene.home / "models" / name for name in scene.models()]
    for folder in folders:
        for file in folder.glob("*.safetensors"):
            for name, tensor in load_file(file).items():
                assert bool(tensor.isfinite().all()), (file, name)
    for name in scene.models():
        assert ModelHandler(scene.home / "models").verify(name) == []
    return len(folders)


def told_in_one_sentence(scene: Scene, run: Run) -> str:
    """The error of a failed run, which every command can show and every JSON reader can read."""
    status = status_of(run)
    assert status.state == "failed" and status.error is not None
    assert "\n" not in status.error and "unexpected" not in status.error, status.error
    assert "Traceback" not in last_words(run)
    shown = call("runs", "show", run.name, "--json", home=scene.home)
    assert shown.code == 0 and json.loads(shown.out)
    metrics = call("runs", "metrics", run.name, "--json", home=scene.home)
    assert metrics.code in (0, 2)
    for path in run.folder.glob("*.json*"):
        text = path.read_text(encoding="utf-8")
        for document in text.splitlines() if path.suffix == ".jsonl" else [text]:
            json.loads(document, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    return status.error


@pytest.mark.parametrize(
    ("bad", "step"),
    [(math.nan, 0), (math.inf, 7), *(pytest.param(*each, marks=slow) for each in ((math.nan, 7), (-math.inf, 0)))],
)
def test_a_loss_that_is_no_number_fails_the_run_by_name_and_it_goes_on_from_before(
    bad: float, step: int, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = scene.begin(tiny(scene.text, max_steps=12, checkpoint_interval=5))
    spoilt = at_step(step, Learner._forward_backward, lambda loss, _: loss * 0 + bad)
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "_forward_backward", spoilt)
        assert scene.train_here(run) == 1
    sentence = told_in_one_sentence(scene, run)
    assert f"step {step + 1} the loss is {bad}" in sentence and "--lr-factor" in sentence
    assert ("from the beginning" if step == 0 else "checkpoint of step 5") in sentence
    assert everything_saved_is_finite(scene, run) == (0 if step == 0 else 1)
    assert scene.train_here(run) == 0
    assert everything_saved_is_finite(scene, run) >= 2


@pytest.mark.parametrize(
    ("factor", "clip"),
    [(1e6, 1.0), (1e15, 0.0), *(pytest.param(*each, marks=slow) for each in ((1e6, 0.0), (1e15, 1.0)))],
)
def test_a_spike_of_the_gradient_is_survived_and_seen_on_the_curve(
    factor: float, clip: float, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = scene.begin(tiny(scene.text, max_steps=16, grad_clip=clip, checkpoint_interval=5))
    monkeypatch.setattr(Optimizer, "gradients", spoilt_gradients(factor, 8))
    assert scene.train_here(run) == 0
    norms = {record.step: float(record.values["grad_norm"]) for record in records(run, "train")}
    assert max(norms, key=norms.__getitem__) == 8 and norms[8] > factor / 100
    assert all(math.isfinite(float(record.values["loss"])) for record in records(run, "train"))
    assert everything_saved_is_finite(scene, run) >= 2 and scene.models() == ["bard"]


@pytest.mark.parametrize("precision", ["float32", pytest.param("bf16", marks=slow)])
@pytest.mark.parametrize("factor", [1e30, *(pytest.param(each, marks=slow) for each in (1e45, math.nan))])
def test_a_gradient_beyond_float32_fails_the_run_and_nothing_of_it_is_saved(
    factor: float, precision: str, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(scene.text, max_steps=12, grad_clip=0.0, checkpoint_interval=5, precision=precision)
    run = scene.begin(config)
    with monkeypatch.context() as patch:
        patch.setattr(Optimizer, "gradients", spoilt_gradients(factor, 8))
        assert scene.train_here(run) == 1
    assert "step 8 the gradient norm is" in told_in_one_sentence(scene, run)
    assert everything_saved_is_finite(scene, run) == 1
    # The cause gone, it learns what it would have learned.
    assert scene.train_here(run) == 0
    straight = scene.begin(config, "straight")
    assert scene.train_here(straight) == 0 and learned(run) == learned(straight)


@pytest.mark.parametrize("step", [pytest.param(4, marks=slow), 11])
@pytest.mark.parametrize(("value", "precision"), [(math.inf, "float32"), pytest.param(math.nan, "bf16", marks=slow)])
def test_weights_that_overflow_at_any_step_reach_neither_a_checkpoint_nor_the_library(
    value: float, precision: str, step: int, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(result: Any, learner: Learner) -> Any:
        with torch.no_grad():
            learner.optimizer.masters[0].view(-1)[:3] = value
            learner.optimizer.publish()
        return result

    config = tiny(scene.text, max_steps=12, checkpoint_interval=3, eval_interval=100, precision=precision)
    run = scene.begin(config)
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "train_step", at_step(step, Learner.train_step, spoil))
        assert scene.train_here(run) == 1
    sentence = told_in_one_sentence(scene, run)
    assert "resume" in sentence
    assert everything_saved_is_finite(scene, run) >= 1 and scene.models() == []
    assert scene.train_here(run) == 0 and scene.models() == ["bard"]
    straight = scene.begin(config, "straight")
    assert scene.train_here(straight) == 0
    assert final_weights(run) == final_weights(straight)


@pytest.mark.parametrize("precision", ["float32", pytest.param("bf16", marks=slow)])
@pytest.mark.parametrize("step", [pytest.param(4, marks=slow), 11])
def test_finite_weights_whose_loss_is_none_are_not_published_and_an_earlier_checkpoint_is(
    step: int, precision: str, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(result: Any, learner: Learner) -> Any:
        with torch.no_grad():
            learner.optimizer.masters[0].view(-1)[:3] = FLOAT32_MOST
            learner.optimizer.publish()
        return result

    run = scene.begin(tiny(scene.text, max_steps=12, checkpoint_interval=3, eval_interval=100, precision=precision))
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "train_step", at_step(step, Learner.train_step, spoil))
        assert scene.train_here(run) == 1
    assert "learning rate" in told_in_one_sentence(scene, run)
    assert everything_saved_is_finite(scene, run) >= 1 and scene.models() == []
    if step == 11:
        # The last checkpoint is the spoilt one: closing it again says the same, once.
        assert scene.train_here(run) == 1 and len(records(run, "end")) == 1
        forked = call("runs", "fork", "bard", "--as", "calm", "--checkpoint", "9", home=scene.home)
        assert forked.code == 0, forked.err
        run = RunStore(scene.home / "runs").open("calm")
    assert scene.train_here(run) == 0 and scene.models() == [run.name]


@pytest.mark.parametrize("precision", [pytest.param("float32", marks=slow), "bf16"])
def test_weights_beyond_half_precision_are_kept_exactly(
    precision: str, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = 123_456.789  # more than float16 can hold, and no number of bf16

    def grow(result: Any, learner: Learner) -> Any:
        with torch.no_grad():
            learner.optimizer.masters[0][0, 0] = large
            learner.optimizer.publish()
        return result

    run = scene.begin(tiny(scene.text, max_steps=6, checkpoint_interval=3, learning_rate=0.0, precision=precision))
    monkeypatch.setattr(Learner, "train_step", at_step(2, Learner.train_step, grow))
    assert scene.train_here(run) == 0
    everything_saved_is_finite(scene, run)
    for folder in (run.checkpoints()[0].folder, scene.home / "models" / "bard"):
        weights = load_file(folder / "model.safetensors")
        assert any(float(tensor.float().max()) == pytest.approx(large, rel=1e-7) for tensor in weights.values())
    assert call("sample", "bard", "--max-new-tokens", "4", home=scene.home).code == 0


def test_a_validation_loss_that_is_no_number_is_no_best_and_ends_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = trainer_module.evaluate_corpus
    calls = 0

    def spoilt(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        result = evaluate(*arguments, **named)
        return replace(result, loss=math.nan) if calls == 2 else result

    monkeypatch.setattr(trainer_module, "evaluate_corpus", spoilt)
    run = scene.begin(tiny(scene.text, max_steps=16, eval_interval=4))
    assert scene.train_here(run) == 0
    losses = [float(record.values["val_loss"]) for record in records(run, "eval")]
    assert math.isnan(losses[1]) and sum(map(math.isnan, losses)) == 1
    assert not records(run, "eval")[1].values["best"]
    best = status_of(run).best_val_loss
    assert best is not None and math.isfinite(best) and scene.models() == ["bard"]
    assert call("runs", "show", "bard", "--json", home=scene.home).code == 0


RECKLESS = [
    (family, optimizer, precision)
    for family in ("gpt2", "qwen3")
    for optimizer in ("adamw", "muon")
    for precision in ("float32", "bf16")
]


@slow
@pytest.mark.parametrize(("family", "optimizer", "precision"), RECKLESS)
def test_the_largest_learning_rate_ends_in_a_finite_model_or_a_sentence(
    family: str, optimizer: str, precision: str, scene: Scene
) -> None:
    run = scene.begin(
        tiny(
            scene.text,
            model={"family": family},
            max_steps=60,
            optimizer=optimizer,
            precision=precision,
            learning_rate=10.0,
            muon_learning_rate=10.0,
            schedule="constant",
            warmup_steps=0,
            grad_clip=0.0,
            eval_interval=20,
            checkpoint_interval=15,
        )
    )
    code = scene.train_here(run)
    everything_saved_is_finite(scene, run)
    if code:
        told_in_one_sentence(scene, run)
    else:
        assert status_of(run).state == "finished" and scene.models() == ["bard"]


@pytest.mark.parametrize("precision", ["float32", pytest.param("bf16", marks=slow)])
@pytest.mark.parametrize("rate", [1e-30, *(pytest.param(each, marks=slow) for each in (5e-324, 0.0))])
def test_the_smallest_learning_rate_ends_well_and_moves_nothing(rate: float, precision: str, scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=8, eval_interval=4, learning_rate=rate, precision=precision))
    assert scene.train_here(run) == 0
    losses = {record.values["val_loss"] for record in records(run, "eval") if not record.values["whole"]}
    assert len(losses) == 1 and everything_saved_is_finite(scene, run) >= 2


@pytest.mark.parametrize("rate", ["1e30", "10.0001", "1e400", "nan", "-1e-30"])
def test_a_learning_rate_beyond_its_bounds_is_refused_by_its_field(rate: str, scene: Scene) -> None:
    for field in ("learning_rate", "muon_learning_rate"):
        answer = call("train", scene.text, "--steps", "2", "--set", f"train.{field}={rate}", home=scene.home)
        assert f"train.{field}" in answer.refused(2)
    assert not (scene.home / "runs").exists()


def test_a_running_trainer_refuses_rates_that_are_none_and_goes_on(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=10))
    process = scene.fork(run, {"at": "train_step", "do": "hold", "call": 1, "step": 4})
    wait_held(run, 4)
    sent = [
        run.send("set_lr", {"value": 1e30}),
        run.send("set_lr", {"factor": 1e300}),
        run.send("set_lr", {"factor": 1e-300}),
        run.send("set_lr", {"factor": 1e300}),
    ]
    for line in (["--value", "nan"], ["--factor", "inf"], ["--value", "-1"]):
        call("runs", "set-lr", "bard", *line, home=scene.home).refused(2, 4)
    release(run, 4)
    answers = [run.wait_for_ack(command, 60) for command in sent]
    assert [answer and answer.outcome for answer in answers] == ["refused", "refused", "done", "done"]
    assert process.wait() == 0
    rates = {record.step: float(record.values["learning_rate"]) for record in records(run, "train")}
    assert rates[5] > 1e-5 and rates[10] > 0 and all(map(math.isfinite, rates.values()))
    assert status_of(run).state == "finished" and everything_saved_is_finite(scene, run) >= 2
