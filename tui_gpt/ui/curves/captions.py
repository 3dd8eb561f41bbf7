"""The lines of text above and below the loss plot."""

from __future__ import annotations

from math import isnan

from tui_gpt.ui.curves.axes import short_duration, short_number
from tui_gpt.ui.curves.drawing import LETTERS, Options, Pen, Picture, mark_letter
from tui_gpt.ui.curves.history import RunHistory
from tui_gpt.ui.curves.moments import Axis, Point
from tui_gpt.ui.curves.smoothing import DEFAULT_FACTOR
from tui_gpt.ui.curves.strips import Piece, one_line
from tui_gpt.ui.curves.window import Window

Runs = tuple[tuple[str, RunHistory], ...]
"""Names, which are foreign text, and histories; the active run first."""

AXIS_NAMES: dict[Axis, str] = {"step": "steps", "elapsed": "time", "tokens": "tokens"}


def awaited(runs: Runs) -> str:
    """What has to come before there is anything to draw."""
    if not runs:
        return "no run is shown"
    history = runs[0][1]
    if not history.opened:
        return f"reading the metrics: {100 * history.progress:.0f} %"
    if any(other.opened and other.bounds() is not None for _, other in runs):
        return "the plot needs more room"
    if history.ended:
        return "this run ended before its first step"
    return "the first loss comes with the first step"


def legend(runs: Runs, width: int, *, smooth: bool, braille: bool) -> list[Piece]:
    """Who is who: the curves of one run, or the letters of several."""
    if len(runs) > 1:
        room = max(6, (width - 10) // len(runs) - 5)
        return [(f"{LETTERS[i]} {one_line(name, room)}   ", Pen.RUN_A + i) for i, (name, _) in enumerate(runs)]
    pieces: list[Piece] = [(one_line(runs[0][0], max(8, width - 44)) + "   ", Pen.WORDS)]
    pieces.append((("⢕⢕" if braille else "..") + " train  ", Pen.TRAIN))
    if smooth:
        pieces.append((("━━" if braille else "**") + " smoothed  ", Pen.SMOOTHED))
    pieces.append((("●" if braille else "o") + " validation", Pen.VALIDATION))
    return pieces


def remarks(picture: Picture, runs: Runs, options: Options, smoothing: float | None, window: Window) -> list[Piece]:
    """What is not as usual about the plot."""
    found: list[str] = []
    found += [f"reading {one_line(name, 20)}: {100 * run.progress:.0f} %" for name, run in runs if not run.opened]
    if picture.scale.beyond is not None:
        found.append(f"{'▲' if options.braille else '^'} up to {picture.scale.beyond:.3g}")
    if options.log:
        found.append("log")
    if smoothing is not None and smoothing != DEFAULT_FACTOR:
        found.append(f"average {smoothing:g}")
    if window.zoomed:
        found.append("zoomed" if window.follows else "zoomed, not following")
    return [("  ".join(found), Pen.WORDS)] if found else []


def readout(runs: Runs, point: Point, picture: Picture, column: int | None) -> list[Piece]:
    """What is known where the crosshair stands: at `point` of the active run, `column` of the plot."""
    overlay = len(runs) > 1
    pieces: list[Piece] = [
        (f"step {point.step:,}", Pen.CROSSHAIR),
        (f"  {short_duration(point.elapsed, 1)}", Pen.WORDS),
        (f"  train {_number(point.loss)}", Pen.WORDS),
    ]
    if not isnan(point.smoothed):
        pieces.append((f"  smoothed {_number(point.smoothed)}", Pen.RUN_A if overlay else Pen.SMOOTHED))
    if point.val_step is not None:
        pieces.append((f"  val {_number(point.val_loss)}", Pen.RUN_A if overlay else Pen.VALIDATION))
    near = [mark for place, mark in picture.marks if column is not None and abs(place - column) <= 1]
    if near:
        letter = mark_letter(near[-1])
        pieces.append((f"  {letter + ' ' if letter != '!' else ''}{one_line(near[-1].event, 60)}", Pen.MARK))
    axis = picture.view.axis
    place = runs[0][1].position(point.step, axis)
    for index, (_, other) in enumerate(runs[1:], 1):
        step = other.step_at(place, axis)
        there = None if step is None else other.at(step)
        if there is not None:
            pieces.append((f"  {LETTERS[index]} {_number(there.smoothed)}", Pen.RUN_A + index))
    pieces.append((f"  lr {short_number(point.learning_rate)}", Pen.WORDS))
    return pieces


def _number(value: float) -> str:
    return "not a number" if isnan(value) else f"{value:.4f}" if abs(value) < 1e4 else f"{value:.3g}"
