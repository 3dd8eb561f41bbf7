"""A picture with its lines of text and its crosshair, as the strips of a widget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.style import Style
from textual.strip import Strip

from tui_gpt.ui.curves.drawing import Pen, Picture
from tui_gpt.ui.curves.strips import Piece, line_of, strip_of


@dataclass(slots=True)
class Text:
    """What stands above the plot, at the left and at the right, and below it."""

    legend: list[Piece]
    remarks: list[Piece]
    readout: list[Piece]
    axis: list[Piece]


def sheet(
    picture: Picture, text: Text, crosshair: int | None, styles: Mapping[int, Style], width: int, *, braille: bool
) -> list[Strip]:
    """Two lines more than the picture has; `crosshair` is a column within the room of the curves."""
    lines = [line_of(text.legend, text.remarks, styles, width)]
    for row, (characters, pens) in enumerate(picture.rows):
        if crosshair is not None and row < picture.height:
            place = picture.left + crosshair
            marked, marking = characters.copy(), pens.copy()
            if marked[place] == " ":
                marked[place] = "│" if braille else "|"
            marking[place] = Pen.CROSSHAIR
            lines.append(strip_of(marked, marking, styles, width))
        else:
            lines.append(strip_of(characters, pens, styles, width))
    lines.append(line_of(text.readout, text.axis, styles, width))
    return lines
