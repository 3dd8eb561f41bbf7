"""A run's folder that somebody deletes, moves or replaces by hand while its trainer is at work."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from training_runs import Scene, last_words, obey, status_of, tiny, until, wait_state

from tui_gpt.core.errors import RunError
from tui_gpt.core.runs.store import RunStore


@pytest.mark.parametrize("state", ["running", "paused"])
def test_a_trainer_whose_run_is_deleted_ends_and_makes_nothing_anew(scene: Scene, state: str) -> None:
    run = scene.begin(tiny(scene.text, max_steps=10_000_000, eval_interval=1000))
    process = scene.fork(run)
    wait_state(run, "running")
    if state == "paused":
        obey(run, "pause")
        wait_state(run, "paused")
    # Under it all the same: what is being written meanwhile is part of what must not come back.
    until(lambda: not shutil.rmtree(run.folder, ignore_errors=True) and not run.folder.exists())
    assert process.wait(30) == RunError.exit_code
    assert list((scene.home / "runs").iterdir()) == []
    assert scene.models() == []


def test_a_run_that_is_moved_keeps_what_its_trainer_said_and_goes_on_where_it_is(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=200_000, eval_interval=20))
    process = scene.fork(run)
    wait_state(run, "running")
    until(lambda: status_of(run).last_checkpoint)
    moved = Path(run.folder.rename(run.folder.with_name("muse")))
    assert process.wait(30) == RunError.exit_code
    assert not run.folder.exists()
    renamed = RunStore(scene.home / "runs").open("muse")
    assert f"the run's folder is no longer at {run.folder}" in last_words(renamed)
    newest, problems = renamed.newest_intact()
    assert newest is not None and problems == []
    assert renamed.summary().state == "interrupted"
    successor = scene.fork(renamed)
    until(lambda: renamed.summary().state == "running" and status_of(renamed).step > newest.step)
    obey(renamed, "stop")
    assert successor.wait(60) == 0, last_words(renamed)
    assert moved.is_dir()


def test_a_trainer_writes_nothing_into_another_run_that_took_its_name(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=10_000_000, eval_interval=1000))
    process = scene.fork(run)
    wait_state(run, "running")
    run.folder.rename(scene.home / "elsewhere")
    other = scene.begin(tiny(scene.text, max_steps=7))
    assert process.wait(30) == RunError.exit_code
    assert other.status() is None
    assert {path.name for path in other.folder.iterdir()} == {"run.json", "commands", "checkpoints"}
    assert scene.train_forked(other) == 0, last_words(other)
