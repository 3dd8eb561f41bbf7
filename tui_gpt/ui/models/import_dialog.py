"""Where a model is to come from, and what it is to be called."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Checkbox, Input, Static

from tui_gpt.core.names import name_from
from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.dialogs.ask_text import name_check
from tui_gpt.ui.dialogs.dialog import Dialog

_HUB = "hub:"
_DETAIL = (
    "The folder of a GPT-2, Qwen3 or Llama model, or a repository of the Hugging Face Hub: hub:owner/name, with "
    "@revision where a branch, a tag or a commit is meant."
)


class Wanted(NamedTuple):
    """What is to be imported."""

    source: str
    name: str
    pickle: bool


class ImportDialog(Dialog[Wanted]):
    """Dismissed with what is wanted, or with None."""

    DEFAULT_CSS = """
    ImportDialog Checkbox { border: none; padding: 0; margin-top: 1; background: transparent; }
    """
    AUTO_FOCUS = "#source"

    def __init__(self, taken: Collection[str]) -> None:
        super().__init__()
        self._taken = taken
        self._suggested = ""

    def compose(self) -> ComposeResult:
        """Source, name, the one thing that is asked about, what is wrong, two buttons."""
        with Vertical(classes="panel") as panel:
            panel.border_title = "Import a model"
            yield Static(_DETAIL, classes="detail", markup=False)
            yield Input(placeholder="hub:openai-community/gpt2", id="source")
            yield Input(placeholder="its name in the library", id="name")
            yield Checkbox("Also read weights that are a pickle, in a process of their own", id="pickle", compact=True)
            yield Static("", classes="problem", markup=False)
            with Horizontal(classes="answers"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Import", id="take", variant="primary", compact=True, disabled=True)

    @property
    def _place(self) -> str:
        return self.query_one("#source", Input).value.strip()

    @property
    def _called(self) -> str:
        return self.query_one("#name", Input).value.strip()

    def on_input_changed(self, event: Input.Changed) -> None:
        """A name that nobody typed follows the source."""
        event.stop()
        if event.input.id == "source" and self._called == self._suggested:
            self._suggested = _suggestion(self._place)
            self.query_one("#name", Input).value = self._suggested
        self._show_problem()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes to the name, and there takes it."""
        event.stop()
        if event.input.id == "source":
            self.query_one("#name", Input).focus()
        else:
            self._take()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """One of the two buttons."""
        event.stop()
        if event.button.id == "take":
            self._take()
        else:
            self.dismiss(None)

    def _take(self) -> None:
        if not self._show_problem():
            self.dismiss(Wanted(self._place, self._called, self.query_one("#pickle", Checkbox).value))

    def _show_problem(self) -> str:
        problem = "say where it is" if not self._place else name_check("model name", self._taken.__contains__)(self._called)
        shown = problem if self._place else ""
        self.query_one(".problem", Static).update(Content(safe_text(shown, newlines=False)))
        self.query_one("#take", Button).disabled = bool(problem)
        return problem


def _suggestion(source: str) -> str:
    """The last part of a path, or of a repository without its revision."""
    place = source.removeprefix(_HUB).partition("@")[0] if source.startswith(_HUB) else source
    last = place.rstrip("/").rpartition("/")[2]
    return name_from(last, "model") if last else ""
