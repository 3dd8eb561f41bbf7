"""What a field is edited with: a line of text, or a row of choices of which one is marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.app import RenderResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Input

_GAP = "  "


class Edited(Message):
    """A person changed a field. `text` is what it holds now."""

    def __init__(self, path: str, text: str) -> None:
        super().__init__()
        self.path = path
        self.text = text


class Walk(Message):
    """A person goes on to a neighbouring field: `by` fields down, up where it is negative."""

    def __init__(self, by: int) -> None:
        super().__init__()
        self.by = by


_WALKING: list[BindingType] = [
    Binding("down", "leave(1)", "Next field", id="form.next", show=False),
    Binding("up", "leave(-1)", "Previous field", id="form.previous", show=False),
    Binding("pagedown", "leave(10)", "Ten fields on", id="form.on", show=False),
    Binding("pageup", "leave(-10)", "Ten fields back", id="form.back", show=False),
]


class TextField(Input):
    """One line. The arrow keys and Enter lead to the neighbours."""

    DEFAULT_CSS = """
    TextField { background: $foreground 8%; }
    TextField:disabled { background: transparent; }
    """
    BINDINGS: ClassVar[list[BindingType]] = _WALKING

    def __init__(self, path: str, text: str, placeholder: str) -> None:
        super().__init__(text, placeholder=placeholder, compact=True)
        self.path = path

    def put(self, text: str) -> None:
        """Show another text, without a message."""
        if self.value != text:
            with self.prevent(Input.Changed):
                self.value = text

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell the form."""
        event.stop()
        self.post_message(Edited(self.path, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes on."""
        event.stop()
        self.post_message(Walk(1))

    def action_leave(self, by: int) -> None:
        """Go to a neighbour."""
        self.post_message(Walk(by))


class ChoiceField(Widget, can_focus=True):
    """All choices in a row; left and right, space, or the mouse choose."""

    DEFAULT_CSS = """
    ChoiceField { height: 1; width: 1fr; }
    ChoiceField:focus { background: $boost; background-tint: $foreground 5%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *_WALKING,
        Binding("right,space", "choose(1)", "Next choice", id="form.next_choice", show=False),
        Binding("left", "choose(-1)", "Previous choice", id="form.previous_choice", show=False),
        Binding("enter", "leave(1)", "Next field", show=False),
    ]

    value: reactive[str] = reactive("")

    def __init__(self, path: str, text: str, choices: Sequence[str]) -> None:
        super().__init__()
        self.path = path
        self.choices = tuple(choices)
        self.set_reactive(ChoiceField.value, text)

    def put(self, text: str) -> None:
        """Show another choice, without a message."""
        self.value = text

    def render(self) -> RenderResult:
        """The choices side by side; only the chosen one between arrows where there is no room for all."""
        shown = self._labels()
        chosen = "bold $text-accent" if self.has_focus else "bold"
        if sum(cell_len(label) for _, label in shown) + len(_GAP) * (len(shown) - 1) > self.size.width:
            return Content.assemble(("‹ ", "$foreground-muted"), (self.value, chosen), (" ›", "$foreground-muted"))
        return Content(_GAP).join(
            Content.styled(label, chosen if choice == self.value else "$foreground-muted") for choice, label in shown
        )

    def _labels(self) -> list[tuple[str, str]]:
        return [(choice, f"● {choice}" if choice == self.value else choice) for choice in self.choices]

    def on_click(self, event: events.Click) -> None:
        """The choice under the pointer."""
        left = 0
        for choice, label in self._labels():
            if left <= event.x < left + cell_len(label):
                self._choose(choice)
                return
            left += cell_len(label) + len(_GAP)

    def action_choose(self, by: int) -> None:
        """The next one, or the one before."""
        index = self.choices.index(self.value) if self.value in self.choices else -by
        self._choose(self.choices[(index + by) % len(self.choices)])

    def _choose(self, choice: str) -> None:
        if choice != self.value:
            self.value = choice
            self.post_message(Edited(self.path, choice))

    def action_leave(self, by: int) -> None:
        """Go to a neighbour."""
        self.post_message(Walk(by))
