"""Disks that are full, and limits that act like one: set from outside, on trainers that run."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

PAGE = 4096


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system of `size` bytes at `folder`. Skips the test where none may be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        _unmount(folder)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing can be made, renamed or deleted in `folder`. Skips the test where that cannot be had."""
    if os.geteuid() != 0:
        folder.chmod(0o555)
        try:
            yield
        finally:
            folder.chmod(0o755)
        return
    # The superuser may write whatever the permissions say.
    _mount("--bind", str(folder), str(folder))
    try:
        _mount("-o", "remount,ro,bind", str(folder))
        yield
    finally:
        _unmount(folder)


def _mount(*arguments: str) -> None:
    try:
        result = subprocess.run(["mount", *arguments], capture_output=True, text=True, timeout=20, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if result.returncode:
        pytest.skip(f"nothing may be mounted here: {result.stderr.strip()}")


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "-l", str(folder)], capture_output=True, timeout=20, check=True)


def fill(folder: Path) -> Path:
    """Take all the room there is; returns the file to delete for having it back."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as handle:
        while True:
            try:
                handle.write(bytes(PAGE))
            except OSError as error:
                assert error.errno == errno.ENOSPC
                return filler


def largest_file(pid: int, size: int | None) -> None:
    """No file of the process may grow beyond `size` bytes from now on; None: as large as it likes."""
    _limit(pid, resource.RLIMIT_FSIZE, size)


def no_more_files(pid: int) -> None:
    """The process can open nothing beyond what it has open."""
    used = _used(pid)
    _limit(pid, resource.RLIMIT_NOFILE, next(number for number in range(len(used) + 1) if number not in used))


def _used(pid: int) -> set[int]:
    return {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}


def any_number_of_files(pid: int) -> None:
    """As many as the system allows."""
    _limit(pid, resource.RLIMIT_NOFILE, None)


def _limit(pid: int, what: int, soft: int | None) -> None:
    _, hard = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (hard if soft is None else soft, hard))


@contextmanager
def no_file_handles() -> Iterator[None]:
    """This process can open nothing. What it will call must have been imported before."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []
    try:
        # Taken, not only forbidden: what is closed inside may be opened again.
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(_used(os.getpid())) + 1, before[1]))
        with suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for descriptor in held:
            os.close(descriptor)
