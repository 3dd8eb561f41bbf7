"""A disk that is full: what is kept stays, the run goes on and says so, and keeps again once there is room."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from run_invariants import Witness
from small_disks import fill, largest_file, small_disk
from training_runs import (
    Scene,
    final_weights,
    hold,
    last_words,
    learned,
    obey,
    records,
    release,
    status_of,
    tiny,
    until,
    wait_held,
)

from tui_gpt.core.errors import RunError, TuiGptError
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.runs.checkpoints import verify_checkpoint
from tui_gpt.core.runs.launch import wait_until_started
from tui_gpt.core.runs.store import Run, RunStore
from tui_gpt.engine.training.forking import fork_run

DISK = 8 << 20
TRAIN: dict[str, Any] = {"max_steps": 20, "eval_interval": 100, "checkpoint_interval": 4, "sample_tokens": 0}
Undisturbed = tuple[list[tuple[str, int, dict[str, Any]]], bytes]
SMALL = 16 << 10
"""Less than any file with tensors has, more than any other of these runs."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """What the run learns on a disk with room: every record, and the last weights."""
    scene = Scene(tmp_path_factory.mktemp("undisturbed"))
    run = scene.begin(tiny(scene.text, **TRAIN))
    assert scene.train_here(run) == 0
    return learned(run), final_weights(run)


def warned(run: Run, *words: str) -> bool:
    """Whether one of the status' warnings has all of these words."""
    status = run.status()
    return status is not None and any(all(word in warning for word in words) for warning in status.warnings)


def beats_on(run: Run) -> None:
    """The trainer gives signs of life that viewers see."""
    beat = status_of(run).heartbeat
    until(lambda: status_of(run).heartbeat > beat, run)


def steps(run: Run) -> list[int]:
    """The checkpoints, each of which must be whole, with nothing half-made beside them."""
    for checkpoint in run.checkpoints():
        assert verify_checkpoint(checkpoint.folder) == []
    names = {path.name for path in (run.folder / "checkpoints").iterdir()}
    assert names == {"pointers.json", *(checkpoint.folder.name for checkpoint in run.checkpoints())}
    return [checkpoint.step for checkpoint in run.checkpoints()]


def assert_quiet(run: Run) -> None:
    """No log of the run shows a traceback."""
    assert "Traceback" not in "".join(log.read_text(encoding="utf-8") for log in run.log_files())


@pytest.mark.parametrize("end", ["goes on", "is killed"])
def test_a_run_that_may_not_write_large_files_trains_on_says_so_and_keeps_again_when_it_may(
    scene: Scene, undisturbed: Undisturbed, end: str
) -> None:
    run = scene.begin(tiny(scene.text, **TRAIN))
    witness = Witness(run, scene.home)
    process = scene.fork(run, hold(5), hold(9), hold(13))
    wait_held(run, 5)
    largest_file(process.pid, SMALL)
    release(run, 5)
    wait_held(run, 9)
    assert warned(run, "checkpoint of step 8 could not be written", "ile too large", "check the space")
    assert steps(run) == [4]
    metrics = run.folder / "metrics-0001.jsonl"
    largest_file(process.pid, metrics.stat().st_size + 50)  # the next line is cut
    release(run, 9)
    wait_held(run, 13)
    assert warned(run, "metrics-0001.jsonl cannot be written", "ile too large")
    assert not warned(run, "step 8"), "of two failures the newer is told"
    assert steps(run) == [4]
    if end == "is killed":
        process.kill()
        witness.look()
        assert scene.train_forked(run) == 0, last_words(run)
        assert learned(run) == undisturbed[0]
    else:
        largest_file(process.pid, None)
        release(run, 13)
        assert process.wait() == 0, last_words(run)
        # What could not be written is missing from the curve, and only that.
        missing = [record for record in undisturbed[0] if record not in learned(run)]
        assert {(kind, step) for kind, step, _ in missing} <= {("train", step) for step in (10, 11, 12, 13)}
        assert [record for record in learned(run) if record not in undisturbed[0]] == []
    assert final_weights(run) == undisturbed[1]
    status = status_of(run)
    assert (status.state, status.warnings) == ("finished", [])
    assert scene.models() == ["bard"]
    assert_quiet(run)


def test_a_run_whose_last_weights_find_no_room_fails_in_a_sentence_and_is_taken_up_again(
    scene: Scene, undisturbed: Undisturbed
) -> None:
    run = scene.begin(tiny(scene.text, **TRAIN))
    process = scene.fork(run, hold(19))
    wait_held(run, 19)
    largest_file(process.pid, SMALL)
    release(run, 19)
    assert process.wait() == 1
    status = status_of(run)
    assert status.state == "failed"
    assert status.error is not None and "weights of step 20 could not be saved" in status.error
    assert "runs resume bard" in status.error and "step 16" in status.error
    assert scene.models() == [] and [*(scene.home / "models").glob(".saving*")] == []
    assert scene.train_forked(run) == 0, last_words(run)
    assert (learned(run), final_weights(run)) == undisturbed
    assert scene.models() == ["bard"]
    assert_quiet(run)


def test_a_run_on_a_disk_that_is_full_trains_on_says_so_and_keeps_again_once_there_is_room(
    scene: Scene, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "small", DISK) as disk, ExitStack() as stack:
        stack.callback(scene.end_all)
        scene.home = disk / "home"
        run = scene.begin(tiny(scene.text, **TRAIN))
        process = scene.fork(run, hold(5), hold(9), hold(13))
        wait_held(run, 5)
        filler = fill(disk)
        release(run, 5)
        wait_held(run, 9)
        until(lambda: warned(run, "checkpoint of step 8 could not be written", "o space left on device"), run)
        assert steps(run) == [4]
        fill(disk)  # what the failed checkpoint gave back
        beats_on(run)
        with pytest.raises(RunError, match="takes no commands: no space left on device"):
            run.send("pause")
        filler.unlink()
        release(run, 9)
        wait_held(run, 13)
        assert steps(run)[0] == 4 and steps(run)[-1] == 12
        until(lambda: status_of(run).warnings == [], run)
        fill(disk)
        release(run, 13)
        assert process.wait() == 1
        status = status_of(run)
        assert status.error is None or "could not be saved" in status.error
        assert run.newest_intact()[0] is not None
        filler.unlink()
        assert scene.train_forked(run) == 0, last_words(run)
        assert final_weights(run) == undisturbed[1]
        missing = [record for record in undisturbed[0] if record not in learned(run)]
        assert {step for _, step, _ in missing} <= set(range(5, 13)), "steps beyond the resumed ones are told again"
        assert scene.models() == ["bard"]
        assert_quiet(run)


def test_a_library_without_room_keeps_what_it_has_and_gets_the_model_once_there_is_room(
    scene: Scene, tmp_path: Path
) -> None:
    run = scene.begin(tiny(scene.text, **TRAIN))
    with small_disk(scene.home / "models", 256 << 10) as disk, ExitStack() as stack:
        stack.callback(scene.end_all)
        process = scene.fork(run, hold(5))
        wait_held(run, 5)
        pausing = run.send("pause")
        release(run, 5)
        assert run.wait_for_ack(pausing, 60) is not None
        assert obey(run, "save", name="early").outcome == "done"
        filler = fill(disk)
        refused = obey(run, "save", name="late")
        assert refused.outcome == "refused" and "o space left on device" in refused.message
        assert ".saving" not in refused.message, "nobody knows that name"
        assert obey(run, "resume").outcome == "done"
        assert process.wait() == 0, last_words(run)
        assert status_of(run).state == "finished"
        assert warned(run, "could not be put into the library", "o space left on device")
        handler = ModelHandler(disk, notes=scene.home / "notes.txt")
        assert [entry.name for entry in handler.list() if entry.folder.parent == disk] == ["early"]
        assert handler.verify("early") == []
        assert [*disk.glob(".saving*")] == []
        filler.unlink()
        assert scene.train_forked(run) == 0, last_words(run)
        assert scene.models() == ["bard", "early"]
        assert status_of(run).warnings == []
        assert [record.values["model"] for record in records(run, "end")][-1] == "bard"
        assert_quiet(run)


def test_what_begins_on_a_full_disk_is_refused_in_a_sentence_and_leaves_nothing(scene: Scene, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", DISK) as disk, ExitStack() as stack:
        stack.callback(scene.end_all)
        scene.home = disk / "home"
        filler = fill(disk)
        with pytest.raises(TuiGptError, match="o space left on device"):
            scene.begin(tiny(scene.text, **TRAIN))
        assert not (scene.home / "runs" / "bard").exists()
        filler.unlink()
        run = scene.begin(tiny(scene.text, **TRAIN))
        filler = fill(disk)
        trainer = scene.start(run)
        with pytest.raises(RunError, match=r"(?s)exit code 4 .* as it stays where the disk is full"):
            wait_until_started(run.folder, trainer, 60)
        filler.unlink()
        assert scene.train_forked(run) == 0, last_words(run)
        filler = fill(disk)
        with pytest.raises(TuiGptError, match="o space left on device"):
            fork_run(run, "fork", changes={"max_steps": 30})
        assert [entry.name for entry in RunStore(scene.home / "runs").list()] == ["bard"]
        assert [*(scene.home / "runs").glob(".*")] == []
        filler.unlink()
        assert_quiet(run)
