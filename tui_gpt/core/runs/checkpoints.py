"""Checkpoints as folders that are there entirely or not at all, each with a manifest against which it is verified."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from tui_gpt.core.errors import RunError, TuiGptError
from tui_gpt.core.files import fsync_dir, fsync_file, make_folders, sha256_file
from tui_gpt.core.runs.plain_files import is_temporary, open_regular, reason, remove_folder, temporary_sibling
from tui_gpt.core.runs.records import Count, Record, read_optional, read_record, utc_now, write_record

CHECKPOINTS_FOLDER = "checkpoints"
MANIFEST_FILE = "MANIFEST.json"
POINTERS_FILE = "pointers.json"

Tag = Literal["best", "last", "kept"]

_NAME = re.compile(r"step-([0-9]{6,})")
_CHUNK = 1 << 20


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file must be."""

    size: Count
    sha256: str


class Manifest(Record, frozen=True, kw_only=True):
    """MANIFEST.json, written last: every other file of the checkpoint by its path with forward slashes."""

    step: Count
    created: str
    files: dict[str, FileEntry]


class Pointers(Record, frozen=True, kw_only=True):
    """checkpoints/pointers.json: the steps that stand out."""

    best: Count | None = None
    last: Count | None = None
    kept: list[Count] = msgspec.field(default_factory=list)
    """Never rotated away."""


class CheckpointInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint as it lies there, verified or not."""

    step: int
    folder: Path
    tags: frozenset[Tag] = frozenset()


def checkpoint_folder(run_folder: Path, step: int) -> Path:
    """Where the checkpoint of `step` lies."""
    return run_folder / CHECKPOINTS_FOLDER / f"step-{step:06d}"


def publish_checkpoint(
    run_folder: Path, step: int, write: Callable[[Path], None], *, tags: Collection[Tag] = frozenset({"last"})
) -> Path:
    """Make the checkpoint of `step`: `write(folder)` fills a hidden folder, named once all is on the disk.

    An intact checkpoint of this step is kept and `write` not called; a damaged one is replaced. `tags` are set in both
    cases. Whatever goes wrong, nothing half-made remains. Raises RunError; errors meant for people pass as they are.
    """
    final = checkpoint_folder(run_folder, step)
    temporary = temporary_sibling(final)
    try:
        if not os.path.lexists(final) or verify_checkpoint(final):
            # A run that was moved or deleted a moment ago must not begin to exist again by its checkpoint.
            make_folders(final.parent, parents=False)
            # An earlier try that could not clear up after itself must not take the room of this one.
            _discard_leftovers(final.parent)
            temporary.mkdir()
            write(temporary)
            _seal(temporary, step)
            _put_in_place(temporary, final)
        mark_checkpoint(run_folder, step, tags)
    except TuiGptError:
        raise
    except Exception as error:
        # Not only OSError: on a full disk the writers of tensors raise exceptions of their own.
        raise RunError(
            f"the checkpoint of step {step} could not be written to {final.parent}: {reason(error)}; check "
            "the space and the permissions there, earlier checkpoints are untouched"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return final


def _seal(folder: Path, step: int) -> None:
    """Put every file and name inside on the disk, and the manifest last."""
    files: dict[str, FileEntry] = {}
    for path, is_regular in _contents(folder):
        if not is_regular:
            raise RunError(
                f"the checkpoint of step {step} was to hold {path.name!r}, which is no regular file; none was made"
            )
        fsync_file(path)
        files[path.relative_to(folder).as_posix()] = FileEntry(path.stat().st_size, sha256_file(path))
    for parent in {folder / name for name in files}:
        fsync_dir(parent.parent)
    write_record(folder / MANIFEST_FILE, Manifest(step=step, created=utc_now(), files=files))


def _put_in_place(temporary: Path, final: Path) -> None:
    damaged = None
    if os.path.lexists(final):
        # Renamed out of the way, not deleted: should the next rename fail, not even a damaged checkpoint is lost.
        damaged = temporary_sibling(final)
        final.rename(damaged)
    try:
        temporary.rename(final)
    except OSError:
        if damaged is not None:
            damaged.rename(final)
        raise
    fsync_dir(final.parent)
    if damaged is not None:
        _discard(damaged)


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _contents(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Everything inside that is no folder, and whether it is a regular file. Never follows a link."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            if entry.is_dir(follow_symlinks=False):
                yield from _contents(Path(entry.path))
            else:
                yield Path(entry.path), entry.is_file(follow_symlinks=False)


def verify_checkpoint(folder: Path) -> list[str]:
    """What is wrong with a checkpoint, a sentence each; empty when every byte is as it was written.

    Follows no link and waits for no FIFO.
    """
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            return [f"{folder.name} is not a folder"]
        manifest = read_record(folder / MANIFEST_FILE, Manifest)
        present = {path.relative_to(folder).as_posix(): regular for path, regular in _contents(folder)}
    except OSError as error:
        return [f"{folder.name} cannot be read: {reason(error)}"]
    except RunError as error:
        return [str(error)]
    found = []
    if folder.name != f"step-{manifest.step:06d}":
        found.append(f"{folder.name} holds the checkpoint of step {manifest.step}")
    present.pop(MANIFEST_FILE, None)
    extra = sorted(present.keys() - manifest.files.keys())
    found += [f"{name} is not in the manifest of {folder.name}" for name in extra]
    for name, expected in sorted(manifest.files.items()):
        if name not in present:
            found.append(f"{name} is missing from {folder.name}")
        elif not present[name]:
            found.append(f"{name} in {folder.name} is not a regular file")
        elif problem := _file_problem(folder / name, expected):
            found.append(f"{name} in {folder.name} {problem}")
    return found


def _file_problem(path: Path, expected: FileEntry) -> str | None:
    digest = hashlib.sha256()
    try:
        with open_regular(path) as handle:
            size = os.fstat(handle.fileno()).st_size
            if size != expected.size:
                return f"has {size} bytes instead of {expected.size}"
            while chunk := handle.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        return f"cannot be read: {reason(error)}"
    return None if digest.hexdigest() == expected.sha256 else "is damaged: its SHA-256 is not the one written down"


def list_checkpoints(run_folder: Path) -> list[CheckpointInfo]:
    """The checkpoints of a run by step, oldest first, unverified. Raises RunError when the folder cannot be read."""
    folder = run_folder / CHECKPOINTS_FOLDER
    try:
        names = [entry.name for entry in folder.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(f"{folder} cannot be read: {reason(error)}; check what lies there and its permissions") from None
    try:
        pointers = read_pointers(run_folder)
    except RunError:
        pointers = Pointers()
    steps = [int(match[1]) for name in names if (match := _NAME.fullmatch(name))]
    return [
        CheckpointInfo(step=step, folder=checkpoint_folder(run_folder, step), tags=_tags(pointers, step))
        for step in sorted(steps)
        if checkpoint_folder(run_folder, step).name in names
    ]


def _tags(pointers: Pointers, step: int) -> frozenset[Tag]:
    marks: dict[Tag, bool] = {
        "best": step == pointers.best,
        "last": step == pointers.last,
        "kept": step in pointers.kept,
    }
    return frozenset(tag for tag, holds in marks.items() if holds)


def newest_intact(run_folder: Path) -> tuple[CheckpointInfo | None, list[str]]:
    """The newest checkpoint whose hashes verify, and what is wrong with each newer one. Raises RunError."""
    damaged: list[str] = []
    for checkpoint in reversed(list_checkpoints(run_folder)):
        found = verify_checkpoint(checkpoint.folder)
        if not found:
            return checkpoint, damaged
        damaged += found
    return None, damaged


def read_pointers(run_folder: Path) -> Pointers:
    """The steps that stand out. Raises RunError when the file is damaged or newer."""
    return read_optional(run_folder / CHECKPOINTS_FOLDER / POINTERS_FILE, Pointers) or Pointers()


def mark_checkpoint(run_folder: Path, step: int, tags: Collection[Tag]) -> None:
    """Tag the checkpoint of `step`: `best` and `last` move to it, `kept` is added. Raises RunError."""
    if not tags:
        return
    try:
        old = read_pointers(run_folder)
    except RunError:
        # Which was the best is not known any more, so none that is there now may be rotated away.
        old = Pointers(kept=[c.step for c in list_checkpoints(run_folder)])
    new = msgspec.structs.replace(
        old,
        best=step if "best" in tags else old.best,
        last=step if "last" in tags else old.last,
        kept=sorted({*old.kept, step}) if "kept" in tags else old.kept,
    )
    write_record(run_folder / CHECKPOINTS_FOLDER / POINTERS_FILE, new)


def rotate(run_folder: Path, keep_every: int, keep: Collection[int] = ()) -> list[int]:
    """Delete what is no longer wanted, and return its steps.

    Stays: the newest by step, `best`, `last`, `kept`, steps in `keep`, and, unless `keep_every` is 0, its multiples.
    Where the pointers are damaged nothing is deleted. Raises RunError when deleting fails.
    """
    try:
        pointers = read_pointers(run_folder)
    except RunError:
        return []
    checkpoints = list_checkpoints(run_folder)
    wanted = {pointers.best, pointers.last, *pointers.kept, *keep, *(c.step for c in checkpoints[-1:])}
    deleted = []
    for checkpoint in checkpoints:
        if checkpoint.step in wanted or (keep_every and checkpoint.step % keep_every == 0):
            continue
        try:
            if checkpoint.folder.is_symlink():
                checkpoint.folder.unlink()
            else:
                remove_folder(checkpoint.folder)
        except OSError as error:
            folder = checkpoint.folder
            raise RunError(f"{folder} cannot be deleted: {reason(error)}; check the permissions there") from error
        deleted.append(checkpoint.step)
    return deleted


def clean_leftovers(run_folder: Path) -> int:
    """Delete what a trainer that was killed left unfinished, in the run's folder and among its checkpoints.

    Returns how many. Only the lock's holder may call it.
    """
    return sum(_discard_leftovers(folder) for folder in (run_folder, run_folder / CHECKPOINTS_FOLDER))


def _discard_leftovers(folder: Path) -> int:
    try:
        leftovers = [path for path in folder.iterdir() if is_temporary(path.name)]
    except OSError:
        return 0
    for path in leftovers:
        _discard(path)
    return len(leftovers)
