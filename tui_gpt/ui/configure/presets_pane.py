"""Named starting points to choose from, each with what it suits and why its numbers are what they are."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui_gpt.core.presets import PRESETS
from tui_gpt.ui.dialogs.explanation import Explanation


class PresetsPane(Vertical):
    """Enter puts the highlighted preset into the form; below the list stands its reason."""

    class Chosen(Message):
        """A preset is to be put into the form."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._current = ""
        self._is_changed = False

    def compose(self) -> ComposeResult:
        """A heading, the list, the reason."""
        yield Static("", classes="heading", markup=False)
        yield OptionList(*(Option(self._label(name), id=name) for name in PRESETS), id="presets", compact=True)
        yield Static("", classes="reason", markup=False)

    def _label(self, name: str) -> Content:
        preset = PRESETS[name]
        mark = "● " if name == self._current else "  "
        return Content.assemble(mark, (preset.title, "bold" if name == self._current else ""))

    def show(self, current: str, *, changed: bool) -> None:
        """Mark the preset of the form, and say whether fields were changed since."""
        if (current, changed) == (self._current, self._is_changed):
            return
        presets = self.query_one("#presets", OptionList)
        former, self._current, self._is_changed = self._current, current, changed
        for name in {former, current} & PRESETS.keys():
            presets.replace_option_prompt(name, self._label(name))
        if former != current:
            presets.highlighted = list(PRESETS).index(current)
        heading = Content.assemble("Preset", (f"  {current}", "$foreground-muted not bold"))
        if changed:
            heading = Content.assemble(heading, ("  • changed", "$foreground-muted not bold"))
        self.query_one(".heading", Static).update(heading, layout=False)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Say what the preset is for."""
        event.stop()
        preset = PRESETS[event.option_id or self._current]
        text = Content.assemble((f"For {preset.suits}. ", "$text"), preset.reason)
        self.query_one(".reason", Static).update(text, layout=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter, or a click."""
        event.stop()
        if event.option_id:
            self.post_message(self.Chosen(event.option_id))

    def explain(self) -> Explanation:
        """All presets with their reasons."""
        pages = (f"{p.title} ({p.name}, for {p.suits})\n{p.reason}" for p in PRESETS.values())
        return Explanation(
            "Presets",
            "Enter puts a preset into the form; the corpus and the name stay. ctrl+z brings the former form back. "
            "Fields that differ from the preset carry a •.\n\n" + "\n\n".join(pages),
        )
