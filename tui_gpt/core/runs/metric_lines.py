"""The lines of a run's metrics as blocks of bytes, followed across segments: what every reader of them builds on."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path

from tui_gpt.core.errors import RunError
from tui_gpt.core.runs.plain_files import open_regular, reason

_SEGMENT = re.compile(r"metrics-([0-9]{4,})\.jsonl")


def segments(run_folder: Path) -> list[tuple[int, Path]]:
    """The segments of a run, numbered, oldest first; empty where there is no such folder."""
    try:
        names = [entry.name for entry in run_folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = [(int(match[1]), run_folder / name) for name in names if (match := _SEGMENT.fullmatch(name))]
    return sorted(found)


class LineFollower:
    """Hands out whole lines, each once, in the order of writing.

    `torn` counts the lines that a killed trainer left unfinished in an earlier segment. `bytes_read` and `bytes_known`
    say how far the last call of `blocks` came, over all segments that it found.
    """

    def __init__(self, run_folder: Path) -> None:
        self._run_folder = run_folder
        self._number = 0
        self._offset = 0
        self._bytes_before = 0
        self.torn = 0
        self.bytes_known = 0

    @property
    def bytes_read(self) -> int:
        """Bytes of whole lines handed out so far."""
        return self._bytes_before + self._offset

    def blocks(self, size: int) -> Iterator[bytes]:
        """What was added since the last call, in blocks of whole lines, each of about `size` bytes.

        Whoever stops early goes on where it stopped with the next call. Raises RunError when a segment cannot be read.
        """
        # Listed before reading: once a later segment is there, the writer of an earlier one is gone for good.
        known = [(number, path) for number, path in segments(self._run_folder) if number >= self._number]
        self.bytes_known = self._bytes_before + sum(map(_size, (path for _, path in known)))
        for index, (number, path) in enumerate(known):
            if number > self._number:
                self._bytes_before += self._offset
                self._number, self._offset = number, 0
            try:
                unfinished = yield from self._read_on(path, size)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise RunError(f"{path} cannot be read: {reason(error)}; check its permissions") from None
            if unfinished and index + 1 < len(known):
                self.torn += 1

    def _read_on(self, path: Path, size: int) -> Generator[bytes, None, bool]:
        """Whole lines from the offset on; returns whether an unfinished one remains after them."""
        wanted = size
        with open_regular(path) as handle:
            while chunk := os.pread(handle.fileno(), wanted, self._offset):
                if end := chunk.rfind(b"\n") + 1:
                    self._offset += end
                    wanted = size
                    yield chunk[:end]
                elif len(chunk) < wanted:
                    return True
                else:
                    wanted *= 2
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
