"""Which text to learn from, and what is in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui_gpt.core import figures
from tui_gpt.core.config import DataConfig
from tui_gpt.core.corpora import CATALOGUE, short_title
from tui_gpt.core.fetched import Missing, missing
from tui_gpt.core.messages import Explored, TokenText
from tui_gpt.core.repeats import in_short, leak_warning
from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.dialogs.explanation import Explanation

_BROWSE = "browse"
_SHOWN_SAMPLE = 400
_SHOWN_TOKENS = 200
_SHOWN_SKIPPED = 5


class CorpusPane(Vertical):
    """The built-in corpora, the files that were chosen lately, and the facts of the one in the form."""

    class Chosen(Message):
        """A corpus was picked: a name of the catalogue, or a path."""

        def __init__(self, corpus: str) -> None:
            super().__init__()
            self.corpus = corpus

    class Browse(Message):
        """A file or folder is to be looked for."""

    class Line(Message):
        """A line was typed of which the tokens are to be seen."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._choices: list[str] = []
        self._away: set[str] = set()
        self._current = ""

    def compose(self) -> ComposeResult:
        """A heading, the list, and the facts with a line to try the tokenizer on."""
        yield Static("", classes="heading", markup=False)
        yield OptionList(id="corpora", compact=True)
        with VerticalScroll(id="facts"):
            yield Static("", id="corpus-facts", markup=False)
            yield Input(placeholder="type a line to see its tokens", id="token-line", compact=True, max_length=1000)
            yield Static("", id="tokens", markup=False)

    def show_choices(self, files: Sequence[str], current: str) -> None:
        """List the catalogue and these files, with the corpus of the form marked."""
        choices = [*CATALOGUE, *files]
        away = {name for name in CATALOGUE if missing(DataConfig(corpus=name)) is not None}
        if (choices, current, away) == (self._choices, self._current, self._away):
            return
        self._choices, self._current, self._away = choices, current, away
        corpora = self.query_one("#corpora", OptionList)
        options = [Option(self._label(choice)) for choice in choices]
        options.append(Option(Content("  Choose a file or folder…"), id=_BROWSE))
        corpora.clear_options()
        corpora.add_options(options)
        corpora.highlighted = choices.index(current) if current in choices else len(choices)
        title = short_title(current)
        self.query_one(".heading", Static).update(
            Content.assemble("Corpus", (f"  {safe_text(title, newlines=False)}", "$foreground-muted not bold"))
        )

    def _label(self, choice: str) -> Content:
        title = short_title(choice)
        mark, style = ("● ", "bold") if choice == self._current else ("  ", "")
        fetched = " ↓" if choice in self._away else ""
        return Content.assemble(mark, (safe_text(title, newlines=False), style), (fetched, "$foreground-muted"))

    def show_progress(self, what: str) -> None:
        """Say what the reading of the corpus is at; the line of a failed one is an error's."""
        self._put(Content.styled(safe_text(what, newlines=False), "$text-accent"), Content(""))

    def show_lacking(self, corpus: str, lacking: Missing, key: str) -> None:
        """Say what would have to be fetched, and how."""
        size = (
            "An amount that only the Hub knows"
            if lacking.n_bytes is None
            else f"About {figures.memory(lacking.n_bytes)}"
        )
        lines = [
            Content.styled(f"{safe_text(lacking.title, newlines=False)} is not on this machine yet.", "$text-warning"),
            Content(f"{size}, from {safe_text(lacking.origin, newlines=False)}."),
            Content.assemble((key, "bold"), " fetches it now; a run that is started fetches what it begins with."),
        ]
        if corpus in CATALOGUE:
            info = CATALOGUE[corpus]
            about = f"{info.description} Licence: {info.licence}."
            lines.append(Content.styled(about, "$foreground-muted"))
        self._put(Content("\n").join(lines), Content(""))

    def show_problem(self, sentence: str) -> None:
        """Say why there are no facts."""
        self._put(Content.styled(safe_text(sentence), "$text-error"), Content(""))

    def show_facts(self, facts: Explored, note: str = "") -> None:
        """Show what is in the corpus."""
        tokens = _tokens(facts.line_tokens) if not facts.line_problem else _problem(facts.line_problem)
        lines = [*_facts(facts)]
        if note:
            lines.append(Content.styled(safe_text(note, newlines=False), "$text-warning"))
        self._put(Content("\n").join(lines), tokens)

    def show_tokens(self, facts: Explored) -> None:
        """Show only the tokens of another line."""
        tokens = _tokens(facts.line_tokens) if not facts.line_problem else _problem(facts.line_problem)
        self.query_one("#tokens", Static).update(tokens)

    def _put(self, facts: Content, tokens: Content) -> None:
        self.query_one("#corpus-facts", Static).update(facts)
        self.query_one("#tokens", Static).update(tokens)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A corpus, or the wish to look for a file."""
        event.stop()
        if event.option_id == _BROWSE:
            self.post_message(self.Browse())
        elif event.option_index < len(self._choices):
            self.post_message(self.Chosen(self._choices[event.option_index]))

    def on_input_changed(self, event: Input.Changed) -> None:
        """The tokens follow what is typed."""
        event.stop()
        self.post_message(self.Line(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Nothing further: the tokens are there already."""
        event.stop()

    def explain(self) -> Explanation:
        """What the corpora are."""
        pages = (
            f"{c.title} ({c.name}{', is fetched' if c.is_fetched else ''})\n{c.description} Licence: {c.licence}."
            for c in CATALOGUE.values()
        )
        return Explanation(
            "Corpus",
            "The text to learn from: a corpus of the list, a file, a folder of files, or a data set of the Hugging "
            "Face Hub, as hub:owner/name:split:column in the field data.corpus. Those with ↓ are not here yet and "
            "fetched once, when you say so. A file is text, or a table of which every row is a document (.jsonl, .csv, "
            ".tsv, .parquet; data.column names the column), compressed or not (.gz, .zst). It is read in the "
            "background and turned into tokens once; after that training starts at once. With further corpora in "
            "data.mix the facts begin with the share of each in every step, and how often it is read while the first "
            "one is read once.\n\nOf conversations the answers are learned, and the model speaks in turns.\n\n"
            "Duplicates are "
            "documents that equal an earlier one, word for word; of a text that is one document, paragraphs parted by "
            "blank lines. What stands both in the training and in the validation part makes the validation loss look "
            "too good. ctrl+r shows every token.\n\n" + "\n\n".join(pages),
        )


def _facts(facts: Explored) -> Iterator[Content]:
    def row(name: str, value: str) -> Content:
        return Content.assemble((f"{name:<11}", "$foreground-muted"), safe_text(value, newlines=False))

    for part in facts.parts:
        yield row(f"{100 * part.share:g} %", f"{part.source}, {part.readings:.3g} x")
    yield row("characters", f"{facts.characters:,}")
    yield row("distinct", f"{facts.distinct_characters:,}")
    yield row("talks" if facts.answers else "documents", f"{facts.documents:,}")
    if facts.answers:
        yield row("answers", f"{facts.answers:,}, {facts.answer_tokens:,} tokens")
    if facts.longest_document and facts.documents > 1:
        yield row("shortest", f"{facts.shortest_document:,} characters")
        yield row("longest", f"{facts.longest_document:,} characters")
    if facts.repeats is not None and facts.repeats.worth_saying:
        if facts.repeats.unit == "paragraphs":
            yield row("paragraphs", f"{facts.repeats.counted:,}")
        yield row("duplicates", in_short(facts.repeats))
    if facts.repeats is not None and (leak := leak_warning(facts.repeats)):
        yield Content.styled(leak, "$text-warning")
    if facts.formats and facts.formats != ["text"]:
        yield row("format", " and ".join(facts.formats))
    if facts.columns:
        yield row("column", ", ".join(facts.columns))
    if facts.empty_rows:
        yield row("empty rows", f"{facts.empty_rows:,}, left out")
    yield row("tokenizer", f"{facts.tokenizer}, {facts.vocab_size:,} tokens")
    yield row("tokens", f"{facts.tokens:,}")
    yield row("training", f"{facts.train_tokens:,}")
    own = f", of its own ({facts.own_validation})" if facts.own_validation else ""
    yield row("validation", f"{facts.validation_tokens:,}{own}")
    yield row("bytes each", f"{facts.bytes_per_token:.2f}")
    for change in facts.changes:
        yield Content.styled(safe_text(change, newlines=False), "$foreground-muted")
    for skipped in facts.skipped[:_SHOWN_SKIPPED]:
        yield Content.styled(f"left out: {safe_text(skipped, newlines=False)}", "$text-warning")
    if len(facts.skipped) > _SHOWN_SKIPPED:
        yield Content.styled(f"and {len(facts.skipped) - _SHOWN_SKIPPED} more", "$text-warning")
    yield Content.styled(safe_text(facts.sample[:_SHOWN_SAMPLE]).strip("\n"), "italic $foreground-muted")


def _tokens(tokens: Sequence[TokenText]) -> Content:
    """Tokens with bars between them and a dot for each space, and their ids below."""
    shown = tokens[:_SHOWN_TOKENS]
    texts = (safe_text(token.text, newlines=False).replace(" ", "·") for token in shown)
    line = Content.styled("│", "$foreground-disabled").join(Content.styled(text, "$text") for text in texts)
    more = f" and {len(tokens) - len(shown):,} more" if len(tokens) > len(shown) else ""
    ids = Content.styled(" ".join(str(token.id) for token in shown) + more, "$foreground-disabled")
    return Content("\n").join([line, ids])


def _problem(sentence: str) -> Content:
    return Content.styled(safe_text(sentence, newlines=False), "$text-error")
