"""SmallPlot: one measured value over the same stretch of the axis as the loss plot, in a few lines."""

from __future__ import annotations

import time
from math import isnan
from typing import ClassVar, Literal

from rich.style import Style
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from tui_gpt.core.figures import memory
from tui_gpt.ui.curves.axes import short_number
from tui_gpt.ui.curves.drawing import Curves
from tui_gpt.ui.curves.history import RunHistory
from tui_gpt.ui.curves.moments import View
from tui_gpt.ui.curves.raster import Raster, terminal_has_braille
from tui_gpt.ui.curves.scale import Scale
from tui_gpt.ui.curves.strips import changed_lines, line_of, strip_of

Measured = Literal["learning_rate", "grad_norm", "tokens_per_second", "memory"]

TITLES: dict[Measured, str] = {
    "learning_rate": "learning rate",
    "grad_norm": "gradient norm",
    "tokens_per_second": "tokens/s",
    "memory": "memory",
}
_REDRAW_SECONDS = 0.5
_NONE, _LINE, _TITLE, _VALUE = range(4)


class SmallPlot(Widget):
    """Title and newest value, a line, and its range. Draws anew when told to `show`, at most twice a second."""

    DEFAULT_CSS = """
    SmallPlot { height: 6; width: 1fr; min-width: 18; }
    SmallPlot > .small-plot--line { color: $text-secondary; }
    SmallPlot > .small-plot--title { color: $text-muted; }
    SmallPlot > .small-plot--value { color: $foreground; text-style: bold; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"small-plot--line", "small-plot--title", "small-plot--value"}

    def __init__(
        self,
        *,
        braille: bool | None = None,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._braille = terminal_has_braille() if braille is None else braille
        self._history: RunHistory | None = None
        self._column: Measured = "learning_rate"
        self._view: View | None = None
        self._version = -1
        self._asked: tuple[object, ...] = ()
        self._styles: dict[int, Style] = {}
        self._strips: list[Strip] = []
        self._strips_key: object = None
        self._last_refresh = 0.0
        self._later: Timer | None = None

    def show(self, history: RunHistory | None, column: Measured, view: View | None) -> None:
        """Show a column over the loss plot's view; without a view or a history, only the title."""
        asked = (id(history), column, view, history.version if history is not None else 0)
        if asked == self._asked:
            return
        another = self._history is not history or self._column != column
        self._history, self._column, self._view, self._asked = history, column, view, asked
        wait = 0.0 if another else self._last_refresh + _REDRAW_SECONDS - time.monotonic()
        if wait <= 0:
            self._redraw()
        elif self._later is None:
            self._later = self.set_timer(wait, self._redraw)

    def _redraw(self) -> None:
        if self._later is not None:
            self._later.stop()
            self._later = None
        self._last_refresh = time.monotonic()
        self._strips_key = None
        if not self.is_attached or not self.size:
            return
        before = self._strips
        changed = changed_lines(before, self._lines(), self.size.width)
        if changed is None:
            self.refresh()
        elif changed:
            self.refresh(*changed)

    def notify_style_update(self) -> None:
        """Another theme: the colours are looked up anew."""
        super().notify_style_update()
        self._styles = {}
        self._strips_key = None

    def render_line(self, y: int) -> Strip:
        """One line of the plot."""
        lines = self._lines()
        return lines[y] if y < len(lines) else Strip.blank(self.size.width, self._pens()[_NONE])

    def _lines(self) -> list[Strip]:
        if self._strips_key != self.size:
            self._strips = self._compose_strips(*self.size)
            self._strips_key = self.size
        return self._strips

    def _pens(self) -> dict[int, Style]:
        if not self._styles:
            self._styles = {_NONE: self.rich_style}
            for pen, part in ((_LINE, "line"), (_TITLE, "title"), (_VALUE, "value")):
                self._styles[pen] = self.get_component_rich_style(f"small-plot--{part}")
        return self._styles

    def _compose_strips(self, width: int, height: int) -> list[Strip]:
        pens, title, history, view = self._pens(), TITLES[self._column], self._history, self._view
        if history is None or view is None:
            return [line_of([(title, _TITLE)], [], pens, width)]
        newest = short_value(self._column, history.newest(self._column))
        lines = [line_of([(title, _TITLE)], [(newest, _VALUE)], pens, width)]
        low, high = history.extremes(self._column, view.first, view.last, view.axis)
        rows = height - (2 if height > 3 else 1)
        if not low <= high:
            return [*lines, line_of([("not measured yet", _TITLE)], [], pens, width)]
        room = 0.02 * (high - low) or 0.05 * abs(high) or 0.5
        scale = Scale(low - room, high + room, False)
        raster = Raster(width, rows, braille=self._braille, letters=" *")
        spans = history.series(self._column, view.first, view.last, raster.dots_x, view.axis, margin=True)
        Curves(raster, view, scale).band(spans, _LINE, faint=False)
        lines += [strip_of(characters, row_pens, pens, width) for characters, row_pens in raster.rows()]
        if height > 3:
            least_text, most_text = short_value(self._column, low), short_value(self._column, high)
            span = least_text if least_text == most_text else f"{least_text} to {most_text}"
            lines.append(line_of([(span, _TITLE)], [], pens, width))
        return lines


def short_value(column: Measured, value: float) -> str:
    """A value of a column with its unit, in few characters; `-` for one that is not known."""
    if isnan(value):
        return "-"
    if column == "memory":
        return memory(value)
    if column == "learning_rate":
        return f"{value:.2e}".replace("e-0", "e-") if 0 < abs(value) < 1e-3 else f"{value:.4g}"
    return short_number(value, abs(value) / 100) if abs(value) >= 1000 else f"{value:.3g}"
