"""The clock of the machine may jump or be wrong by centuries: training goes by time that only ever goes on."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from command_line import call
from training_runs import (
    HERE,
    Scene,
    final_weights,
    last_words,
    learned,
    obey,
    records,
    signal_it,
    status_of,
    tiny,
    until,
    wait_state,
)

from tui_gpt.core.runs import launch
from tui_gpt.core.runs.checkpoints import verify_checkpoint
from tui_gpt.core.runs.child_process import trainer_environment
from tui_gpt.core.runs.launch import TrainerProcess, launch_trainer
from tui_gpt.core.runs.ownership import TrainerLock, liveness
from tui_gpt.core.runs.records import STATUS_FILE, Status, write_record
from tui_gpt.core.runs.store import Run

DAY = 86_400.0
BEFORE_1970 = -90 * 365.25 * DAY
AFTER_2038 = 20 * 365.25 * DAY
FAR = 5000 * 365.25 * DAY


def start(scene: Scene, run: Run, *settings: tuple[int, float]) -> TrainerProcess:
    """The trainer as a process of its own, whose clock is set so before those steps."""
    search = [trainer_environment().get("PYTHONPATH", ""), str(HERE), str(Path(__file__).parent)]
    environment = {
        "TUI_GPT_HOME": str(scene.home),
        "PYTHONPATH": os.pathsep.join(filter(None, search)),
        "CLOCK_SETTINGS": json.dumps(settings),
        "OMP_NUM_THREADS": "1",
    }
    process = launch_trainer(run.folder, extra_env=environment, module="wrong_clock_trainer")
    scene.started.append(process)
    return process


@pytest.mark.slow
def test_a_clock_that_jumps_a_day_forth_and_back_changes_nothing_that_is_learned(scene: Scene) -> None:
    config = tiny(scene.text, max_steps=24, eval_interval=6, checkpoint_interval=5)
    run = scene.begin(config)
    assert start(scene, run, (4, DAY), (9, -DAY), (15, 0.0)).wait(60) == 0, last_words(run)
    straight = scene.begin(config, "straight")
    assert scene.train_here(straight) == 0
    assert learned(run) == learned(straight)
    assert final_weights(run) == final_weights(straight)
    assert 0 <= status_of(run).elapsed_seconds < 60
    elapsed = [float(record.values["elapsed"]) for record in records(run, "train")]
    assert elapsed == sorted(elapsed) and 0 <= elapsed[0] <= elapsed[-1] < 60
    assert all(not verify_checkpoint(checkpoint.folder) for checkpoint in run.checkpoints())
    assert scene.models() == ["bard", "straight"]


@pytest.mark.slow
@pytest.mark.parametrize("jump", [DAY, -DAY, BEFORE_1970, AFTER_2038])
def test_a_run_by_minutes_lasts_its_minutes_whatever_the_clock_says(jump: float, scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_minutes=0.05, eval_interval=1_000_000))
    began = time.monotonic()
    assert start(scene, run, (10, jump), (30, -jump)).wait(60) == 0, last_words(run)
    assert time.monotonic() - began >= 3.0
    status = status_of(run)
    assert status.state == "finished" and status.step > 30 and 3.0 <= status.elapsed_seconds < 10.0
    rates = [float(record.values["learning_rate"]) for record in records(run, "train")][4:]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [BEFORE_1970, AFTER_2038, FAR], ids=["before-1970", "after-2038", "year-7000"])
def test_a_run_of_another_century_is_obeyed_stopped_resumed_and_listed(wrong: float, scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=1_000_000, checkpoint_interval=100_000))
    process = start(scene, run, (-1, wrong))
    until(lambda: (status := run.status()) is not None and status.step > 2, run)
    # The viewer's clock is right, the trainer's is not.
    assert obey(run, "pause").outcome == "done"
    wait_state(run, "paused")
    for command in (["list"], ["list", "--json"], ["show", "bard"], ["show", "bard", "--json"], ["log", "bard"]):
        answer = call("runs", *command, home=scene.home)
        assert answer.code == 0 and answer.err == "", (command, answer.err)
    assert obey(run, "save", name="century").outcome == "done"
    assert obey(run, "stop").outcome == "done"
    assert process.wait(60) == 0
    again = start(scene, run, (-1, 0.0))
    until(lambda: (status := run.status()) is not None and status.state == "running", run)
    assert obey(run, "stop").outcome == "done"
    assert again.wait(60) == 0
    assert call("models", "verify", "century", home=scene.home).code == 0
    assert call("models", "show", "century", home=scene.home).code == 0


def test_a_trainer_that_hangs_is_told_though_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bard"
    folder.mkdir()
    with TrainerLock(folder):
        write_record(folder / STATUS_FILE, Status(state="running"))
        assert liveness(folder) == "alive"
        true_time = time.time
        monkeypatch.setattr(time, "time", lambda: true_time() - DAY)
        # It has not beaten since: nothing is known.
        assert liveness(folder) == "alive"
        write_record(folder / STATUS_FILE, Status(state="running", updated=time.time()))
        assert liveness(folder) == "alive"
        # The owner's own beginning is in the future still, and must not count.
        monkeypatch.setattr(time, "time", lambda: true_time() - DAY + 3600)
        assert liveness(folder) == "hung"
        monkeypatch.setattr(time, "time", lambda: true_time() + DAY)
        assert liveness(folder) == "hung"


@pytest.mark.slow
def test_a_stopped_trainer_shows_as_hung_after_its_clock_was_set_back(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=1_000_000))
    process = start(scene, run, (-1, DAY), (5, 0.0))
    until(lambda: (status := run.status()) is not None and status.step > 6, run)
    signal_it(run, signal.SIGSTOP)
    until(lambda: liveness(run.folder, hung_after=1.0) == "hung")
    process.send_signal(signal.SIGCONT)
    assert obey(run, "stop").outcome == "done" and process.wait(60) == 0


def test_the_newest_log_is_the_last_one_by_name_though_the_clock_was_set_back(tmp_path: Path) -> None:
    today = launch._log_name(tmp_path)
    assert today.startswith("training_2") and today.endswith(".log")
    (tmp_path / "training_20991231_235959.log").write_text("an older trainer\n", encoding="utf-8")
    (tmp_path / "training_30000101_000000.txt").write_text("mine\n", encoding="utf-8")
    (tmp_path / "training_zebra.log").write_text("mine\n", encoding="utf-8")
    (tmp_path / "training_99980101_000000.log").mkdir()
    (tmp_path / "training_99990101_000000.log").symlink_to("/dev/null")
    assert launch._log_name(tmp_path) == "training_20991231_235959.log"


@pytest.mark.slow
def test_after_the_clock_was_set_back_the_newest_log_goes_on(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=2, sample_tokens=0))
    future = run.folder / "training_20991231_235959.log"
    future.write_text("an older trainer\n", encoding="utf-8")
    assert scene.train(run) == 0
    assert run.log_files() == [future]
    log = future.read_text(encoding="utf-8")
    assert log.startswith("an older trainer\n") and f"run {run.name}" in log
