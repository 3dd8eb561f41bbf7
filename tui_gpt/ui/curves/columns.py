"""A column of numbers with a pyramid of minima and maxima over it: a long one is drawn as fast as a short one."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import pairwise
from math import isfinite, isnan, nan, prod
from struct import pack
from typing import NamedTuple, cast

_FACTORS = (64, 16, 16)
"""Entries of the level below in one entry of each level: blocks of 64, 1024 and 16384 values."""


class Part(NamedTuple):
    """The first `length` of some entries."""

    entries: array[int] | array[float]
    length: int


class Extremes(NamedTuple):
    """The smallest and the largest finite value of a stretch; both NaN where none is finite."""

    low: float
    high: float


NOTHING = Extremes(nan, nan)


class Column:
    """Float64 values that are appended, cut off at the end, and asked for their extremes. What is not finite is NaN."""

    def __init__(self) -> None:
        self.values = array("d")
        self._lows = [array("d") for _ in _FACTORS]
        self._highs = [array("d") for _ in _FACTORS]
        self._gaps = False
        self.ready = 0
        """How many values the pyramid covers; extremes are known of these."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def has_gaps(self) -> bool:
        """Whether there may be a NaN among the values."""
        return self._gaps

    def extend(self, new: Sequence[float | None]) -> None:
        """Append values; `index` makes them known to the pyramid. None and infinities become NaN."""
        fresh, whole = finite(new)
        self._gaps = self._gaps or not whole
        self.values.extend(fresh)

    def truncate(self, length: int) -> None:
        """Keep the first `length` values."""
        if length < len(self.values):
            del self.values[length:]
            if length < self.ready:
                self._index(length, length)

    def index(self, at_most: int) -> bool:
        """Let the pyramid grow by so many values, if there are so many; say whether it grew."""
        first = self.ready
        if first == len(self.values):
            return False
        self._index(first, min(len(self.values), first + at_most))
        return True

    def parts(self, length: int) -> list[Part]:
        """The first `length` values, all of them indexed, and the lows and highs of their full blocks, level by level.

        Nothing that is appended later changes these.
        """
        found = [Part(self.values, length)]
        for lows, highs, full in zip(self._lows, self._highs, full_blocks(length), strict=True):
            found += [Part(lows, full), Part(highs, full)]
        return found

    def restore(self, parts: Sequence[array[float]], *, has_gaps: bool) -> None:
        """Be as the column was of which these are the parts."""
        self.values, self._gaps = parts[0], has_gaps
        self._lows, self._highs = list(parts[1::2]), list(parts[2::2])
        self._index(len(self.values), len(self.values))

    def extremes(self, first: int, last: int) -> Extremes:
        """Of the values with indexes from `first` up to, not including, `last`. Exact."""
        return self._extremes(0, first, last) if first < last else NOTHING

    def stretches(self, edges: Sequence[int]) -> list[Extremes]:
        """The extremes between each two neighbouring edges, which are indexes that do not fall.

        Where a stretch holds many values, the edges between two are moved to the nearest edges of blocks, by less
        than an eighth of a stretch. No value is lost, and none counted twice.
        """
        level = self._level_for((edges[-1] - edges[0]) / (len(edges) - 1))
        if level == 0:
            return [self.extremes(i, j) for i, j in pairwise(edges)]
        size = prod(_FACTORS[:level])
        # The ends stay where they are; between them, whole blocks.
        begin, end = -(-edges[0] // size), edges[-1] // size
        places = [begin, *(min(max((edge + size // 2) // size, begin), end) for edge in edges[1:-1]), end]
        lows = self._lows[level - 1][begin:end].tolist()
        highs = self._highs[level - 1][begin:end].tolist()
        found = [
            self._reduce(lows[i - begin : j - begin], highs[i - begin : j - begin]) if i < j else NOTHING
            for i, j in pairwise(places)
        ]
        if edges[0] < begin * size:
            found[0] = _joined([self.extremes(edges[0], begin * size), found[0]])
        if end * size < edges[-1]:
            found[-1] = _joined([found[-1], self.extremes(end * size, edges[-1])])
        return found

    def _level_for(self, stretch: float) -> int:
        """The level, if any, whose blocks' edges may stand for those of stretches of about this many values."""
        return sum(1 for level in range(1, len(_FACTORS) + 1) if 4 * prod(_FACTORS[:level]) <= stretch)

    def _extremes(self, level: int, i: int, j: int) -> Extremes:
        """Over entries `i` to `j` of a level; 0 is the values themselves."""
        if level < len(_FACTORS):
            factor = _FACTORS[level]
            above, below = -(-i // factor), j // factor
            if above < below:
                parts = [self._extremes(level + 1, above, below)]
                if i < above * factor:
                    parts.append(self._direct(level, i, above * factor))
                if below * factor < j:
                    parts.append(self._direct(level, below * factor, j))
                return _joined(parts)
        return self._direct(level, i, j)

    def _direct(self, level: int, i: int, j: int) -> Extremes:
        if level == 0:
            values: Sequence[float] = self.values[i:j]
            return self._reduce(values, values)
        return self._reduce(self._lows[level - 1][i:j], self._highs[level - 1][i:j])

    def _reduce(self, lows: Sequence[float], highs: Sequence[float]) -> Extremes:
        if self._gaps:
            lows = [value for value in lows if not isnan(value)]
            highs = [value for value in highs if not isnan(value)]
            if not lows:
                return NOTHING
        return Extremes(min(lows), max(highs))

    def _index(self, first: int, last: int) -> None:
        """Bring the pyramid in line with the values from index `first` up to, not including, `last`, its end."""
        self.ready = last
        lows = highs = self.values
        for level, factor in enumerate(_FACTORS):
            first //= factor
            start = first * factor
            stop = last if level == 0 else len(lows)
            # Slices of a list share its floats; those of an array make new ones.
            tail_lows = lows[start:stop].tolist()
            tail_highs = tail_lows if highs is lows else highs[start:stop].tolist()
            del self._lows[level][first:], self._highs[level][first:]
            starts = range(0, len(tail_lows), factor)
            if self._gaps:
                found = [self._reduce(tail_lows[k : k + factor], tail_highs[k : k + factor]) for k in starts]
                self._lows[level].extend([low for low, _ in found])
                self._highs[level].extend([high for _, high in found])
            else:
                self._lows[level].extend([min(tail_lows[k : k + factor]) for k in starts])
                self._highs[level].extend([max(tail_highs[k : k + factor]) for k in starts])
            lows, highs = self._lows[level], self._highs[level]


def full_blocks(length: int) -> list[int]:
    """How many blocks of each level so many values fill."""
    return [length // prod(_FACTORS[: level + 1]) for level in range(len(_FACTORS))]


def finite(values: Sequence[float | None]) -> tuple[array[float], bool]:
    """The values as float64, with NaN for None and infinities, and whether none of them had to be replaced."""
    try:
        whole = isfinite(sum(cast(Sequence[float], values)))  # a sum of floats is finite only if all of them are
    except TypeError:
        whole, values = False, [nan if value is None else value for value in values]
    found = array("d")
    found.frombytes(pack(f"{len(values)}d", *values))  # twice as fast as an array made of a sequence
    if whole:
        return found, True
    clean = array("d", [value if isfinite(value) else nan for value in found])
    return clean, not any(map(isnan, clean))


def _joined(parts: Sequence[Extremes]) -> Extremes:
    there = [part for part in parts if not isnan(part.low)]
    if not there:
        return NOTHING
    return Extremes(min(part.low for part in there), max(part.high for part in there))
