"""LossPlot: the loss of a run, large, with zoom and a crosshair, and other runs laid over it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from tui_gpt.ui.curves.captions import AXIS_NAMES, Runs, awaited, legend, readout, remarks
from tui_gpt.ui.curves.drawing import LETTERS, PEN_NAMES, Options, Pen, Picture, draw
from tui_gpt.ui.curves.history import RunHistory
from tui_gpt.ui.curves.moments import AXES, Axis, View
from tui_gpt.ui.curves.raster import terminal_has_braille
from tui_gpt.ui.curves.sheet import Text, sheet
from tui_gpt.ui.curves.smoothing import DEFAULT_FACTOR, FACTORS
from tui_gpt.ui.curves.strips import changed_lines, line_of
from tui_gpt.ui.curves.window import Window

_REDRAW_SECONDS = 0.5
_ZOOM = 0.6
_PAN = 0.25
_RUN_HUES = 5


class LossPlot(Widget, can_focus=True):
    """Training loss (faint), its moving average, and validation loss over steps, time or tokens.

    The first of the runs that `show` is given is the active one; others are laid over it, each with its letter.
    `refresh_data` draws anew if a history changed, at most twice a second.
    """

    DEFAULT_CSS = """
    LossPlot { height: 1fr; min-height: 6; min-width: 24; }
    LossPlot > .loss-plot--train { color: $text-muted; }
    LossPlot > .loss-plot--smoothed { color: $text-primary; text-style: bold; }
    LossPlot > .loss-plot--validation { color: $text-warning; text-style: bold; }
    LossPlot > .loss-plot--axis { color: $foreground 40%; }
    LossPlot > .loss-plot--mark { color: $text-accent; text-style: bold; }
    LossPlot > .loss-plot--crosshair { color: $foreground 70%; }
    LossPlot > .loss-plot--words { color: $text-muted; }
    LossPlot > .loss-plot--run-1 { color: $text-primary; text-style: bold; }
    LossPlot > .loss-plot--run-2 { color: $text-warning; }
    LossPlot > .loss-plot--run-3 { color: $text-success; }
    LossPlot > .loss-plot--run-4 { color: $text-error; }
    LossPlot > .loss-plot--run-5 { color: $foreground; }
    LossPlot:focus > .loss-plot--axis { color: $foreground 70%; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"loss-plot--{name}" for name in PEN_NAMES.values()),
        *(f"loss-plot--run-{number}" for number in range(1, _RUN_HUES + 1)),
    }

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "toggle_log", "Log scale", id="plot.log"),
        Binding("m", "next_smoothing", "Smoothing", id="plot.smoothing", show=False),
        Binding("t", "next_axis", "Steps, time or tokens", id="plot.axis", show=False),
        Binding("plus,equals_sign", "zoom_in", "Zoom in", id="plot.zoom_in", show=False),
        Binding("minus", "zoom_out", "Zoom out", id="plot.zoom_out", show=False),
        Binding("0", "whole", "Whole curve", id="plot.whole", show=False),
        Binding("c", "toggle_crosshair", "Crosshair", id="plot.crosshair", show=False),
        Binding("left", "move(-1)", "Left", id="plot.left", show=False),
        Binding("right", "move(1)", "Right", id="plot.right", show=False),
        Binding("shift+left", "move(-10)", "Far left", id="plot.far_left", show=False),
        Binding("shift+right", "move(10)", "Far right", id="plot.far_right", show=False),
        Binding("home", "go_to_begin", "Beginning", id="plot.begin", show=False),
        Binding("end", "go_to_end", "Newest step", id="plot.end", show=False),
    ]

    log_scale: reactive[bool] = reactive(False, init=False)
    """Logarithmic y axis."""
    smooth: reactive[float | None] = reactive[float | None](DEFAULT_FACTOR, init=False)
    """Factor of the moving average; None shows the training loss alone."""
    x_axis: reactive[Axis] = reactive[Axis]("step", init=False)
    """What runs along x."""
    crosshair: reactive[int | None] = reactive[int | None](None, init=False)
    """The step that the crosshair is on; None hides it."""

    class CrosshairMoved(Message):
        """The crosshair is on another step, or gone (None)."""

        def __init__(self, plot: LossPlot, step: int | None) -> None:
            super().__init__()
            self.plot = plot
            self.step = step

        @property
        def control(self) -> LossPlot:
            """The plot."""
            return self.plot

    class ViewChanged(Message):
        """Another part of the axis is shown, or more of it, since the run went on."""

        def __init__(self, plot: LossPlot, view: View) -> None:
            super().__init__()
            self.plot = plot
            self.view = view

        @property
        def control(self) -> LossPlot:
            """The plot."""
            return self.plot

    def __init__(
        self,
        *,
        braille: bool | None = None,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._braille = terminal_has_braille() if braille is None else braille
        self._runs: Runs = ()
        self._window = Window()
        self._drawn: tuple[object, ...] = ()
        self._picture: Picture | None = None
        self._picture_key: object = None
        self._strips: list[Strip] = []
        self._strips_key: object = None
        self._sent: list[Strip] = []
        """What is on the screen, or will be with its next refresh."""
        self._sent_size: Size | None = None
        self._styles_of_pens: dict[int, Style] = {}
        self._last_refresh = 0.0
        self._later: Timer | None = None
        self._told_view: View | None = None

    # ---- what the screen calls

    def show(self, runs: Sequence[tuple[str, RunHistory]]) -> None:
        """Show these runs, each with its name, the active one first. Another active run begins with its whole curve."""
        before = self._runs[0][1] if self._runs else None
        self._runs = tuple(runs[: len(LETTERS)])
        if (self._runs[0][1] if self._runs else None) is not before:
            self._window.whole()
            self.crosshair = None
        self._set_smoothing()
        self._redraw()

    def refresh_data(self) -> None:
        """Draw anew if a history changed since the last drawing: at once, or when half a second is over since then."""
        if self._versions() == self._drawn or self._later is not None:
            return
        wait = self._last_refresh + _REDRAW_SECONDS - time.monotonic()
        if wait <= 0:
            self._redraw()
        else:
            self._later = self.set_timer(wait, self._redraw)

    @property
    def _ready(self) -> Runs:
        """The runs that have been read: drawing one that is being read would wait for its reader again and again."""
        if not self._runs or not self._runs[0][1].opened:
            return ()
        return tuple((name, history) for name, history in self._runs if history.opened)

    @property
    def view(self) -> View | None:
        """The part of the x axis that is shown; None as long as there is nothing to show."""
        bounds = self._bounds()
        return None if bounds is None else self._window.view(self.x_axis, bounds)

    @property
    def following(self) -> bool:
        """Whether the right edge is the newest step."""
        return self._window.follows

    # ---- drawing

    def _versions(self) -> tuple[object, ...]:
        return tuple((id(history), history.version) for _, history in self._runs)

    def _bounds(self) -> tuple[float, float] | None:
        ends = [bounds for _, history in self._ready if (bounds := history.bounds(self.x_axis))]
        return (min(first for first, _ in ends), max(last for _, last in ends)) if ends else None

    def _redraw(self) -> None:
        if self._later is not None:
            self._later.stop()
            self._later = None
        self._last_refresh = time.monotonic()
        self._drawn = self._versions()
        self._refresh_changed()
        view = self.view
        if view is not None and view != self._told_view:
            self._told_view = view
            self.post_message(self.ViewChanged(self, view))

    def notify_style_update(self) -> None:
        """Another theme: the colours are looked up anew."""
        super().notify_style_update()
        self._styles_of_pens = {}
        self._strips_key = self._sent_size = None

    def _refresh_changed(self) -> None:
        """Send the lines that came out different: of a long run's plot, a few."""
        if not self.is_attached or not self.size:
            return
        before, self._sent = self._sent, self._lines()
        self._sent_size = self.size
        changed = changed_lines(before, self._sent, self.size.width)
        if changed is None:
            self.refresh()
        elif changed:
            self.refresh(*changed)

    def render_line(self, y: int) -> Strip:
        """One line of the plot."""
        # Of the picture that was sent: a newer one would be painted in the lines that are asked for by chance, and then
        # count as painted in the others too.
        if self._sent_size != self.size:
            self._sent, self._sent_size = self._lines(), self.size
        lines = self._sent
        return lines[y] if y < len(lines) else Strip.blank(self.size.width, self._pen_styles()[Pen.NONE])

    def _lines(self) -> list[Strip]:
        width, height = self.size
        pens = self._pen_styles()
        key = (width, height, self._drawn, self.crosshair, self.log_scale, self.smooth, self.view, id(pens))
        if key != self._strips_key:
            self._strips = self._compose_strips(width, height, pens)
            self._strips_key = key
        return self._strips

    def _pen_styles(self) -> dict[int, Style]:
        if not self._styles_of_pens:
            styles = {int(pen): self.get_component_rich_style(f"loss-plot--{name}") for pen, name in PEN_NAMES.items()}
            for index in range(len(LETTERS)):
                styles[Pen.RUN_A + index] = self.get_component_rich_style(f"loss-plot--run-{index % _RUN_HUES + 1}")
            styles[Pen.NONE] = self.rich_style
            self._styles_of_pens = styles
        return self._styles_of_pens

    def _compose_strips(self, width: int, height: int, pens: dict[int, Style]) -> list[Strip]:
        view = self.view
        if view is None or width < 8 or height < 5:
            self._picture = None
            return self._words_instead(width, height, pens)
        key = (width, height, self._drawn, self.log_scale, self.smooth is None, view)
        options = Options(log=self.log_scale, smooth=self.smooth is not None, braille=self._braille)
        if key != self._picture_key or self._picture is None:
            self._picture = draw([history for _, history in self._ready], view, width, height - 2, options)
            self._picture_key = key
        column = self._crosshair_column(self._picture)
        text = Text(
            legend=legend(self._ready, width, smooth=options.smooth, braille=options.braille),
            remarks=remarks(self._picture, self._runs, options, self.smooth, self._window),
            readout=[],
            axis=[(AXIS_NAMES[view.axis], Pen.WORDS)],
        )
        point = None if self.crosshair is None else self._ready[0][1].at(self.crosshair)
        if point is not None:
            text.readout = readout(self._ready, point, self._picture, column)
        return sheet(self._picture, text, column, pens, width, braille=self._braille)

    def _words_instead(self, width: int, height: int, pens: dict[int, Style]) -> list[Strip]:
        lines = [Strip.blank(width, pens[Pen.NONE])] * height
        words = awaited(self._runs)
        if height:
            padded = " " * max(0, (width - len(words)) // 2) + words
            lines[height // 2] = line_of([(padded, Pen.WORDS)], [], pens, width)
        return lines

    def _crosshair_column(self, picture: Picture) -> int | None:
        if self.crosshair is None:
            return None
        return picture.column_of(self._ready[0][1].position(self.crosshair, picture.view.axis))

    # ---- what a person changes

    def _set_smoothing(self) -> None:
        for _, history in self._runs:
            if self.smooth is not None:
                history.smoothing = self.smooth

    def watch_smooth(self) -> None:
        """Average anew."""
        self._set_smoothing()
        self._redraw()

    def watch_log_scale(self) -> None:
        """Another scale."""
        self._redraw()

    def watch_x_axis(self) -> None:
        """Another axis begins with the whole curve; the crosshair stays on its step."""
        self._window.whole()
        self._redraw()

    def watch_crosshair(self, step: int | None) -> None:
        """Tell whoever shows more about that step."""
        self._refresh_changed()
        self.post_message(self.CrosshairMoved(self, step))

    def action_toggle_log(self) -> None:
        """Linear or logarithmic."""
        self.log_scale = not self.log_scale

    def action_next_smoothing(self) -> None:
        """The next stronger average; after the strongest none, then the weakest."""
        choices: list[float | None] = [*FACTORS, None]
        place = choices.index(self.smooth) if self.smooth in choices else -1
        self.smooth = choices[(place + 1) % len(choices)]

    def action_next_axis(self) -> None:
        """Steps, time, tokens."""
        self.x_axis = AXES[(AXES.index(self.x_axis) + 1) % len(AXES)]

    def action_zoom_in(self) -> None:
        """Half as much around the crosshair, or at the right edge."""
        self._zoom(_ZOOM, self._centre())

    def action_zoom_out(self) -> None:
        """Twice as much."""
        self._zoom(1 / _ZOOM, self._centre())

    def action_whole(self) -> None:
        """The whole curve, following."""
        self._window.whole()
        self._redraw()

    def action_toggle_crosshair(self) -> None:
        """Put the crosshair on the newest step that is shown, or take it away."""
        view = self.view
        if self.crosshair is not None or view is None:
            self.crosshair = None
        else:
            self.crosshair = self._ready[0][1].step_at(view.last, view.axis)

    def action_move(self, columns: int) -> None:
        """Move the crosshair by columns; without one, pan a zoomed plot."""
        bounds, view = self._bounds(), self.view
        if bounds is None or view is None:
            return
        if self.crosshair is None:
            self._window.pan(_PAN if columns > 0 else -_PAN, self.x_axis, bounds)
            self._redraw()
            return
        history = self._ready[0][1]
        cells = self._picture.width if self._picture is not None else 80
        here = history.position(self.crosshair, view.axis)
        there = history.step_at(here + columns * (view.last - view.first) / max(1, cells - 1), view.axis)
        if there == self.crosshair:
            there = history.neighbour(self.crosshair, 1 if columns > 0 else -1)
        self._put_crosshair(there)

    def action_go_to_begin(self) -> None:
        """To the first step."""
        self._go_to(0)

    def action_go_to_end(self) -> None:
        """To the newest step; a zoomed plot follows from there on."""
        self._go_to(1)

    def _go_to(self, end: int) -> None:
        bounds = self._bounds()
        if bounds is None:
            return
        if self.crosshair is not None:
            self._put_crosshair(self._ready[0][1].step_at(bounds[end], self.x_axis))
        self._window.show(bounds[end], self.x_axis, bounds)
        self._redraw()

    def _put_crosshair(self, step: int | None) -> None:
        bounds = self._bounds()
        if step is not None and bounds is not None and self._window.zoomed:
            before = self.view
            self._window.show(self._ready[0][1].position(step, self.x_axis), self.x_axis, bounds)
            if self.view != before:
                self._redraw()
        self.crosshair = step

    def _centre(self) -> float:
        view = self.view
        if view is None:
            return 0.0
        if self.crosshair is not None:
            return self._ready[0][1].position(self.crosshair, view.axis)
        return view.last if self._window.follows and self._window.zoomed else (view.first + view.last) / 2

    def _zoom(self, factor: float, around: float) -> None:
        bounds = self._bounds()
        if bounds is not None:
            self._window.zoom(factor, around, self.x_axis, bounds)
            self._redraw()

    # ---- the mouse

    def _place_under(self, event: events.MouseEvent) -> float | None:
        """The place on the axis under the pointer; None outside of the curves' room."""
        picture = self._picture
        if picture is None:
            return None
        column = event.get_content_offset(self)
        if column is None:
            return None
        place = column.x - picture.left
        return picture.x_at(place) if 0 <= place < picture.width else None

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """A crosshair that is there goes with the pointer."""
        if self.crosshair is not None:
            self._point_at(event)

    def on_click(self, event: events.Click) -> None:
        """Put the crosshair under the pointer."""
        self._point_at(event)

    def _point_at(self, event: events.MouseEvent) -> None:
        place = self._place_under(event)
        if place is not None and self._ready:
            step = self._ready[0][1].step_at(place, self.x_axis)
            if step is not None:
                self.crosshair = step

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Zoom in around the pointer."""
        self._wheel(event, _ZOOM)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Zoom out around the pointer."""
        self._wheel(event, 1 / _ZOOM)

    def _wheel(self, event: events.MouseEvent, factor: float) -> None:
        place = self._place_under(event)
        if place is not None:
            event.stop()
            self._zoom(factor, place)
