"""What a loss of power may leave of a folder.

`Disk` watches a folder while something changes it: before every operation that names, unnames or syncs, it notes what
is there, what of it was synced, and what was promised by then. `Point.states` are the folders that a disk may come up
with: a file that was not synced since it changed may have its old content, its new one, zeros, or some pages of each,
at any length; a folder that was not synced may have any of the sets of names that it had since it was. Files and names
are independent of each other, which is less than any common file system promises.

Writes need no interception: what they did is seen on the disk, whoever made them (safetensors writes from Rust).
Syncing and renaming are Python's everywhere; tests/faults/test_power_loss.py compares with what the kernel sees.
"""

from __future__ import annotations

import hashlib
import os
import random
import resource
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

OPERATIONS = ("rename", "replace", "unlink", "remove", "mkdir", "rmdir", "link", "fsync", "fdatasync")
PAGE = 4096
_YOUNG = 100_000_000  # nanoseconds

Names = dict[str, int]
"""Of a folder: which file or folder has which name."""


@dataclass
class _Snapshot:
    files: dict[int, bytes] = field(default_factory=dict)
    folders: dict[int, Names] = field(default_factory=dict)


@dataclass(frozen=True)
class Point:
    """The moment before an operation."""

    operation: str
    top: int
    files: dict[int, bytes]
    synced_files: dict[int, bytes]
    folders: dict[int, tuple[Names, ...]]
    """The sets of names since each was synced, the oldest first."""
    promised: dict[str, Any]

    def states(self, rng: random.Random, mixed: int = 1) -> Iterator[tuple[str, dict[str, bytes | None]]]:
        """Folders that the disk may come up with, each by its paths; a folder's content is None."""
        yield "nothing unsynced", self._tree(lambda sets: sets[0], lambda old, new: old)
        yield "names without content", self._tree(lambda sets: sets[-1], _zeros)
        yield "half of it", self._tree(lambda sets: sets[-1], _half)
        yield "all of it", self._tree(lambda sets: sets[-1], lambda old, new: new)
        for _ in range(mixed):
            yield "a mixture", self._tree(rng.choice, lambda old, new: _mixture(old, new, rng))

    def _tree(
        self, names: Callable[[tuple[Names, ...]], Names], content: Callable[[bytes, bytes], bytes]
    ) -> dict[str, bytes | None]:
        tree: dict[str, bytes | None] = {}
        contents: dict[int, bytes] = {}

        def walk(folder: int, prefix: str) -> None:
            for name, inode in sorted(names(self.folders.get(folder, ({},))).items()):
                path = prefix + name
                if inode in self.files:
                    if inode not in contents:
                        new = self.files[inode]
                        old = self.synced_files.get(inode, b"")
                        contents[inode] = new if old == new else content(old, new)
                    tree[path] = contents[inode]
                elif inode in self.folders:
                    tree[path] = None
                    walk(inode, path + "/")

        walk(self.top, "")
        return tree


def _zeros(old: bytes, new: bytes) -> bytes:
    """The new length, but what is new of it never reached the disk."""
    same = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    return new[:same] + bytes(len(new) - same)


def _half(old: bytes, new: bytes) -> bytes:
    return new[: (len(old) + len(new)) // 2] if new.startswith(old) else new[: len(new) // 2]


def _mixture(old: bytes, new: bytes, rng: random.Random) -> bytes:
    """Any length between, and each page as it was, as it is, or as far as it is new, of zeros."""
    length = rng.choice([len(old), len(new), rng.randint(*sorted((len(old), len(new))))])
    pages = []
    for start in range(0, length, PAGE):
        before, now = old[start : start + PAGE], new[start : start + PAGE]
        pages.append(rng.choice([before, now]).ljust(PAGE, b"\0"))
    return b"".join(pages)[:length]


class Disk:
    """Watches everything below `top`, which with all that is in it counts as synced when the watch begins."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.points: list[Point] = []
        self.promised: dict[str, Any] = {}
        """What whoever acts may rely on from now on; copied into each point."""
        self._guard = threading.RLock()
        self._held: dict[tuple[int, int], tuple[int, int]] = {}
        self._read: dict[int, tuple[tuple[int, int], bytes]] = {}
        self._contents: dict[int, bytes] = {}  # the newest, also of what has no name any more
        self._files: dict[int, bytes] = {}  # as synced
        self._folders: dict[int, tuple[Names, ...]] = {}
        self._patch = pytest.MonkeyPatch()
        self._limit = resource.getrlimit(resource.RLIMIT_NOFILE)

    def __enter__(self) -> Self:
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._limit[1], self._limit[1]))
        now = self._look()
        self._files = dict(now.files)
        self._folders = {folder: (names,) for folder, names in now.folders.items()}
        for name in OPERATIONS:
            self._patch.setattr(os, name, self._watched(name, getattr(os, name)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._patch.undo()
        self.note("the end")
        for descriptor, _ in self._held.values():
            os.close(descriptor)
        self._held.clear()
        resource.setrlimit(resource.RLIMIT_NOFILE, self._limit)

    def note(self, operation: str) -> _Snapshot:
        """A point at which the power may go."""
        with self._guard:
            now = self._look()
            for folder, names in now.folders.items():
                known = self._folders.get(folder, ({},))
                self._folders[folder] = known if known[-1] == names else (*known, names)
            top = self._identity(self.top.stat(), self.top)
            self.points.append(
                Point(operation, top, dict(self._contents), dict(self._files), dict(self._folders), dict(self.promised))
            )
            return now

    def _watched(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def act(*arguments: Any, **named: Any) -> Any:
            with self._guard:
                self.note(f"{name} {arguments[0]!r}")
                result = work(*arguments, **named)
                if name in ("fsync", "fdatasync"):
                    self._sync(os.fstat(arguments[0]))
                return result

        return act

    def _sync(self, facts: os.stat_result) -> None:
        now = self._look()
        held = self._held.get((facts.st_dev, facts.st_ino))
        if held is None:
            return
        _, inode = held
        if inode in now.files:
            self._files[inode] = now.files[inode]
        elif inode in now.folders:
            self._folders[inode] = (now.folders[inode],)

    def _look(self) -> _Snapshot:
        found = _Snapshot()
        self._walk(self.top, self._identity(self.top.stat(), self.top), found)
        self._contents.update(found.files)
        return found

    def _walk(self, folder: Path, inode: int, found: _Snapshot) -> None:
        names: Names = {}
        with os.scandir(folder) as entries:
            for entry in entries:
                # Another thread may take it away meanwhile.
                with suppress(FileNotFoundError):
                    path, facts = Path(entry.path), entry.stat(follow_symlinks=False)
                    mine = self._identity(facts, path)
                    if stat.S_ISDIR(facts.st_mode):
                        self._walk(path, mine, found)
                    else:
                        assert stat.S_ISREG(facts.st_mode), path
                        found.files[mine] = self._content(mine, facts, path)
                    names[entry.name] = mine
        found.folders[inode] = names

    def _content(self, inode: int, facts: os.stat_result, path: Path) -> bytes:
        stamp = facts.st_size, facts.st_mtime_ns
        known = self._read.get(inode)
        # The clock of files stands still for some milliseconds: what is that young may change under the same stamp.
        if known is None or known[0] != stamp or time.time_ns() - facts.st_mtime_ns < _YOUNG:
            known = self._read[inode] = stamp, path.read_bytes()
        return known[1]

    def _identity(self, facts: os.stat_result, path: Path) -> int:
        """A number of its own for every file there ever was: held open, its inode is not given to another one."""
        key = (facts.st_dev, facts.st_ino)
        if key not in self._held:
            self._held[key] = os.open(path, os.O_PATH | os.O_NOFOLLOW), len(self._held)
        return self._held[key][1]


def lay_out(tree: dict[str, bytes | None], folder: Path) -> Path:
    """Make the files of a state."""
    folder.mkdir(parents=True)
    for name, content in tree.items():
        if content is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(content)
    return folder


def fingerprint(tree: dict[str, bytes | None]) -> bytes:
    """Equal for equal states."""
    digest = hashlib.sha256()
    for name, content in tree.items():
        digest.update(f"{name}\0{-1 if content is None else len(content)}\0".encode())
        digest.update(content or b"")
    return digest.digest()
