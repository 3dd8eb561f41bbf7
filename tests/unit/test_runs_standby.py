"""A trainer that waits for its run becomes that run's trainer, or it goes, whatever becomes of its parent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from training_runs import Scene, tiny, until

from tui_gpt.core.errors import RunError
from tui_gpt.core.runs.child_process import trainer_environment
from tui_gpt.core.runs.launch import TrainerProcess, launch_trainer, wait_until_started
from tui_gpt.core.runs.standby import StandbyTrainer
from tui_gpt.core.runs.steering import resume_ended


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene(tmp_path)
    monkeypatch.setenv("TUI_GPT_HOME", str(made.home))
    return made


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_standby_becomes_the_trainer_of_a_run_and_of_one_that_is_resumed(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=12))
    with StandbyTrainer() as standby:
        waiting = standby.pid
        process = launch_trainer(run.folder, standby=standby)
        assert process.pid == waiting and standby.pid is None
    words = process.log
    # Leaving the block dismisses a standby, but not the trainer that it became.
    assert process.wait(60) == 0 and run.summary().state == "finished"
    text = words.read_text(encoding="utf-8")
    assert f"process {waiting}" in text and "finished" in text

    again = scene.begin(tiny(scene.text, max_steps=500_000), "longer")
    first = launch_trainer(again.folder)
    until(lambda: (status := again.status()) and status.step > 2, again)
    again.send("stop")
    assert first.wait(60) == 0
    with StandbyTrainer() as standby:
        waiting = standby.pid
        second = resume_ended(again, 0.5, standby)
        assert second.pid == waiting
    assert wait_until_started(again.folder, second, 60).state == "running"
    until(lambda: (status := again.status()) and status.state == "running" and status.step > 5, again)
    again.send("stop")
    assert second.wait(60) == 0
    assert "resumed from step" in second.log.read_text(encoding="utf-8")


def test_a_standby_that_is_dismissed_goes(scene: Scene) -> None:
    standby = StandbyTrainer()
    pid = standby.pid
    assert pid is not None and standby.alive
    standby.dismiss()
    until(lambda: gone(pid))
    assert not standby.alive and standby.take(scene.home / "log", []) is None


def test_a_standby_goes_when_whoever_started_it_is_killed() -> None:
    starter = "\n".join(
        [
            "from tui_gpt.core.runs.standby import StandbyTrainer",
            "import time",
            "standby = StandbyTrainer()",
            "print(standby.pid, flush=True)",
            "time.sleep(600)",
        ]
    )
    with subprocess.Popen(
        [sys.executable, "-c", starter], stdout=subprocess.PIPE, env=trainer_environment(), text=True
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert psutil.pid_exists(pid)
        process.kill()
    until(lambda: gone(pid))


def test_where_the_standby_has_died_another_trainer_starts(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=3))
    standby = StandbyTrainer()
    assert standby.pid is not None
    psutil.Process(standby.pid).kill()
    until(lambda: not standby.alive)
    process = launch_trainer(run.folder, standby=standby)
    assert process.wait(60) == 0 and run.summary().state == "finished"


def test_a_standby_that_cannot_import_says_so_in_the_log_of_the_run(scene: Scene, tmp_path: Path) -> None:
    run = scene.begin(tiny(scene.text, max_steps=3))
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('libtorch is broken here')", encoding="utf-8")
    search = os.pathsep.join([str(tmp_path), trainer_environment().get("PYTHONPATH", "")])
    with StandbyTrainer({"PYTHONPATH": search}) as standby:
        process: TrainerProcess = launch_trainer(run.folder, standby=standby)
        with pytest.raises(RunError, match="libtorch is broken here"):
            wait_until_started(run.folder, process, 60)
