"""Every token of a text in a table: how often it occurs, in which order, and a search."""

from __future__ import annotations

import asyncio

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from tui_gpt.core.config import DataConfig
from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.messages import ListTokens, Progress, TokenRows, TokensListed
from tui_gpt.core.safe_text import safe_text
from tui_gpt.core.token_order import SORTS, TokenSort, found, never_in_words
from tui_gpt.ui.configure.token_table import TokenTable, Vocabulary
from tui_gpt.ui.configure.typed_text import unescaped
from tui_gpt.ui.dialogs.dialog import Dialog
from tui_gpt.ui.dialogs.explanation import Explanation
from tui_gpt.ui.session_client import Session

_BY: dict[TokenSort, str] = {"count": "the most frequent first", "id": "by id", "length": "the longest first"}


class TokenDialog(Dialog[None]):
    """Asks the session for the tokens, and shows them when they are all there."""

    DEFAULT_CSS = """
    TokenDialog > .panel { width: 100; height: 100%; padding: 0 1; }
    TokenDialog #about { height: auto; max-height: 3; color: $text-muted; }
    TokenDialog #never { height: auto; max-height: 3; color: $text-warning; }
    TokenDialog #find { background: $foreground 8%; }
    TokenDialog #heading { height: 1; color: $text-accent; text-style: bold; text-wrap: nowrap; text-overflow: clip; }
    """
    AUTO_FOCUS = "TokenTable"

    def __init__(self, session: Session, data: DataConfig, note: str = "") -> None:
        """`note` is what there is to know beforehand: that a run would use other tokens, say."""
        super().__init__()
        self._session, self._data, self._note = session, data, note
        self._texts: list[str] = []
        self._lengths: list[int] = []
        self._counts: list[int] = []
        self._listed: TokensListed | None = None
        self.vocabulary: Vocabulary | None = None
        """None until all tokens have come."""
        self.sort: TokenSort = "count"

    def compose(self) -> ComposeResult:
        """What it is about, a line to search with, the table."""
        with Vertical(classes="panel") as panel:
            panel.border_title = Content("Tokens")
            panel.border_subtitle = Content("o sorts, / finds, escape closes")
            yield Static("", id="about", markup=False)
            yield Static("", id="never", markup=False)
            yield Input(placeholder="find a text, or #ID", id="find", compact=True, max_length=200)
            yield Static("", id="heading", markup=False)
            yield TokenTable(id="table")
            yield Static("", classes="problem", markup=False)

    def on_mount(self) -> None:
        """Ask."""
        self.query_one("#never").display = False
        self._say("reading…")
        self._load()

    @work(group="tokens", exclusive=True)
    async def _load(self) -> None:
        try:
            self._listed = await self._session.request(ListTokens(id=0, data=self._data), self._hear)
        except TuiGptError as error:
            self._say("")
            self.query_one(".problem", Static).update(Content.styled(safe_text(str(error)), "$text-error"))
            return
        # Not here: putting tens of thousands of tokens in order takes longer than a key press may.
        self.vocabulary = await asyncio.to_thread(
            Vocabulary.of, self._texts, self._lengths, self._counts, self._listed.end_of_text
        )
        never = self.query_one("#never", Static)
        never.update(Content(never_in_words(self._counts)))
        never.display = not all(self._counts)
        self._show()

    def _hear(self, event: object) -> None:
        if isinstance(event, TokenRows):
            self._texts += event.texts
            self._lengths += event.lengths
            self._counts += event.counts
        elif isinstance(event, Progress):
            self._say(f"{event.what} {event.share:.0%}…")

    def _say(self, text: str) -> None:
        if self.is_attached:
            self.query_one("#about", Static).update(Content(safe_text(text, newlines=False)))

    def _show(self) -> None:
        vocabulary, listed = self.vocabulary, self._listed
        if vocabulary is None or listed is None or not self.is_attached:
            return
        wanted = self.query_one("#find", Input).value
        in_order = vocabulary.orders[self.sort]
        ids = found(in_order, vocabulary.texts, wanted)
        if wanted and not ids:
            # Line feeds can only be typed as \n; as they stand, \xe2 are what a token of stray bytes shows.
            ids = found(in_order, vocabulary.texts, unescaped(wanted))
        table = self.query_one(TokenTable)
        table.show(vocabulary, ids)
        self.query_one("#heading", Static).update(Content(table.heading(self.sort)))
        of = f"{len(ids):,} of {len(vocabulary.counts):,}" if wanted else f"{len(ids):,}"
        what = f"{of} tokens ({listed.tokenizer}) of {listed.source}, {_BY[self.sort]}"
        self._say(f"{what}; {listed.train_tokens:,} in the training part. {self._note}".rstrip())

    def on_token_table_sorted(self, event: TokenTable.Sorted) -> None:
        """The next order."""
        event.stop()
        self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
        self._show()

    def on_token_table_find(self, event: TokenTable.Find) -> None:
        """To the line above."""
        event.stop()
        self.query_one("#find", Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """The table follows what is typed."""
        event.stop()
        self._show()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Back to the table."""
        event.stop()
        self.query_one(TokenTable).focus()

    def explain(self) -> Explanation:
        """What the columns are."""
        return Explanation(
            "Tokens",
            "Every token of the vocabulary, and how often it occurs in the training part. Share is its part of all "
            "tokens there; 'up to' is that of this token and all more frequent ones together, in any order. A space "
            "is shown as ␣, a line feed as ␊, a tab as ␉; bytes that are only a part of a character as \\xe2.\n\n"
            "What occurs never cannot be learned: the model will write such a token only by chance, and knows nothing "
            "of it in a prompt. A tokenizer that was trained on the text has such tokens too, those that only were "
            "steps on the way to longer ones.\n\n"
            "In the line, type a part of a token, \\n for a line feed, or # and an id.",
        )
