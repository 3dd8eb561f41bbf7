"""The range of a y axis: what is worth its height, not what the first steps happened to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, log10

_ENOUGH = 40
"""From so many spans on, the upper few per cent may be left outside."""
_WITHIN = 0.97
_WORTH_CLIPPING = 1.4
"""Nothing is left outside unless the range shrinks by this factor."""
_LARGEST = 1e300


@dataclass(frozen=True, slots=True)
class Scale:
    """A range of values; with `log`, `low` and `high` are log10 of values. `beyond` is the largest one left outside."""

    low: float
    high: float
    log: bool
    beyond: float | None = None

    def dot(self, value: float, dots: int) -> float | None:
        """The dot at which a value is drawn, counted from the top; None for one that has no place on the axis."""
        if self.log:
            if not value > 0 or not isfinite(value):
                return None
            value = log10(value)
        elif not isfinite(value):
            return None
        place = (self.high - value) / (self.high - self.low) * (dots - 1)
        return min(max(place, -2.0 * dots), 3.0 * dots)


def choose_scale(spread: Sequence[tuple[float, float]], inside: Sequence[float], *, log: bool) -> Scale:
    """A scale for spans (low, high), of which the top may be clipped, and for values that are always inside."""
    lows = [value for low, _ in spread if (value := _place(low, log)) is not None]
    highs = sorted(value for _, high in spread if (value := _place(high, log)) is not None)
    always = [value for each in inside if (value := _place(each, log)) is not None]
    if not highs and not always:
        return Scale(0.0, 1.0, log)
    low = min([*lows, *always, *highs[:1]])
    high = max([*highs[-1:], *always])
    beyond = None
    if len(highs) >= _ENOUGH:
        within = max([highs[int((len(highs) - 1) * _WITHIN)], *always])
        if within > low and high - low > _WORTH_CLIPPING * (within - low):
            beyond, high = (10.0**high if log else high), within
    if high > low:
        room = 0.04 * (high - low)
        return Scale(low - room, high + room, log, beyond)
    room = 0.05 * abs(high) or 0.5
    return Scale(low - room, high + room, log, beyond)


def _place(value: float, log: bool) -> float | None:
    if not isfinite(value) or (log and value <= 0):
        return None
    return log10(value) if log else min(max(value, -_LARGEST), _LARGEST)
