"""Folders of the cache that are made once: by one process while the others wait, and seen only when they are whole."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import filelock

from tui_gpt.core import files
from tui_gpt.core.errors import CorpusError

_LOCK_POLL_SECONDS = 0.1
_T = TypeVar("_T")


def make_once(
    folder: Path, find: Callable[[], _T | None], write: Callable[[Path], None], report: Callable[[str, float], None]
) -> _T:
    """What `find` finds in `folder`; if it finds nothing, `write` fills a folder that then takes its place.

    Raises CorpusError when what was just written cannot be found, and what `write` and `report` raise.
    """
    lock = filelock.FileLock(folder.with_name(folder.name + ".lock"))
    while not lock.is_locked:
        try:
            lock.acquire(timeout=_LOCK_POLL_SECONDS)
        except filelock.Timeout:
            report("waiting for another process that prepares this corpus", 0.0)
    try:
        found = find()  # the other process may have made it
        if found is None:
            _replace(folder, write)
            found = find()
    finally:
        lock.release()
    if found is None:
        raise CorpusError(f"the token files just written to {folder} are damaged; check the disk that holds the cache")
    return found


def _replace(folder: Path, write: Callable[[Path], None]) -> None:
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}.tmp")
    temporary.mkdir()
    try:
        write(temporary)
        if folder.exists():  # damaged, or it would have been found
            shutil.rmtree(folder)
        temporary.rename(folder)
        files.fsync_dir(folder.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
