"""Foreign text on stdout, piece by piece as it is written: made safe in a terminal, raw in a pipe or a file."""

from __future__ import annotations

import sys

from tui_gpt.core.safe_stream import SafeStream


class TextOut:
    """stdout for foreign text, flushed after every piece."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._safe = SafeStream()
        self._at_line_start = True

    def write(self, text: str) -> None:
        """Show `text`, in a terminal perhaps but for its last character."""
        self._put(self._safe.push(text) if self._terminal else text)

    def end(self, *, line: bool = False) -> None:
        """Show what was held back; end the line in a terminal, and elsewhere only if `line` asks for it."""
        self._put(self._safe.flush())
        if (self._terminal or line) and not self._at_line_start:
            self._put("\n")

    def _put(self, text: str) -> None:
        # Not click.echo: in a pipe it would take away what looks like colours.
        if text:
            # Whatever a Ctrl-C cuts short from here on, the line ends: rather twice than never.
            self._at_line_start = False
            sys.stdout.write(text)
            sys.stdout.flush()
            self._at_line_start = text.endswith("\n")
