"""What is left when a process dies by SIGKILL just before any one of its operations on files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tui_gpt.core.runs.checkpoints import clean_leftovers, list_checkpoints, newest_intact, publish_checkpoint
from tui_gpt.core.runs.child_process import trainer_environment
from tui_gpt.core.runs.commands import AckReader, CommandQueue, send
from tui_gpt.core.runs.store import DamagedRun, Run, RunStore
from tui_gpt.engine.training.orders import answer_for_the_dead

# Forks one process after the other. Number n kills itself before its n-th operation on a file below the folder; the
# first that gets through ends the series. Python's audit events come before the operation that they announce.
SERIES = """
import json, os, shutil, signal, sys
from pathlib import Path

folder, action = Path(sys.argv[1]), sys.argv[2]
OPERATIONS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}

def write(target):
    (target / "model.safetensors").write_bytes(b"m" * 100_000)
    (target / "state.json").write_text("{}")

def publish(stage):
    from tui_gpt.core.runs.checkpoints import publish_checkpoint
    publish_checkpoint(stage, 2, write)

def replace(stage):
    publish(stage)

def rotate(stage):
    from tui_gpt.core.runs.checkpoints import rotate
    rotate(stage, 0)

def acknowledge(stage):
    from tui_gpt.core.runs.commands import CommandQueue
    queue = CommandQueue(stage)
    for command in queue.poll():
        queue.acknowledge(command, "done", "obeyed")

def create(stage):
    import msgspec
    from tui_gpt.core.runs.records import RunRecord
    from tui_gpt.core.runs.store import RunStore
    RunStore(stage).create(msgspec.json.decode((folder / "record.json").read_bytes(), type=RunRecord))

def delete(stage):
    from tui_gpt.core.runs.store import RunStore
    RunStore(stage).delete("bard")

act = {f.__name__: f for f in (publish, replace, rotate, acknowledge, create, delete)}[action]
stages = 0
while True:
    stages += 1
    stage = folder / f"stage-{stages:03d}"
    shutil.copytree(folder / "before", stage, symlinks=True)
    child = os.fork()
    if child == 0:
        left = stages
        def strike(event, arguments):
            global left
            if event in OPERATIONS and any(str(stage) in str(argument) for argument in arguments):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(strike)
        act(stage)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0, "the action itself failed"
        break
    assert os.WTERMSIG(status) == signal.SIGKILL
print(json.dumps(stages))
"""


def stages_of(folder: Path, action: str) -> list[Path]:
    """The folders left by a series of crashes, the last one by a process that got through."""
    result = subprocess.run(
        [sys.executable, "-c", SERIES, str(folder), action],
        env=trainer_environment(),
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    stages = [folder / f"stage-{number:03d}" for number in range(1, json.loads(result.stdout) + 1)]
    assert len(stages) > 3, "hardly an operation was seen"
    return stages


def write(target: Path) -> None:
    (target / "state.json").write_text('{"old": true}', encoding="utf-8")


@pytest.fixture
def before(tmp_path: Path) -> Path:
    folder = tmp_path / "before"
    folder.mkdir()
    return folder


def test_a_crash_while_publishing_leaves_the_checkpoint_whole_or_absent(tmp_path: Path, before: Path) -> None:
    publish_checkpoint(before, 1, write)
    newest = []
    for stage in stages_of(tmp_path, "publish"):
        found, damaged = newest_intact(stage)
        assert damaged == []
        assert found is not None
        newest.append(found.step)
        clean_leftovers(stage)
        assert {p.name for p in (stage / "checkpoints").iterdir()} <= {
            "step-000001",
            "step-000002",
            "pointers.json",
        }
        publish_checkpoint(stage, 2, write)
        assert newest_intact(stage)[0] is not None
    assert newest == sorted(newest)
    assert set(newest) == {1, 2}


def test_a_crash_while_replacing_a_damaged_checkpoint_never_costs_an_intact_one(tmp_path: Path, before: Path) -> None:
    publish_checkpoint(before, 1, write)
    (publish_checkpoint(before, 2, write) / "state.json").write_bytes(b"damaged")
    newest = []
    for stage in stages_of(tmp_path, "replace"):
        found, _ = newest_intact(stage)
        assert found is not None
        newest.append(found.step)
    assert newest == sorted(newest)
    assert set(newest) == {1, 2}


def test_a_crash_while_rotating_leaves_only_whole_checkpoints(tmp_path: Path, before: Path) -> None:
    for step in (1, 2, 3):
        publish_checkpoint(before, step, write)
    for stage in stages_of(tmp_path, "rotate"):
        found, damaged = newest_intact(stage)
        assert found is not None
        assert (found.step, damaged) == (3, [])
        for checkpoint in list_checkpoints(stage):
            assert (checkpoint.folder / "MANIFEST.json").is_file()
            assert (checkpoint.folder / "state.json").is_file()


def test_a_crash_while_obeying_never_gives_an_answered_command_again(tmp_path: Path, before: Path) -> None:
    (before / "commands").mkdir()
    ids = [send(before, "pause"), send(before, "resume")]
    for stage in stages_of(tmp_path, "acknowledge"):
        answered = {ack.id for ack in AckReader(stage).poll()}
        queue = CommandQueue(stage)
        given = [command.id for command in queue.poll()]
        assert given == [i for i in ids if i not in answered]
        successor = CommandQueue(stage)
        successor.inherit()
        answer_for_the_dead(stage, successor)
        assert list((stage / "commands").iterdir()) == []
        assert sorted(ack.id for ack in AckReader(stage).poll()) == ids


def test_a_crash_while_making_a_run_leaves_it_whole_or_absent(tmp_path: Path, before: Path) -> None:
    data = {
        **dict.fromkeys(("corpus", "source", "sha256", "tokenizer", "prepared"), "x"),
        **dict.fromkeys(("vocab_size", "n_train_tokens", "n_validation_tokens", "train_bytes", "validation_bytes"), 1),
    }
    record = {
        "name": "bard",
        "created": "2026-01-01T00:00:00.000Z",
        "config": {},
        "versions": {},
        "data": data,
    }
    (tmp_path / "record.json").write_text(json.dumps(record), encoding="utf-8")
    counts = []
    for stage in stages_of(tmp_path, "create"):
        runs = RunStore(stage).list()
        assert not any(isinstance(run, DamagedRun) for run in runs)
        for run in runs:
            assert isinstance(run, Run)
            assert sorted(p.name for p in run.folder.iterdir()) == ["checkpoints", "commands", "run.json"]
        counts.append(len(runs))
    assert counts == sorted(counts)
    assert set(counts) == {0, 1}


def test_a_crash_while_deleting_a_run_leaves_it_whole_or_gone(tmp_path: Path, before: Path) -> None:
    run = before / "bard"
    run.mkdir()
    publish_checkpoint(run, 1, write)
    for stage in stages_of(tmp_path, "delete"):
        names = [run.name for run in RunStore(stage).list()]
        assert names in ([], ["bard"])
        if names:
            assert newest_intact(stage / "bard")[0] is not None
