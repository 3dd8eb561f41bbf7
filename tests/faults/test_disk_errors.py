"""A disk that reports errors, a folder that may only be read, no file handles left: a sentence, and nothing is lost."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from run_invariants import Witness
from small_disks import any_number_of_files, no_file_handles, no_more_files, read_only
from training_runs import (
    Scene,
    final_weights,
    hold,
    last_words,
    learned,
    release,
    status_of,
    tiny,
    until,
    wait_held,
)

from tui_gpt.core.errors import RunError, TuiGptError
from tui_gpt.core.model_handler import DamagedModel, ModelHandler
from tui_gpt.core.runs.checkpoints import publish_checkpoint
from tui_gpt.core.runs.child_process import INTERPRETER, TRAINER_MODULE, trainer_environment
from tui_gpt.core.runs.commands import AckReader, CommandQueue, send
from tui_gpt.core.runs.metrics import MetricsWriter
from tui_gpt.core.runs.store import DamagedRun, Run, RunStore
from tui_gpt.engine.training.learner import Learner

TRAIN: dict[str, Any] = {"max_steps": 14, "eval_interval": 100, "checkpoint_interval": 4, "sample_tokens": 0}
Undisturbed = tuple[list[tuple[str, int, dict[str, Any]]], bytes]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """What the run learns on a disk without faults: every record, and the last weights."""
    scene = Scene(tmp_path_factory.mktemp("undisturbed"))
    run = scene.begin(tiny(scene.text, **TRAIN))
    assert scene.train_here(run) == 0
    return learned(run), final_weights(run)


class FailingSync:
    """os.fsync reports an error for files of such a path, from the call number `first` on, so many times."""

    def __init__(self, pattern: str, first: int, times: int) -> None:
        self._pattern, self._first, self._times = pattern, first, times
        self._real = os.fsync
        self.calls = 0

    def __call__(self, descriptor: int) -> None:
        if fnmatch(str(Path(f"/proc/self/fd/{descriptor}").readlink()), self._pattern):
            self.calls += 1
            if self._first <= self.calls < self._first + self._times:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._real(descriptor)

    @property
    def failed(self) -> bool:
        return self.calls >= self._first


SYNCS = {
    "the tensors of a checkpoint": "*/checkpoints/.step-*/model.safetensors",
    "its manifest": "*/.MANIFEST.json.*.tmp",
    "its folder": "*/checkpoints/.step-*.tmp",
    "the folder of the checkpoints": "*/checkpoints",
    "the pointers": "*/.pointers.json.*.tmp",
    "the metrics": "*/metrics-0001.jsonl",
}


@pytest.mark.parametrize("first", [2, pytest.param(3, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("what", SYNCS)
def test_a_sync_that_fails_is_told_costs_no_checkpoint_and_the_run_learns_the_same(
    scene: Scene,
    undisturbed: Undisturbed,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    what: str,
    first: int,
) -> None:
    run = scene.begin(tiny(scene.text, **TRAIN))
    witness = Witness(run, scene.home)
    sync = FailingSync(SYNCS[what], first, 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", sync)
        code = scene.train_here(run)
    assert sync.failed
    said = capsys.readouterr()
    assert "nput/output error" in said.out and "Traceback" not in said.out + said.err
    checkpoint, damaged = run.newest_intact()
    assert checkpoint is not None and damaged == []
    status = status_of(run)
    assert status.state == ("failed" if code else "finished")
    if code or status.warnings:  # it was the last one, and no later one made good for it
        assert "nput/output error" in (status.error or status.warnings[0])
        assert scene.train_here(run) == 0
    witness.look()
    assert status_of(run).warnings == []
    assert (learned(run), final_weights(run)) == undisturbed


def test_a_disk_that_syncs_nothing_any_more_fails_the_run_in_a_sentence_and_what_was_kept_is_resumed(
    scene: Scene, undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = scene.begin(tiny(scene.text, **TRAIN))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", FailingSync("*/runs/bard*", 60, 1_000_000))
        assert scene.train_here(run) == 1
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    checkpoint, damaged = run.newest_intact()
    assert checkpoint is not None and checkpoint.step < 14 and damaged == []
    assert scene.train_here(run) == 0
    assert status_of(run).state == "finished"
    assert (learned(run), final_weights(run)) == undisturbed


def test_a_trainer_that_cannot_sync_its_first_lines_leaves_no_segment_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pattern in ("*/metrics-0001.jsonl", str(tmp_path)):
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", FailingSync(pattern, 1, 1))
            with pytest.raises(RunError, match=r"metrics-0001\.jsonl .*nput/output error"):
                MetricsWriter(tmp_path, 0)
        assert list(tmp_path.iterdir()) == []


def test_checkpoints_that_may_not_be_written_are_told_of_and_written_again_once_they_may(
    scene: Scene, undisturbed: Undisturbed
) -> None:
    run = scene.begin(tiny(scene.text, **TRAIN))
    process = scene.fork(run, hold(5), hold(9))
    wait_held(run, 5)
    with read_only(run.folder / "checkpoints"):
        release(run, 5)
        wait_held(run, 9)
        (warning,) = status_of(run).warnings
        assert "checkpoint of step 8 could not be written" in warning
        assert "check the space and the permissions there" in warning
        assert [checkpoint.step for checkpoint in run.checkpoints()] == [4]
    release(run, 9)
    assert process.wait() == 0, last_words(run)
    status = status_of(run)
    assert (status.state, status.warnings) == ("finished", [])
    assert [checkpoint.step for checkpoint in run.checkpoints()] == [4, 12, 14]
    assert (learned(run), final_weights(run)) == undisturbed
    assert "Traceback" not in last_words(run)


def test_a_trainer_without_file_handles_trains_on_and_does_what_it_was_asked_once_it_has_some(
    scene: Scene, undisturbed: Undisturbed
) -> None:
    run = scene.begin(tiny(scene.text, **TRAIN))
    witness = Witness(run, scene.home)
    process = scene.fork(run, hold(5), hold(9))
    wait_held(run, 5)
    # Sent before, so that it is there to be read when nothing can be.
    sent = run.send("save")
    (run.folder / "held-9").touch()  # the trainer could not
    beat = status_of(run).heartbeat
    no_more_files(process.pid)
    release(run, 5)
    until(lambda: "checkpoint of step 8 could not be written" in last_words(run), run)
    assert "oo many open files" in last_words(run)
    assert process.poll() is None and run.liveness() == "alive"
    assert [checkpoint.step for checkpoint in run.checkpoints()] == [4]
    any_number_of_files(process.pid)
    until(lambda: status_of(run).heartbeat > beat, run)
    release(run, 9)
    ack = run.wait_for_ack(sent, 60)
    assert ack is not None and ack.outcome == "done", "it was not refused because it could not be read"
    assert process.wait() == 0, last_words(run)
    witness.look()
    status = status_of(run)
    assert (status.state, status.warnings) == ("finished", [])
    assert (learned(run), final_weights(run)) == undisturbed
    assert "Traceback" not in "".join(log.read_text(encoding="utf-8") for log in run.log_files())


READERS: dict[str, Callable[[Run, ModelHandler], Any]] = {
    "list runs": lambda run, _: RunStore(run.folder.parent).list(),
    "open a run": lambda run, _: RunStore(run.folder.parent).open(run.name),
    "status": lambda run, _: run.status(),
    "summary": lambda run, _: run.summary(),
    "liveness": lambda run, _: run.liveness(),
    "owner": lambda run, _: run.owner(),
    "execution": lambda run, _: run.execution(),
    "metrics": lambda run, _: run.reader().poll(),
    "checkpoints": lambda run, _: run.checkpoints(),
    "newest intact": lambda run, _: run.newest_intact(),
    "logs": lambda run, _: run.log_files() and last_words(run),
    "send": lambda run, _: send(run.folder, "pause"),
    "answers": lambda run, _: AckReader(run.folder).poll(),
    "commands": lambda run, _: CommandQueue(run.folder).poll(),
    "delete a run": lambda run, _: RunStore(run.folder.parent).delete(run.name),
    "rename a run": lambda run, _: RunStore(run.folder.parent).rename(run.name, "other"),
    "list models": lambda _, models: models.list(),
    "get a model": lambda _, models: models.get("bard"),
    "verify a model": lambda _, models: models.verify("bard"),
    "load a model": lambda _, models: models.load("bard"),
    "rename a model": lambda _, models: models.rename("bard", "other"),
    "delete a model": lambda _, models: models.delete("bard"),
}


def test_readers_without_file_handles_say_so_and_find_everything_as_it_was_afterwards(
    scene: Scene,
) -> None:
    run = scene.begin(tiny(scene.text, **TRAIN))
    assert scene.train_here(run) == 0
    models = ModelHandler(scene.home / "models", scene.home / "examples", scene.home / "notes.txt")
    before = {path: path.read_bytes() for path in scene.home.rglob("*") if path.is_file()}
    found: dict[str, Any] = {}
    with no_file_handles():
        for name, read in READERS.items():
            try:
                found[name] = read(run, models)
            except TuiGptError as error:
                found[name] = error
            except Exception as error:  # shown once there are handles again
                found[name] = repr(error)
    raw = {name: result for name, result in found.items() if isinstance(result, str) and "rror" in result}
    assert raw == {}
    silent = {name for name, result in found.items() if not isinstance(result, TuiGptError)}
    assert silent <= {"list runs", "summary", "liveness", "owner", "logs", "list models", "verify a model"}
    for name in ("list runs", "list models"):
        entries = found[name] if isinstance(found[name], list) else []
        assert all(isinstance(entry, DamagedRun | DamagedModel) for entry in entries)
    assert isinstance(found["summary"], TuiGptError) or "oo many open files" in (found["summary"].problem or "")
    after = {path: path.read_bytes() for path in scene.home.rglob("*") if path.is_file()}
    assert {path: after.get(path) for path in before} == before
    assert models.verify("bard") == []
    assert run.newest_intact()[0] is not None


def test_a_log_that_cannot_be_written_stops_neither_the_training_nor_the_word_of_why_it_failed(
    scene: Scene, undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = scene.begin(tiny(scene.text, **TRAIN))
    # As the trainer's environment has it: every word is written at once.
    raw = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115
    with io.TextIOWrapper(raw, encoding="utf-8", write_through=True) as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        patch.setattr(sys, "stderr", full)
        with monkeypatch.context() as bug:

            def fail(*_: Any) -> None:
                raise ZeroDivisionError("a mistake of ours")

            bug.setattr(Learner, "train_step", fail)
            assert scene.train_here(run) == 1
        status = status_of(run)
        assert status.state == "failed"
        assert status.error is not None and "ZeroDivisionError: a mistake of ours" in status.error
        assert scene.train_here(run) == 0
    assert (learned(run), final_weights(run)) == undisturbed


@pytest.mark.slow
def test_a_trainer_whose_log_is_on_a_full_disk_ends_with_the_code_of_what_happened(
    scene: Scene, undisturbed: Undisturbed
) -> None:
    run = scene.begin(tiny(scene.text, **TRAIN))
    environment = trainer_environment({"TUI_GPT_HOME": str(scene.home), "OMP_NUM_THREADS": "1"})
    for folder, code in ((run.folder, 0), (scene.home / "runs" / "nobody", RunError.exit_code)):
        command = [*INTERPRETER, "-m", TRAINER_MODULE, "--run", str(folder)]
        with Path("/dev/full").open("wb") as full:
            result = subprocess.run(command, env=environment, stdout=full, stderr=full, timeout=120, check=False)
        assert result.returncode == code
    assert (learned(run), final_weights(run)) == undisturbed


def test_answers_that_find_no_room_are_given_once_there_is_some_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "commands").mkdir()
    ids = [send(tmp_path, "pause"), send(tmp_path, "resume")]
    (tmp_path / "commands" / "nonsense.json").write_text("{", encoding="utf-8")
    queue = CommandQueue(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", FailingSync("*/acks.jsonl", 1, 1_000_000))
        patch.setattr(os, "write", _refuse)
        for command in queue.poll():
            with pytest.raises(RunError, match=r"acks\.jsonl cannot be written: no space left on device"):
                queue.acknowledge(command, "done", "obeyed")
        assert queue.poll() == [] and queue.owes
        assert AckReader(tmp_path).poll() == []
    assert queue.poll() == [] and not queue.owes
    acks = AckReader(tmp_path).poll()
    assert {ack.id for ack in acks} == {*ids, "nonsense"}
    assert [ack.id for ack in acks if ack.outcome == "done"] == ids
    assert list((tmp_path / "commands").iterdir()) == []


def test_a_command_that_no_handle_is_left_to_read_with_waits_and_is_not_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "commands").mkdir()
    sent = send(tmp_path, "pause")
    queue = CommandQueue(tmp_path)
    opened = os.open

    def scarce(path: Any, *arguments: Any, **named: Any) -> int:
        if str(path).endswith(f"{sent}.json"):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return opened(path, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", scarce)
        assert queue.poll() == [] and not queue.owes
    assert [command.id for command in queue.poll()] == [sent]


def _refuse(*_: Any) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_a_failed_try_could_not_clear_away_does_not_take_the_room_of_the_next(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"m" * 1000)

    publish_checkpoint(tmp_path, 1, write)
    left = tmp_path / "checkpoints" / ".step-000002.0123456789ab.tmp"
    left.mkdir()
    write(left)
    publish_checkpoint(tmp_path, 2, write)
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["pointers.json", "step-000001", "step-000002"]
