"""The newest log of a run, tailed."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import RichLog, Static

from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.dialogs.explanation import Explanation
from tui_gpt.ui.train.log_tail import LogPiece

_MOST_LINES = 2000


class LogPane(Vertical):
    """Follows the end, unless a person scrolled up."""

    DEFAULT_CSS = """
    LogPane > #log-title { height: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    LogPane > #log-lines { height: 1fr; background: transparent; scrollbar-size-vertical: 1; }
    LogPane > #log-lines:focus { background-tint: $foreground 4%; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._title = Static("log", id="log-title", markup=False)
        self._lines = RichLog(id="log-lines", max_lines=_MOST_LINES, wrap=True, markup=False, highlight=False)

    def compose(self) -> ComposeResult:
        """The file's name above its lines."""
        yield self._title
        yield self._lines

    def add(self, piece: LogPiece) -> None:
        """Show what came; a piece of another log replaces what was there."""
        if piece.afresh:
            self._lines.clear()
            name = safe_text(piece.path.name, newlines=False) if piece.path else "none yet"
            self._title.update(Content.assemble(("log", "bold $text"), f" {name}"))
        following = self._lines.is_vertical_scroll_end
        for line in piece.lines:
            self._lines.write(Text(line), scroll_end=following)

    def explain(self) -> Explanation:
        """F1 on the pane."""
        return Explanation(
            "Log",
            "What the newest trainer of this run wrote for people: its configuration, its progress, and whatever its "
            "libraries said. It lies in the run's folder, one file for each trainer.",
        )
