"""A question with a few answers, one of them the safe one that Enter gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Static

from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.dialogs.dialog import Dialog

Variant = Literal["default", "primary", "success", "warning", "error"]


class Answer(NamedTuple):
    """A button: what the dialog is dismissed with, and its label."""

    value: str
    label: str
    variant: Variant = "default"


class ChoiceDialog(Dialog[str]):
    """Dismissed with the `value` of the answer that was chosen, or with None. The first answer has the focus."""

    AUTO_FOCUS = "Button"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]

    def __init__(self, title: str, detail: str, answers: Sequence[Answer]) -> None:
        super().__init__()
        self._title = title
        self._detail = detail
        self._answers = answers

    def compose(self) -> ComposeResult:
        """The question above its answers."""
        with Vertical(classes="panel") as panel:
            panel.border_title = Content(safe_text(self._title, newlines=False))
            yield Static(Content(safe_text(self._detail)), classes="detail")
            with Horizontal(classes="answers"):
                for answer in self._answers:
                    yield Button(
                        Content(answer.label), variant=answer.variant, id=f"answer-{answer.value}", compact=True
                    )

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """An answer was given."""
        event.stop()
        self.dismiss((event.button.id or "").removeprefix("answer-"))


def confirm(title: str, detail: str, action: str) -> ChoiceDialog:
    """Something is lost if this is done: `no` is what Enter gives, `yes` has to be chosen."""
    return ChoiceDialog(title, detail, [Answer("no", "Keep"), Answer("yes", action, "error")])
