"""SIGKILL at two hundred random moments: nothing finished is lost at any, and every run ends bit for bit alike."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from run_invariants import Witness, differences, ended_in_good_order
from training_runs import EVERYTHING, Scene, last_words, records, tiny

from tui_gpt.core.config import RunConfig
from tui_gpt.core.runs.store import Run

KILLS = 50
"""For each kind of run."""

SMALL: dict[str, Any] = {"checkpoint_interval": 3, "eval_tokens": 128, "sample_tokens": 4}
KINDS: dict[str, dict[str, Any]] = {
    "everything": EVERYTHING,
    "adamw in float32": {**SMALL, "max_steps": 15, "eval_interval": 4},
    "gpt2 with automatic evaluations": {
        **SMALL,
        "max_steps": 20,
        "model": {"family": "gpt2", "dropout": 0.1},
        "eval_interval": 0,
        "weight_average": 0.9,
    },
    "muon by epochs": {**SMALL, "max_epochs": 0.1, "optimizer": "muon", "schedule": "wsd", "eval_interval": 6},
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    scene = Scene(tmp_path_factory.mktemp("stage"))
    yield scene
    scene.end_all()


def kill_at_random(stage: Scene, run: Run, chance: random.Random, longest: float, most: int) -> int:
    """Kill trainer after trainer at any moment of its life, until the run is done; returns how many were killed.

    After `most` kills the next trainer is left alone.
    """
    witness = Witness(run, stage.home)
    kills = 0
    while run.effective_state() != "finished":
        moment = chance.uniform(0.0, longest) if kills < most else 60.0
        process = stage.fork(run)
        over = time.monotonic() + moment
        while time.monotonic() < over and process.poll() is None:
            time.sleep(0.002)
        code = process.kill()
        print(f"{run.name}: after {moment:.3f} s, exit code {code}")
        assert code in (0, -signal.SIGKILL), last_words(run)
        kills += code != 0
        witness.look()
    return kills


def timed_reference(stage: Scene, config: RunConfig, name: str) -> tuple[Run, float]:
    """A run that nobody kills, and the seconds from its trainer's start to its end."""
    run = stage.begin(config, name)
    began = time.monotonic()
    assert stage.train_forked(run) == 0, last_words(run)
    return run, time.monotonic() - began


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("kind", "seed"), [(kind, 1000 + number) for number, kind in enumerate(KINDS)])
def test_killed_at_random_moments_runs_keep_what_they_have_and_end_alike(stage: Scene, kind: str, seed: int) -> None:
    chance = random.Random(seed)
    config = tiny(stage.text, **KINDS[kind])
    reference, longest = timed_reference(stage, config, f"reference-{seed}")
    kills = number = 0
    while kills < KILLS:
        number += 1
        run = stage.begin(config, f"run-{seed}-{number:03d}")
        kills += kill_at_random(stage, run, chance, longest, KILLS - kills)
        ended_in_good_order(run, stage.home)
        assert differences(run, reference, stage.home) == []


@pytest.mark.slow
def test_a_run_by_the_clock_killed_at_random_moments_has_every_step_once_and_ends(stage: Scene) -> None:
    """No one can replay a clock, so its learning rates are not those of another run; all else holds."""
    config = tiny(stage.text, **SMALL, max_minutes=1.5 / 60, eval_interval=0)
    run = stage.begin(config, "by-the-clock")
    assert kill_at_random(stage, run, random.Random(1), 1.0, 10) > 0
    ended_in_good_order(run, stage.home)
    elapsed = [record.values["elapsed"] for record in records(run, "train")]
    assert elapsed == sorted(elapsed)  # type: ignore[type-var]
