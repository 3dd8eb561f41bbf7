"""A film of a terminal as one SVG file that any browser plays: rows that stay the same are stored once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

CELL = (8.4, 18.0)
"""Width and height of a character, in the picture's units."""
MARGIN = 12.0
_BASELINE = 13.5
_FONTS = "'DejaVu Sans Mono','Menlo','Consolas','Liberation Mono',monospace"


class Piece(NamedTuple):
    """Characters of one style. Colours as `#rrggbb`."""

    text: str
    colour: str
    background: str
    bold: bool = False


Row = tuple[Piece, ...]


class Frame(NamedTuple):
    """What the terminal shows for a while."""

    rows: tuple[Row, ...]
    caption: str
    """Below the terminal: what was pressed."""
    seconds: float


def animated_svg(frames: Sequence[Frame], columns: int, background: str, title: str) -> str:
    """The frames one after the other, without end. Where nothing is played, the last one is seen."""
    height = max(len(frame.rows) for frame in frames)
    total = sum(frame.seconds for frame in frames)
    size = (columns * CELL[0] + 2 * MARGIN, (height + 2) * CELL[1] + 2 * MARGIN)
    styles = _Styles()
    body: list[str] = []
    for number in range(height):
        versions = _versions((frame.rows[number] if number < len(frame.rows) else () for frame in frames), frames)
        body += _timed(versions, total, MARGIN + number * CELL[1], lambda row: _row(row, background, styles))
    captions = _versions(((Piece(frame.caption, "#d0d0d0", background, bold=True),) for frame in frames), frames)
    body += _timed(captions, total, MARGIN + (height + 1) * CELL[1], lambda row: _row(row, background, styles))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(size[0])} {_n(size[1])}" role="img">'
        f"<title>{escape(title)}</title>"
        f"<style>text{{font:14px {_FONTS};white-space:pre}}.b{{font-weight:bold}}{styles.rules()}</style>"
        f'<rect width="100%" height="100%" rx="8" fill="{background}"/>'
    )
    return head + "\n" + "\n".join(body) + "\n</svg>\n"


class _Styles:
    """A class for each colour, which is shorter than the colour."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def name(self, colour: str) -> str:
        return self._names.setdefault(colour, f"c{len(self._names)}")

    def rules(self) -> str:
        return "".join(f".{name}{{fill:{colour}}}" for colour, name in self._names.items())


def _versions(rows: Iterable[Row], frames: Sequence[Frame]) -> dict[Row, list[tuple[float, float]]]:
    """Each content of a row with the stretches of time, in seconds, in which it is shown."""
    found: dict[Row, list[tuple[float, float]]] = {}
    now = 0.0
    for row, frame in zip(rows, frames, strict=True):
        stretches = found.setdefault(row, [])
        end = now + frame.seconds
        if stretches and stretches[-1][1] == now:
            stretches[-1] = (stretches[-1][0], end)
        else:
            stretches.append((now, end))
        now = end
    return found


def _timed(versions: dict[Row, list[tuple[float, float]]], total: float, y: float, draw: object) -> list[str]:
    assert callable(draw)
    groups = []
    for row, stretches in versions.items():
        content = draw(row)
        if not content:
            continue
        place = f'<g transform="translate({_n(MARGIN)} {_n(y)})"'
        if len(versions) == 1:
            groups.append(f"{place}>{content}</g>")
            continue
        last = stretches[-1][1] >= total - 1e-6
        groups.append(
            f'{place} visibility="{"visible" if last else "hidden"}">{_animation(stretches, total)}{content}</g>'
        )
    return groups


def _animation(stretches: list[tuple[float, float]], total: float) -> str:
    times, values = [0.0], ["hidden"]
    for begin, end in stretches:
        for moment, value in ((begin, "visible"), (end, "hidden")):
            if moment == 0.0:
                values[0] = value
            elif moment < total - 1e-6:
                times.append(moment)
                values.append(value)
    return (
        f'<animate attributeName="visibility" calcMode="discrete" dur="{_n(total)}s" repeatCount="indefinite" '
        f'values="{";".join(values)}" keyTimes="{";".join(f"{moment / total:.5f}" for moment in times)}"/>'
    )


def _row(row: Row, background: str, styles: _Styles) -> str:
    parts = []
    column = 0
    for piece in row:
        width = len(piece.text) * CELL[0]
        x = column * CELL[0]
        if piece.background != background and piece.text:
            fill = styles.name(piece.background)
            parts.append(f'<rect class="{fill}" x="{_n(x)}" width="{_n(width)}" height="{_n(CELL[1])}"/>')
        if piece.text.strip():
            stripped = piece.text.lstrip(" ")
            x += (len(piece.text) - len(stripped)) * CELL[0]
            stripped = stripped.rstrip(" ")
            kind = styles.name(piece.colour) + (" b" if piece.bold else "")
            parts.append(
                f'<text class="{kind}" x="{_n(x)}" y="{_BASELINE}" textLength="{_n(len(stripped) * CELL[0])}" '
                f'lengthAdjust="spacingAndGlyphs" xml:space="preserve">{escape(stripped)}</text>'
            )
        column += len(piece.text)
    return "".join(parts)


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
