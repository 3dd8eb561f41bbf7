"""Checkpoints: whole or absent, verified, rotated."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tui_gpt.core.errors import ModelError, RunError
from tui_gpt.core.runs.checkpoints import (
    checkpoint_folder,
    clean_leftovers,
    list_checkpoints,
    mark_checkpoint,
    newest_intact,
    publish_checkpoint,
    read_pointers,
    rotate,
    verify_checkpoint,
)


def write(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 40)
    (folder / "state.json").write_text("{}", encoding="utf-8")
    (folder / "extra").mkdir()
    (folder / "extra" / "empty").write_bytes(b"")


def steps(run: Path) -> list[int]:
    return [c.step for c in list_checkpoints(run)]


def test_a_published_checkpoint_verifies_and_is_the_last(tmp_path: Path) -> None:
    folder = publish_checkpoint(tmp_path, 500, write, tags={"best", "last"})
    assert folder == tmp_path / "checkpoints" / "step-000500"
    assert verify_checkpoint(folder) == []
    (checkpoint,) = list_checkpoints(tmp_path)
    assert (checkpoint.step, checkpoint.folder, checkpoint.tags) == (500, folder, {"best", "last"})
    assert newest_intact(tmp_path) == (checkpoint, [])


def test_a_run_that_is_gone_is_not_made_again_by_its_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="could not be written"):
        publish_checkpoint(tmp_path / "gone", 500, write)
    assert list(tmp_path.iterdir()) == []


def test_steps_beyond_six_digits_sort_as_numbers(tmp_path: Path) -> None:
    for step in (1_000_000, 999_999, 0):
        publish_checkpoint(tmp_path, step, write)
    assert steps(tmp_path) == [0, 999_999, 1_000_000]


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)


def replace_by_link(folder: Path) -> None:
    path = folder / "model.safetensors"
    copy = folder.parent / "copy"
    path.rename(copy)
    path.symlink_to(copy)


def replace_by_fifo(folder: Path) -> None:
    (folder / "state.json").unlink()
    os.mkfifo(folder / "state.json")


def replace_folder_by_link(folder: Path) -> None:
    (folder / "extra").rename(folder.parent / "elsewhere")
    (folder / "extra").symlink_to(folder.parent / "elsewhere")


def damage_manifest(folder: Path) -> None:
    (folder / "MANIFEST.json").write_bytes(b"{")


def move_to_another_step(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name == "MANIFEST.json":
            path.write_text(path.read_text(encoding="utf-8").replace('"step": 2', '"step": 3'), encoding="utf-8")


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda f: (f / "state.json").unlink(), r"state\.json is missing"),
    (lambda f: (f / "state.json").write_bytes(b""), "has 0 bytes instead of 2"),
    (lambda f: (f / "MANIFEST.json").unlink(), r"MANIFEST\.json is missing"),
    (lambda f: (f / "added").write_bytes(b"x"), "added is not in the manifest"),
    (lambda f: (f / "added").symlink_to("/"), "added is not in the manifest"),
    (truncate, "has 10239 bytes instead of 10240"),
    (flip_a_bit, r"model\.safetensors .* is damaged"),
    (replace_by_link, "not a regular file"),
    (replace_by_fifo, "not a regular file"),
    (replace_folder_by_link, "extra/empty is missing"),
    (damage_manifest, r"MANIFEST\.json is damaged"),
    (move_to_another_step, "holds the checkpoint of step 3"),
]


@pytest.mark.parametrize(("damage", "sentence"), DAMAGES)
def test_damage_is_found_and_the_newest_intact_one_before_it_loads(
    tmp_path: Path, damage: Callable[[Path], object], sentence: str
) -> None:
    publish_checkpoint(tmp_path, 1, write)
    damage(publish_checkpoint(tmp_path, 2, write))
    found, damaged = newest_intact(tmp_path)
    assert found is not None
    assert found.step == 1
    assert any(re.search(sentence, problem) for problem in damaged), damaged
    assert all("\n" not in problem for problem in damaged)


def test_a_checkpoint_that_is_a_link_does_not_load(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    elsewhere = publish_checkpoint(other, 9, write)
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "step-000009").symlink_to(elsewhere)
    assert newest_intact(run) == (None, ["step-000009 is not a folder"])


def test_an_intact_checkpoint_of_the_same_step_is_kept_and_tagged(tmp_path: Path) -> None:
    folder = publish_checkpoint(tmp_path, 3, write)
    before = (folder / "MANIFEST.json").read_bytes()

    def not_again(_: Path) -> None:
        raise AssertionError("written twice")

    publish_checkpoint(tmp_path, 3, not_again, tags={"best"})
    assert (folder / "MANIFEST.json").read_bytes() == before
    assert read_pointers(tmp_path).best == 3


def test_a_damaged_checkpoint_of_the_same_step_is_replaced(tmp_path: Path) -> None:
    flip_a_bit(publish_checkpoint(tmp_path, 3, write))
    publish_checkpoint(tmp_path, 3, write)
    assert newest_intact(tmp_path)[1] == []
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["pointers.json", "step-000003"]


def test_a_replacement_that_cannot_be_written_leaves_even_the_damaged_one(tmp_path: Path) -> None:
    folder = publish_checkpoint(tmp_path, 3, write)
    flip_a_bit(folder)

    def fails(_: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(RunError):
        publish_checkpoint(tmp_path, 3, fails)
    assert (folder / "model.safetensors").is_file()


class TensorWriterError(Exception):
    """As safetensors and torch raise on a full disk: no OSError."""


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        TensorWriterError("no space left on device"),
        RuntimeError("no space left on device"),
    ],
)
def test_whatever_a_writer_raises_becomes_a_sentence_and_leaves_nothing_behind(
    tmp_path: Path, error: Exception
) -> None:
    publish_checkpoint(tmp_path, 1, write)

    def fails(folder: Path) -> None:
        write(folder)
        raise error

    with pytest.raises(RunError, match=r"checkpoint of step 2 could not be written .*no space left on device"):
        publish_checkpoint(tmp_path, 2, fails)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["pointers.json", "step-000001"]


def test_an_error_meant_for_people_passes_as_it_is_and_so_does_an_interrupt(tmp_path: Path) -> None:
    for error in (ModelError("too large"), KeyboardInterrupt()):

        def fails(folder: Path, error: BaseException = error) -> None:
            write(folder)
            raise error

        with pytest.raises(type(error)):
            publish_checkpoint(tmp_path, 2, fails)
        assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_writer_that_leaves_a_link_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no regular file"):
        publish_checkpoint(tmp_path, 2, lambda folder: (folder / "link").symlink_to("/etc"))
    assert steps(tmp_path) == []


def test_rotation_keeps_best_last_kept_multiples_and_the_newest(tmp_path: Path) -> None:
    for step in range(1, 13):
        publish_checkpoint(tmp_path, step, write, tags={"best", "last"} if step == 3 else {"last"})
    mark_checkpoint(tmp_path, 7, {"kept"})
    assert rotate(tmp_path, 5, keep={2}) == [1, 4, 6, 8, 9, 11]
    assert steps(tmp_path) == [2, 3, 5, 7, 10, 12]
    assert rotate(tmp_path, 0) == [2, 5, 10]
    assert all(verify_checkpoint(c.folder) == [] for c in list_checkpoints(tmp_path))


def test_damaged_pointers_delete_nothing_now_or_later(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        publish_checkpoint(tmp_path, step, write)
    (tmp_path / "checkpoints" / "pointers.json").write_bytes(b"{")
    assert rotate(tmp_path, 0) == []
    publish_checkpoint(tmp_path, 4, write)
    publish_checkpoint(tmp_path, 5, write)
    assert rotate(tmp_path, 0) == []
    publish_checkpoint(tmp_path, 6, write)
    assert rotate(tmp_path, 0) == [5]


def test_leftovers_are_invisible_and_cleaned(tmp_path: Path) -> None:
    publish_checkpoint(tmp_path, 1, write)
    leftover = tmp_path / "checkpoints" / ".step-000002.0123456789ab.tmp"
    leftover.mkdir()
    write(leftover)
    (leftover / "outside").symlink_to(tmp_path)
    assert steps(tmp_path) == [1]
    (tmp_path / ".status.json.0123456789ab.tmp").write_bytes(b"{")
    assert clean_leftovers(tmp_path) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoints"]
    assert newest_intact(tmp_path)[0] is not None
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["pointers.json", "step-000001"]


def test_a_run_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert newest_intact(tmp_path) == (None, [])
    assert rotate(tmp_path, 1) == []
    assert clean_leftovers(tmp_path) == 0
    assert checkpoint_folder(tmp_path, 500).name == "step-000500"
