"""Dots in a grid of terminal cells: 2x4 Braille dots a cell, or one character a cell where a font has no Braille.

plotext's own canvas takes 55 to 190 ms for a noisy curve in a large terminal, since it handles each dot by itself; here
a vertical run of dots is a few operations on bytes, and the whole plot takes a few milliseconds.
"""

from __future__ import annotations

import locale
import os
import re
from collections.abc import Iterable

# Dots of the left and the right column of a cell, from the top; Unicode gave the lowest pair the highest bits.
_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_RUNS = tuple(tuple(tuple(sum(bits[a : b + 1]) for b in range(4)) for a in range(4)) for bits in _BITS)
_CHECKED = (0x01 | 0x04, 0x10 | 0x80)
"""A checkerboard: what is drawn through it looks faint without any colour."""
_BRAILLE = (" ", *(chr(0x2800 + bits) for bits in range(1, 256)))
_SAME = re.compile(rb"(.)\1*", re.DOTALL)

Point = tuple[float, float]


def terminal_has_braille() -> bool:
    """Whether this terminal can be expected to show Braille: it takes UTF-8, and is not the kernel's own console."""
    return locale.getpreferredencoding(False).lower().startswith("utf") and os.environ.get("TERM") != "linux"


class Raster:
    """`width` x `height` cells. Dots are counted from the left and from the top; a cell is of whoever drew last in it.

    A pen is a number from 1 to 255. Without `braille` a cell is one dot, shown as the pen's character in `letters`.
    """

    def __init__(self, width: int, height: int, *, braille: bool = True, letters: str = " .*o") -> None:
        self.width = max(0, width)
        self.height = max(0, height)
        self._across, self._down = (2, 4) if braille else (1, 1)
        self.dots_x = self.width * self._across
        self.dots_y = self.height * self._down
        self._letters = letters
        self._dots = bytearray(self.width * self.height)
        self._pens = bytearray(self.width * self.height)
        self._set: dict[tuple[int, int], str] = {}

    @property
    def braille(self) -> bool:
        """Whether a cell has 2x4 dots."""
        return self._down == 4

    def vertical(self, x: int, top: int, bottom: int, pen: int, *, faint: bool = False) -> None:
        """Dots (x, top) to (x, bottom), both included, as far as they are inside; `faint` draws every other one."""
        top, bottom = max(top, 0), min(bottom, self.dots_y - 1)
        if top > bottom or not 0 <= x < self.dots_x:
            return
        if not self.braille:
            for place in range(top * self.width + x, bottom * self.width + x + 1, self.width):
                self._pens[place] = pen
            return
        runs = _RUNS[x & 1]
        kept = _CHECKED[x & 1] if faint else 0xFF
        first, last = top >> 2, bottom >> 2
        place = first * self.width + (x >> 1)
        dots, pens = self._dots, self._pens
        for row in range(first, last + 1):
            bits = runs[top & 3 if row == first else 0][bottom & 3 if row == last else 3] & kept
            if bits:
                # A cell has one colour: whoever draws last has it alone, so that lines stay thin.
                dots[place] = bits | dots[place] if pens[place] == pen else bits
                pens[place] = pen
            place += self.width

    def line(self, begin: Point, end: Point, pen: int) -> None:
        """From dot to dot, unbroken; begin is not to the right of end."""
        (x0, y0), (x1, y1) = begin, end
        first, last = round(x0), round(x1)
        if last <= first:
            self.vertical(first, round(min(y0, y1)), round(max(y0, y1)), pen)
            return
        if last - first == 1:  # what most curves are made of
            a, b = round(y0), round(y1)
            half = (a + b) // 2
            self.vertical(first, min(a, half), max(a, half) if a <= b else a, pen)
            self.vertical(last, min(b, half + (a < b)), max(b, half), pen)
            return
        slope = (y1 - y0) / (last - first)
        for x in range(max(first, 0), min(last, self.dots_x - 1) + 1):
            left = y0 + slope * (max(x - 0.5, first) - first)
            right = y0 + slope * (min(x + 0.5, last) - first)
            a, b = round(min(left, right)), round(max(left, right))
            # Half-way between two dots one is enough: a gentle slope stays one dot thick.
            self.vertical(x, a, max(a, b - 1) if abs(slope) <= 1 else b, pen)

    def polyline(self, points: Iterable[Point | None], pen: int) -> None:
        """Points joined by lines; None breaks the line. A point between two breaks is a dot."""
        before: Point | None = None
        for point in points:
            if point is not None:
                self.line(before or point, point, pen)
            before = point

    def put(self, column: int, row: int, character: str, pen: int) -> None:
        """One character in a cell, over its dots. It must be one cell wide."""
        if 0 <= column < self.width and 0 <= row < self.height:
            self._set[row, column] = character
            self._pens[row * self.width + column] = pen

    def rows(self) -> list[tuple[list[str], bytearray]]:
        """For each row of cells its characters, and the pen of each; 0 where nobody drew."""
        found = []
        for row in range(self.height):
            pens = self._pens[row * self.width : (row + 1) * self.width]
            if self.braille:
                characters = [_BRAILLE[bits] for bits in self._dots[row * self.width : (row + 1) * self.width]]
            else:
                characters = [self._letters[min(pen, len(self._letters) - 1)] for pen in pens]
            found.append((characters, pens))
        for (row, column), character in self._set.items():
            found[row][0][column] = character
        return found


def runs_of(characters: list[str], pens: bytes | bytearray) -> list[tuple[str, int]]:
    """A row as texts of one pen each."""
    return [("".join(characters[match.start() : match.end()]), pens[match.start()]) for match in _SAME.finditer(pens)]
