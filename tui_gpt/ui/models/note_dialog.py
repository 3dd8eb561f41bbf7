"""The notes of a model, in a few lines."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Static

from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.dialogs.dialog import Dialog
from tui_gpt.ui.widgets.text_editor import TextEditor


class NoteArea(TextEditor):
    """A text field that shows pasted control characters instead of obeying them."""

    def on_paste(self, event: events.Paste) -> None:
        """Make it harmless before the field's own handler, which comes after this one, takes it."""
        # Terminals paste carriage returns for line ends.
        event.text = safe_text(event.text.replace("\r\n", "\n").replace("\r", "\n"))


class NoteDialog(Dialog[str]):
    """Dismissed with the new notes, which may be empty, or with None."""

    DEFAULT_CSS = """
    NoteDialog NoteArea { height: 10; border: none; padding: 0 1; background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "take", "Save", id="note.save"),
    ]

    def __init__(self, name: str, notes: str) -> None:
        super().__init__()
        self._model = name
        self._notes = safe_text(notes)

    def compose(self) -> ComposeResult:
        """The text, and two buttons."""
        with Vertical(classes="panel") as panel:
            panel.border_title = Content(f"Notes of {safe_text(self._model, newlines=False)}")
            yield Static("They are kept in the model's folder and in its card. ctrl+s saves them.", classes="detail")
            yield NoteArea(self._notes, id="note", compact=True)
            with Horizontal(classes="answers"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Save", id="take", variant="primary", compact=True)

    def on_mount(self) -> None:
        """Ready to write on."""
        area = self.query_one(NoteArea)
        area.move_cursor(area.document.end)
        area.focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """One of the two buttons."""
        event.stop()
        if event.button.id == "take":
            self.action_take()
        else:
            self.dismiss(None)

    def action_take(self) -> None:
        """Leave with what is written; None where nothing was changed."""
        text = self.query_one(NoteArea).text
        self.dismiss(None if text == self._notes else text)
