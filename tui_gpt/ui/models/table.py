"""The table of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import DataTable

from tui_gpt.ui.models.columns import Column, Order, cell, columns_for, heading
from tui_gpt.ui.models.shelf import ModelRow

_SCROLLBAR = 1


class ModelTable(DataTable[Text]):
    """Rows of models in the order in which they are given; the cursor stays on its model when they change."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("home", "scroll_top", show=False),
        Binding("end", "scroll_bottom", show=False),
    ]

    class Opened(Message):
        """Enter was pressed on a model, or it was clicked twice."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(cursor_type="row", zebra_stripes=False, id=id)
        self._rows: list[ModelRow] = []
        self._order = Order()
        self._columns: list[tuple[Column, int]] = []

    @property
    def chosen(self) -> ModelRow | None:
        """The model under the cursor."""
        return self._rows[self.cursor_row] if 0 <= self.cursor_row < len(self._rows) else None

    def show(self, rows: Sequence[ModelRow], order: Order, name: str | None) -> None:
        """Show these rows, with the cursor on the model called `name`, or near to where it was."""
        place, scrolled = self.cursor_row, self.scroll_y
        self._rows = list(rows)
        self._lay_out(order)
        names = [row.name for row in rows]
        place = names.index(name) if name in names else min(place, len(names) - 1)
        if place >= 0:
            self.move_cursor(row=place, scroll=False)
        self.call_after_refresh(self._back_to, scrolled)

    def _lay_out(self, order: Order) -> None:
        columns = columns_for(self._rows, max(1, self.size.width - _SCROLLBAR))
        with self.app.batch_update():
            if columns == self._columns and order == self._order:
                self.clear()
            else:
                self.clear(columns=True)
                for column, width in columns:
                    self.add_column(heading(column, width, order), width=width, key=column.key)
            for row in self._rows:
                self.add_row(*(cell(column, row, width) for column, width in columns), key=row.name)
        self._columns, self._order = columns, order

    def _back_to(self, scrolled: float) -> None:
        self.scroll_to(y=scrolled, animate=False, force=True)
        self._scroll_cursor_into_view()

    def on_resize(self, event: events.Resize) -> None:
        """Other columns may fit now."""
        if columns_for(self._rows, max(1, event.size.width - _SCROLLBAR)) != self._columns:
            chosen = self.chosen
            self.show(self._rows, self._order, chosen.name if chosen else None)

    def action_select_cursor(self) -> None:
        """Enter."""
        if self.chosen is not None:
            self.post_message(self.Opened())

    def on_click(self, event: events.Click) -> None:
        """A second click opens what the first one chose."""
        if event.chain == 2 and event.style.meta.get("row", -1) >= 0:
            self.action_select_cursor()
