"""The Models tab: the library, what is known about each model, and what can be done with it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import DataTable, Input, Static

from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.dialogs.explanation import Explanation
from tui_gpt.ui.models.actions import ModelActions
from tui_gpt.ui.models.columns import Order, in_order, order_from
from tui_gpt.ui.models.details import ModelDetails
from tui_gpt.ui.models.shelf import ModelRow, Shelf, Snapshot
from tui_gpt.ui.models.table import ModelTable

_WIDE = 100
"""Columns of the screen from which the details stand beside the table."""


class ModelsTab(ModelActions):
    """The table of models with its details; the list follows the disk."""

    DEFAULT_CSS = (Path(__file__).parent / "models.tcss").read_text(encoding="utf-8")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "talk", "Talk", id="models.talk", tooltip="Load it into Chat (Enter does the same)"),
        Binding("c", "go_on", "Continue", id="models.continue", tooltip="Train it further, on its text or another"),
        Binding("f", "fork", "Fork", id="models.fork", tooltip="Copy it under another name"),
        Binding("d", "delete", "Delete", id="models.delete"),
        Binding("i", "bring_in", "Import", id="models.import", show=False, tooltip="From a folder or the Hub"),
        Binding("g", "write_out", "Write as GGUF", id="models.gguf", show=False, tooltip="A file for llama.cpp"),
        Binding("slash", "filter", "Filter", id="models.filter", key_display="/", show=False),
        Binding("o", "sort", "Sort", id="models.sort", show=False, tooltip="By name, date, loss, parameters"),
        Binding("O", "turn_round", "Reverse the order", id="models.reverse", show=False),
        Binding("n", "rename", "Rename", id="models.rename", show=False),
        Binding("m", "note", "Notes", id="models.note", show=False),
        Binding("v", "verify", "Verify", id="models.verify", show=False, tooltip="Compare its files with their hashes"),
        Binding("y", "copy_path", "Copy the folder's path", id="models.copy", show=False),
        Binding("escape", "end_filter", "Show all", id="models.all", show=False),
        Binding("down", "to_table", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._shelf = Shelf(self.gpt.models)
        self._reading = asyncio.Lock()
        self._found: Snapshot | None = None
        self._order = Order()
        self._wanted: str | None = None
        """The model that the cursor belongs on, once it is there."""

    def compose(self) -> ComposeResult:
        """The list with its filter, the details; or what to do about an empty library."""
        with Vertical(id="models-body"):
            with Vertical(id="models-list"):
                yield ModelTable(id="models-table")
                yield Input(placeholder="words to find; Enter goes to the list, Escape shows all", id="models-filter")
                yield Static("", id="models-count", markup=False)
            yield ModelDetails(id="models-details")
        yield Static("", id="models-none", markup=False)

    # ---- the list follows the disk

    def shown(self) -> None:
        """What was changed within a folder is seen when one comes here."""
        self.run_worker(self.reread(), group="models-read")

    def board_changed(self) -> None:
        """Look whether the library has changed."""
        if not self._reading.locked() and self._shelf.changed():
            self.run_worker(self.reread(), group="models-read")

    async def reread(self, choose: str | None = None) -> None:
        """Read the library in a thread, and show it if it is another one than before."""
        async with self._reading:
            found = await asyncio.to_thread(self._shelf.read)
        if not self.is_running:
            return
        if choose is not None:
            self._wanted = choose
        if found != self._found or choose is not None:
            self._found = found
            self._show()

    def _show(self) -> None:
        found = self._found or Snapshot()
        words = self.query_one("#models-filter", Input).value.lower().split()
        rows = in_order([row for row in found.rows if row.found_by(words)], self._order)
        self.set_class(not found.rows, "-none")
        if not found.rows:
            self.query_one("#models-none", Static).update(self._nothing(found.problem))
        table = self.query_one(ModelTable)
        table.show(rows, self._order, self._wanted)
        self.show_chosen()
        if found.rows and self.gpt.focused is None and self.gpt.tab is self:
            self.focus_first()

    def _nothing(self, problem: str) -> Content:
        if problem:
            return Content(safe_text(problem))
        root = safe_text(str(self._shelf.handler.library.root), newlines=False)
        return Content.assemble(
            ("No model yet.\n\n", "bold"),
            "F5 in Configure starts a training run, and a run that finishes puts its best weights here.\n"
            "ctrl+s saves a model of a run at any time while it trains.\n"
            f"{self.key_of('models.import')} imports one from a folder or the Hugging Face Hub.\n\n",
            ("Models are folders in ", "$foreground-muted"),
            (root, "$foreground-muted"),
        )

    def show_chosen(self) -> None:
        """The details follow the cursor."""
        row = self.chosen
        self.query_one(ModelDetails).show(row, self.verdict(row) if row else "")
        self.show_doing()
        self.refresh_bindings()

    def show_doing(self) -> None:
        """The line below the table: what goes on, how many there are, and in which order."""
        shown, total = self.query_one(ModelTable).row_count, len(self._found.rows) if self._found else 0
        count = f"{shown:,} of {total:,} models" if shown != total else f"{total:,} model{'s' * (total != 1)}"
        keys = f"{self.key_of('models.filter')} finds, {self.key_of('models.sort')} sorts"
        parts = [*self.doing.values(), count, self._order.describe(), keys]
        self.query_one("#models-count", Static).update(Content(safe_text("   ".join(parts), newlines=False)))

    @property
    def chosen(self) -> ModelRow | None:
        """The one under the cursor."""
        return self.query_one(ModelTable).chosen

    def names(self) -> set[str]:
        """Of all models, shown or not."""
        return {row.name for row in self._found.rows} if self._found else set()

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """The cursor has moved."""
        event.stop()
        row = self.chosen
        if row is not None:
            self._wanted = row.name
        self.show_chosen()

    def on_model_table_opened(self, event: ModelTable.Opened) -> None:
        """Enter on a model."""
        event.stop()
        self.action_talk()

    def on_mount(self) -> None:
        """Laid out for this window from the first frame on."""
        self.set_class(self.gpt.size.width >= _WIDE, "-wide")

    def on_resize(self, event: events.Resize) -> None:
        """Beside each other where there is room."""
        self.set_class(event.size.width >= _WIDE, "-wide")

    # ---- order and filter

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        """A click on a heading sorts by it; a second one turns the rows round."""
        event.stop()
        self._sort(self._order.by(event.column_key.value or "name"))

    def action_sort(self) -> None:
        """By the next of the usual columns."""
        self._sort(self._order.next())

    def action_turn_round(self) -> None:
        """The last becomes the first."""
        self._sort(self._order.by(self._order.key))

    def _sort(self, order: Order) -> None:
        self._order = order
        self._show()

    def action_filter(self) -> None:
        """Type words to find models by."""
        self.add_class("-filtering")
        self.query_one("#models-filter", Input).focus()

    def action_end_filter(self) -> None:
        """All models again."""
        self.query_one("#models-filter", Input).value = ""
        self.remove_class("-filtering")
        self.query_one(ModelTable).focus()

    def action_to_table(self) -> None:
        """From the filter to what it has found."""
        self.query_one(ModelTable).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Find as one types."""
        event.stop()
        self._show()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes to what was found."""
        event.stop()
        self.action_to_table()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What needs a model is greyed out where there is none."""
        if action in ("talk", "go_on", "fork", "delete", "rename", "note", "verify", "copy_path", "write_out"):
            return True if self.is_mounted and self.chosen is not None else None
        if action == "end_filter":
            return self.has_class("-filtering")
        return True

    # ---- what the app asks

    def focus_first(self) -> None:
        """The list."""
        if not self.has_class("-none"):
            self.query_one(ModelTable).focus()

    def explain(self) -> Explanation:
        """What this tab is."""
        return Explanation(
            "Models",
            "Every model of the library, and the examples that come with the program. A model is a folder as Hugging "
            "Face transformers opens it; its record holds how it was trained and the SHA-256 of every file, and "
            "`verify` compares them.\n\nA model comes here when its run finishes, with ctrl+s at any time, by a fork, "
            "or from a folder or the Hugging Face Hub. Examples are read-only: a fork of one is yours. A click on a "
            "heading sorts by it.",
        )

    def remember(self) -> dict[str, Any]:
        """The chosen model and the order."""
        return {"model": self._wanted, "sort": self._order.key, "reversed": self._order.reversed}

    def recall(self, remembered: dict[str, Any]) -> None:
        """Take them up."""
        model = remembered.get("model")
        self._wanted = model if isinstance(model, str) else None
        self._order = order_from(remembered.get("sort"), remembered.get("reversed"))
        if self._found is not None:
            self._show()
