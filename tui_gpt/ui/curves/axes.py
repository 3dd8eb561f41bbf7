"""Axes: where ticks stand, what they say, and the frame around a plot, which plotext draws."""

from __future__ import annotations

from functools import lru_cache
from math import ceil, floor, isfinite, log10

from tui_gpt.ui.curves.moments import Axis

_SUFFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


def short_number(value: float, spacing: float = 0.0) -> str:
    """In few characters: 950, 1.2k, 3.5M. Neighbours that are `spacing` apart come out different."""
    if not isfinite(value):
        return "-"
    for size, suffix in _SUFFIXES:
        if abs(value) >= size:
            scaled, apart = value / size, (spacing or value / 10) / size
            digits = min(6, max(0, ceil(-log10(abs(apart)) - 1e-9)))
            text = f"{scaled:.{digits}f}"
            return (text if spacing or "." not in text else text.rstrip("0").rstrip(".")) + suffix
    if value == int(value):
        return str(int(value))
    return f"{value:.3g}"


def short_duration(seconds: float, spacing: float = 3600.0) -> str:
    """12s, 3:05, 1h20, 2d 4h: as fine as `spacing` asks for."""
    if not isfinite(seconds):
        return "-"
    if spacing < 1:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    days, hours, minutes, rest = whole // 86400, whole // 3600 % 24, whole // 60 % 60, whole % 60
    if days:
        text = f"{days}d {hours}:{minutes:02}" if spacing < 3600 else f"{days}d {hours}h" if hours else f"{days}d"
    elif hours:
        text = (
            f"{hours}:{minutes:02}:{rest:02}" if spacing < 60 else f"{hours}h{minutes:02}" if minutes else f"{hours}h"
        )
    elif minutes:
        text = f"{minutes}:{rest:02}" if rest else f"{minutes}m"
    else:
        text = f"{whole}s"
    return text


def spacing_for(span: float, most: int) -> float:
    """A round distance (1, 2 or 5 times a power of ten) at which at most so many ticks fit into a span."""
    rough = span / max(1, most)
    if not rough > 0 or not isfinite(rough):
        return 1.0
    power = 10.0 ** floor(log10(rough))
    return power * next((factor for factor in (1, 2, 5) if power * factor >= rough * 0.999999), 10)


def _multiples(first: float, last: float, spacing: float) -> list[float]:
    begin, end = ceil(first / spacing - 1e-9), floor(last / spacing + 1e-9)
    return [index * spacing for index in range(begin, min(end, begin + 100) + 1)]


def ticks_along(axis: Axis, first: float, last: float, width: int) -> list[tuple[float, str]]:
    """Ticks of an x axis that is `width` cells wide: places in its unit, and labels."""
    most = max(1, width // 12)
    if axis == "elapsed":
        spacing = next((seconds for seconds in _SECONDS if (last - first) / seconds <= most), 0.0)
        spacing = spacing or 86400 * ceil(spacing_for((last - first) / 86400, most))
        return [(x, short_duration(x, spacing)) for x in _multiples(first, last, spacing)]
    spacing = max(1.0, spacing_for(last - first, most))
    return [(x, short_number(x, spacing)) for x in _multiples(first, last, spacing)]


def value_ticks(low: float, high: float, height: int, *, log: bool = False) -> list[tuple[float, str]]:
    """Ticks of a y axis `height` cells high. With `log`, `low`, `high` and the places are log10 of values."""
    most = max(2, height // 3)
    if log:
        decades = range(floor(low), ceil(high) + 1)
        for factors in ((1, 2, 5), (1, 3), (1,)):
            found = [log10(factor) + decade for decade in decades for factor in factors]
            found = [place for place in found if low <= place <= high]
            if len(found) <= most and len(found) > 1:
                return [(place, _value(10.0**place, 0.0)) for place in found]
        if high - low < 2:  # within a decade or two: round values, unevenly far apart
            values = value_ticks(10.0**low, 10.0**high, height)
            return [(log10(float(value)), text) for value, text in values if value > 0]
        step = max(1, ceil((high - low) / most))
        return [(float(decade), f"1e{decade}") for decade in decades if decade % step == 0 and low <= decade <= high]
    spacing = spacing_for(high - low, most)
    return [(y, _value(y, spacing)) for y in _multiples(low, high, spacing)]


def _value(value: float, spacing: float) -> str:
    if spacing >= 1e-4 and abs(value) < 1e4:
        return f"{value:.{max(0, min(4, ceil(-log10(spacing) - 1e-9)))}f}"
    if value and not 1e-3 <= abs(value) < 1e4:
        return f"{value:.1e}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e").replace(".0e", "e")
    return f"{value:.4g}"


@lru_cache(maxsize=32)
def frame(
    width: int,
    height: int,
    x_ticks: tuple[tuple[int, str], ...],
    y_ticks: tuple[tuple[int, str], ...],
    label_width: int,
) -> tuple[str, ...]:
    """The lines of a frame of `width` x `height` cells, from the top: an axis on the left and one below, with labels.

    The room within begins `label_width` + 1 cells from the left and ends two lines above the bottom. Ticks are at cells
    counted from its lower left corner.
    """
    import plotext  # not before there is something to draw: the first frame of the app does not wait for it

    # plotext keeps one figure for the whole process: begin anew, and leave nothing behind.
    plotext.clear_figure()
    try:
        plotext.limitsize(False, False)
        plotext.plotsize(width, height)
        plotext.theme("clear")
        plotext.xaxes(True, False)
        plotext.yaxes(True, False)
        plotext.xlim(0, max(1, width - label_width - 2))
        plotext.ylim(0, max(1, height - 3))
        plotext.xticks([x for x, _ in x_ticks], [text for _, text in x_ticks])
        # The width of the labels is that of the longest one: give it even where there are none.
        labels = [text[:label_width].rjust(label_width) for _, text in y_ticks] or [" " * label_width]
        plotext.yticks([y for y, _ in y_ticks] or [0], labels)
        plotext.scatter([0], [0], marker=" ")
        lines: list[str] = plotext.uncolorize(plotext.build()).split("\n")
    finally:
        plotext.clear_figure()
    return tuple(line.ljust(width)[:width] for line in lines[:height])
