"""Key presses at uneven times, and when the effect of each was on the screen."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from benchmarks.journey.replay import Chunk, Emulator, Picture
from benchmarks.journey.terminal import NotSeenError, Terminal

APART_SECONDS = (0.2, 0.45)
"""What lies between a press and the next, at the least: longer where the effect takes longer."""
GIVEN_UP_SECONDS = 5.0
"""After so long without an effect the next key is pressed."""

Sign = Callable[[Picture], Hashable]
"""What the effect changes, and nothing else does: a press is answered once it is another than before the press."""


@dataclass(frozen=True, slots=True)
class Press:
    """A key that was pressed."""

    time: float
    place: str
    sign: Sign


class Fingers:
    """Presses keys of a terminal, at uneven times to meet every phase of what the app does by itself."""

    def __init__(self, terminal: Terminal, seed: int = 0) -> None:
        self._terminal = terminal
        self._draw = random.Random(seed)
        self.presses: list[Press] = []

    def press(self, key: str, place: str, sign: Sign) -> None:
        """Press, and go on once the effect is there; nothing is parsed in the first fifth of a second."""
        before = sign(self._terminal.look())
        self.presses.append(Press(self._terminal.press(key), place, sign))
        time.sleep(self._draw.uniform(*APART_SECONDS))
        with suppress(NotSeenError):
            self._terminal.until(lambda picture: sign(picture) != before, place, seconds=GIVEN_UP_SECONDS)


def answers(recording: Sequence[Chunk], presses: Sequence[Press]) -> list[tuple[str, float | None]]:
    """For each press its place and the seconds to its effect; None where none was seen before the next press."""
    emulator = Emulator()
    picture = emulator.picture
    found: list[tuple[str, float | None]] = []
    position = 0
    for index, press in enumerate(presses):
        while position < len(recording) and recording[position].time < press.time:
            picture = emulator.feed(recording[position].data)
            position += 1
        before = press.sign(picture)
        end = presses[index + 1].time if index + 1 < len(presses) else float("inf")
        seconds = None
        while position < len(recording) and recording[position].time < end:
            chunk = recording[position]
            picture = emulator.feed(chunk.data)
            position += 1
            if press.sign(picture) != before:
                seconds = chunk.time - press.time
                break
        found.append((press.place, seconds))
    return found
