"""The Train tab: the runs, the loss of the one that is looked at, what it wrote at its evaluations, and its log."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import OptionList, Static

from tui_gpt.core.runs.store import DamagedRun, RunSummary
from tui_gpt.ui.curves.history import RunHistory
from tui_gpt.ui.curves.moments import AXES
from tui_gpt.ui.curves.smoothing import FACTORS
from tui_gpt.ui.dialogs.explanation import Explanation
from tui_gpt.ui.train.actions import RunActions
from tui_gpt.ui.train.log_pane import LogPane
from tui_gpt.ui.train.notices import Notices, notices
from tui_gpt.ui.train.run_list import RunList
from tui_gpt.ui.train.sample_pane import SamplePane
from tui_gpt.ui.train.watcher import Seen, Watcher, Wish
from tui_gpt.ui.widgets.loss_plot import LossPlot
from tui_gpt.ui.widgets.small_plot import Measured, SmallPlot

_LOOK_SECONDS = 0.25
_NARROW, _WIDE = 100, 150
_SHORT, _MIDDLING, _TALL = 28, 34, 48
_MOST_OVERLAYS = 7
_MEASURES: tuple[Measured, ...] = ("learning_rate", "grad_norm", "tokens_per_second", "memory")
_OF_THE_CURSOR = frozenset({"overlay", "rename", "delete"})
"""Actions that mean the run under the list's cursor while the list has the focus."""


class TrainTab(RunActions):
    """Watches the active run, steers it, and keeps the runs in order."""

    PARTS_WITH_KEYS = (LossPlot,)
    DEFAULT_CSS = (Path(__file__).parent / "train.tcss").read_text(encoding="utf-8")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", "Pause/go on", id="train.pause"),
        Binding("full_stop", "step", "One step", id="train.step", show=False),
        Binding("left_square_bracket", "lower_rate", "Learning rate x 0.8", id="train.lower_rate", show=False),
        Binding("right_square_bracket", "raise_rate", "Learning rate x 1.25", id="train.raise_rate", show=False),
        Binding("s", "save", "Save a checkpoint", id="train.save", show=False),
        Binding("x", "stop", "Stop", id="train.stop"),
        Binding("r", "resume", "Resume", id="train.resume"),
        Binding("f", "fork", "Fork", id="train.fork"),
        Binding("comma,less_than_sign", "sample(-1)", "Earlier sample", id="train.sample_earlier", show=False),
        Binding("semicolon,greater_than_sign", "sample(1)", "Later sample", id="train.sample_later", show=False),
        Binding("o", "overlay", "Overlay run", id="train.overlay", show=False),
        Binding("n", "rename", "Rename run", id="train.rename", show=False),
        Binding("d", "delete", "Delete run", id="train.delete", show=False),
        Binding("g", "log", "Log", id="train.log", show=False),
        Binding("b", "list", "List of runs", id="train.list", show=False),
        Binding("e", "chat", "Chat with it", id="train.chat"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._title = Static("runs", id="runs-title", markup=False)
        self._runs = RunList()
        self._notices = Notices(id="notices")
        self._plot = LossPlot(id="plot")
        self._measures = {name: SmallPlot(id=f"measure-{name}") for name in _MEASURES}
        self._sample = SamplePane(id="sample")
        self._log = LogPane(id="log")
        self._watcher: Watcher | None = None
        self._seen: Seen | None = None
        self._overlays: list[str] = []
        self._log_wanted = False
        self._list_wanted: bool | None = None
        """None: as the width suggests."""
        self._visible = asyncio.Event()
        self._wake = asyncio.Event()
        self._drawn: tuple[tuple[str, RunHistory], ...] = ()
        self._offered: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """The runs on the left; the plot above what belongs to it."""
        with Vertical(id="runs-pane"):
            yield self._title
            yield self._runs
        with Vertical(id="course"):
            yield self._notices
            yield self._plot
            with Horizontal(id="measures"):
                yield from self._measures.values()
            with Horizontal(id="below"):
                yield self._sample
                yield self._log

    def on_mount(self) -> None:
        """Begin to watch."""
        self._watcher = Watcher(self.gpt.store)
        earlier, later = self.key_of("sample(-1)"), self.key_of("sample(1)")
        self._sample.keys = f"{earlier} earlier  {later} later"
        self.watch(self.gpt, "active_run", self._run_changed, init=False)
        self.run_worker(self._watch(), group="watch")
        self._update()

    # ---- the tab as the frame sees it

    def shown(self) -> None:
        """Read again."""
        self._visible.set()
        self._update()

    def hidden(self) -> None:
        """Nothing is read while nobody looks."""
        self._visible.clear()

    def board_changed(self) -> None:
        """List and state follow; curves are read at their own pace."""
        self._update()

    def focus_first(self) -> None:
        """The plot, whose keys are the most; the list where there is nothing to plot yet."""
        self._plot.focus()

    def remember(self) -> dict[str, Any]:
        """What is drawn, and how."""
        plot = self._plot
        return {
            "overlays": self._overlays,
            "log": self._log_wanted,
            "list": self._list_wanted,
            "log_scale": plot.log_scale,
            "smooth": plot.smooth,
            "x_axis": plot.x_axis,
        }

    def recall(self, remembered: dict[str, Any]) -> None:
        """As it was left, as far as it still makes sense."""
        plot = self._plot
        overlays = remembered.get("overlays")
        if isinstance(overlays, list):
            self._overlays = [name for name in overlays if isinstance(name, str)][:_MOST_OVERLAYS]
        self._log_wanted = remembered.get("log") is True
        wanted = remembered.get("list")
        self._list_wanted = wanted if isinstance(wanted, bool) else None
        plot.log_scale = remembered.get("log_scale") is True
        if "smooth" in remembered and (remembered["smooth"] is None or remembered["smooth"] in FACTORS):
            plot.smooth = remembered["smooth"]
        if remembered.get("x_axis") in AXES:
            plot.x_axis = remembered["x_axis"]
        self._arrange()

    def explain(self) -> Explanation:
        """F1 on the plot and around it."""
        return Explanation(
            "Training",
            "The loss is how much each next token surprises the model, in nats: lower is better. Train is measured on "
            "every step's own batch, smoothed is its moving average, and validation is measured on text that it never "
            "learns from; the best model is the one with the lowest validation loss. A letter below the curve marks "
            "what was done at that step. Training goes on without this screen; closing the program does not stop it.",
        )

    # ---- what is shown

    def on_resize(self, event: events.Resize) -> None:
        """What there is room for."""
        width, height = event.size
        self.set_class(width < _NARROW, "-narrow")
        self.set_class(width >= _WIDE, "-wide")
        self.set_class(height < _SHORT, "-short")
        self.set_class(_SHORT <= height < _MIDDLING, "-middling")
        self.set_class(height >= _TALL, "-tall")
        self._arrange()

    def _arrange(self) -> None:
        self.set_class(self._log_wanted, "-log")
        self.set_class(self._list_wanted is True, "-list")
        self.set_class(self._list_wanted is False, "-no-list")

    def _run_changed(self) -> None:
        self._wake.set()
        self._update()

    def _wish(self) -> Wish:
        board = self.gpt.board
        run = board.get(self.gpt.active_run)
        overlays = [name for name in self._overlays if run and name != run.name and board.get(name) is not None]
        return Wish(run, tuple(overlays), self._log_wanted)

    async def _watch(self) -> None:
        """Read in a thread, one round after the other, while the tab is shown."""
        assert self._watcher is not None
        while True:
            await self._visible.wait()
            self._wake.clear()
            seen = await asyncio.to_thread(self._watcher.look, self._wish())
            if not self._plot.is_attached:
                return  # the app ends
            self._take(seen)
            if not seen.more:
                try:
                    await asyncio.wait_for(self._wake.wait(), _LOOK_SECONDS)
                except TimeoutError:
                    continue

    def _take(self, seen: Seen) -> None:
        """Show what was read. What did not change costs nothing."""
        self._seen = seen
        if seen.histories != self._drawn:
            self._drawn = seen.histories
            self._plot.show(seen.histories)
        self._plot.refresh_data()
        history = seen.histories[0][1] if seen.wish.run is not None and seen.histories else None
        self._sample.show(history)
        self._show_measures()
        if seen.log is not None:
            self._log.add(seen.log)
        self._update()

    def _show_measures(self) -> None:
        view = self._plot.view
        history = self._drawn[0][1] if self._drawn else None
        for name, measure in self._measures.items():
            measure.show(history, name, view)

    def _update(self) -> None:
        """The list, the lines above the plot, and the keys that make sense."""
        board, run = self.gpt.board, self.gpt.board.get(self.gpt.active_run)
        overlays = self._wish().overlays
        self.set_class(not board.runs, "-empty")
        self._runs.show(board.runs, run.name if run else None, overlays)
        self._set_title(len(board.runs))
        seen = self._seen
        current = seen is not None and run is not None and seen.wish.run is not None and seen.wish.run.name == run.name
        status = board.statuses.get(run.name) if run is not None else None
        warnings = status.warnings if status is not None else seen.warnings if current and seen is not None else []
        lines = notices(
            run,
            seen.advice if current and seen is not None else [],
            warnings,
            seen.last_words if current and seen is not None and not self._log_wanted else [],
            (seen.problem if seen is not None else "") or board.problem,
            self.key_of,
        )
        self._notices.show(lines)
        offered = (run.state, run.last_checkpoint is None) if run else ()
        if offered != self._offered:
            self._offered = offered
            self.refresh_bindings()

    def _set_title(self, count: int) -> None:
        title = Content("no runs" if not count else f"{count:,} run{'s' * (count > 1)}: step, val loss")
        if self._title.content != title:
            self._title.update(title)

    def on_loss_plot_crosshair_moved(self, event: LossPlot.CrosshairMoved) -> None:
        """The sample nearest to the crosshair; the newest where there is none."""
        self._sample.go_to(event.step)

    def on_loss_plot_view_changed(self) -> None:
        """The small plots show the same stretch."""
        self._show_measures()

    # ---- which run is meant

    def subject(self, action: str) -> RunSummary | DamagedRun | None:
        """The run under the cursor for what is done in the list, else the one that is shown."""
        name = self.gpt.active_run
        if action in _OF_THE_CURSOR and self._runs.has_focus and self._runs.highlighted_name is not None:
            name = self._runs.highlighted_name
        return next((run for run in self.gpt.board.runs if run.name == name), None)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter on a run shows it."""
        run = next((run for run in self.gpt.board.runs if run.name == event.option.id), None)
        if isinstance(run, DamagedRun):
            self.gpt.say_problem(f"{run.name} is damaged: {run.problem}")
        elif run is not None:
            self.gpt.active_run = run.name

    def val_losses(self) -> dict[int, float]:
        """Validation loss by step of the run that is shown."""
        return {e.step: e.val_loss for e in self._drawn[0][1].evaluations} if self._drawn else {}

    def renamed(self, old: str, new: str) -> None:
        """An overlay stays one."""
        self._overlays = [new if name == old else name for name in self._overlays]

    # ---- what is shown and how

    def action_sample(self, offset: int) -> None:
        """An earlier or a later sample; the crosshair goes with it."""
        step = self._sample.scrub(offset)
        self._plot.crosshair = None if self._sample.follows else step

    def action_overlay(self) -> None:
        """Draw the run under the cursor together with the one that is shown, or no longer."""
        run = self.subject("overlay")
        if why := self.why_not("overlay"):
            self.gpt.say_problem(why)
        elif run is not None and run.name in self._overlays:
            self._overlays.remove(run.name)
        elif run is not None and run.name == self.gpt.active_run:
            self.gpt.say_problem("this run is shown already; put the cursor of the list on another one to overlay it")
        elif len(self._wish().overlays) >= _MOST_OVERLAYS:
            self.gpt.say_problem(f"{_MOST_OVERLAYS + 1} runs are drawn together at the most; take one away first")
        elif run is not None:
            self._overlays = [*self._wish().overlays, run.name]
        self._wake.set()
        self._update()

    def action_log(self) -> None:
        """Show or hide the newest log."""
        self._log_wanted = not self._log_wanted
        self._arrange()
        self._wake.set()
        self._update()

    def action_list(self) -> None:
        """Go to the list of runs, showing it where it is hidden; from there, hide it."""
        if not self._runs.has_focus:
            self._list_wanted = True
            self._arrange()
            self._runs.focus()
        else:
            self._list_wanted = None if self.has_class("-narrow") else False
            self._arrange()
            self._plot.focus()
