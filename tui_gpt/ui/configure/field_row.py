"""A field on the form: its name, its editor, what the preset had, and below it what is wrong with it."""

from __future__ import annotations

import textwrap

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult, RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui_gpt.core.config_loading import FieldDoc
from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.configure.editors import ChoiceField, TextField
from tui_gpt.ui.configure.groups import EMPTY_MEANS, RUN_NAME
from tui_gpt.ui.configure.typed_text import typed
from tui_gpt.ui.dialogs.explanation import Explanation

LABEL_WIDTH = 29
_NUMBER_WIDTH = 16
_CHOICE_WIDTH = 25
_LEAST_NOTE = 30


class FieldRow(Widget):
    """Draws everything but the editor itself, so that a form of some sixty fields is made of few widgets."""

    DEFAULT_CSS = f"""
    FieldRow {{ layout: horizontal; height: 1; width: 1fr; }}
    FieldRow > TextField {{ margin-left: {LABEL_WIDTH}; width: 1fr; }}
    FieldRow > ChoiceField {{ margin-left: {LABEL_WIDTH}; width: 1fr; max-width: {_CHOICE_WIDTH}; }}
    FieldRow.-number > TextField {{ max-width: {_NUMBER_WIDTH}; }}
    """

    problem: reactive[str] = reactive("")
    preset_text: reactive[str | None] = reactive(None)
    """What the preset has, where the field was changed."""
    current: reactive[bool] = reactive(False)
    """Whether the focus is in it."""

    def __init__(self, doc: FieldDoc, text: str) -> None:
        super().__init__(classes="-number" if doc.type in ("integer", "number") else "")
        self.doc = doc
        self.path = doc.path
        choices = ("no", "yes") if doc.type == "yes/no" else doc.choices
        if choices:
            self.editor: TextField | ChoiceField = ChoiceField(doc.path, text, choices)
        else:
            self.editor = TextField(doc.path, text, EMPTY_MEANS.get(doc.path, ""))

    def compose(self) -> ComposeResult:
        """The editor; the rest is drawn."""
        yield self.editor

    def render(self) -> RenderResult:
        """The name, a mark where it differs from the preset, a note on the right, and the problem below."""
        name = self.path.rpartition(".")[2]
        mark = ("✗ ", "$text-error") if self.problem else ("• ", "$text-accent") if self._changed else ("  ", "")
        colour = "$text-error" if self.problem else "$text" if self.current or self._changed else "$foreground-muted"
        head = Content.assemble(mark, (name, f"{colour} bold" if self.current else colour))
        width = self.size.width
        note = self._note(width)
        if note:
            head = Content.assemble(
                head, " " * (width - head.cell_length - cell_len(note)), (note, "$foreground-disabled")
            )
        lines = [head, *(Content.styled(f"    {line}", "$text-error") for line in self._problem_lines(width))]
        return Content("\n").join(lines)

    @property
    def _changed(self) -> bool:
        return self.preset_text is not None

    def _note(self, width: int) -> str:
        """What the preset had, or as much of the explanation as there is room for."""
        if isinstance(self.editor, TextField) and not self.has_class("-number"):
            return ""
        if self.preset_text is not None:
            taken = _NUMBER_WIDTH if self.has_class("-number") else _CHOICE_WIDTH
            text = f"preset: {safe_text(self.preset_text, newlines=False) or 'empty'}"
            return text if len(text) <= width - LABEL_WIDTH - taken - 2 else ""
        # All explanations begin in the same column.
        room = width - LABEL_WIDTH - _CHOICE_WIDTH - 2
        if room < _LEAST_NOTE:
            return ""
        text = self.doc.description
        return (text if len(text) <= room else text[: room - 1].rstrip() + "…").ljust(room)

    def _problem_lines(self, width: int) -> list[str]:
        if not self.problem or width < 20:
            return []
        return textwrap.wrap(safe_text(self.problem, newlines=False), width - 5)

    def _fit(self) -> None:
        self.styles.height = 1 + len(self._problem_lines(self.size.width))

    def watch_problem(self) -> None:
        """Make room for the sentence."""
        self._fit()

    def on_resize(self, event: events.Resize) -> None:
        """Wrap it anew."""
        self._fit()

    def on_descendant_focus(self) -> None:
        """The name stands out while the field is edited."""
        self.current = True

    def on_descendant_blur(self) -> None:
        """And no longer."""
        self.current = False

    def explain(self) -> Explanation:
        """What the field is, what it may be, and how the command line calls it."""
        return explanation_of(self.doc, self.problem)


def explanation_of(doc: FieldDoc, problem: str = "") -> Explanation:
    """A field's page of help."""
    facts = []
    if doc.choices:
        facts.append(f"One of: {', '.join(doc.choices)}")
    elif doc.bounds:
        facts.append(f"{doc.type.capitalize()}, {doc.bounds}")
    elif doc.type != "text":
        facts.append(doc.type.capitalize())
    if doc is not RUN_NAME:
        default = typed(doc, doc.default)
        facts.append(f"Default: {default}" if default else f"Default: none ({EMPTY_MEANS.get(doc.path, 'left empty')})")
        facts.append(f"On the command line: --set {doc.path}={default or '…'}")
    if doc.type in ("text", "list of text"):
        facts.append(r"Written here as one line: \n is a line feed, \t a tab, \\ a backslash before such a letter")
    parts = [doc.description, "\n".join(facts), f"Now: {problem}" if problem else ""]
    return Explanation(doc.path, "\n\n".join(part for part in parts if part))
