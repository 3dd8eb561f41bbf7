"""The curves of one or several runs as rows of characters and pens, with axes, marks and letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from tui_gpt.ui.curves.axes import frame, ticks_along, value_ticks
from tui_gpt.ui.curves.history import RunHistory
from tui_gpt.ui.curves.moments import Mark, View
from tui_gpt.ui.curves.raster import Point, Raster
from tui_gpt.ui.curves.readings import Span
from tui_gpt.ui.curves.scale import Scale, choose_scale

LETTERS = "ABCDEFGH"
"""Names of overlaid runs within the plot; more are not drawn."""

_LABEL_WIDTH = 6
_APART = 3
"""Evaluations are shown as points at least so many cells apart; letters, of overlaid runs, twice as far."""


class Pen(IntEnum):
    """Who drew a cell. Each has its own style, and in a terminal without Braille its own character."""

    NONE = 0
    TRAIN = 1
    SMOOTHED = 2
    VALIDATION = 3
    AXIS = 4
    MARK = 5
    CROSSHAIR = 6
    WORDS = 7
    RUN_A = 8
    """The first of the overlaid runs; those after it follow."""


PEN_NAMES = {
    Pen.TRAIN: "train",
    Pen.SMOOTHED: "smoothed",
    Pen.VALIDATION: "validation",
    Pen.AXIS: "axis",
    Pen.MARK: "mark",
    Pen.CROSSHAIR: "crosshair",
    Pen.WORDS: "words",
}
"""How a style sheet calls the pens that are not runs."""

_PLAIN = str.maketrans("│┤└─┬", "||+-+")
_LETTERS_OF_PENS = " .*o||| " + LETTERS.lower()
"""By pen: what a cell shows where there is no Braille."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a person chose."""

    log: bool = False
    smooth: bool = True
    braille: bool = True


@dataclass(slots=True)
class Picture:
    """Rows of (characters, pens), from the top; the room of the curves begins at (`left`, 0)."""

    rows: list[tuple[list[str], bytearray]]
    left: int
    width: int
    height: int
    view: View
    scale: Scale
    marks: list[tuple[int, Mark]]
    """Columns within the room at which marks stand, and what they mean."""

    def x_at(self, column: float) -> float:
        """The place on the axis that a column within the room shows, in the axis' unit."""
        return self.view.first + (self.view.last - self.view.first) * column / max(1, self.width - 1)

    def column_of(self, x: float) -> int | None:
        """The column within the room where a place of the axis is shown; None outside."""
        column = round((x - self.view.first) / (self.view.last - self.view.first) * (self.width - 1))
        return column if 0 <= column < self.width else None


def draw(runs: Sequence[RunHistory], view: View, width: int, height: int, options: Options) -> Picture:
    """The picture of `width` x `height` cells, axes included. The first run is the active one."""
    left = min(_LABEL_WIDTH, max(0, width // 4)) + 1
    raster = Raster(max(1, width - left), max(1, height - 2), braille=options.braille, letters=_LETTERS_OF_PENS)
    runs = runs[: len(LETTERS)]
    active = runs[0]
    train = active.series("loss", view.first, view.last, raster.dots_x, view.axis, margin=True)
    lines = [run.series("smoothed", view.first, view.last, raster.dots_x, view.axis, margin=True) for run in runs]
    validations = [run.series("val_loss", view.first, view.last, raster.dots_x, view.axis, margin=True) for run in runs]
    spread = _within(train, view)
    for line in lines[1:]:
        spread += _within(line, view)
    inside = [value for points in validations for low, high in _within(points, view) for value in (low, high)]
    scale = choose_scale(spread, inside, log=options.log)
    drawing = Curves(raster, view, scale)

    drawing.band(train, Pen.TRAIN, faint=options.smooth)
    overlay = len(runs) > 1
    # The active run last, so that it lies on top.
    for index in reversed(range(len(runs))):
        pen = Pen.RUN_A + index if overlay else Pen.SMOOTHED
        if options.smooth or index:
            drawing.joined(lines[index], pen)
    for index in reversed(range(len(runs))):
        pen = Pen.RUN_A + index if overlay else Pen.VALIDATION
        letter = LETTERS[index].lower() if overlay else "●" if options.braille else "o"
        drawing.validation(validations[index], pen, letter, joined=not overlay)
        if overlay:
            drawing.tag(lines[index], LETTERS[index], pen)
    return _framed(raster, view, scale, active, left, width, height)


def _within(spans: Sequence[Span], view: View) -> list[tuple[float, float]]:
    return [(low, high) for x, low, high in spans if view.first <= x <= view.last]


class Curves:
    """Curves into a raster."""

    def __init__(self, raster: Raster, view: View, scale: Scale) -> None:
        self._raster = raster
        self._view = view
        self._scale = scale
        self._dots_per_unit = (raster.dots_x - 1) / (view.last - view.first)

    def _across(self, x: float) -> float:
        return (x - self._view.first) * self._dots_per_unit

    def _down(self, value: float) -> float | None:
        return self._scale.dot(value, self._raster.dots_y)

    def band(self, spans: Sequence[Span], pen: int, *, faint: bool) -> None:
        """What lies between the smallest and the largest value at each place, neighbours joined."""
        if not faint and len(spans) < self._raster.dots_x // 2:
            self.joined(spans, pen)
            return
        before: tuple[int, int, int] | None = None
        for x, low, high in spans:
            top, bottom = self._down(high), self._down(low)
            if top is None:
                before = None
                continue
            if bottom is None:  # not above zero on a logarithmic axis: out of the plot, downwards
                bottom = float(self._raster.dots_y)
            column, a, b = round(self._across(x)), round(top), round(bottom)
            if before is not None and before[0] == column:
                a, b = min(a, before[1]), max(b, before[2])
            elif before is not None and column - before[0] == 1:
                self._raster.vertical(column, min(a, before[2]), max(b, before[1]), pen, faint=faint)
            elif before is not None:
                self._raster.line((before[0], (before[1] + before[2]) / 2), (column, (a + b) / 2), pen)
            self._raster.vertical(column, a, b, pen, faint=faint)
            before = column, a, b

    def joined(self, spans: Sequence[Span], pen: int) -> None:
        """A line through the middle of each span."""
        self._raster.polyline(self._points(spans), pen)

    def _points(self, spans: Sequence[Span]) -> list[Point | None]:
        return [
            None if (y := self._down(low if low == high else (low + high) / 2)) is None else (self._across(x), y)
            for x, low, high in spans
        ]

    def validation(self, spans: Sequence[Span], pen: int, letter: str, *, joined: bool) -> None:
        """Points, and with `joined` lines between them. Where points stand close, some of them."""
        points = self._points(spans)
        if joined:
            self._raster.polyline(points, pen)
        dots_apart = (_APART if joined else 2 * _APART) * self._raster.dots_x / self._raster.width
        before = -dots_apart
        for point in points:
            if point is not None and point[0] - before >= dots_apart:
                before = point[0]
                self._put(point, letter, pen)

    def tag(self, spans: Sequence[Span], letter: str, pen: int) -> None:
        """The letter of a run at the right end of its line, and where a third of it is behind."""
        points = [point for point in self._points(spans) if point is not None and 0 <= point[0] < self._raster.dots_x]
        for point in points[-1:] + points[len(points) // 3 : len(points) // 3 + 1]:
            self._put(point, letter, pen)

    def _put(self, point: Point, character: str, pen: int) -> None:
        if 0 <= point[1] < self._raster.dots_y:
            across, down = (2, 4) if self._raster.braille else (1, 1)
            self._raster.put(round(point[0]) // across, round(point[1]) // down, character, pen)


def _framed(
    raster: Raster, view: View, scale: Scale, active: RunHistory, left: int, width: int, height: int
) -> Picture:
    # In cells, not in the axes' units: while a run grows, its ticks mostly stay where they are, and so does the frame.
    x_ticks = tuple(
        (round((x - view.first) / (view.last - view.first) * (raster.width - 1)), text)
        for x, text in ticks_along(view.axis, view.first, view.last, raster.width)
    )
    y_ticks = tuple(
        (round((y - scale.low) / (scale.high - scale.low) * (raster.height - 1)), text)
        for y, text in value_ticks(scale.low, scale.high, raster.height, log=scale.log)
    )
    lines = frame(left + raster.width, raster.height + 2, x_ticks, y_ticks, left - 1)
    if not raster.braille:
        lines = tuple(line.translate(_PLAIN) for line in lines)
    rows = []
    for line, (characters, pens) in zip(lines, raster.rows(), strict=False):
        axis = bytearray([Pen.WORDS] * (left - 1) + [Pen.AXIS])
        rows.append(([*line[:left], *characters], axis + pens))
    for line, pen in zip(lines[raster.height :], (Pen.AXIS, Pen.WORDS), strict=False):
        rows.append((list(line), bytearray([pen] * len(line))))
    if scale.beyond is not None and rows:
        rows[0][0][left - 1] = "▲" if raster.braille else "^"
        rows[0][1][left - 1] = Pen.MARK
    picture = Picture(rows[:height], left, raster.width, raster.height, view, scale, [])
    if height > raster.height:
        _place_marks(picture, active)
    return picture


_MARK_LETTERS = (
    ("paused", "P"),
    ("resumed", "R"),
    ("peak learning rate", "L"),
    ("saved", "S"),
    ("forked", "F"),
    ("stopped", "X"),
    ("checkpoint", "K"),
    ("1 single step", "1"),
)


def mark_letter(mark: Mark) -> str:
    """The letter that stands for a mark on the axis."""
    return next((letter for beginning, letter in _MARK_LETTERS if mark.event.startswith(beginning)), "!")


def _place_marks(picture: Picture, active: RunHistory) -> None:
    """Letters on the axis: marks, N where the loss began to be no number, and a stroke where a trainer began."""
    if len(picture.rows) <= picture.height:
        return
    characters, pens = picture.rows[picture.height]
    marks = [
        *(Mark(step, "a trainer went on from here") for step in active.segments[1:]),
        *active.marks,
        *(Mark(step, "the loss is not a number") for step in active.gaps),
    ]
    for mark in marks:
        column = picture.column_of(active.position(mark.step, picture.view.axis))
        if column is None:
            continue
        picture.marks.append((column, mark))
        letter = "+" if mark.event.startswith("a trainer") else "N" if mark.event.startswith("the loss") else None
        characters[picture.left + column] = letter or mark_letter(mark)
        pens[picture.left + column] = Pen.MARK
