"""Things that are TOML files, chosen by name: a person's own in the home folder, and those that come along."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

MOST_FILES = 500
"""Of one folder."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What one can be called; other files lie there for reasons of their own."""


def find_file(name: str, folders: Iterable[Path]) -> Path | None:
    """The file of that name in the first folder that has one, whatever it is; None where none has."""
    paths = (folder / f"{name}.toml" for folder in folders)
    return next((path for path in paths if os.path.lexists(path)), None)


def all_files(folders: Iterable[Path]) -> dict[str, Path]:
    """By name, the file of the first folder that has one."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in _toml_files(folder):
            found.setdefault(path.stem, path)
    return found


def _toml_files(folder: Path) -> Iterator[Path]:
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - a name that is no text stays a name
    except OSError:
        return
    usable = (name for name in names if name.endswith(".toml") and NAME.fullmatch(name.removesuffix(".toml")))
    for _, name in zip(range(MOST_FILES), usable, strict=False):
        yield folder / name
