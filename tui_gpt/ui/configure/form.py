"""The form: every field of the configuration, mounted a few at a time so that the screen never waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.configure.editors import Edited, Walk
from tui_gpt.ui.configure.field_row import FieldRow
from tui_gpt.ui.configure.form_state import FormState
from tui_gpt.ui.configure.groups import groups

_HINT = "Tab or the arrow keys lead through the fields, F1 explains the one with the focus, F5 starts."


class ConfigForm(Vertical):
    """The fields over a `FormState`, and below them what the focused one means."""

    DEFAULT_CSS = """
    ConfigForm > #fields { height: 1fr; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    ConfigForm > #fields > .heading { height: 1; margin-top: 1; color: $text-accent; text-style: bold; }
    ConfigForm > #fields > .heading.-first { margin-top: 0; }
    ConfigForm > #hint { height: 3; padding: 0 1; color: $foreground-muted; background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "reset_field", "Field as in the preset", id="form.reset_field", show=False),
    ]

    class Changed(Message):
        """Some fields hold something else now. `typed` is False where a whole form was put."""

        def __init__(self, paths: frozenset[str], *, typed: bool) -> None:
            super().__init__()
            self.paths = paths
            self.typed = typed

    def __init__(self, state: FormState, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.state = state
        self.rows: dict[str, FieldRow] = {}
        self.problems: dict[str, str] = {}
        self.whole = False
        """Whether every field is there."""

    def compose(self) -> ComposeResult:
        """An empty list that is filled after the first frame, and the explanation."""
        yield VerticalScroll(id="fields", can_focus=False)
        yield Static(_HINT, id="hint", markup=False)

    def on_mount(self) -> None:
        """Everything else comes once there is something to see."""
        self.call_after_refresh(lambda: self.run_worker(self._fill(), group="fill"))

    async def _fill(self) -> None:
        fields = self.query_one("#fields", VerticalScroll)
        first = True
        for group in groups():
            heading = Static(Content(group.title), classes="heading -first" if first else "heading")
            first = False
            rows: list[Widget] = [heading]
            for path in group.paths:
                self.rows[path] = FieldRow(self.state.docs[path], self.state.texts[path])
                rows.append(self.rows[path])
            for start in range(0, len(rows), 4):
                await fields.mount_all(rows[start : start + 4])
                await asyncio.sleep(0)
            self.refresh_rows()
        self.whole = True

    # ---- showing the state

    def refresh_rows(self, paths: Iterable[str] | None = None) -> None:
        """Show what the state holds in these fields (in all of them when None), and what is wrong anywhere."""
        self.problems = self.state.problems()
        locked = self.state.locked()
        unknown = locked if self.state.origin is not None and not self.state.origin.shape_known else frozenset()
        for path in self.rows if paths is None else paths:
            row = self.rows.get(path)
            if row is not None:
                row.editor.put("" if path in unknown else self.state.texts[path])
        changed = self.state.changed()
        for path, row in self.rows.items():
            row.problem = "" if path in locked else self.problems.get(path, "")
            row.preset_text = self.state.base[path] if path in changed and path not in locked else None
            row.editor.disabled = path in locked
        self._hint()

    def put_all(self) -> None:
        """The state was replaced as a whole: show it, and tell."""
        self.refresh_rows()
        self.post_message(self.Changed(frozenset(self.state.texts), typed=False))

    def put(self, path: str, text: str) -> None:
        """Set a field as if a person had typed it."""
        changed = self.state.set(path, text)
        if changed:
            self.refresh_rows(changed)
            self.post_message(self.Changed(frozenset(changed), typed=True))

    def on_edited(self, event: Edited) -> None:
        """A field was changed; to end a run in one way empties the other two."""
        event.stop()
        changed = self.state.set(event.path, event.text)
        if changed:
            self.refresh_rows(changed - {event.path})
            self.post_message(self.Changed(frozenset(changed), typed=True))

    # ---- the focus

    @property
    def current(self) -> FieldRow | None:
        """The row with the focus."""
        return next((row for row in self.rows.values() if row.editor.has_focus), None)

    def focus_field(self, path: str) -> bool:
        """Give the focus to a field; False while it is not there yet."""
        row = self.rows.get(path)
        if row is None:
            return False
        self._go_to(row)
        return True

    def _go_to(self, row: FieldRow) -> None:
        # At once: an animated scroll would lay out all rows anew for every frame of it.
        row.editor.focus(scroll_visible=False)
        self.query_one("#fields", VerticalScroll).scroll_to_widget(row, animate=False)

    def on_walk(self, event: Walk) -> None:
        """To the field so many further, at most the first or the last one that can be edited."""
        event.stop()
        rows = [row for row in self.rows.values() if not row.editor.disabled]
        at = next((index for index, row in enumerate(rows) if row.editor.has_focus), None)
        if at is not None:
            self._go_to(rows[max(0, min(len(rows) - 1, at + event.by))])

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Explain the field."""
        self._hint()

    def _hint(self) -> None:
        row = self.current
        if row is None:
            return
        doc = row.doc
        bounds = ", ".join(doc.choices) or doc.bounds
        problem = row.problem
        text = Content.assemble(
            (f"{doc.path}  ", "$text bold"),
            (safe_text(problem, newlines=False), "$text-error") if problem else (doc.description, ""),
            (f"  {bounds}" if bounds and not doc.choices else "", "$foreground-disabled"),
        )
        self.query_one("#hint", Static).update(text, layout=False)

    def action_reset_field(self) -> None:
        """Put back what the preset has."""
        row = self.current
        if row is not None and row.path in self.state.changed():
            self.put(row.path, self.state.base[row.path])
