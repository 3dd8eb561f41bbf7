"""The blanks of a template, one line each, and the prompt that they make below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Static

from tui_gpt.core.errors import ConfigError
from tui_gpt.core.safe_text import safe_text
from tui_gpt.core.templates import Blank, Filled, Template
from tui_gpt.ui.dialogs.dialog import Dialog
from tui_gpt.ui.dialogs.explanation import Explanation
from tui_gpt.ui.widgets.line_input import LineInput

_LONGEST_PREVIEW = 4_000
"""Characters: of a longer prompt its end is shown, where the blanks usually are."""


class BlankField(Vertical):
    """A blank: its name and what belongs there, and the line to type that in."""

    DEFAULT_CSS = """
    BlankField { height: 2; }
    BlankField > .about { height: 1; }
    """

    def __init__(self, name: str, blank: Blank, value: str | None) -> None:
        """`value` is what stands there to begin with; None: the default."""
        self.blank_name = name
        self.blank = blank
        self._shown_default = safe_text(blank.default or "", newlines=False)
        self._first = self._shown_default if value is None else safe_text(value, newlines=False)
        super().__init__()

    def compose(self) -> ComposeResult:
        """The explanation above the line."""
        about = Content.assemble(
            (self.blank_name, "bold"), "  ", (safe_text(self.blank.about, newlines=False), "$foreground 60%")
        )
        yield Static(about, classes="about")
        hint = f"e.g. {safe_text(self.blank.example, newlines=False)}" if self.blank.example else ""
        yield LineInput(self._first, placeholder=hint, compact=True, select_on_focus=self.blank.default is not None)

    @property
    def value(self) -> str:
        """What is typed. A default that nobody has touched is as the template has it, of several lines perhaps."""
        text = self.query_one(Input).value
        return self.blank.default or "" if text == self._shown_default else text

    def explain(self) -> Explanation:
        """What belongs there."""
        parts = [safe_text(self.blank.about)]
        if self.blank.example:
            parts.append(f"For example: {safe_text(self.blank.example)}")
        if self.blank.default is not None:
            parts.append(f"Unless you write something else: {safe_text(self.blank.default)}")
        return Explanation(self.blank_name, "\n\n".join(parts))


class TemplateDialog(Dialog[Filled]):
    """Dismissed with the filled prompt, or with None. Enter goes to what is still empty, and then takes it."""

    DEFAULT_CSS = """
    TemplateDialog > .panel { width: 90; padding: 0 1; }
    TemplateDialog .detail { margin-bottom: 1; max-height: 4; }
    TemplateDialog #blanks { height: auto; max-height: 38vh; scrollbar-size-vertical: 1; }
    TemplateDialog #preview {
        height: auto;
        max-height: 22vh;
        margin-top: 1;
        padding-left: 1;
        border-left: outer $border-blurred;
        scrollbar-size-vertical: 1;
    }
    TemplateDialog #preview > Static { height: auto; color: $text-muted; }
    TemplateDialog .answers { margin-top: 0; }
    """
    AUTO_FOCUS = ""  # the first blank that is to be filled gets it
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(self, template: Template, values: Mapping[str, str], detail: str) -> None:
        """`values` stand in their blanks to begin with; `detail` is said besides what the template is for."""
        super().__init__()
        self._template, self._detail = template, detail
        self._fields = [BlankField(name, blank, values.get(name)) for name, blank in template.blanks.items()]
        self._tried = False
        """Whether a person has asked for it, and may be told what is missing."""

    def compose(self) -> ComposeResult:
        """What it is for, the blanks, what becomes of them, what is wrong, and two buttons."""
        template = self._template
        with Vertical(classes="panel") as panel:
            panel.border_title = Content(safe_text(f"{template.name}: {template.title}", newlines=False))
            about = " ".join(filter(None, [template.about, self._detail]))
            yield Static(Content(safe_text(about, newlines=False)), classes="detail")
            with VerticalScroll(id="blanks", can_focus=False):
                yield from self._fields
            with VerticalScroll(id="preview", can_focus=False):
                yield Static("", markup=False)
            yield Static("", classes="problem", markup=False)
            with Horizontal(classes="answers"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Into the prompt", id="take", variant="primary", compact=True)

    def on_mount(self) -> None:
        """Begin at the first blank that is to be filled."""
        missing = self._template.missing(self._values)
        first = next((field for field in self._fields if field.blank_name in missing), self._fields[0])
        first.query_one(Input).focus()
        self._show()

    @property
    def _values(self) -> dict[str, str]:
        return {field.blank_name: field.value for field in self._fields}

    # ---- events

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._show()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self._take()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """One of the two buttons."""
        event.stop()
        if event.button.id == "take":
            self._take()
        else:
            self.dismiss(None)

    # ---- within

    def _take(self) -> None:
        self._tried = True
        values = self._values
        if missing := self._template.missing(values):
            next(field for field in self._fields if field.blank_name == missing[0]).query_one(Input).focus()
            self._show()
            return
        try:
            self.dismiss(self._template.fill(values))
        except ConfigError:
            self._show()

    def _show(self) -> None:
        """The prompt as it is by now, and what is wrong with it."""
        values, problem, text = self._values, "", ""
        try:
            text = self._template.preview(values).text
            if self._tried and (missing := self._template.missing(values)):
                problem = f"{missing[0]} is empty: {self._template.blanks[missing[0]].about}"
        except ConfigError as error:
            problem = error.message
        cut = "…" if len(text) > _LONGEST_PREVIEW else ""
        preview = self.query_one("#preview", VerticalScroll)
        preview.query_one(Static).update(Content(cut + safe_text(text[-_LONGEST_PREVIEW:])))
        self.query_one(".problem", Static).update(Content(safe_text(problem, newlines=False)))
        preview.scroll_end(animate=False)
