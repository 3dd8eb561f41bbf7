"""Textual's editor of several lines, in windows of any width."""

from __future__ import annotations

from textual.strip import Strip
from textual.widgets import TextArea


class TextEditor(TextArea):
    """A TextArea that also has nothing to show where there is no room for it.

    Textual's own wraps its placeholder at the width of its content, and at none that ends the app.
    """

    def render_line(self, y: int) -> Strip:
        """One line of what is seen."""
        return super().render_line(y) if self.content_size.width > 0 else Strip.blank(0)
