"""The app: the frame around its tabs, the runs that F5 and ctrl+s mean, and what is asked before leaving."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.reactive import reactive
from textual.screen import Screen
from textual.widget import Widget

from tui_gpt.core import locations
from tui_gpt.core.errors import TuiGptError
from tui_gpt.ui.frame import Frame
from tui_gpt.ui.tabs import TABS

# What the first frame does not need is imported where it is used: it would double the time until there is one.
if TYPE_CHECKING:
    from tui_gpt.core.config import RunConfig
    from tui_gpt.core.model_handler import ModelHandler
    from tui_gpt.core.runs.store import RunStore, RunSummary
    from tui_gpt.ui.dialogs.explanation import Explanation
    from tui_gpt.ui.run_board import RunBoard
    from tui_gpt.ui.run_control import RunControl
    from tui_gpt.ui.session_client import Session

BOARD_SECONDS = 0.25
SESSION_LOG = "session.log"


class TuiGpt(Frame):
    """Configure, train, keep and talk to GPT models."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "start_or_pause", "Start/pause", id="app.start", priority=True),
        Binding("f1", "explain", "Help", id="app.help", priority=True),
        Binding("ctrl+s", "save_model", "Save model", id="app.save", priority=True),
        Binding("ctrl+q", "leave", "Quit", id="app.quit", priority=True),
    ]

    stands_by: bool = True
    """Whether a trainer waits, with torch imported, while none trains."""

    active_run: reactive[str | None] = reactive(None)
    """The run that the top line shows, and that F5 and ctrl+s mean."""

    def __init__(self, corpus: str | None = None) -> None:
        """`corpus` is a name or path to begin with, as it was given on the command line."""
        super().__init__()
        self.corpus_given = corpus
        self.started_run: str | None = None
        """The run that was started here last, until Chat has taken it for its partner."""
        self._looking = False

    @cached_property
    def store(self) -> RunStore:
        """The runs on disk."""
        from tui_gpt.core.runs.store import RunStore

        return RunStore()

    @cached_property
    def models(self) -> ModelHandler:
        """The library of models."""
        from tui_gpt.core.model_handler import ModelHandler

        return ModelHandler()

    @cached_property
    def board(self) -> RunBoard:
        """How the runs stand."""
        from tui_gpt.ui.run_board import RunBoard

        return RunBoard(self.store, self.runs.starting)

    @cached_property
    def session(self) -> Session:
        """The child process that generates, explores and calibrates."""
        from tui_gpt.ui.session_client import Session

        return Session(locations.home() / SESSION_LOG, self.say_problem)

    @cached_property
    def runs(self) -> RunControl:
        """What can be done to runs."""
        from tui_gpt.ui.run_control import RunControl

        return RunControl(self.store, self.session, self.say_doing, self.say_problem)

    async def after_first_frame(self) -> None:
        """Show the tab of the last time, find the runs, and start the session."""
        await super().after_first_frame()
        name = "configure" if self.corpus_given else self.memory.tab
        await self.show_tab(name if name in {tab.name for tab in TABS} else "configure")
        gc.enable()  # see __main__
        name_then = self.memory.run  # the first look forgets it for the newest
        await self._look_at_runs()
        alive = self.board.alive()
        remembered = self.board.get(name_then)
        # A run in progress is more than one that was looked at last.
        chosen = remembered if remembered in alive or not alive else alive[0]
        if chosen is not None:
            self.active_run = chosen.name
        self.set_interval(BOARD_SECONDS, self._look_at_runs)
        self.run_worker(self._start_session(), group="session")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While a dialog waits for its answer, the keys of the app wait too."""
        if action in ("start_or_pause", "save_model", "leave", "show_tab"):
            return len(self.screen_stack) == 1
        return super().check_action(action, parameters)

    async def _start_session(self) -> None:
        try:
            await self.session.start()
        except TuiGptError as error:
            self.say_problem(str(error))

    # ---- runs

    async def _look_at_runs(self) -> None:
        if self._looking:
            return
        self._looking = True
        try:
            await asyncio.to_thread(self.board.refresh)
        finally:
            self._looking = False
        if not self.is_running:
            return
        if self.stands_by and not self.board.alive():
            self.runs.stand_by()
        if self.active_run is None or self.board.get(self.active_run) is None:
            newest = self.board.newest()
            self.active_run = newest.name if newest else None
        self._show_run()
        if (tab := self.tab) is not None:
            tab.board_changed()

    def _show_run(self) -> None:
        self.status_line.run = self.board.get(self.active_run)

    def watch_active_run(self) -> None:
        """The top line follows."""
        if self.active_run is not None:
            self._show_run()
            self.memory.run = self.active_run

    def attempt(self, doing: Awaitable[Any], done: str | None = None) -> None:
        """Run something in the background; its failure, or `done` or what it returns in words, is told."""
        self.run_worker(self._attempt(doing, done), group="attempts")

    async def _attempt(self, doing: Awaitable[Any], done: str | None) -> None:
        try:
            result = await doing
        except TuiGptError as error:
            self.say_problem(str(error))
        else:
            if done or isinstance(result, str):
                self.say(done or result)
        await self._look_at_runs()

    def start_run(self, config: RunConfig, name: str | None = None, origin: str | None = None) -> None:
        """Begin a run and show it; `origin` is a model to continue from."""
        self.attempt(self._start_run(self.runs.begin(config, name, origin)))

    def fork_run(
        self, run: str, name: str | None, checkpoint: str | None, changes: dict[str, Any] | None = None
    ) -> None:
        """Begin a run from a checkpoint of another one, and show it."""
        self.attempt(self._start_run(self.runs.fork(run, name, checkpoint, changes)))

    async def _start_run(self, beginning: Awaitable[Any]) -> None:
        run = await beginning
        await self._look_at_runs()
        self.active_run = self.started_run = run.name
        await self.show_tab("train")

    @work(group="start", exclusive=True)
    async def action_start_or_pause(self) -> None:
        """F5: hold or continue the active run; where there is none, start what Configure says."""
        from tui_gpt.core.runs.states import RESUMABLE

        run = self.board.get(self.active_run)
        on_configure = self.memory.tab == "configure"
        if run is not None and run.state in ("running", "starting", "preparing"):
            if on_configure and not await self._really_beside(run):
                return
            if not on_configure:
                self.attempt(self.runs.command(run.name, "pause"))
                return
        elif run is not None and (run.state == "paused" or (run.state in RESUMABLE and not on_configure)):
            self.attempt(self.runs.resume(run.name))
            return
        await self._start_from_form()

    async def _really_beside(self, run: RunSummary) -> bool:
        from tui_gpt.ui.dialogs.choice import Answer, ChoiceDialog

        answer = await self.push_screen_wait(
            ChoiceDialog(
                f"{run.name} is training",
                "Another run beside it shares the same cores and memory, so both take longer.",
                [Answer("cancel", "Cancel"), Answer("pause", f"Pause {run.name}"), Answer("start", "Start beside it")],
            )
        )
        if answer == "pause":
            self.attempt(self.runs.command(run.name, "pause"))
        return answer == "start"

    async def _start_from_form(self) -> None:
        from tui_gpt.ui.tabs.configure import ConfigureTab

        body = await self.show_tab("configure")
        assert isinstance(body, ConfigureTab)
        body.start()

    @work(group="save", exclusive=True)
    async def action_save_model(self) -> None:
        """ctrl+s: put the active run's model into the library under a name."""
        from tui_gpt.core.names import name_from
        from tui_gpt.core.runs.states import RESUMABLE
        from tui_gpt.ui.dialogs.ask_text import AskText, name_check

        run = self.board.get(self.active_run)
        if run is None:
            self.say_problem("there is no run whose model could be saved; F5 starts one")
            return
        taken = {entry.name for entry in await asyncio.to_thread(self.models.list)}
        alive = run.state not in (*RESUMABLE, "finished")
        model = await self.push_screen_wait(
            AskText(
                f"Save a model of {run.name}",
                f"The weights of step {run.step:,} as they are now." if alive else "The best weights of the run.",
                _free_name(name_from(f"{run.name}-{run.step}", "model"), taken),
                check=name_check("model name", taken.__contains__),
            )
        )
        if model:
            self.attempt(self.runs.save_model(run.name, model))

    # ---- help

    def action_explain(self) -> None:
        """F1: what the focus is on, and the keys that work there."""
        from tui_gpt.ui.dialogs.explanation import ExplanationDialog

        if isinstance(self.screen, ExplanationDialog):
            self.screen.dismiss(None)
            return
        self.push_screen(ExplanationDialog(self._explanation(), self._keys()))

    def _explanation(self) -> Explanation:
        from tui_gpt.ui.dialogs.explanation import Explains, Explanation

        widget: Widget | None = self.focused or self.tab
        while widget is not None:
            if isinstance(widget, Explains) and (explanation := widget.explain()) is not None:
                return explanation
            widget = widget.parent if isinstance(widget.parent, Widget) else None
        return Explanation(
            "tui-gpt",
            "Configure a GPT, train it in the background, keep the models, and talk to them. Training goes on "
            "when this program is closed.",
        )

    def _keys(self) -> list[tuple[str, str]]:
        keys: dict[str, list[str]] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            # Those without an id are the editing keys of text fields, which are as everywhere.
            if binding.description and binding.id and active.enabled:
                keys.setdefault(binding.description, []).append(self.get_key_display(binding))
        return [(" ".join(shown), description) for description, shown in keys.items()]

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: every action of the app and of its tabs."""
        from tui_gpt.ui.palette import commands_of

        yield from commands_of(self)
        yield SystemCommand("Theme", "Choose other colours", self.action_change_theme)
        yield SystemCommand("Screenshot", "Save a picture of the screen as SVG", self.deliver_screenshot)

    # ---- leaving

    @work(group="leave", exclusive=True)
    async def action_leave(self) -> None:
        """ctrl+q: leave, and with a run going ask what is to become of it."""
        from tui_gpt.ui.dialogs.choice import Answer, ChoiceDialog

        await asyncio.to_thread(self.board.refresh)
        alive = self.board.alive()
        if not alive:
            self.end()
            return
        names = ", ".join(run.name for run in alive)
        verb = "are" if len(alive) > 1 else "is"
        answer = await self.push_screen_wait(
            ChoiceDialog(
                f"{names} {verb} in progress",
                "Training goes on by itself when this program is closed; the next start finds it.",
                [
                    Answer("leave", "Leave it running", "primary"),
                    Answer("stop", "Stop and save"),
                    Answer("cancel", "Cancel"),
                ],
            )
        )
        if answer == "stop":
            await self._stop_all(alive)
        elif answer == "leave":
            self.end()

    async def _stop_all(self, alive: list[RunSummary]) -> None:
        self.say_doing("stopping and saving")
        try:
            for run in alive:
                await self.runs.command(run.name, "stop")
            while any(run.name in {stopping.name for stopping in alive} for run in self.board.alive()):
                await asyncio.sleep(BOARD_SECONDS)
                await asyncio.to_thread(self.board.refresh)
        except TuiGptError as error:
            self.say_problem(f"{error}; the app stays open")
            return
        finally:
            self.say_doing("")
        self.end()

    async def on_unmount(self) -> None:
        """The session ends with the app, and the trainer that waits for a run; those that train do not."""
        self.runs.stand_down()
        await self.session.close()


def _free_name(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name
