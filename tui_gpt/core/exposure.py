"""How much of a text a run reads how often. Arithmetic: an epoch visits every window once, in an order of its own.

So after 2.3 epochs 30 % of the text was read three times, and the rest twice; which part that is, chance decides.
Windows begin elsewhere in every epoch, which leaves out less than two of them each time: not reckoned with here.
"""

from __future__ import annotations

import math
from typing import NamedTuple

_SMALLEST_SHOWN = 0.005


class Read(NamedTuple):
    """A part of the text."""

    times: int
    share: float
    """Of the whole, 0 to 1."""


def exposure(passes: float) -> tuple[Read, ...]:
    """The parts of a text that is read `passes` times in all, the one read less often first; shares add up to 1.

    Raises ValueError for what is no number of times.
    """
    if not (math.isfinite(passes) and passes >= 0):
        raise ValueError(f"a text cannot be read {passes} times")
    whole = math.floor(passes)
    more = passes - whole
    parts = Read(whole, 1.0 - more), Read(whole + 1, more)
    return tuple(part for part in parts if part.share > 0)


def in_words(passes: float) -> str:
    """The same for people: `70 % twice, 30 % 3 times`. Parts of less than half a percent are not named."""
    parts = exposure(passes)
    if passes < _SMALLEST_SHOWN:
        return "next to nothing of it"
    shown = [part for part in parts if part.share >= _SMALLEST_SHOWN]
    if len(shown) == 1:
        return f"all of it {_times(shown[0].times)}"
    percent = round(100 * shown[0].share)
    percents = (min(percent, 99), max(100 - percent, 1))
    return ", ".join(f"{share} % {_times(part.times)}" for share, part in zip(percents, shown, strict=True))


def _times(number: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number:,} times")
