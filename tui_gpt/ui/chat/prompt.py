"""Where a person writes: a line that grows to a few, sent with Enter, with earlier ones behind the arrow keys."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive

from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.dialogs.explanation import Explanation
from tui_gpt.ui.widgets.text_editor import TextEditor

LONGEST = 200_000
"""Characters that are taken from the clipboard at once."""

_LEFT_TO_THE_TAB = frozenset({"undo", "redo", "cursor_line_end"})
"""Of an empty line there is nothing to undo: these keys mean the conversation then."""
_LEFT_TO_THE_APP = frozenset({"select_line", "select_all"})
"""Their function keys switch tabs."""


class Prompt(TextEditor):
    """Where the text to continue is typed."""

    DEFAULT_CSS = """
    Prompt {
        height: auto;
        max-height: 8;
        min-height: 3;
        border: round $border-blurred;
        padding: 0 1;
        background: $background;
    }
    Prompt:focus { border: round $border; }
    """

    class Sent(Message):
        """Enter was pressed. The text may be empty."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Picked(Message):
        """A number was typed while there are alternatives to choose from; 0 is the first."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    class Moved(Message):
        """Up (-1) or down (1) was pressed while there are alternatives to choose from."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    alternatives: reactive[int] = reactive(0)
    """How many there are to choose from; then digits and arrows in the empty line are about them."""

    asks: reactive[bool] = reactive(False)
    """Whether what is sent is answered, and not continued."""

    def __init__(self, newline_key: str) -> None:
        """`newline_key` is how a new line is begun, for the hint."""
        super().__init__(compact=False, highlight_cursor_line=False)
        self._keys = f"Enter sends it, {newline_key} begins a new line."
        self._earlier: list[str] = []
        self._at = 0
        self._draft = ""

    def on_mount(self) -> None:
        """Begin with the hint."""
        self.watch_alternatives()

    def watch_alternatives(self) -> None:
        """The hint says what the keys do now."""
        wanted = "Something to answer." if self.asks else "Text for the model to continue."
        choosing = "A number, or up and down and Enter, chooses what to go on from."
        self.placeholder = Content(choosing if self.alternatives else f"{wanted} {self._keys}")

    def watch_asks(self) -> None:
        """So does it when another model answers."""
        self.watch_alternatives()

    def replace_text(self, text: str) -> None:
        """Put a text into the line, with the cursor at its end."""
        self.text = safe_text(text)
        self.move_cursor(self.document.end)

    def set_aside(self) -> None:
        """What stands in the line goes behind the arrow up, as if it had been sent."""
        if self.text.strip():
            self._keep(self.text)
        self._at, self._draft = len(self._earlier), ""

    def _keep(self, text: str) -> None:
        if not self._earlier or self._earlier[-1] != text:
            self._earlier.append(text)

    def remember_earlier(self, prompts: list[str]) -> None:
        """What the arrows bring back, oldest first."""
        self._earlier = prompts
        self._at = len(prompts)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave to others what means nothing here."""
        if action in _LEFT_TO_THE_APP or (action in _LEFT_TO_THE_TAB and not self.text):
            return False
        return super().check_action(action, parameters)

    async def _on_key(self, event: events.Key) -> None:
        picks = self.alternatives and not self.text
        if event.key == "enter":
            self._send()
        elif picks and event.key.isdecimal() and 1 <= int(event.key) <= self.alternatives:
            self.post_message(self.Picked(int(event.key) - 1))
        elif event.key.startswith("alt+"):
            # A terminal tells the letter too, and the editor would type it; not stopped, the key finds its binding.
            event.prevent_default()
            return
        else:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()

    def _send(self) -> None:
        text = self.text
        if text.strip():
            self._keep(text)
            self.text = ""
        elif text:
            self.text = ""
            return
        self._at, self._draft = len(self._earlier), ""
        self.post_message(self.Sent(text))

    async def _on_paste(self, event: events.Paste) -> None:
        # Bracketed or not, what comes from elsewhere may hold what commands a terminal.
        text = event.text[:LONGEST].replace("\r\n", "\n").replace("\r", "\n")
        event.stop()
        event.prevent_default()
        if result := self._replace_via_keyboard(safe_text(text), *self.selection):
            self.move_cursor(result.end_location)

    def action_cursor_up(self, select: bool = False) -> None:
        """In the first line: the prompt before."""
        if select or not self.cursor_at_first_line:
            super().action_cursor_up(select)
        elif self.alternatives and not self.text:
            self.post_message(self.Moved(-1))
        else:
            self._walk(-1)

    def action_cursor_down(self, select: bool = False) -> None:
        """In the last line: the prompt after."""
        if select or not self.cursor_at_last_line:
            super().action_cursor_down(select)
        elif self.alternatives and not self.text:
            self.post_message(self.Moved(1))
        else:
            self._walk(1)

    def _walk(self, by: int) -> None:
        to = self._at + by
        if not 0 <= to <= len(self._earlier):
            return
        if self._at == len(self._earlier):
            self._draft = self.text
        self._at = to
        self.replace_text(self._draft if to == len(self._earlier) else self._earlier[to])

    def explain(self) -> Explanation:
        """What is typed here becomes part of the text."""
        return Explanation(
            "Prompt",
            "What is typed here is added to the text, and the model continues it; one that learned from conversations "
            "answers it. A text that begins with a space goes on in the same line; otherwise a new line begins. An "
            "empty prompt lets a model that continues go on.\n\nUp and down in "
            "the first and last line bring back earlier prompts.",
        )
