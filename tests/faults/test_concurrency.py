"""Several people, or one person in several windows, want something of the same run or the same name at once."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from saved_models import RECORD, writer
from training_runs import (
    Scene,
    fault,
    hold,
    last_words,
    learned,
    records,
    release,
    status_of,
    tiny,
    until,
    wait_held,
    wait_state,
)

from tui_gpt.core.config import to_dict
from tui_gpt.core.errors import RunError
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.runs.child_process import trainer_command, trainer_environment
from tui_gpt.core.runs.commands import Ack
from tui_gpt.core.runs.launch import launch_trainer
from tui_gpt.core.runs.ownership import signal_trainer
from tui_gpt.core.runs.records import write_record
from tui_gpt.core.runs.store import Run, RunStore
from tui_gpt.ui.run_control import RunControl

T = TypeVar("T")
EIGHT = 8


def environment(scene: Scene) -> dict[str, str]:
    return trainer_environment({"TUI_GPT_HOME": str(scene.home), "OMP_NUM_THREADS": "1"})


def at_once(*calls: Callable[[], T]) -> list[T]:
    """What these return that are called in as many threads at the same moment."""
    barrier = threading.Barrier(len(calls))

    def call(what: Callable[[], T]) -> T:
        barrier.wait()
        return what()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


def command_lines(scene: Scene, *lines: Sequence[str]) -> list[tuple[int, str]]:
    """Exit codes and narrations of commands that were started one right after the other."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tui_gpt", *line],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(scene),
        )
        for line in lines
    ]
    said = [process.communicate(timeout=120)[1] for process in processes]
    return [(process.returncode, words) for process, words in zip(processes, said, strict=True)]


def answered(run: Run, sent: str) -> Ack:
    ack = run.wait_for_ack(sent, 60)
    assert ack is not None, last_words(run)
    return ack


def app(run: Run) -> RunControl:
    """What an app does to runs, without its screen."""
    nobody: Any = None
    return RunControl(RunStore(run.folder.parent), nobody, lambda what: None, pytest.fail)


# ---- one run, several trainers


def test_a_second_trainer_leaves_and_says_who_holds_the_run(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=20))
    first = scene.start(run, hold(5))
    wait_held(run, 5)
    with pytest.raises(RunError, match="is being trained already"):
        launch_trainer(run.folder)
    second = subprocess.run(
        trainer_command(run.folder), env=environment(scene), capture_output=True, text=True, timeout=60, check=False
    )
    assert second.returncode == 4
    assert f"bard is being trained by process {first.pid} on " in second.stderr
    assert "Traceback" not in second.stderr
    assert run.owner() is not None and run.owner().pid == first.pid  # type: ignore[union-attr]
    assert status_of(run).state == "running"
    release(run, 5)
    assert first.wait(60) == 0, last_words(run)
    assert len(list(run.folder.glob("metrics-*.jsonl"))) == 1


@pytest.mark.slow
def test_of_two_people_who_resume_at_once_one_trains_and_the_other_is_told(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=60))
    assert scene.train(run, fault("train_step", "kill", step=30)) < 0
    reference = scene.begin(tiny(scene.text, max_steps=60), "reference")
    assert scene.train(reference) == 0
    ends = command_lines(scene, *[["runs", "resume", "bard"]] * 4)
    assert sorted(code for code, _ in ends) == [0, 4, 4, 4], ends
    for code, words in ends:
        assert "Traceback" not in words
        assert "ended unexpectedly" not in words
        assert code == 0 or "is being trained" in words, words
    assert learned(run) == learned(reference)


# ---- one run, several commands


def test_a_command_that_eight_send_at_once_has_one_effect_and_eight_answers(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=100_000, eval_interval=100_000))
    process = scene.start(run, hold(2))
    wait_held(run, 2)
    sent = at_once(*[lambda: run.send("pause")] * EIGHT)
    release(run, 2)
    acks = [answered(run, command) for command in sent]
    assert [ack.outcome for ack in acks] == ["done"] * EIGHT
    assert sorted(ack.message for ack in acks) == ["paused at step 3"] + ["was paused already, at step 3"] * 7
    wait_state(run, "paused")

    acks = [answered(run, c) for c in at_once(*[lambda: run.send("save", {"name": "one"})] * EIGHT)]
    assert sorted(ack.outcome for ack in acks) == ["done"] + ["refused"] * 7
    assert all("another name" in ack.message for ack in acks if ack.outcome == "refused")
    assert scene.models() == ["one"]

    acks = [answered(run, c) for c in at_once(*[lambda: run.send("step", {"count": 2})] * EIGHT)]
    assert [ack.outcome for ack in acks] == ["done"] * EIGHT
    until(lambda: status_of(run).step == 3 + 2 * EIGHT, run)

    acks = [answered(run, c) for c in at_once(*[lambda: run.send("resume")] * EIGHT)]
    assert sorted(ack.message for ack in acks)[1:] == ["was running already"] * 7
    until(lambda: not list((run.folder / "commands").iterdir()), run)
    events = [record.values["event"] for record in records(run, "mark")]
    assert [events.count(event) for event in ("paused", "saved as model one", "resumed")] == [1, 1, 1]
    obeyed = at_once(*[lambda: command_of_an_app(run, "stop")] * 2)
    assert process.wait(60) == 0
    assert all("stop" in words or "ended" in words for words in obeyed)


def command_of_an_app(run: Run, kind: Any) -> str:
    return asyncio.run(app(run).command(run.name, kind))


@pytest.mark.slow
def test_two_apps_and_the_command_line_stop_a_run_at_once_and_all_are_told(scene: Scene) -> None:
    for _ in range(3):
        run = scene.begin(tiny(scene.text, max_steps=100_000, eval_interval=20), f"bard-{_}")
        process = scene.start(run)
        wait_state(run, "running")
        line = ["runs", "stop", run.name]
        calls: list[Callable[[], Any]] = [lambda: command_lines(scene, line, line)]  # noqa: B023
        calls += [lambda: command_of_an_app(run, "stop")] * 2  # noqa: B023
        first, *apps = at_once(*calls)
        assert all("stops at step" in words or "ended" in words for words in apps), apps
        for code, words in first:
            late = "is stopped, so no trainer hears it" in words
            assert (code == 0 and "at step" in words) or "has ended" in words or (code == 4 and late), first
        assert process.wait(60) == 0
        assert wait_state_of_end(run) == "stopped"


def wait_state_of_end(run: Run) -> str:
    until(lambda: run.liveness() == "dead")
    return status_of(run).state


@pytest.mark.slow
def test_commands_that_come_while_a_run_ends_are_answered(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=3))
    process = scene.start(run, hold(2))
    wait_held(run, 2)
    asked = run.send("stop")
    release(run, 2)
    acks: list[Ack | None] = [run.wait_for_ack(asked, 60)]
    with pytest.raises(RunError, match="no running trainer"):
        while True:
            acks.append(run.wait_for_ack(run.send("stop"), 60))
    assert process.wait(60) == 0
    # One that was sent between the trainer's last look and its end has no answer, which those who ask understand.
    assert all(ack is not None and ack.outcome == "done" for ack in acks[:-1]), acks


# ---- a run that trains, and those who would do something else to it


@pytest.mark.slow
def test_a_run_in_training_is_not_deleted_or_renamed_by_anyone_and_can_be_forked(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=40, eval_interval=5))
    process = scene.start(run, hold(21))
    wait_held(run, 21)
    control = app(run)
    for attempt in (
        lambda: asyncio.run(control.delete("bard")),
        lambda: asyncio.run(control.rename("bard", "other")),
    ):
        with pytest.raises(RunError, match=f"being trained by process {process.pid}"):
            attempt()
    ends = command_lines(
        scene,
        ["runs", "delete", "bard", "--yes"],
        ["runs", "rename", "bard", "other"],
        ["runs", "fork", "bard", "--as", "young", "--set", "train.max_steps=24"],
    )
    assert [code for code, _ in ends] == [4, 4, 0], ends
    assert all("being trained" in words for _, words in ends[:2])
    release(run, 21)
    assert process.wait(60) == 0, last_words(run)
    assert scene.models() == ["bard", "young"]


@pytest.mark.slow
@pytest.mark.parametrize("change", ["delete", "rename"])
def test_a_run_that_goes_before_its_trainer_is_up_stays_gone(scene: Scene, change: str) -> None:
    run = scene.begin(tiny(scene.text, max_steps=4))
    store = RunStore(run.folder.parent)
    process = scene.start(run)
    if change == "delete":
        store.delete("bard")
    else:
        store.rename("bard", "other")
    assert process.wait(60) in (4, 1, 2), "a trainer without a run leaves"
    names = [entry.name for entry in store.list()]
    assert names == ([] if change == "delete" else ["other"])
    assert not run.folder.exists()
    if change == "rename":
        renamed = store.open("other")
        assert scene.train(renamed) == 0, last_words(renamed)


# ---- one name, several takers

RACER = """
import sys
from pathlib import Path
from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.runs.ownership import TrainerLock, without_trainer
from tui_gpt.core.runs.store import RunStore

what, root, number = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
handler = ModelHandler(root / "models", root / "examples", root / "notes.txt")
store = RunStore(root / "runs")

def lock():
    for _ in range(40):
        with TrainerLock(root / "runs" / "bard", patience=60):
            path = root / "inside"
            path.touch(exist_ok=False)
            path.unlink()

def move():
    for _ in range(40):
        with without_trainer(root / "runs" / "bard", patience=60):
            path = root / "inside"
            path.touch(exist_ok=False)
            path.unlink()

ACTIONS = {
    "lock": lambda: lock() if int(number) % 2 else move(),
    "rename run": lambda: store.rename(f"run-{number}", "prize"),
    "delete run": lambda: store.delete("bard"),
    "fork model": lambda: handler.fork("bard", "prize"),
    "rename model": lambda: handler.rename(f"model-{number}", "prize"),
    "delete model": lambda: handler.delete("bard"),
}
print("ready", flush=True)
sys.stdin.readline()
try:
    ACTIONS[what]()
    print("won")
except TuiGptError as error:
    print(error)
"""


@contextmanager
def racers(what: str, root: Path) -> Iterator[list[subprocess.Popen[str]]]:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, what, str(root), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=trainer_environment(),
        )
        for number in range(EIGHT)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate(timeout=20)


def race(what: str, root: Path) -> list[str]:
    """What each of eight processes said after doing this at the same moment."""
    with racers(what, root) as processes:
        for process in processes:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        ends = [process.communicate(timeout=60) for process in processes]
    assert [errors for _, errors in ends] == [""] * EIGHT
    return [out.strip() for out, _ in ends]


def test_eight_processes_are_in_a_runs_folder_one_after_the_other(scene: Scene) -> None:
    scene.begin(tiny(scene.text))
    said = race("lock", scene.home)
    # Whoever meets one that holds the run is told at once; two were never inside together, which would be an error.
    assert "won" in said
    assert all(words == "won" or "being trained by" in words for words in said), said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "refusal", "left"),
    [
        ("rename run", "there is a run named prize", ["bard", "prize", *["run"] * 7]),
        ("delete run", "there is no run", ["run"] * EIGHT),
    ],
)
def test_of_eight_changes_to_runs_at_once_one_happens_and_the_others_are_told(
    scene: Scene, what: str, refusal: str, left: list[str]
) -> None:
    for name in ("bard", *(f"run-{number}" for number in range(EIGHT))):
        scene.begin(tiny(scene.text), name)
    said = race(what, scene.home)
    assert said.count("won") == 1
    assert all(refusal in words for words in said if words != "won"), said
    entries = RunStore(scene.home / "runs").list()
    assert all(isinstance(entry, Run) for entry in entries)
    assert sorted(entry.name.partition("-")[0] for entry in entries) == left
    assert not [path.name for path in (scene.home / "runs").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("what", "refusal", "left"),
    [
        ("fork model", "prize is already in", ["bard", *["model"] * EIGHT, "prize"]),
        ("rename model", "prize is already in", ["bard", *["model"] * 7, "prize"]),
        ("delete model", "there is no model named bard", ["model"] * EIGHT),
    ],
)
def test_of_eight_changes_to_the_library_at_once_one_happens_and_the_others_are_told(
    tmp_path: Path, what: str, refusal: str, left: list[str]
) -> None:
    handler = ModelHandler(tmp_path / "models", tmp_path / "examples", tmp_path / "notes.txt")
    for name in ("bard", *(f"model-{number}" for number in range(EIGHT))):
        handler.save(name, writer(name.encode()), RECORD)
    said = race(what, tmp_path)
    assert said.count("won") == 1
    assert all(refusal in words for words in said if words != "won"), said
    names = [entry.name for entry in handler.list()]
    assert sorted(name.partition("-")[0] for name in names) == left
    assert [problem for name in names for problem in handler.verify(name)] == []


BEGINNER = """
import json, sys
from tui_gpt.core.config_loading import build_config
from tui_gpt.core.errors import TuiGptError
from tui_gpt.engine.training.begin import begin_run

config = build_config(("test", json.loads(sys.argv[1])))
name = sys.argv[2] or None
print("ready", flush=True)
sys.stdin.readline()
try:
    print(begin_run(config, name).name)
except TuiGptError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["", "bard"])
def test_apps_that_start_the_same_form_at_once_begin_a_run_each_or_are_told(scene: Scene, name: str) -> None:
    config = json.dumps(to_dict(tiny(scene.text)))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BEGINNER, config, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(scene),
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    ends = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        out, errors = process.communicate(timeout=60)
        assert errors == ""
        ends.append(out.strip())
    runs = sorted(entry.name for entry in RunStore(scene.home / "runs").list() if isinstance(entry, Run))
    if name:
        assert runs == ["bard"]
        assert ends.count("bard") == 1
        assert all("there is a run named bard already" in words for words in ends if words != "bard")
    else:
        assert runs == sorted(ends) == ["stories", "stories-2", "stories-3", "stories-4"]


def test_two_names_that_become_free_numbers_at_once_are_not_taken_twice(scene: Scene) -> None:
    first = scene.begin(tiny(scene.text))
    store = RunStore(scene.home / "runs")
    made = at_once(*[lambda: store.create_free(first.record).name] * EIGHT)
    assert sorted(made) == [f"bard-{number}" for number in range(2, EIGHT + 2)]


# ---- process ids


@pytest.mark.slow
def test_commands_do_not_reach_a_process_that_has_taken_the_trainers_number(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=8))
    assert scene.train(run, fault("train_step", "kill", step=4)) < 0
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        owner = run.owner()
        assert owner is not None
        write_record(run.folder / "owner.json", msgspec.structs.replace(owner, pid=bystander.pid))
        assert run.summary().state == "interrupted"
        (code, words), *_ = command_lines(scene, ["runs", "stop", "bard"])
        assert code == 4 and "no trainer hears it" in words
        with pytest.raises(RunError, match="nothing was signalled"):
            signal_trainer(run.folder, signal.SIGKILL)
        # Nor does it keep the next trainer from the run.
        assert scene.train(run) == 0, last_words(run)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.communicate(timeout=20)
