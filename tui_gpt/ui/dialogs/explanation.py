"""F1: what the focused field or pane is, and which keys work there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.dialogs.dialog import Dialog


class Explanation(NamedTuple):
    """A title, and paragraphs of plain text."""

    title: str
    text: str


@runtime_checkable
class Explains(Protocol):
    """A widget that can say what it is."""

    def explain(self) -> Explanation | None:
        """What F1 shows while it has the focus; None to leave it to what is around it."""


class ExplanationDialog(Dialog[None]):
    """A page of help, closed by any of the keys that one would try."""

    DEFAULT_CSS = """
    ExplanationDialog > .panel { width: 84; }
    ExplanationDialog .keys { margin-top: 1; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1,q,enter", "leave", "Close", id="help.leave"),
    ]

    def __init__(self, explanation: Explanation, keys: Sequence[tuple[str, str]]) -> None:
        """`keys` are pairs of a key and what it does."""
        super().__init__()
        self._explanation = explanation
        self._keys = keys

    def compose(self) -> ComposeResult:
        """The text, then the keys."""
        with VerticalScroll(classes="panel") as panel:
            panel.border_title = Content(safe_text(self._explanation.title, newlines=False))
            yield Static(Content(safe_text(self._explanation.text)))
            width = max((len(key) for key, _ in self._keys), default=0)
            lines = [
                Content.assemble((key.rjust(width), "bold"), "  ", safe_text(what, newlines=False))
                for key, what in self._keys
            ]
            yield Static(Content("\n").join(lines), classes="keys")
