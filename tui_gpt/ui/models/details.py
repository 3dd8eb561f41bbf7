"""The pane with everything known about the chosen model."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.dialogs.explanation import Explanation
from tui_gpt.ui.models.facts import Group, groups
from tui_gpt.ui.models.shelf import ModelRow

_LABEL = 15
"""Cells of the labels' column."""
_NARROWEST = 20


class ModelDetails(VerticalScroll, can_focus=True):
    """Scrolls with the arrow keys when it has the focus; its text can be selected."""

    DEFAULT_CSS = """
    ModelDetails { height: 1fr; scrollbar-gutter: stable; }
    ModelDetails > Static { height: auto; width: 1fr; padding-right: 1; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._row: ModelRow | None = None
        self._verified = ""

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static("", markup=False)

    def show(self, row: ModelRow | None, verified: str = "") -> None:
        """Show a model, from its beginning if it is another one than before."""
        if row == self._row and verified == self._verified:
            return
        if row is None or self._row is None or row.name != self._row.name:
            self.scroll_home(animate=False)
        self._row, self._verified = row, verified
        self._draw(self.scrollable_content_region.width)

    def _draw(self, width: int) -> None:
        if not width:
            return  # it has no place yet, and is drawn when it gets one
        content = Content("") if self._row is None else described(self._row, self._verified, max(_NARROWEST, width - 1))
        self.query_one(Static).update(content)

    def on_resize(self, event: events.Resize) -> None:
        """Lines break elsewhere."""
        self._draw(self.scrollable_content_region.width)

    def explain(self) -> Explanation:
        """What the figures mean."""
        return Explanation(
            "What is known about a model",
            "Losses are means over the validation text, in nats per token: lower is better, and two models can be "
            "compared by them only if they share tokenizer and text. Bits per byte can be compared across tokenizers."
            "\n\nIn the configuration, what differs from the default stands out. The folder is one that Hugging Face "
            "transformers opens as it is.",
        )


def described(row: ModelRow, verified: str, width: int) -> Content:
    """All groups as one text whose lines are at most `width` cells wide."""
    lines = [_title(row)]
    for group in groups(row, verified):
        lines.append(Content(""))
        if group.title:
            lines.append(Content.styled(safe_text(group.title, newlines=False), "$text-accent"))
        lines += _lines(group, width)
    return Content("\n").join(lines)


def _title(row: ModelRow) -> Content:
    kind = "damaged" if row.problem else "example, read-only" if row.model.read_only else ""
    return Content.assemble((safe_text(row.name, newlines=False), "bold"), "  ", (kind, "$foreground-muted"))


def _lines(group: Group, width: int) -> list[Content]:
    lines: list[Content] = []
    if group.lead or group.text:
        passage = Content.assemble((safe_text(group.lead), "bold"), safe_text(group.text))
        lines += [line for part in passage.split() for line in part.expand_tabs(4).wrap(width)]
    for fact in group.facts:
        style = "$foreground-muted" if fact.quiet else ""
        value = Content.styled(safe_text(fact.value, newlines=False), style).expand_tabs(4)
        label = Content.styled(safe_text(fact.label, newlines=False), "$foreground-muted")
        label = label.truncate(_LABEL - 1, ellipsis=True)
        first, *rest = value.wrap(width - _LABEL) or [Content("")]
        lines.append(Content.assemble(label, " " * (_LABEL - label.cell_length), first))
        lines += [Content.assemble(" " * _LABEL, line) for line in rest]
    return lines
