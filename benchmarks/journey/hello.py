"""The least that Textual can show: what the app's start is compared with."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.widgets import Static

GREETING = "hello, terminal"


class Hello(App[None]):
    """One line of text."""

    def compose(self) -> ComposeResult:
        """The line."""
        yield Static(GREETING)


if __name__ == "__main__":
    Hello().run()
