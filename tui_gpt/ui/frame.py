"""The frame: top line, tab names, the tabs' bodies, the keys; what is remembered, told and survived."""

from __future__ import annotations

import asyncio
import gc
import io
import sys
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Static, Tabs
from textual.widgets import Tab as TabLabel

from tui_gpt.core.errors import ConfigError
from tui_gpt.core.safe_text import safe_text
from tui_gpt.core.settings import Settings, read_settings
from tui_gpt.ui import crash_report
from tui_gpt.ui.main_screen import MainScreen
from tui_gpt.ui.memory import Memory, encode_memory, read_memory, write_memory
from tui_gpt.ui.system_signals import SystemSignals
from tui_gpt.ui.tabs import TABS
from tui_gpt.ui.tabs.tab import TabBody
from tui_gpt.ui.widgets.key_line import KeyLine
from tui_gpt.ui.widgets.status_line import StatusLine

SMALLEST = (80, 24)
_REMEMBER_SECONDS = 5.0
_SETTLED_SECONDS = 2.0
_TOLD_SECONDS = 5.0
_PROBLEM_SECONDS = 12.0


class Frame(App[None], inherit_bindings=False):
    """What surrounds the tabs and knows nothing of runs."""

    TITLE = "tui-gpt"
    CSS_PATH = Path(__file__).with_name("frame.tcss")
    AUTO_FOCUS = None  # each tab knows what a person most likely wants to use first
    BINDINGS: ClassVar[list[BindingType]] = [
        # Where the terminal sends no interrupt of its own, it says how to leave; over selected text it copies.
        Binding("ctrl+c", "help_quit", show=False, system=True),
        *(
            Binding(f"{number},{tab.key}", f"show_tab('{tab.name}')", tab.title, id=f"app.{tab.name}", show=False)
            for number, tab in enumerate(TABS, start=1)
        ),
    ]

    def __init__(self) -> None:
        self.settings, self._settings_problem = _settings()
        super().__init__()
        self.animation_level = self.settings.animations
        self.memory: Memory = read_memory()
        self._memory_written = b""
        self._making = asyncio.Lock()
        self._whole: dict[str, TabBody] = {}
        """Bodies that are made and know what was before; one that is still being made has nothing to remember."""
        # Not asked for each time: a query walks through every widget there is.
        self.status_line = StatusLine()
        self.crash: Path | None = None
        """Where the traceback of the error is that closed the app."""

    def get_default_screen(self) -> Screen[Any]:
        """One that is cheap to move about in."""
        return MainScreen(id="_default")

    def compose(self) -> ComposeResult:
        """Top line, tab names, the tabs' bodies, the keys."""
        yield self.status_line
        labels = (TabLabel(Content(f"{n} {tab.title}"), id=tab.name) for n, tab in enumerate(TABS, start=1))
        yield Tabs(*labels, id="tabs")
        yield ContentSwitcher(id="bodies")
        yield Static(id="too-small", markup=False)
        yield KeyLine()

    def on_load(self) -> None:
        """Before the terminal is taken over: from its first byte on, a signal must find somebody who gives it back."""
        self._signals = SystemSignals(self.end)
        # What draws lines and curves has no other encoding, whatever LC_ALL=C and PYTHONUTF8=0 say of files and pipes.
        if not self.is_headless and isinstance(sys.__stderr__, io.TextIOWrapper):
            sys.__stderr__.reconfigure(encoding="utf-8")

    def get_key_display(self, binding: Binding) -> str:
        """A key as people read it; config.toml may call it anything."""
        return safe_text(super().get_key_display(binding), newlines=False)

    async def on_event(self, event: events.Event) -> None:
        """What is pasted is foreign: text fields would pass its control characters on to the terminal."""
        if isinstance(event, events.Paste):
            event.text = safe_text(event.text.replace("\r\n", "\n").replace("\r", "\n"))
        await super().on_event(event)

    def on_mount(self) -> None:
        """Begin with what was there at the last time; whatever takes long comes after the first frame."""
        if self._driver is not None:
            self._signals.mind_terminal(self._driver, self.refresh)
        theme = self.settings.theme or self.memory.theme
        if theme in self.available_themes:
            self.theme = theme
        if self.settings.keys:
            self.set_keymap(self.settings.keys)
        self.call_after_refresh(self.after_first_frame)

    async def after_first_frame(self) -> None:
        """What could not be shown before there was a screen."""
        if self._settings_problem:
            self.say_problem(self._settings_problem)
        elif self.settings.theme and self.settings.theme not in self.available_themes:
            themes = ", ".join(sorted(self.available_themes))
            self.say_problem(f"config.toml: there is no theme {self.settings.theme}; there are {themes}")
        self.set_interval(_REMEMBER_SECONDS, self.remember)

    def on_resize(self, event: events.Resize) -> None:
        """Below the smallest size one line says what is needed."""
        width, height = event.size
        too_small = width < SMALLEST[0] or height < SMALLEST[1]
        base, *dialogs = self.screen_stack
        if isinstance(base, MainScreen):
            base.show_too_small(too_small)
        for screen in dialogs:
            screen.set_class(too_small, "-too-small")
        if too_small:
            text = f"tui-gpt needs {SMALLEST[0]} x {SMALLEST[1]} characters; this window has {width} x {height}"
            base.query_one("#too-small", Static).update(Content(text))

    # ---- tabs

    @property
    def tab(self) -> TabBody | None:
        """The body of the tab that is shown; None before the first frame."""
        if not self.screen_stack:
            return None
        current = self.screen_stack[0].query_one("#bodies", ContentSwitcher).visible_content
        return current if isinstance(current, TabBody) else None

    async def show_tab(self, name: str) -> TabBody:
        """Show a tab, making it if this is the first time, and return its body."""
        base = self.screen_stack[0]
        bodies = base.query_one("#bodies", ContentSwitcher)
        # One at a time: who asks for a tab that is being made gets it when it is whole.
        async with self._making:
            body = self._whole.get(name) or await self._make_tab(name, bodies)
        before = self.tab
        if before is not body:
            if before is not None:
                before.hidden()
            with self.prevent(Tabs.TabActivated):
                base.query_one("#tabs", Tabs).active = name
            bodies.current = body.id
            self.memory.tab = name
            body.shown()
            # The focus follows, unless a person is walking along the tab names.
            if not isinstance(base.focused, Tabs):
                self.call_after_refresh(body.focus_first)
        return body

    async def _make_tab(self, name: str, bodies: ContentSwitcher) -> TabBody:
        body = next(tab for tab in TABS if tab.name == name).load()(id=f"body-{name}")
        body.display = False
        await bodies.mount(body)
        body.recall(self.memory.tabs.get(name, {}))
        self._whole[name] = body
        # A tab's widgets stay for the life of the app: walking over them again and again in search of garbage would
        # make keys wait for up to a tenth of a second.
        if not self.is_headless:
            self.set_timer(_SETTLED_SECONDS, gc.freeze)
        return body

    async def on_tabs_tab_activated(self, event: Tabs.TabActivated) -> None:
        """A tab's name was clicked, or reached with the arrow keys."""
        if event.tabs.id == "tabs" and event.tab.id and self.tab is not None:
            await self.show_tab(event.tab.id)

    async def action_show_tab(self, name: str) -> None:
        """Switch to a tab by its key."""
        if len(self.screen_stack) > 1:
            return
        if isinstance(self.focused, Tabs):
            self.screen.set_focus(None)
        body = await self.show_tab(name)
        if self.focused is None:
            self.call_after_refresh(body.focus_first)

    # ---- telling

    def say(self, sentence: str) -> None:
        """Tell what was done."""
        self.notify(safe_text(sentence), markup=False, timeout=_TOLD_SECONDS)

    def say_problem(self, sentence: str) -> None:
        """Tell what went wrong, and what can be done."""
        self.notify(safe_text(sentence), severity="error", markup=False, timeout=_PROBLEM_SECONDS)

    def say_doing(self, what: str) -> None:
        """Show in the top line what the app is busy with; empty when it is over."""
        self.status_line.doing = what

    # ---- staying and leaving

    def remember(self) -> None:
        """Keep what the next start takes up."""
        self.memory.theme = self.theme
        for name, body in self._whole.items():
            self.memory.tabs[name] = body.remember()
        content = encode_memory(self.memory)
        if content == self._memory_written:
            return
        try:
            write_memory(content)
            self._memory_written = content
        except OSError as error:
            self.log.warning(f"app.json cannot be written: {error}")

    def end(self, code: int = 0) -> None:
        """Leave, with the terminal whole."""
        self.remember()
        self.exit(return_code=code)

    def _handle_exception(self, error: Exception) -> None:
        """What a widget meets because the app is closing around it is no failure of the app."""
        if self._exit:
            self.log.error(f"while closing: {error!r}")
        else:
            super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """An error of our own: the traceback goes to a file, and the terminal gets a sentence once it is restored."""
        sentence, self.crash = crash_report.write(self._exception)
        # The first error tells why; those that follow from it are in the file.
        if not self._exit_renderables:
            self._exit_renderables.append(Text(safe_text(sentence)))
        self._close_messages_no_wait()


def _settings() -> tuple[Settings, str]:
    try:
        return read_settings(), ""
    except ConfigError as error:
        return Settings(), f"{error}; the defaults are used"
