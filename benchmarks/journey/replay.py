"""What a terminal shows, worked out afterwards from what was written to it and when."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import pyte

COLUMNS, ROWS = 120, 40


class Chunk(NamedTuple):
    """What one read gave."""

    time: float
    """When it was there, in seconds of `time.perf_counter`."""
    data: bytes


class Picture:
    """A terminal's screen at one moment."""

    def __init__(self, screen: pyte.Screen) -> None:
        self._screen = screen
        self._lines: list[str] | None = None

    @property
    def lines(self) -> list[str]:
        """The rows from the top, without blanks at their ends."""
        if self._lines is None:
            self._lines = [line.rstrip() for line in self._screen.display]
        return self._lines

    @property
    def text(self) -> str:
        """All rows."""
        return "\n".join(self.lines)

    def shows(self, *texts: str) -> bool:
        """Whether every text stands on some row."""
        return all(any(text in line for line in self.lines) for text in texts)

    def look(self, top: int = 0, bottom: int = ROWS) -> tuple[tuple[str, str, str, bool, bool], ...]:
        """The cells of some rows with their colours, to compare: another focus is another look."""
        buffer = self._screen.buffer
        return tuple(
            (cell.data, cell.fg, cell.bg, cell.reverse, cell.bold)
            for y in range(top, bottom)
            for x in range(self._screen.columns)
            for cell in (buffer[y][x],)
        )


Seen = Callable[[Picture], bool]
"""Whether what is waited for is on the screen."""


class Emulator:
    """Takes chunks in their order and shows what a terminal would."""

    def __init__(self, columns: int = COLUMNS, rows: int = ROWS) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.picture = Picture(self._screen)

    def feed(self, data: bytes) -> Picture:
        """The screen after `data`."""
        self._stream.feed(data)
        self.picture = Picture(self._screen)
        return self.picture


def first_seen(
    recording: Iterable[Chunk], wanted: Mapping[str, Seen], *, after: float = 0.0
) -> dict[str, float | None]:
    """For each name the time of the first chunk, read at `after` or later, with which its condition holds."""
    emulator = Emulator()
    found: dict[str, float | None] = dict.fromkeys(wanted)
    for chunk in recording:
        picture = emulator.feed(chunk.data)
        if chunk.time < after:
            continue
        for name, seen in wanted.items():
            if found[name] is None and seen(picture):
                found[name] = chunk.time
        if None not in found.values():
            break
    return found
