"""The comparison that finds killed runs equal to others finds them different once any part of the state is lost.

Random generators and the position in the data are no parts of it: batches, dropout and samples are functions of the
seed and the step (`engine.text.batches`, `engine.training.learner`), so that they are lost with the step alone.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from run_invariants import differences
from training_runs import EVERYTHING, Scene, fault, hold, last_words, records, release, tiny, wait_held

from tui_gpt.core.runs.store import Run, RunStore

LR_STEP = 7
TENSORS = ("exp_avg", "exp_avg_sq", "step", "average", "masters", "momentum")
"""AdamW's moments and its counters, the average of the weights, the float32 weights behind bf16, Muon's momentum."""
COUNTERS = ("step", "lr_scale")

WORSE_AND_WORSE: dict[str, Any] = {
    "max_steps": 24,
    "learning_rate": 2.0,
    "warmup_steps": 40,
    "schedule": "constant",
    "eval_interval": 0,
    "checkpoint_interval": 1,
    "early_stopping_patience": 4,
    "eval_tokens": 128,
    "sample_tokens": 0,
}
"""A learning rate that rises until nothing is learned. Evaluated after 10, 12, 15, 17 and 20 steps: the first time is
the best one, and then it is out of patience. Killed after 15, so that no evaluation is due at once."""
RECKONING = ("best_val_loss", "best_step", "evaluations", "evaluations_without_best")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A home with each run twice: left alone, and killed."""
    scene = Scene(tmp_path_factory.mktemp("stage"))
    for name, *faults in (("reference",), ("killed", fault("gradients", "kill", 11))):
        run = scene.begin(tiny(scene.text, **EVERYTHING), name)
        process = scene.fork(run, hold(LR_STEP - 1), *faults)
        wait_held(run, LR_STEP - 1)
        run.send("set_lr", {"factor": 0.5})
        release(run, LR_STEP - 1)
        assert process.wait() == (-signal.SIGKILL if faults else 0), last_words(run)
    for name, *faults in (("worse",), ("worse-killed", fault("gradients", "kill", 16))):
        run = scene.begin(tiny(scene.text, **WORSE_AND_WORSE), name)
        assert scene.train_forked(run, *faults) == (-signal.SIGKILL if faults else 0), last_words(run)
    yield scene
    scene.end_all()


def resumed_without(stage: Scene, killed: str, name: str, *faults: Mapping[str, Any]) -> Run:
    """A copy of a killed run, trained to its end by a trainer that loses a part of the state."""
    runs = stage.home / "runs"
    shutil.copytree(runs / killed, runs / name)
    run = RunStore(runs).open(name)
    assert stage.train_forked(run, *faults) == 0, last_words(run)
    return run


def run_of(stage: Scene, name: str) -> Run:
    return RunStore(stage.home / "runs").open(name)


@pytest.mark.parametrize(("reference", "killed"), [("reference", "killed"), ("worse", "worse-killed")])
def test_a_run_resumed_with_all_of_its_state_does_not_differ(stage: Scene, reference: str, killed: str) -> None:
    run = resumed_without(stage, killed, f"{killed}-with-all")
    assert differences(run, run_of(stage, reference), stage.home) == []


def most_of_them_slow(parts: tuple[str, ...]) -> list[Any]:
    return [parts[-1], *(pytest.param(part, marks=pytest.mark.slow) for part in parts[:-1])]


@pytest.mark.parametrize("part", most_of_them_slow(TENSORS))
def test_a_run_resumed_without_some_of_its_tensors_differs(stage: Scene, part: str) -> None:
    run = resumed_without(stage, "killed", f"without-tensors-{part}", fault("load", "forget", part=part))
    assert differences(run, run_of(stage, "reference"), stage.home)


@pytest.mark.parametrize("part", most_of_them_slow(COUNTERS))
def test_a_run_resumed_without_its_step_or_its_learning_rate_differs(stage: Scene, part: str) -> None:
    run = resumed_without(stage, "killed", f"without-{part}", fault("restore", "forget", part=part))
    assert differences(run, run_of(stage, "reference"), stage.home)


@pytest.mark.slow
def test_a_run_resumed_without_its_place_in_the_schedule_differs(stage: Scene) -> None:
    run = resumed_without(stage, "killed", "without-progress", fault("factor", "forget", part="progress"))
    assert differences(run, run_of(stage, "reference"), stage.home)


@pytest.mark.parametrize("part", most_of_them_slow(RECKONING))
def test_a_run_resumed_without_what_its_evaluations_found_differs(stage: Scene, part: str) -> None:
    run = resumed_without(stage, "worse-killed", f"reckoning-without-{part}", fault("restore", "forget", part=part))
    assert differences(run, run_of(stage, "worse"), stage.home)


def test_the_run_that_gets_worse_is_the_one_that_was_meant(stage: Scene) -> None:
    reference = run_of(stage, "worse")
    assert [record.step for record in records(reference, "eval")] == [10, 12, 15, 17, 20, 20]
    assert [record.values["best"] for record in records(reference, "eval")] == [True] + [False] * 5
