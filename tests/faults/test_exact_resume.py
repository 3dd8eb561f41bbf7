"""Killed anywhere and resumed, a run on the CPU learns bit for bit what it would have learned undisturbed."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from training_runs import (
    Scene,
    fault,
    final_weights,
    hold,
    last_words,
    learned,
    obey,
    records,
    release,
    signal_it,
    status_of,
    tiny,
    until,
    wait_held,
)

from tui_gpt.core.config import RunConfig
from tui_gpt.core.runs.store import Run

LR_STEP = 6
"""The learning rate is changed between this step and the next."""

ADAMW: dict[str, Any] = {"max_steps": 200, "checkpoint_interval": 20, "eval_interval": 100}
EVERYTHING: dict[str, Any] = {
    "max_steps": 40,
    "model": {"dropout": 0.2, "n_layer": 2},
    "optimizer": "muon",
    "precision": "bf16",
    "weight_average": 0.9,
    "grad_accumulation_steps": 2,
    "checkpoint_interval": 7,
    "early_stopping_patience": 3,
}
CASES: dict[str, dict[str, Any]] = {
    "adamw in bf16 with dropout": {"precision": "bf16", "model": {"dropout": 0.1}, "checkpoint_interval": 7},
    "muon in float32": {"optimizer": "muon", "checkpoint_interval": 7, "schedule": "wsd"},
    "gpt2 with an average and accumulation": {
        "model": {"family": "gpt2", "n_layer": 2},
        "weight_average": 0.95,
        "grad_accumulation_steps": 4,
        "checkpoint_interval": 7,
    },
    "gradient checkpointing by epochs": {
        "max_epochs": 0.2,
        "model": {"dropout": 0.1},
        "gradient_checkpointing": True,
        "checkpoint_interval": 7,
    },
}


def train_with_a_new_learning_rate(scene: Scene, run: Run, *faults: dict[str, Any]) -> int:
    """Train, with the learning rate halved after LR_STEP."""
    process = scene.start(run, hold(LR_STEP), *faults)
    wait_held(run, LR_STEP)
    sent = run.send("set_lr", {"factor": 0.5})
    release(run, LR_STEP)
    code = process.wait(60)
    ack = run.wait_for_ack(sent, 10)
    assert ack is not None and ack.outcome == "done" and ack.step == LR_STEP + 1, last_words(run)
    return code


def assert_same(run: Run, reference: Run) -> None:
    got, wanted = learned(run), learned(reference)
    for mine, theirs in zip(got, wanted, strict=False):
        assert mine == theirs
    assert len(got) == len(wanted)
    assert final_weights(run) == final_weights(reference)
    steps = [record.step for record in records(run, "train")]
    assert steps == list(range(1, steps[-1] + 1))


KILLS = [
    fault("weights", "kill", 18),  # within a step: masters and network disagree
    fault("state", "kill", 2),  # within a checkpoint: the model is there, its state is not
    fault("evaluation", "kill-after", 1),  # an evaluation is written down, its checkpoint is not
]


def test_killed_in_a_step_in_a_checkpoint_and_after_an_evaluation_with_all_that_has_a_state(scene: Scene) -> None:
    config = tiny(scene.text, **EVERYTHING)
    reference = scene.begin(config, "reference")
    assert train_with_a_new_learning_rate(scene, reference) == 0, last_words(reference)
    run = scene.begin(config, "killed")
    # The hold and its release remain, so that only the first trainer stops there.
    assert train_with_a_new_learning_rate(scene, run, KILLS[0]) == -signal.SIGKILL
    for kill in KILLS[1:]:
        assert scene.train(run, kill) == -signal.SIGKILL, last_words(run)
        assert run.effective_state() == "interrupted"
    assert scene.train(run) == 0, last_words(run)
    assert status_of(run).state == "finished"
    assert_same(run, reference)
    rates = [record.values["learning_rate"] for record in records(run, "train")]
    assert rates[LR_STEP + 1] < 0.6 * rates[LR_STEP]  # type: ignore[operator]
    assert not list((run.folder / "checkpoints").glob(".*")), "what the killed trainers left half-made is cleaned up"


@pytest.mark.slow
def test_killed_from_outside_at_no_chosen_moment(scene: Scene) -> None:
    config = tiny(scene.text, **ADAMW)
    reference = scene.begin(config, "reference")
    assert scene.train_here(reference) == 0
    run = scene.begin(config, "killed")
    process = scene.start(run)
    until(lambda: any(record.step >= 25 for record in records(run, "train")), run)
    signal_it(run, signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    assert scene.train(run) == 0, last_words(run)
    assert_same(run, reference)


def test_a_learning_rate_set_at_a_step_that_is_saved_already_survives_the_kill(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, schedule="constant", max_steps=20))
    scene.start(run, hold(8))
    wait_held(run, 8)
    paused = run.send("pause")
    release(run, 8)
    ack = run.wait_for_ack(paused, 60)
    assert ack is not None and ack.step == 9
    assert obey(run, "set_lr", factor=0.25).outcome == "done"
    signal_it(run, signal.SIGKILL)
    until(lambda: run.liveness() == "dead")
    assert scene.train_here(run) == 0
    rates = [record.values["learning_rate"] for record in records(run, "train")]
    assert len(rates) == 20
    assert rates[9:] == [pytest.approx(0.25 * rates[8])] * 11  # type: ignore[operator]


PLACES = [*KILLS, fault("rename", "kill", 2), fault("rotate", "kill", 2), fault("whole_loss", "kill")]


@pytest.mark.slow
# Every case at three places and every place in two cases, not all by all.
@pytest.mark.parametrize(
    ("case", "at"),
    [(case, at) for i, case in enumerate(CASES) for j, at in enumerate(PLACES) if (i + j) % 2 == 0],
)
def test_every_kind_of_run_is_exact_wherever_it_is_killed(scene: Scene, case: str, at: dict[str, Any]) -> None:
    config: RunConfig = tiny(scene.text, **CASES[case])
    reference = scene.begin(config, "reference")
    assert scene.train_here(reference) == 0
    run = scene.begin(config, "killed")
    assert scene.train(run, at) == -signal.SIGKILL, last_words(run)
    assert scene.train_here(run) == 0
    assert_same(run, reference)
