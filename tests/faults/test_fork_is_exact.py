"""A fork is a run of its own from the moment it exists, and unchanged it learns what its source does, bit for bit."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from training_runs import (
    Scene,
    final_weights,
    hold,
    last_words,
    learned,
    obey,
    records,
    release,
    status_of,
    tiny,
    wait_held,
)

from tui_gpt.core.errors import ConfigError, RunError
from tui_gpt.core.runs import checkpoints
from tui_gpt.core.runs.checkpoints import checkpoint_folder, read_pointers, verify_checkpoint
from tui_gpt.core.runs.records import EXECUTION_FILE
from tui_gpt.core.runs.store import Run, RunStore
from tui_gpt.engine.training import forking
from tui_gpt.engine.training.forking import fork_run

SHORT: dict[str, Any] = {"max_steps": 20, "eval_interval": 10, "checkpoint_interval": 7, "schedule": "constant"}
HARD: dict[str, dict[str, Any]] = {
    "muon in bf16 with an average and dropout": {
        **SHORT,
        "model": {"dropout": 0.2, "n_layer": 2},
        "optimizer": "muon",
        "precision": "bf16",
        "weight_average": 0.9,
        "grad_accumulation_steps": 2,
        "schedule": "cosine",
    },
    "gpt2 by epochs": {
        "max_epochs": 0.1,
        "eval_interval": 5,
        "checkpoint_interval": 7,
        "model": {"family": "gpt2", "dropout": 0.1},
    },
}


@pytest.fixture
def finished(scene: Scene) -> Run:
    """A run of twenty steps with checkpoints at 7, 14 and the end."""
    run = scene.begin(tiny(scene.text, **SHORT))
    assert scene.train_here(run) == 0
    return run


def rates(run: Run) -> list[Any]:
    return [record.values["learning_rate"] for record in records(run, "train")]


def events(run: Run) -> list[Any]:
    return [record.values["event"] for record in records(run, "mark")]


@pytest.mark.parametrize("case", HARD)
def test_an_unchanged_fork_from_the_middle_learns_what_its_source_did(scene: Scene, case: str) -> None:
    source = scene.begin(tiny(scene.text, **HARD[case]), "source")
    assert scene.train_here(source) == 0
    fork = fork_run(source, "fork", checkpoint="7")
    assert fork.effective_state() == "new"
    assert (fork.summary().step, fork.summary().last_checkpoint) == (7, 7)
    assert scene.train_here(fork) == 0, last_words(fork)
    assert learned(fork) == learned(source)
    assert final_weights(fork) == final_weights(source)
    assert status_of(fork).best_val_loss == status_of(source).best_val_loss
    assert scene.models() == ["fork", "source"]


def test_a_fork_is_whole_without_its_source_and_keeps_the_curve(scene: Scene, finished: Run) -> None:
    before = learned(finished)
    fork = fork_run(finished, checkpoint="14")
    assert (fork.name, fork.record.parent, fork.record.fork_step) == ("bard-fork", "run bard step 14", 14)
    assert fork.execution() == finished.execution()
    weights = "model.safetensors"
    linked = checkpoint_folder(fork.folder, 14) / weights
    assert linked.samefile(checkpoint_folder(finished.folder, 14) / weights)
    shutil.rmtree(finished.folder)
    assert not verify_checkpoint(checkpoint_folder(fork.folder, 14))
    assert [step for _, step, _ in learned(fork)] == [step for _, step, _ in before if step <= 14]
    assert scene.train_here(fork) == 0
    assert learned(fork) == before
    assert [record.step for record in records(fork, "start")] == [0, 14]
    assert events(fork) == ["forked from bard at step 14"]
    assert records(fork, "mark")[0].step == 14


def test_a_changed_learning_rate_is_multiplied_by_what_was_set_while_the_source_trained(scene: Scene) -> None:
    source = scene.begin(tiny(scene.text, **SHORT))
    process = scene.start(source, hold(8))
    wait_held(source, 8)
    paused = source.send("pause")
    release(source, 8)
    assert source.wait_for_ack(paused, 60) is not None, last_words(source)
    # There is a checkpoint of this step already: only the mark knows of the new rate.
    assert obey(source, "set_lr", factor=0.5).outcome == "done"
    same = fork_run(source, "same")
    lower = fork_run(source, "lower", changes={"learning_rate": 2e-3})
    assert obey(source, "stop").outcome == "done"
    assert process.wait(60) == 0
    for run in (same, lower):
        assert run.record.fork_step == 9
        assert scene.train_here(run) == 0
    assert scene.train_here(source) == 0
    assert rates(same) == rates(source)
    assert rates(same)[8:] == [1e-3] + [0.5e-3] * 11
    assert rates(lower)[8:] == [1e-3] + [1e-3] * 11
    assert "learning_rate 0.001 to 0.002, learning rates times 0.5" in events(lower)[-1]


def test_a_run_that_trains_is_forked_and_goes_on_undisturbed(scene: Scene) -> None:
    config = tiny(scene.text, **SHORT)
    reference = scene.begin(config, "reference")
    assert scene.train_here(reference) == 0
    source = scene.begin(config, "source")
    process = scene.start(source, hold(12))
    wait_held(source, 12)
    fork = fork_run(source, "fork")
    assert fork.record.fork_step == 10, "the newest: the best of the evaluation at step 10"
    assert read_pointers(fork.folder).best == 10
    release(source, 12)
    assert process.wait(60) == 0, last_words(source)
    assert scene.train_here(fork) == 0
    assert learned(source) == learned(fork) == learned(reference)


def test_a_checkpoint_that_is_rotated_away_while_it_is_linked_is_chosen_anew(
    finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    link: Callable[[Path, Path], None] = forking.link_or_copy
    lost: list[Path] = []

    def lose(source: Path, target: Path) -> None:
        if not lost:
            lost.append(source.parent)
            checkpoints.remove_folder(source.parent)
        link(source, target)

    monkeypatch.setattr(forking, "link_or_copy", lose)
    fork = fork_run(finished, changes={"max_steps": 40})
    assert lost[0].name == "step-000020"
    assert fork.record.fork_step == 14
    left = sorted(path.name for path in fork.folder.parent.iterdir())
    assert left == ["bard", "bard-fork"], "the first try leaves nothing"


def test_without_hard_links_files_are_copied(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    fork = fork_run(finished, checkpoint="7")
    assert not verify_checkpoint(checkpoint_folder(fork.folder, 7))
    weights = Path("checkpoints", "step-000007", "model.safetensors")
    assert not (fork.folder / weights).samefile(finished.folder / weights)


def test_a_damaged_checkpoint_is_passed_over_or_refused_where_it_was_asked_for(finished: Run) -> None:
    for step in (20, 14):
        path = checkpoint_folder(finished.folder, step) / "state.safetensors"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    with pytest.raises(RunError, match=r"state\.safetensors of step 14 .* is damaged; take another checkpoint"):
        fork_run(finished, checkpoint="14")
    fork = fork_run(finished)
    assert fork.record.fork_step == 7
    shutil.rmtree(checkpoint_folder(finished.folder, 7))
    with pytest.raises(RunError, match="no checkpoint of it is intact"):
        fork_run(finished, "none")
    assert {run.name for run in RunStore(finished.folder.parent).list()} == {"bard", "bard-fork"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"optimizer": "muon"}, "train.optimizer: cannot change"),
        ({"seed": 1}, "train.seed: cannot change"),
        ({"batch_size": 16}, "train.batch_size: cannot change"),
        ({"weight_average": 0.9}, "train.weight_average: cannot be switched on"),
        ({"learning_rate": -1.0}, "train.learning_rate: expected a number of at least 0"),
        ({"learnin_rate": 1.0}, "did you mean learning_rate"),
        ({"device": "cuda:99"}, "train.device: is cuda:99"),
        ({}, "train.max_steps: is 20, and the checkpoint of step 20 .* give more"),
        ({"max_epochs": 0.001}, "train.max_epochs: is 0.001"),
        ({"max_minutes": 0.000001}, "train.max_minutes: is 1e-06"),
    ],
)
def test_what_the_state_forbids_or_what_ends_at_once_is_refused_by_field(
    finished: Run, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        fork_run(finished, "fork", changes=changes)
    assert not (finished.folder.parent / "fork").exists()


def test_a_finished_run_goes_on_in_a_longer_fork_and_another_precision_is_chosen_anew(
    scene: Scene, finished: Run
) -> None:
    fork = fork_run(finished, changes={"max_steps": 24, "precision": "bf16"})
    assert not (fork.folder / EXECUTION_FILE).exists()
    assert scene.train_here(fork) == 0, last_words(fork)
    status, execution = status_of(fork), fork.execution()
    assert execution is not None and execution.precision == "bf16"
    assert (status.state, status.step) == ("finished", 24)
    assert len(records(fork, "train")) == 24


def test_a_longer_fork_evaluates_on_its_way_though_its_source_had_passed_every_milestone(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=20, eval_interval=0))
    assert scene.train_here(run) == 0
    fork = fork_run(run, changes={"max_steps": 40})
    assert scene.train_here(fork) == 0
    # Half of it is behind at first, and every tenth from there on is a milestone.
    assert [r.step for r in records(fork, "eval") if r.step > 20] == [24, 28, 32, 36, 40]


def test_a_run_that_lost_patience_says_so_and_goes_on_with_more(scene: Scene) -> None:
    config = tiny(
        scene.text, max_steps=40, eval_interval=2, early_stopping_patience=1, learning_rate=3.0, warmup_steps=0
    )
    run = scene.begin(config)
    assert scene.train_here(run) == 0
    stopped_at = status_of(run).step
    best = read_pointers(run.folder).best
    assert best is not None and best < stopped_at < 40
    with pytest.raises(ConfigError, match=r"train\.early_stopping_patience: is 1"):
        fork_run(run, checkpoint="last")
    fork = fork_run(run, checkpoint="last", changes={"early_stopping_patience": 0})
    assert fork.record.fork_step == stopped_at
    # The end of the fork compares with the best that its state speaks of.
    pointers = read_pointers(fork.folder)
    assert (pointers.best, pointers.last) == (best, stopped_at)
    assert [checkpoint.step for checkpoint in fork.checkpoints()] == [best, stopped_at]


def test_a_fork_whose_checkpoint_is_gone_does_not_begin_afresh(scene: Scene, finished: Run) -> None:
    fork = fork_run(finished, checkpoint="7")
    shutil.rmtree(checkpoint_folder(fork.folder, 7))
    assert scene.train_here(fork) != 0
    assert "nothing was started afresh" in (status_of(fork).error or "")
    assert not records(fork, "train")[7:]


def test_names_that_cannot_be_and_checkpoints_that_are_not_there_are_said(scene: Scene, finished: Run) -> None:
    with pytest.raises(RunError, match=r"choose another name, e\.g\. bard-2"):
        fork_run(finished, "bard")
    with pytest.raises(RunError, match="no checkpoint 9; there are checkpoints of the steps 7, 14, 20"):
        fork_run(finished, checkpoint="9")
    with pytest.raises(ConfigError, match="neither best nor last"):
        fork_run(finished, checkpoint="newest")
    with pytest.raises(RunError, match="no checkpoint yet"):
        fork_run(scene.begin(tiny(scene.text), "new"))
