"""The frame of every dialog: a panel in the middle of the dimmed screen; Escape closes it without doing anything."""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

T = TypeVar("T")


class Dialog(ModalScreen[T | None], Generic[T]):
    """Dismissed with an answer, or with None when it was left."""

    DEFAULT_CSS = """
    Dialog {
        align: center middle;
        background: $background 60%;
    }
    Dialog > .panel {
        width: 72;
        max-width: 100%;
        height: auto;
        max-height: 100%;
        padding: 1 2;
        border: round $primary;
        border-title-color: $text;
        border-title-style: bold;
        background: $surface;
    }
    Dialog .detail { color: $text-muted; margin-bottom: 1; height: auto; }
    Dialog .problem { color: $text-error; height: auto; min-height: 1; }
    Dialog .answers { height: auto; margin-top: 1; align-horizontal: right; }
    Dialog .answers Button { margin-left: 2; }
    """
    AUTO_FOCUS = "*"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel", id="dialog.leave"),
    ]

    def action_leave(self) -> None:
        """Close without an answer."""
        self.dismiss(None)
