"""Text that grows at its end at next to no cost: what is above its last line is neither broken nor drawn again."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len
from rich.segment import Segment
from textual.geometry import Region, Size
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

_WORD = re.compile(r"\s*\S+\s*|\s+")
_TAB = " " * 4


class GrowingText(Widget):
    """Plain text, broken at spaces to the width there is. Can be selected with the mouse."""

    DEFAULT_CSS = "GrowingText { height: auto; width: 1fr; }"

    def __init__(self, text: str = "", *, classes: str | None = None) -> None:
        """`text` is safe: it is drawn as it is."""
        super().__init__(classes=classes)
        self._paragraphs = text.replace("\t", _TAB).split("\n")
        self._width = 0
        self._rows: list[tuple[int, int]] = []
        """Where each row on the screen begins: paragraph, and character in it."""

    @property
    def text(self) -> str:
        """All of it, with spaces for tabs."""
        return "\n".join(self._paragraphs)

    def grow(self, text: str) -> None:
        """Add safe text at the end."""
        if not text:
            return
        first, *others = text.replace("\t", _TAB).split("\n")
        paragraph = len(self._paragraphs) - 1
        self._paragraphs[-1] += first
        self._paragraphs += others
        if not self._width:
            return
        rows = len(self._rows)
        # Breaking goes from left to right, so that only the last row can become another one.
        begin = self._rows.pop()[1]
        self._break(paragraph, begin)
        for following in range(paragraph + 1, len(self._paragraphs)):
            self._break(following, 0)
        if len(self._rows) == rows:
            self.refresh(Region(0, rows - 1, self._width, 1))
        else:
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Rows at `width` columns."""
        if width != self._width:
            self._width = width
            self._rows = []
            for paragraph in range(len(self._paragraphs)):
                self._break(paragraph, 0)
        return len(self._rows)

    def _break(self, paragraph: int, begin: int) -> None:
        text = self._paragraphs[paragraph]
        self._rows += ((paragraph, start) for start in row_starts(text, begin, max(1, self._width)))

    def render_line(self, y: int) -> Strip:
        """One row."""
        style = self.visual_style.rich_style
        width = self.size.width
        if y >= len(self._rows):
            return Strip.blank(width, style)
        paragraph, start = self._rows[y]
        following = self._rows[y + 1] if y + 1 < len(self._rows) else (paragraph + 1, 0)
        whole = self._paragraphs[paragraph]
        end = following[1] if following[0] == paragraph else len(whole)
        row = whole[start:end]
        segments = [Segment(row, style)]
        selection = self.text_selection
        span = None if selection is None else selection.get_span(paragraph)
        if span is not None:
            chosen = style + self.screen.get_component_rich_style("screen--selection")
            left = min(max(span[0] - start, 0), len(row))
            right = len(row) if span[1] < 0 else min(max(span[1] - start, left), len(row))
            parts = [(row[:left], style), (row[left:right], chosen), (row[right:], style)]
            segments = [Segment(text, part_style) for text, part_style in parts if text]
        return Strip(segments).crop_extend(0, width, style).apply_offsets(start, paragraph)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """What the mouse selected."""
        return selection.extract(self.text), "\n"


def row_starts(text: str, begin: int, width: int) -> Iterator[int]:
    """Where the rows of `text` from `begin` on start, `width` cells wide; longer words are broken anywhere."""
    yield begin
    used = 0
    for match in _WORD.finditer(text, begin):
        word = match[0]
        needed = _cells(word.rstrip())
        if used + needed <= width:
            used += _cells(word)
        elif needed <= width:
            yield match.start()
            used = _cells(word)
        else:
            # On a row of its own, where it would be too if it had come letter by letter.
            if used:
                yield match.start()
                used = 0
            for place, character in enumerate(word, start=match.start()):
                cells = _cells(character)
                if used + cells > width and used and not character.isspace():
                    yield place
                    used = 0
                used += cells


def _cells(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)
