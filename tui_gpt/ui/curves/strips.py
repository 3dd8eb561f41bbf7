"""Rows of characters and pens as Textual strips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip

from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.curves.raster import runs_of

Piece = tuple[str, int]
"""A text and the pen that wrote it."""


def strip_of(characters: list[str], pens: bytes | bytearray, styles: Mapping[int, Style], width: int) -> Strip:
    """A row of `width` cells; every character is one cell wide."""
    segments = [Segment(text, styles[pen]) for text, pen in runs_of(characters, pens)]
    return Strip(segments, len(characters)).adjust_cell_length(width, styles[0])


def line_of(left: Sequence[Piece], right: Sequence[Piece], styles: Mapping[int, Style], width: int) -> Strip:
    """One line of text: some at the left, some at the right edge, which gives way if both do not fit."""
    begin = Strip([Segment(text, styles[pen]) for text, pen in left])
    end = Strip([Segment(text, styles[pen]) for text, pen in right])
    room = width - end.cell_length
    if begin.cell_length + 1 > room:
        return begin.adjust_cell_length(width, styles[0])
    return Strip.join([begin.adjust_cell_length(room, styles[0]), end])


def one_line(text: str, most: int) -> str:
    """Foreign text as one line of at most so many characters."""
    shown = safe_text(text[: 4 * most], newlines=False).replace("\t", " ")
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def changed_lines(before: Sequence[Strip], after: Sequence[Strip], width: int) -> list[Region] | None:
    """The lines that differ, as regions to refresh; None where everything does, since the size is another one."""
    if len(before) != len(after) or not before or before[0].cell_length != after[0].cell_length:
        return None
    return [Region(0, y, width, 1) for y, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
