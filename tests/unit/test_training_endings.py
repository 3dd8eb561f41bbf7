"""How runs end: in good order, early, at numbers that are not finite, and what remains of them."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_runs import Scene, final_weights, learned, records, status_of, tiny, write_text

from tui_gpt.core.errors import ConfigError, RunError
from tui_gpt.core.runs.checkpoints import checkpoint_folder, read_pointers, verify_checkpoint
from tui_gpt.core.runs.ownership import TrainerLock
from tui_gpt.core.runs.store import Run
from tui_gpt.engine.generation.evaluation import evaluate_tokens
from tui_gpt.engine.interop.huggingface import read_model_folder
from tui_gpt.engine.text.prepare import prepare
from tui_gpt.engine.training import worker
from tui_gpt.engine.training.distributed import Ranks
from tui_gpt.engine.training.keeping import Keeper
from tui_gpt.engine.training.learner import Learner
from tui_gpt.engine.training.optimizer import Optimizer
from tui_gpt.engine.training.state import Counters
from tui_gpt.engine.training.trainer import Interruption, Trainer


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def damage(folder: Path, name: str = "model.safetensors") -> None:
    content = bytearray((folder / name).read_bytes())
    content[-5] ^= 1
    (folder / name).write_bytes(content)


def at_call(number: int, work: Callable[..., Any], change: Callable[..., Any]) -> Callable[..., Any]:
    """`work`, with `change(result, *arguments)` applied to what its call number `number` gives."""
    calls = 0

    def wrapped(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        result = work(*arguments)
        return change(result, *arguments) if calls == number else result

    return wrapped


def test_a_finished_run_has_its_best_model_in_the_library_with_the_loss_that_anyone_can_measure(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text))
    assert scene.train_here(run) == 0
    status = status_of(run)
    assert (status.state, status.step, status.progress, status.error) == ("finished", 40, 1.0, None)
    assert scene.models() == ["bard"]
    assert [record.values for record in records(run, "end")][-1]["model"] == "bard"
    whole = [record for record in records(run, "eval") if record.values["whole"]]
    assert [record.step for record in whole] == [40]
    network = read_model_folder(scene.home / "models" / "bard").network
    corpus = prepare(run.record.config.data, cache=scene.home / "cache" / "corpora")
    assert evaluate_tokens(network, corpus.validation.tokens).loss == whole[0].values["val_loss"]
    bits = whole[0].values["bits_per_byte"]
    assert bits == pytest.approx(whole[0].values["val_loss"] / math.log(2), rel=0.01)


def test_the_model_that_is_published_is_the_one_that_was_better_over_all_of_the_text(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(result: Any, learner: Learner, *_: Any) -> Any:
        with torch.no_grad():
            for weights in learner.optimizer.masters:
                weights.mul_(3.0)
        return result

    monkeypatch.setattr(Learner, "train_step", at_call(35, Learner.train_step, spoil))
    run = scene.begin(tiny(scene.text))
    assert scene.train_here(run) == 0
    assert read_pointers(run.folder).best == 30
    published = (scene.home / "models" / "bard" / "model.safetensors").read_bytes()
    assert published == (checkpoint_folder(run.folder, 30) / "model.safetensors").read_bytes()
    assert published != final_weights(run)


def test_a_second_run_of_a_name_that_the_library_has_gives_a_model_with_a_number(scene: Scene) -> None:
    first = scene.begin(tiny(scene.text, max_steps=2))
    assert scene.train_here(first) == 0
    with pytest.raises(RunError, match="bard-2"):
        scene.begin(tiny(scene.text, max_steps=2))
    shutil.rmtree(first.folder)
    assert scene.train_here(scene.begin(tiny(scene.text, max_steps=2))) == 0
    assert scene.models() == ["bard", "bard-2"]


def test_a_run_by_epochs_sees_every_window_so_often(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_epochs=0.1))
    assert scene.train_here(run) == 0
    windows = (run.record.data.n_train_tokens - 1) // 32 - 1
    assert status_of(run).step == math.ceil(0.1 * windows / 8)


def test_a_run_by_minutes_ends_by_the_clock_with_its_learning_rate_gone_down(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_minutes=1 / 60, eval_interval=0))
    assert scene.train_here(run) == 0
    status = status_of(run)
    # On a busy machine one step, or one evaluation, may take most of a second.
    assert 1.0 <= status.elapsed_seconds < 60.0
    rates = [record.values["learning_rate"] for record in records(run, "train")]
    assert rates[-1] < max(rates)  # type: ignore[operator, type-var]


def test_a_run_that_gets_no_better_stops_early(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    config = tiny(scene.text, learning_rate=0.0, early_stopping_patience=2, eval_interval=3, max_steps=1000)
    run = scene.begin(config)
    assert scene.train_here(run) == 0
    assert status_of(run).step == 9
    assert "no better validation loss in 2 evaluations" in capsys.readouterr().out
    assert status_of(run).state == "finished" and scene.models() == ["bard"]


def test_a_trainer_killed_while_it_closed_an_early_stopped_run_makes_no_more_steps_when_resumed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(scene.text, learning_rate=0.0, early_stopping_patience=2, eval_interval=3, max_steps=1000)
    run = scene.begin(config)
    with monkeypatch.context() as patch:

        def die(*_: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr(Keeper, "evaluate_whole", die)
        with pytest.raises(KeyboardInterrupt):
            scene.train_here(run)
    assert scene.train_here(run) == 0
    assert status_of(run).step == 9


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_number_that_is_not_finite_fails_the_run_before_the_step_and_leaves_a_finite_checkpoint(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def spoil(result: Any, *_: Any) -> Any:
        if what == "loss":
            return result * torch.nan
        result[0].view(-1)[0] = torch.inf
        return result

    run = scene.begin(tiny(scene.text, checkpoint_interval=4, weight_average=0.9))
    target, name = (Learner, "_forward_backward") if what == "loss" else (Optimizer, "gradients")
    with monkeypatch.context() as patch:
        patch.setattr(target, name, at_call(15, getattr(target, name), spoil))
        assert scene.train_here(run) == 1
    status = status_of(run)
    assert status.state == "failed" and status.step == 14
    assert status.error is not None and "step 15" in status.error and "learning rate" in status.error
    assert ("loss is nan" if what == "loss" else "gradient norm is inf") in status.error
    assert "checkpoint of step 12" in status.error
    newest, damaged = run.newest_intact()
    assert newest is not None and newest.step == 12 and not damaged
    for file in ("model.safetensors", "state.safetensors"):
        assert all(bool(tensor.isfinite().all()) for tensor in load_file(newest.folder / file).values())
    # The cause gone, the run goes on from there as if nothing had happened.
    assert scene.train_here(run) == 0
    undisturbed = scene.begin(tiny(scene.text, checkpoint_interval=4, weight_average=0.9), "undisturbed")
    assert scene.train_here(undisturbed) == 0
    assert learned(run) == learned(undisturbed)


def test_a_learning_rate_that_blows_the_weights_up_fails_the_run_and_not_its_checkpoints(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, checkpoint_interval=1, max_steps=200, grad_clip=0.0))
    agree = Trainer._agree

    def reckless(trainer: Trainer) -> tuple[bool, float, float]:
        end, progress, _ = agree(trainer)
        return end, progress, 1e45 if trainer.counters.step > 5 else 1.0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_agree", reckless)
        assert scene.train_here(run) == 1
    status = status_of(run)
    assert status.state == "failed" and status.error is not None and "not applied" in status.error
    assert any("not finite" in warning for warning in status.warnings)
    for checkpoint in run.checkpoints():
        assert not verify_checkpoint(checkpoint.folder)
        weights = load_file(checkpoint.folder / "model.safetensors")
        assert all(bool(tensor.isfinite().all()) for tensor in weights.values())


def test_a_run_whose_last_weights_cannot_be_saved_fails_and_is_taken_up_again(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, checkpoint_interval=4, max_steps=10, eval_interval=100))
    write = Keeper.write_checkpoint

    def full(keeper: Keeper, folder: Path, counters: Counters) -> None:
        if counters.step > 8:
            raise RunError("no space left on device")
        write(keeper, folder, counters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Keeper, "write_checkpoint", full)
        assert scene.train_here(run) == 1
    status = status_of(run)
    assert status.state == "failed"
    assert status.error is not None and "step 10 could not be saved (no space" in status.error
    assert "step 8" in status.error
    assert scene.train_here(run) == 0
    assert status_of(run).state == "finished"


def test_a_learning_rate_beyond_all_bounds_is_refused_and_not_remembered(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=10))
    for factor in (math.nan, 1e9):
        with pytest.MonkeyPatch.context() as patch, TrainerLock(run.folder):
            patch.setenv("TUI_GPT_HOME", str(scene.home))
            assert worker._lead(run, Ranks(), Interruption(), factor) == 2
        status = status_of(run)
        assert status.state == "failed" and status.error is not None and "10 is the most" in status.error
    assert scene.train_here(run) == 0


def test_a_text_that_changed_under_a_run_is_told_in_a_sentence(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=2))
    write_text(scene.text, 0.05)
    assert scene.train_here(run) == RunError.exit_code
    status = status_of(run)
    assert status.state == "failed" and status.error is not None
    assert "is not the text that run bard began with" in status.error and "put the old text back" in status.error


def saved_run(scene: Scene) -> Run:
    run = scene.begin(tiny(scene.text, max_steps=20, checkpoint_interval=5))
    assert scene.train_here(run) == 0
    shutil.rmtree(scene.home / "models")
    return run


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    run = saved_run(scene)
    before = learned(run)
    damage(checkpoint_folder(run.folder, 20))
    damage(checkpoint_folder(run.folder, 15), "state.safetensors")
    capsys.readouterr()
    assert scene.train_here(run) == 0
    told = capsys.readouterr().out
    assert "resumed from step 10" in told and "model.safetensors in step-000020 is damaged" in told
    assert learned(run) == before
    assert all(not verify_checkpoint(checkpoint.folder) for checkpoint in run.checkpoints())


def test_a_run_without_one_intact_checkpoint_is_not_started_afresh(scene: Scene) -> None:
    run = saved_run(scene)
    for checkpoint in run.checkpoints():
        damage(checkpoint.folder)
    before = sorted(path.name for path in (run.folder / "checkpoints").iterdir())
    assert scene.train_here(run) == RunError.exit_code
    status = status_of(run)
    assert status.state == "failed" and status.error is not None
    assert "no checkpoint of run bard is intact" in status.error and "nothing was started afresh" in status.error
    assert sorted(path.name for path in (run.folder / "checkpoints").iterdir()) == before


def test_a_checkpoint_of_another_shape_or_a_newer_program_is_refused_in_a_sentence(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=5))
    assert scene.train_here(run) == 0
    (checkpoint,) = run.checkpoints()
    state = checkpoint.folder / "state.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "schema": 2}), encoding="utf-8")
    manifest = checkpoint.folder / "MANIFEST.json"
    content = json.loads(manifest.read_text())
    from tui_gpt.core.files import sha256_file

    content["files"]["state.json"] = {"size": state.stat().st_size, "sha256": sha256_file(state)}
    manifest.write_text(json.dumps(content), encoding="utf-8")
    assert scene.train_here(run) == RunError.exit_code
    assert "newer tui-gpt" in str(status_of(run).error)


def test_a_batch_that_the_processes_cannot_share_is_refused_before_anything_is_made(scene: Scene) -> None:
    with pytest.raises(ConfigError, match=r"train\.batch_size: 8 cannot be shared out evenly among 3 processes"):
        scene.begin(tiny(scene.text), processes=3)
    assert not (scene.home / "runs").exists()


def test_a_text_shorter_than_the_context_is_refused_before_anything_is_made(scene: Scene) -> None:
    scene.text.write_text("Too short.", encoding="utf-8")
    with pytest.raises(Exception, match="needs at least"):
        scene.begin(tiny(scene.text))
    assert not (scene.home / "runs").exists()
