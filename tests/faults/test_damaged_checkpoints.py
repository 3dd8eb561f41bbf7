"""Whatever happens to a file of a checkpoint, the newest intact checkpoint loads, or a sentence says that none does."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import pytest
from hostile_files import DAMAGES, contents, copied, files_of, run_of, slow_but, trained_home, within
from training_runs import Scene, last_words, records, status_of

from tui_gpt.core.errors import RunError, TuiGptError
from tui_gpt.core.messages import ModelRef
from tui_gpt.core.runs.checkpoints import CHECKPOINTS_FOLDER, POINTERS_FILE, checkpoint_folder, verify_checkpoint
from tui_gpt.core.runs.metrics import read_all
from tui_gpt.engine.generation.model_source import find_reference

SECONDS = 20
FILES = (
    "MANIFEST.json",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "state.json",
    "state.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)
CHANGING = ("status.json", "owner.json", "trainer.lock", "execution.json")
"""What a trainer that refuses to start may write nevertheless."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_home(tmp_path_factory)


@pytest.fixture
def scene(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    scene = copied(original, tmp_path)
    monkeypatch.setenv("TUI_GPT_HOME", str(scene.home))
    return scene


def newest(scene: Scene) -> Path:
    return checkpoint_folder(run_of(scene).folder, 20)


def test_these_are_all_files_of_a_checkpoint(scene: Scene) -> None:
    assert files_of(newest(scene)) == sorted(FILES)


def assert_the_one_before_is_found(original: Path, folder: Path, name: str, damage: str) -> None:
    run = run_of(copied(original, folder))
    DAMAGES[damage](checkpoint_folder(run.folder, 20) / name)
    with within(SECONDS):
        found, problems = run.newest_intact()
    assert found is not None, name
    assert found.step == 10, name
    assert problems, name
    # A damaged manifest is named by its path, every other file by its name and that of its checkpoint.
    assert all(name in problem and "step-000020" in problem for problem in problems), problems


@pytest.mark.parametrize(("name", "damage"), [*zip(cycle(FILES), DAMAGES, strict=False)])
def test_damage_to_a_file_of_the_newest_checkpoint_leaves_the_one_before(
    original: Path, tmp_path: Path, name: str, damage: str
) -> None:
    assert_the_one_before_is_found(original, tmp_path, name, damage)


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_to_any_file_of_the_newest_checkpoint_leaves_the_one_before(
    original: Path, tmp_path: Path, damage: str
) -> None:
    for name in FILES:
        assert_the_one_before_is_found(original, tmp_path / name, name, damage)


def _forget(folder: Path) -> None:
    """The folder is gone, but not the pointers to it."""
    folder.rename(folder.parents[2] / "gone")


def _put_a_file(folder: Path) -> None:
    _forget(folder)
    folder.write_bytes(b"checkpoint")


def _put_a_fifo(folder: Path) -> None:
    _forget(folder)
    os.mkfifo(folder)


def _put_a_link(folder: Path) -> None:
    """The same checkpoint, from outside of the run."""
    _forget(folder)
    folder.symlink_to(folder.parents[2] / "gone")


def _put_another_steps(folder: Path) -> None:
    _forget(folder)
    (folder.parent / "step-000010").rename(folder)
    (folder.parents[2] / "gone").rename(folder.parent / "step-000010")


def _add_a_file(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")


def _add_a_folder_with_a_fifo(folder: Path) -> None:
    (folder / "more").mkdir()
    os.mkfifo(folder / "more" / "fifo")


FOLDER_DAMAGES: dict[str, tuple[Callable[[Path], None], int | None]] = {
    "gone": (_forget, 10),
    "a file": (_put_a_file, 10),
    "a fifo": (_put_a_fifo, 10),
    "a link": (_put_a_link, 10),
    "with a file more": (_add_a_file, 10),
    "with a fifo in a folder more": (_add_a_folder_with_a_fifo, 10),
    "of another step": (_put_another_steps, None),
}


@pytest.mark.parametrize("damage", FOLDER_DAMAGES)
def test_a_checkpoint_whose_folder_is_not_as_it_was_does_not_load(scene: Scene, damage: str) -> None:
    harm, expected = FOLDER_DAMAGES[damage]
    harm(newest(scene))
    with within(SECONDS):
        found, _ = run_of(scene).newest_intact()
    assert (found and found.step) == expected


@pytest.mark.parametrize("checkpoint", [None, "best", "last", "20"])
@pytest.mark.parametrize("name", ["model.safetensors", "MANIFEST.json"])
def test_a_damaged_checkpoint_is_never_what_one_talks_to(scene: Scene, name: str, checkpoint: str | None) -> None:
    DAMAGES["flipped in the middle"](newest(scene) / name)
    try:
        source = find_reference(ModelRef(kind="run", name="bard", checkpoint=checkpoint))
    except TuiGptError as error:
        assert checkpoint is not None, error
        assert "step-000020" in str(error)
    else:
        assert checkpoint is None
        assert source.step == 10


def _resumes_from_the_one_before(scene: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    run = run_of(scene)
    before = {name: content for name, content in contents(run.folder).items() if "step-000010" in name}
    metrics = (run.folder / "metrics-0001.jsonl").read_bytes()
    with within(60):
        assert scene.train_here(run) == 0, last_words(run)
    said = capfd.readouterr().out
    assert "warning: " in said
    assert "resumed from step 10" in said
    assert status_of(run).state == "finished"
    assert [record.step for record in records(run, "train")] == list(range(1, 21))
    assert (run.folder / "metrics-0001.jsonl").read_bytes() == metrics, "what was recorded stays as it is"
    assert before.items() <= contents(run.folder).items(), "the intact checkpoint stays as it is"
    assert verify_checkpoint(checkpoint_folder(run.folder, 20)) == [], "the damaged one was made anew"


@pytest.mark.parametrize(("name", "damage"), [("state.safetensors", "a fifo"), ("model.safetensors", "holed")])
def test_a_run_resumes_from_the_checkpoint_before_a_damaged_one(
    scene: Scene, name: str, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    DAMAGES[damage](newest(scene) / name)
    _resumes_from_the_one_before(scene, capfd)


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_run_resumes_whichever_file_of_its_newest_checkpoint_is_damaged(
    original: Path, tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in FILES:
        scene = copied(original, tmp_path / name)
        monkeypatch.setenv("TUI_GPT_HOME", str(scene.home))
        DAMAGES[damage](newest(scene) / name)
        _resumes_from_the_one_before(scene, capfd)


@pytest.mark.parametrize("damage", slow_but(["emptied"], ["emptied", "a fifo", "missing", "a link to endless zeros"]))
def test_a_run_without_an_intact_checkpoint_is_not_started_afresh_and_stays_as_it_is(
    scene: Scene, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    run = run_of(scene)
    for checkpoint in run.checkpoints():
        DAMAGES[damage](checkpoint.folder / "state.safetensors")
    before = contents(run.folder, *CHANGING)
    with within(60):
        assert scene.train_here(run) == RunError.exit_code
    assert contents(run.folder, *CHANGING) == before
    status = status_of(run)
    assert status.state == "failed"
    assert status.error is not None
    assert "no checkpoint of run bard is intact" in status.error
    assert "nothing was started afresh" in status.error
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_pointers_hide_no_checkpoint_and_let_none_be_deleted(scene: Scene, damage: str) -> None:
    run = run_of(scene)
    DAMAGES[damage](run.folder / CHECKPOINTS_FOLDER / POINTERS_FILE)
    with within(SECONDS):
        found, problems = run.newest_intact()
        listed = run.checkpoints()
    assert found is not None
    assert (found.step, problems) == (20, [])
    assert [checkpoint.step for checkpoint in listed] == [10, 20]


def test_a_finished_run_with_a_damaged_checkpoint_keeps_its_history(scene: Scene) -> None:
    history = read_all(run_of(scene).folder)
    DAMAGES["emptied"](newest(scene) / "state.json")
    assert read_all(run_of(scene).folder) == history
    assert run_of(scene).summary().state == "finished"
