"""A question that is answered with a line of text, checked while it is typed."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Input, Static

from tui_gpt.core.errors import ConfigError
from tui_gpt.core.names import check_name
from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.dialogs.dialog import Dialog
from tui_gpt.ui.widgets.line_input import LineInput

Check = Callable[[str], str]
"""A sentence that says what is wrong with the text, empty when nothing is."""


class AskText(Dialog[str]):
    """Dismissed with the text, or with None. Enter takes the text once `check` finds nothing wrong with it."""

    AUTO_FOCUS = "#answer"

    def __init__(self, title: str, detail: str, value: str = "", *, action: str = "Save", check: Check | None = None):
        super().__init__()
        self._title, self._detail, self._value, self._action = title, detail, value, action
        self._check: Check = check or (lambda text: "")

    def compose(self) -> ComposeResult:
        """The question, the line, what is wrong with it, and two buttons."""
        problem = self._check(self._value)
        with Vertical(classes="panel") as panel:
            panel.border_title = Content(safe_text(self._title, newlines=False))
            yield Static(Content(safe_text(self._detail)), classes="detail")
            yield LineInput(safe_text(self._value, newlines=False), id="answer")
            yield Static(Content(safe_text(problem, newlines=False)), classes="problem")
            with Horizontal(classes="answers"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(Content(self._action), id="take", variant="primary", compact=True, disabled=bool(problem))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say at once what is wrong."""
        self._show_problem(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter takes it."""
        event.stop()
        self._take()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """One of the two buttons."""
        event.stop()
        if event.button.id == "take":
            self._take()
        else:
            self.dismiss(None)

    def _take(self) -> None:
        text = self.query_one("#answer", Input).value
        if not self._show_problem(text):
            self.dismiss(text)

    def _show_problem(self, text: str) -> str:
        problem = self._check(text)
        self.query_one(".problem", Static).update(Content(safe_text(problem, newlines=False)))
        self.query_one("#take", Button).disabled = bool(problem)
        return problem


def name_check(what: str, taken: Callable[[str], bool] | None = None) -> Check:
    """The check for a name of a run or a model that is not taken yet."""

    def check(text: str) -> str:
        try:
            check_name(text, what)
        except ConfigError as error:
            return str(error)
        return f"there is one named {text} already" if taken is not None and taken(text) else ""

    return check
