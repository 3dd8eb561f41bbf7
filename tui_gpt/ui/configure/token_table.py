"""A vocabulary to scroll through: only the lines that can be seen are ever drawn, however many tokens there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec
from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui_gpt.core.token_order import SORTS, TokenSort, cumulative_shares, ordered
from tui_gpt.core.token_text import character_name, visible

_TITLES: dict[TokenSort | None, str] = {"id": "id", "count": "count", "length": "bytes"}
_SORTED = "▾"
_GAP = "  "
_LEAST_TEXT, _MOST_TEXT = 8, 32


class Vocabulary(msgspec.Struct, frozen=True, kw_only=True):
    """All tokens; lists have an element for each id."""

    texts: list[str]
    lengths: list[int]
    """In bytes."""
    counts: list[int]
    shares: list[float]
    """Of this token and all more frequent ones, 0 to 1."""
    orders: dict[TokenSort, list[int]]
    end_of_text: int | None

    @classmethod
    def of(cls, texts: list[str], lengths: list[int], counts: list[int], end_of_text: int | None = None) -> Vocabulary:
        """With all orders and shares, which takes some hundredths of a second for tens of thousands of tokens."""
        return cls(
            texts=texts,
            lengths=lengths,
            counts=counts,
            shares=cumulative_shares(counts),
            orders={sort: ordered(sort, counts, lengths) for sort in SORTS},
            end_of_text=end_of_text,
        )


class TokenTable(ScrollView, can_focus=True):
    """Tokens in the order in which they are given: id, count, share, share up to here, bytes, text, name."""

    DEFAULT_CSS = """
    TokenTable { height: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; overflow-y: scroll; }
    TokenTable:focus { background-tint: $foreground 4%; }
    TokenTable > .token-table--text { color: $foreground; text-style: bold; }
    TokenTable > .token-table--figure { color: $foreground; }
    TokenTable > .token-table--faint { color: $text-muted; }
    TokenTable > .token-table--never { color: $text-warning; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "token-table--text",
        "token-table--figure",
        "token-table--faint",
        "token-table--never",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "sort", "Sort", id="tokens.sort", tooltip="By frequency, id or length"),
        Binding("slash", "find", "Find", id="tokens.find", tooltip="Only the tokens with some text in them"),
    ]
    ALLOW_SELECT = False

    class Sorted(Message):
        """Another order is wanted."""

    class Find(Message):
        """A token is to be looked for."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._vocabulary: Vocabulary | None = None
        self._ids: Sequence[int] = ()
        self._total = 1
        self._id_width = self._count_width = 5

    def show(self, vocabulary: Vocabulary, ids: Sequence[int]) -> None:
        """Show these tokens, from the first one on."""
        if vocabulary is not self._vocabulary:
            self._total = max(1, sum(vocabulary.counts))
            self._id_width = max(4, len(str(len(vocabulary.counts))))
            self._count_width = max(7, len(f"{max(vocabulary.counts, default=0):,}"))
        self._vocabulary, self._ids = vocabulary, ids
        self._fit()
        self.scroll_to(y=0, animate=False, force=True)
        self.refresh()

    def on_resize(self, event: events.Resize) -> None:
        """As wide as the place it has."""
        self._fit()

    def _fit(self) -> None:
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._ids))

    def heading(self, sort: TokenSort) -> str:
        """The names of the columns as wide as these, with a mark at the one that decides."""

        def title(of: TokenSort) -> str:
            return (_SORTED if of == sort else "") + _TITLES[of]

        return _GAP.join(
            (
                title("id").rjust(self._id_width),
                title("count").rjust(self._count_width),
                "share".rjust(7),
                "up to".rjust(7),
                title("length").rjust(6),
                "token",
            )
        )

    def render_line(self, y: int) -> Strip:
        """One token."""
        width, blank = self.size.width, self.rich_style
        row = y + self.scroll_offset.y
        if self._vocabulary is None or row >= len(self._ids):
            return Strip.blank(width, blank)
        return Strip(self._segments(self._vocabulary, self._ids[row], width)).crop_extend(0, width, blank)

    def _segments(self, vocabulary: Vocabulary, token: int, width: int) -> list[Segment]:
        count = vocabulary.counts[token]
        figure = self._pen("figure" if count else "never")
        faint = self._pen("faint")
        left = f"{token:>{self._id_width}}{_GAP}"
        figures = f"{count:>{self._count_width},}{_GAP}"
        shares = f"{_percent(count / self._total)}{_GAP}{_percent(vocabulary.shares[token])}{_GAP}"
        length = f"{vocabulary.lengths[token]:>6,}{_GAP}"
        room = max(_LEAST_TEXT, width - len(left + figures + shares + length))
        text = visible(vocabulary.texts[token])
        name = "between documents" if token == vocabulary.end_of_text else character_name(vocabulary.texts[token])
        taken = min(room, max(_LEAST_TEXT, min(cell_len(text), _MOST_TEXT if name else room)))
        return [
            Segment(left, faint),
            Segment(figures, figure),
            Segment(shares, faint),
            Segment(length, faint),
            Segment(set_cell_size(text, taken), self._pen("text")),
            Segment(f" {name}" if name else "", faint),
        ]

    def _pen(self, part: str) -> Style:
        return self.get_component_rich_style(f"token-table--{part}")

    def action_sort(self) -> None:
        """Another order."""
        self.post_message(self.Sorted())

    def action_find(self) -> None:
        """Look for a text."""
        self.post_message(self.Find())


def _percent(share: float) -> str:
    """Seven columns wide, with as many digits as fit."""
    percent = 100 * share
    digits = 3 if percent < 9.9995 else 2 if percent < 99.995 else 1
    return f"{percent:.{digits}f}".rjust(5) + " %"
