"""A run learns from the text that it began with, or says that it cannot, whatever becomes of text and token files."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile_files import DAMAGES, slow_but, within
from training_runs import (
    Scene,
    fault,
    final_weights,
    hold,
    last_words,
    learned,
    obey,
    release,
    status_of,
    tiny,
    until,
    wait_held,
    wait_state,
    write_text,
)

from tui_gpt.core.runs.store import Run

SECONDS = 60
STEPS = 16
STOPPED = 9
"""The step before which something happens; a checkpoint was made after step 5."""


def begin(scene: Scene, name: str = "bard") -> Run:
    return scene.begin(tiny(scene.text, max_steps=STEPS, checkpoint_interval=5, eval_interval=8), name)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """What a run learns whose files are left alone."""
    scene = Scene(tmp_path_factory.mktemp("reference"))
    run = begin(scene, "reference")
    assert scene.train_forked(run) == 0, last_words(run)
    return run


def assert_same(run: Run, reference: Run) -> None:
    assert learned(run) == learned(reference)
    assert final_weights(run) == final_weights(reference)


def cache(scene: Scene) -> Path:
    """The folder of token files."""
    (folder,) = (path for path in (scene.home / "cache" / "corpora").iterdir() if (path / "manifest.json").exists())
    return folder


def _delete_text(scene: Scene) -> None:
    scene.text.unlink()


def _replace_text(scene: Scene) -> None:
    scene.text.write_text("Another text.\n" * 5000, encoding="utf-8")


def _text_as_fifo(scene: Scene) -> None:
    scene.text.unlink()
    os.mkfifo(scene.text)


def _delete_cache(scene: Scene) -> None:
    shutil.rmtree(scene.home / "cache")


def _replace_cache(scene: Scene) -> None:
    """Each file by another one, as a copy to and fro would: the ones that are mapped stay as they were."""
    for path in cache(scene).iterdir():
        path.unlink()
        path.write_bytes(b"\xff" * 1000)


HARMLESS: dict[str, Callable[[Scene], None]] = {
    f.__name__.strip("_"): f for f in (_delete_text, _replace_text, _text_as_fifo, _delete_cache, _replace_cache)
}


@pytest.mark.parametrize("harm", slow_but(["replace_cache"], HARMLESS))
def test_what_becomes_of_text_and_cache_is_of_no_matter_to_a_trainer_at_work(
    scene: Scene, reference: Run, harm: str
) -> None:
    run = begin(scene)
    trainer = scene.fork(run, hold(STOPPED))
    wait_held(run, STOPPED)
    HARMLESS[harm](scene)
    release(run, STOPPED)
    assert trainer.wait(SECONDS) == 0, last_words(run)
    assert_same(run, reference)
    assert "bard" in scene.models()


@pytest.mark.slow
def test_a_text_that_changes_while_a_run_is_paused_is_of_no_matter(scene: Scene, reference: Run) -> None:
    run = begin(scene)
    trainer = scene.fork(run, hold(STOPPED))
    wait_held(run, STOPPED)
    paused = run.send("pause")
    release(run, STOPPED)
    ack = run.wait_for_ack(paused, SECONDS)
    assert ack is not None
    wait_state(run, "paused")
    _replace_text(scene)
    _delete_cache(scene)
    assert obey(run, "resume").outcome == "done"
    assert trainer.wait(SECONDS) == 0, last_words(run)
    assert_same(run, reference)


def killed(scene: Scene) -> Run:
    """A run whose trainer was killed before step STOPPED."""
    run = begin(scene)
    assert scene.train_forked(run, fault("train_step", "kill", step=STOPPED)) == -signal.SIGKILL
    return run


@pytest.mark.parametrize("harm", slow_but(["replace_text"], ["delete_text", "replace_text", "text_as_fifo"]))
def test_a_killed_run_whose_text_is_not_what_it_was_says_so_and_goes_on_once_it_is_back(
    scene: Scene, reference: Run, harm: str
) -> None:
    run = killed(scene)
    shutil.copy2(scene.text, scene.text.with_name("kept"))
    HARMLESS[harm](scene)
    with within(SECONDS):
        assert scene.train_forked(run) in (3, 4)
    error = status_of(run).error or ""
    assert "stories.txt" in error
    assert "an unexpected" not in error
    scene.text.unlink(missing_ok=True)
    scene.text.with_name("kept").rename(scene.text)
    assert scene.train_forked(run) == 0, last_words(run)
    assert_same(run, reference)


CACHE_FILES = ("train.bin", "validation.bin", "manifest.json", "tokenizer.json", "tokenizer_config.json")
UNSEEN = {
    # transformers' description of the tokenizer: what it says is the same whatever it says.
    *(("tokenizer_config.json", damage) for damage in DAMAGES),
    *(("manifest.json", damage) for damage in DAMAGES),
}


@pytest.mark.parametrize("damage", slow_but(["flipped in the middle"], DAMAGES))
@pytest.mark.parametrize("name", slow_but(["train.bin"], CACHE_FILES))
def test_a_killed_run_whose_token_files_are_damaged_makes_them_anew_and_goes_on_exactly(
    scene: Scene, reference: Run, name: str, damage: str
) -> None:
    run = killed(scene)
    intact = (cache(scene) / name).read_bytes()
    DAMAGES[damage](cache(scene) / name)
    assert scene.train_forked(run) == 0, (status_of(run).error, last_words(run))
    assert_same(run, reference)
    if (name, damage) not in UNSEEN:
        assert (cache(scene) / name).read_bytes() == intact


@pytest.mark.slow
def test_a_killed_run_whose_cache_is_gone_makes_it_anew_and_goes_on_exactly(scene: Scene, reference: Run) -> None:
    run = killed(scene)
    _delete_cache(scene)
    assert scene.train_forked(run) == 0, last_words(run)
    assert_same(run, reference)


def _cut_in_place(path: Path) -> None:
    os.truncate(path, 0)


def _overwrite_in_place(path: Path) -> None:
    """Ids that no vocabulary has."""
    size = path.stat().st_size
    with path.open("r+b") as handle:
        handle.write(b"\xff" * size)


@pytest.mark.parametrize("harm", [_cut_in_place, _overwrite_in_place])
def test_token_files_damaged_under_a_trainer_cost_no_checkpoint_and_the_run_goes_on_exactly(
    scene: Scene, reference: Run, harm: Callable[[Path], None]
) -> None:
    run = begin(scene)
    trainer = scene.fork(run, hold(STOPPED))
    wait_held(run, STOPPED)
    harm(cache(scene) / "train.bin")
    release(run, STOPPED)
    code = trainer.wait(SECONDS)
    until(lambda: run.liveness() == "dead")
    if harm is _cut_in_place:
        # What lies behind the end of a mapped file cannot be read: the kernel ends whoever tries.
        assert code == -signal.SIGBUS
        assert run.effective_state() == "interrupted"
    else:
        assert code == 3, last_words(run)
        error = status_of(run).error or ""
        assert "train.bin" in error
        assert "resume the run" in error
    newest, damaged = run.newest_intact()
    assert newest is not None
    assert (newest.step, damaged) == (8, [])
    assert scene.train_forked(run) == 0, (status_of(run).error, last_words(run))
    assert_same(run, reference)


@pytest.mark.slow
def test_two_runs_on_one_damaged_cache_are_both_exact(scene: Scene, reference: Run) -> None:
    """Both find it damaged, and one of them makes it anew under the other."""
    first, second = begin(scene, "first"), begin(scene, "second")
    DAMAGES["flipped in the middle"](cache(scene) / "train.bin")
    trainers = [scene.fork(run) for run in (first, second)]
    for run, trainer in zip((first, second), trainers, strict=True):
        assert trainer.wait(SECONDS) == 0, last_words(run)
        assert_same(run, reference)


@pytest.mark.slow
def test_a_text_swapped_for_one_of_the_same_size_and_time_is_noticed(scene: Scene) -> None:
    run = killed(scene)
    facts = scene.text.stat()
    words = scene.text.read_bytes()
    scene.text.write_bytes(words.swapcase())
    os.utime(scene.text, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    _delete_cache(scene)
    assert scene.train_forked(run) == 4
    assert "is not the text that run bard began with" in (status_of(run).error or "")
    write_text(scene.text)
    assert scene.train_forked(run) == 0, last_words(run)
