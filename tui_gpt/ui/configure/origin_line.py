"""The line that says which model a run continues from, with a way to drop it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Static

from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.configure.form_state import Origin


class OriginLine(Horizontal):
    """Shown only while there is such a model."""

    DEFAULT_CSS = """
    OriginLine { display: none; height: 1; }
    OriginLine.-shown { display: block; }
    OriginLine Static { width: 1fr; color: $text-accent; }
    """

    class Dropped(Message):
        """The run is to begin from random weights."""

    def compose(self) -> ComposeResult:
        """The model, and the button."""
        yield Static("", markup=False)
        yield Button("Begin anew instead", id="drop-origin", compact=True)

    def show(self, origin: Origin | None) -> None:
        """Name the model, or hide."""
        self.set_class(origin is not None, "-shown")
        if origin is not None:
            known = "" if origin.shape_known else "; its shape is read at the start"
            text = f"continues from the model {origin.name}{known}"
            self.query_one(Static).update(Content(safe_text(text, newlines=False)), layout=False)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Drop it."""
        event.stop()
        self.post_message(self.Dropped())
