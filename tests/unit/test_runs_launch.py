"""Starting a trainer: detached, logged, with the environment it needs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tui_gpt.core.errors import RunError
from tui_gpt.core.runs.child_process import trainer_environment
from tui_gpt.core.runs.launch import (
    TrainerProcess,
    launch_trainer,
    log_tail,
    wait_until_started,
)
from tui_gpt.core.runs.ownership import TrainerLock, liveness
from tui_gpt.core.runs.records import Status, write_record

TRAINER = """
import os, sys, time
from pathlib import Path
from tui_gpt.core.runs.ownership import TrainerLock
from tui_gpt.core.runs.records import Status, StatusWriter

run = Path(sys.argv[sys.argv.index("--run") + 1])
mode = os.environ["TRAINER_MODE"]
print("cwd", os.getcwd(), "session", os.getsid(0) == os.getpid(), "input", sys.stdin.read() == "", flush=True)
print("home", os.environ.get("TUI_GPT_HOME"), "allocator", os.environ.get("MALLOC_MMAP_THRESHOLD_"), flush=True)
with TrainerLock(run):
    status = StatusWriter(run)
    status.write(Status(state="starting"))
    if mode == "dies":
        print("\\x1b[31mout of luck", file=sys.stderr)
        os._exit(3)
    if mode == "fails":
        status.write(Status(state="failed", error="no such corpus"))
        sys.exit(1)
    if mode == "prepares":
        status.write(Status(state="preparing"))
        while not (run / "enough").exists():
            time.sleep(0.01)
        sys.exit(0)
    status.write(Status(state="running", step=1))
    if mode == "ends":
        status.write(Status(state="finished", step=2))
        sys.exit(0)
    while not (run / "enough").exists():
        time.sleep(0.01)
"""


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "bard"
    folder.mkdir()
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "small_trainer.py").write_text(TRAINER, encoding="utf-8")
    return folder


def launch(run: Path, mode: str) -> TrainerProcess:
    search = os.pathsep.join([str(run.parent / "modules"), trainer_environment().get("PYTHONPATH", "")])
    return launch_trainer(run, extra_env={"TRAINER_MODE": mode, "PYTHONPATH": search}, module="small_trainer")


def test_a_trainer_is_detached_and_its_words_go_to_a_log_in_the_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.parent)
    monkeypatch.setenv("TUI_GPT_HOME", "relative")
    process = launch(run, "runs")
    assert wait_until_started(run, process, 20).state == "running"
    assert liveness(run) == "alive"
    (log,) = run.glob("training_*.log")
    assert process.log == log
    text = log.read_text(encoding="utf-8")
    assert f"cwd {run} session True input True" in text
    assert f"home {run.parent / 'relative'}" in text
    if sys.platform == "linux":
        assert f"allocator {4 << 30}" in text
    with pytest.raises(RunError, match="being trained already"):
        launch(run, "runs")
    (run / "enough").touch()
    assert process.wait(20) == 0
    assert liveness(run) == "dead"


def test_a_trainer_that_ended_leaves_no_zombie_though_nobody_asked(run: Path) -> None:
    process = launch(run, "ends")
    until(lambda: not psutil.pid_exists(process.pid))
    assert process.poll() == 0
    assert wait_until_started(run, process, 20).state == "finished"


def test_a_trainer_outlives_whoever_started_it(run: Path) -> None:
    starter = "\n".join(
        [
            "import sys; from pathlib import Path",
            "from tui_gpt.core.runs.launch import launch_trainer, wait_until_started",
            "run = Path(sys.argv[1])",
            "process = launch_trainer(run, module='small_trainer')",
            "wait_until_started(run, process, 20)",
        ]
    )
    environment = trainer_environment({"TRAINER_MODE": "runs"})
    search = [str(run.parent / "modules"), environment.get("PYTHONPATH", "")]
    subprocess.run(
        [sys.executable, "-W", "error", "-c", starter, str(run)],
        env={**environment, "PYTHONPATH": os.pathsep.join(search)},
        check=True,
        timeout=30,
    )
    assert liveness(run) == "alive"
    (run / "enough").touch()
    until(lambda: liveness(run) == "dead")


def test_a_trainer_that_dies_early_is_told_with_the_end_of_its_log(run: Path) -> None:
    process = launch(run, "dies")
    with pytest.raises(RunError, match=r"(?s)ended with exit code 3 .*out of luck") as caught:
        wait_until_started(run, process, 20)
    assert "\x1b" not in str(caught.value)


def test_a_trainer_that_says_why_it_fails_is_quoted(run: Path) -> None:
    with pytest.raises(RunError, match="failed: no such corpus"):
        wait_until_started(run, launch(run, "fails"), 20)


def test_a_module_that_is_not_there_is_told(run: Path) -> None:
    process = launch_trainer(run, module="tui_gpt.no_such_module")
    with pytest.raises(RunError, match=r"(?s)ended with exit code 1 .*no_such_module"):
        wait_until_started(run, process, 20)


def test_preparing_for_long_is_told_and_not_disturbed(run: Path) -> None:
    process = launch(run, "prepares")
    until(lambda: liveness(run) == "alive")
    with pytest.raises(RunError, match="still prepares"):
        wait_until_started(run, process, 0.1)
    assert process.poll() is None
    (run / "enough").touch()
    assert process.wait(20) == 0


def test_what_an_earlier_trainer_wrote_is_not_taken_for_the_new_ones_word(run: Path) -> None:
    write_record(run / "status.json", Status(state="running", step=99))
    process = launch(run, "dies")
    with pytest.raises(RunError, match="exit code 3"):
        wait_until_started(run, process, 20)


def test_a_held_lock_refuses_a_second_trainer(run: Path) -> None:
    with TrainerLock(run), pytest.raises(RunError, match="being trained already"):
        launch(run, "runs")


def test_a_run_that_does_not_exist_cannot_be_launched(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no trainer of nowhere can be started"):
        launch_trainer(tmp_path / "nowhere")


def test_several_workers_go_through_torchs_own_launcher(run: Path) -> None:
    ranks = 'import os, sys; print("rank", os.environ["RANK"], "of", os.environ["WORLD_SIZE"], *sys.argv[1:])'
    (run.parent / "modules" / "small_worker.py").write_text(ranks, encoding="utf-8")
    search = os.pathsep.join([str(run.parent / "modules"), trainer_environment().get("PYTHONPATH", "")])
    process = launch_trainer(run, nproc=2, extra_env={"PYTHONPATH": search}, module="small_worker")
    assert process.wait(120) == 0, log_tail(process.log)
    said = process.log.read_text(encoding="utf-8")
    assert f"rank 0 of 2 --run {run}" in said
    assert f"rank 1 of 2 --run {run}" in said


def test_the_environment_respects_what_the_user_has_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["here", "/there"]))
    environment = trainer_environment({"EXTRA": "yes"})
    assert environment["MALLOC_TRIM_THRESHOLD_"] == "1"
    assert environment["PYTHONPATH"].split(os.pathsep)[:2] == [str(tmp_path / "here"), "/there"]
    assert environment["EXTRA"] == "yes"


def test_the_end_of_a_log_is_fit_for_a_terminal(tmp_path: Path) -> None:
    log = tmp_path / "training.log"
    assert "cannot be read" in log_tail(log)
    log.write_bytes(b"")
    assert log_tail(log) == "(it is empty)"
    log.write_bytes(b"x" * 100_000 + b"\n\xff\x1b]0;title\x07\nlast\n")
    tail = log_tail(log, 2)
    assert tail.endswith("\nlast")
    assert "\x1b" not in tail
    assert "\x07" not in tail
