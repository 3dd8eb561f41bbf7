"""The columns of the table of models: what stands in them, how they are sorted, and which of them fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from rich.cells import cell_len
from rich.text import Text

from tui_gpt.core import figures
from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.models.shelf import ModelRow

PADDING = 2
"""Cells beside each column."""
_WHOLE_TIME = 16
_DATE = 10
_ARROW = 2
"""Cells that a heading keeps free for the arrow of the sorted column."""

SortValue = str | float
Justify = Literal["left", "right"]


class Column(NamedTuple):
    """One column. `least` and `most` bound its width in cells; where there is room, it is as wide as its content."""

    key: str
    title: str
    text: Callable[[ModelRow], str]
    sort_value: Callable[[ModelRow], SortValue | None]
    """None for what is not known, which stands last in either direction."""
    least: int
    most: int
    descending: bool = False
    """Whether the interesting end is the large one."""
    justify: Justify = "left"

    @property
    def narrowest(self) -> int:
        """The least width that holds the heading and its arrow."""
        return max(self.least, len(self.title) + _ARROW)


def name_text(row: ModelRow) -> str:
    """The name, with a word about what is unusual."""
    kind = "  damaged" if row.problem else "  example" if row.model.read_only else ""
    return row.name + kind


def local_time(created: str) -> str:
    """A record's UTC moment as a date and a time of day here; other text as it is."""
    try:
        return datetime.fromisoformat(created).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return created[:16]


def _number(value: float | None, text: Callable[[float], str]) -> str:
    return "" if value is None else text(value)


COLUMNS: tuple[Column, ...] = (
    Column("name", "Name", name_text, lambda r: r.name.lower(), 16, 40),
    Column("family", "Family", lambda r: r.family, lambda r: r.family.lower() or None, 8, 12),
    Column(
        "parameters",
        "Parameters",
        lambda r: _number(r.parameters, figures.amount),
        lambda r: r.parameters,
        12,
        12,
        descending=True,
        justify="right",
    ),
    Column("tokenizer", "Tokenizer", lambda r: r.tokenizer, lambda r: r.tokenizer.lower() or None, 11, 16),
    Column("corpus", "Corpus", lambda r: r.corpus, lambda r: r.corpus.lower() or None, 9, 28),
    Column(
        "val_loss",
        "Val loss",
        lambda r: _number(r.val_loss, figures.loss),
        lambda r: r.val_loss,
        10,
        12,
        justify="right",
    ),
    Column(
        "bits_per_byte",
        "Bits/byte",
        lambda r: _number(r.bits_per_byte, lambda value: f"{value:.3f}"),
        lambda r: r.bits_per_byte,
        11,
        11,
        justify="right",
    ),
    Column(
        "steps",
        "Steps",
        lambda r: _number(r.steps, lambda value: f"{value:,.0f}"),
        lambda r: r.steps,
        9,
        12,
        descending=True,
        justify="right",
    ),
    Column(
        "size",
        "Size",
        lambda r: figures.memory(r.model.size_bytes),
        lambda r: r.model.size_bytes,
        8,
        10,
        descending=True,
        justify="right",
    ),
    Column("created", "Saved", lambda r: local_time(r.created), lambda r: r.created or None, 10, 16, descending=True),
)
"""In the order in which they stand."""

_BY_KEY = {column.key: column for column in COLUMNS}
_IMPORTANCE = (
    "name",
    "val_loss",
    "parameters",
    "created",
    "family",
    "corpus",
    "tokenizer",
    "bits_per_byte",
    "steps",
    "size",
)
CYCLE = ("name", "created", "val_loss", "parameters")
"""The columns that one key goes through; a click on its heading sorts by any."""


class Order(NamedTuple):
    """By which column the rows stand, and whether against its usual direction."""

    key: str = "name"
    reversed: bool = False

    @property
    def descending(self) -> bool:
        """Whether the largest comes first."""
        return _BY_KEY[self.key].descending != self.reversed

    def next(self) -> Order:
        """The one that the sort key leads to."""
        place = CYCLE.index(self.key) if self.key in CYCLE else -1
        return Order(CYCLE[(place + 1) % len(CYCLE)])

    def by(self, key: str) -> Order:
        """After a click on the heading of a column: the second one turns the rows round."""
        return Order(key, not self.reversed) if key == self.key else Order(key)

    def describe(self) -> str:
        """In words, as `by val loss, lowest first`."""
        column = _BY_KEY[self.key]
        if self.key == "created":
            return f"by date, {'newest' if self.descending else 'oldest'} first"
        if column.justify == "right":
            ends = ("largest", "smallest") if column.descending else ("highest", "lowest")
            return f"by {column.title.lower()}, {ends[not self.descending]} first"
        return f"by {column.title.lower()}" + (", from the end" if self.descending else "")


def order_from(key: object, reverse: object) -> Order:
    """The order that was remembered, or the usual one where that makes no sense."""
    return Order(key, reverse is True) if isinstance(key, str) and key in _BY_KEY else Order()


def in_order(rows: Sequence[ModelRow], order: Order) -> list[ModelRow]:
    """The rows sorted; those of which nothing is known stand at the end, equal ones by name."""
    value = _BY_KEY[order.key].sort_value
    by_name = sorted(rows, key=lambda row: (row.name.lower(), row.name))
    # Of one column, the values are of one kind: words or numbers.
    known = [row for row in by_name if value(row) is not None]
    known.sort(key=value, reverse=order.descending)  # type: ignore[arg-type]
    return known + [row for row in by_name if value(row) is None]


def columns_for(rows: Sequence[ModelRow], width: int) -> list[tuple[Column, int]]:
    """The columns that fit into `width` cells, the most important ones first to be taken, each with its width."""
    wanted: dict[str, int] = {}
    left = width
    for key in _IMPORTANCE:
        column = _BY_KEY[key]
        if column.narrowest + PADDING > left and wanted:
            break
        if key not in ("name", "val_loss") and not any(column.text(row) for row in rows):
            continue
        wanted[key] = column.narrowest
        left -= column.narrowest + PADDING
    for key in _IMPORTANCE:
        if key in wanted and left > 0:
            column = _BY_KEY[key]
            longest = max((cell_len(safe_text(column.text(row), newlines=False)) for row in rows), default=0)
            more = min(left, max(0, min(longest, column.most) - wanted[key]))
            wanted[key] += more
            left -= more
    return [(column, wanted[column.key]) for column in COLUMNS if column.key in wanted]


def heading(column: Column, width: int, order: Order) -> Text:
    """The column's title, with an arrow where the rows stand by it."""
    arrow = (" ▼" if order.descending else " ▲") if column.key == order.key else ""
    return Text(column.title + arrow, no_wrap=True, justify=column.justify, overflow="ellipsis")


def cell(column: Column, row: ModelRow, width: int) -> Text:
    """What stands in a cell, cut to its width."""
    shown = safe_text(column.text(row), newlines=False).replace("\t", " ")
    if column.key == "created" and width < _WHOLE_TIME:
        shown = shown[:_DATE]
    text = Text(shown, no_wrap=True, justify=column.justify, overflow="ellipsis", end="")
    if column.key == "name":
        # The word behind the name stays when the name is too long for both.
        kind = shown[len(safe_text(row.name, newlines=False).replace("\t", " ")) :]
        name = Text(shown[: len(shown) - len(kind)], no_wrap=True)
        name.truncate(max(1, width - cell_len(kind)), overflow="ellipsis")
        return Text.assemble(name, (kind, "bold" if row.problem else "dim"), no_wrap=True, end="")
    text.truncate(width, overflow="ellipsis")
    return text
