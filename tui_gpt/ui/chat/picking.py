"""A dialog to find one of many: a line to type in, and what fits it below."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, NamedTuple

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.dialogs.dialog import Dialog

_PAUSE = 0.1
"""Seconds without a key before is searched."""


class Row(NamedTuple):
    """One to choose. All of it may be foreign text."""

    key: str
    """What the dialog is dismissed with."""
    title: str
    detail: str = ""
    below: str = ""
    """A second line, left out where empty."""
    problem: str = ""
    """Why it cannot be chosen; empty where it can."""


Find = Callable[[str], Awaitable[Sequence[Row]]]
"""The rows that fit the words typed. May raise TuiGptError."""


def among(rows: Sequence[Row]) -> Find:
    """Those of a few rows that hold all the words."""

    async def find(words: str) -> Sequence[Row]:
        wanted = words.casefold().split()
        return [row for row in rows if all(word in f"{row.title} {row.detail}".casefold() for word in wanted)]

    return find


class PickDialog(Dialog[str]):
    """Dismissed with the key of the row that was chosen, or with None."""

    DEFAULT_CSS = """
    PickDialog > .panel { width: 90; height: auto; max-height: 80%; }
    PickDialog OptionList { height: auto; max-height: 1fr; min-height: 3; border: none; padding: 0; margin-top: 1; }
    PickDialog .nothing { color: $text-muted; height: auto; display: none; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "Down", show=False),
        Binding("up", "move(-1)", "Up", show=False),
        Binding("pagedown", "move(8)", show=False),
        Binding("pageup", "move(-8)", show=False),
    ]

    def __init__(self, title: str, hint: str, find: Find, nothing: str) -> None:
        """`hint` stands in the empty line; `nothing` is said where nothing fits."""
        super().__init__()
        self._title, self._hint, self._find, self._nothing = title, hint, find, nothing
        self._found_for: str | None = None
        """The words that the list is for."""

    def compose(self) -> ComposeResult:
        """The line, the list, and a sentence for an empty one."""
        with Vertical(classes="panel") as panel:
            panel.border_title = Content(self._title)
            yield Input(placeholder=self._hint, compact=True, id="words")
            options = OptionList(id="found", markup=False, compact=True)
            options.can_focus = False
            yield options
            yield Static(Content(self._nothing), classes="nothing", markup=False)

    def on_mount(self) -> None:
        """Everything, as long as nothing is typed."""
        self.query_one("#words", Input).focus()
        self._look("")

    @on(Input.Changed, "#words")
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._look(event.value, _PAUSE)

    @work(exclusive=True, group="search")
    async def _look(self, words: str, pause: float = 0.0) -> None:
        await asyncio.sleep(pause)
        await self._search(words)

    async def _search(self, words: str) -> None:
        nothing = self.query_one(".nothing", Static)
        try:
            rows = await self._find(words)
            nothing.update(Content(self._nothing))
        except TuiGptError as error:
            rows = []
            nothing.update(Content(safe_text(str(error))))
        self._found_for = words
        options = self.query_one("#found", OptionList)
        options.clear_options()
        options.add_options([Option(_shown(row), id=row.key, disabled=bool(row.problem)) for row in rows])
        options.display = bool(rows)
        nothing.display = not rows
        options.highlighted = next((place for place, row in enumerate(rows) if not row.problem), None)

    def action_move(self, by: int) -> None:
        """Move the mark, with the focus left in the line."""
        options = self.query_one("#found", OptionList)
        for _ in range(abs(by)):
            if by > 0:
                options.action_cursor_down()
            else:
                options.action_cursor_up()

    @on(Input.Submitted, "#words")
    async def _take(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value != self._found_for:
            # Enter came before the list did: what is meant is what the words find.
            self.workers.cancel_group(self, "search")
            await self._search(event.value)
        self.query_one("#found", OptionList).action_select()

    @on(OptionList.OptionSelected, "#found")
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(event.option_id)


def _shown(row: Row) -> Content:
    first = Content.assemble(
        (safe_text(row.title, newlines=False), "bold"),
        "  ",
        (safe_text(row.problem or row.detail, newlines=False), "$foreground 60%"),
    )
    if not row.below:
        return first
    return Content.assemble(first, "\n  ", (safe_text(row.below, newlines=False), "$foreground 60%"))
