"""The end of a run's newest log, followed while it grows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from tui_gpt.core.errors import RunError
from tui_gpt.core.runs.plain_files import open_regular, reason
from tui_gpt.core.safe_text import safe_text

_FIRST_BYTES = 64 << 10
_AT_ONCE = 256 << 10
_LONGEST_LINE = 2000


class LogPiece(NamedTuple):
    """Lines that came since the last look, fit for a terminal."""

    path: Path | None
    afresh: bool
    """They are the first ones of this file, so that what was shown before is another one's."""
    lines: list[str]


class LogTail:
    """Follows the newest log of a run; a resumed run begins another one. Blocks on the disk: for a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path: Path | None = None
        self._looked = False
        self._offset = 0
        self._rest = b""

    def poll(self) -> LogPiece:
        """What was added. Raises RunError when the log cannot be read."""
        newest = newest_log(self._folder)
        afresh = newest != self._path or not self._looked
        self._looked = True
        if afresh:
            self._path, self._offset, self._rest = newest, 0, b""
        if newest is None:
            return LogPiece(None, afresh, [])
        try:
            with open_regular(newest) as handle:
                size = os.fstat(handle.fileno()).st_size
                if afresh or size < self._offset or size - self._offset > _AT_ONCE:
                    afresh, self._offset, self._rest = True, max(0, size - _FIRST_BYTES), b""
                began_inside = afresh and self._offset > 0
                handle.seek(self._offset)
                content = handle.read(_AT_ONCE)
        except OSError as error:
            raise RunError(f"{newest} cannot be read: {reason(error)}; check its permissions") from None
        self._offset += len(content)
        *whole, self._rest = (self._rest + content).split(b"\n")
        if began_inside and whole:
            del whole[0]
        if len(self._rest) > _LONGEST_LINE:
            whole.append(self._rest)
            self._rest = b""
        return LogPiece(newest, afresh, [_line(line) for line in whole])


def newest_log(folder: Path) -> Path | None:
    """The log of the run's newest trainer; None where there is none."""
    return max((path for path in folder.glob("training_*.log") if not path.is_symlink()), default=None)


def _line(line: bytes) -> str:
    text = safe_text(line[: 4 * _LONGEST_LINE].decode("utf-8", "replace").rstrip("\r"), newlines=False)
    return text if len(text) <= _LONGEST_LINE else text[:_LONGEST_LINE] + " …"
