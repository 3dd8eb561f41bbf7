"""`tui-gpt corpora`: what there is to train on, and what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tui_gpt.cli.completion import corpus_names
from tui_gpt.cli.corpus_input import read_corpus, reading_options
from tui_gpt.cli.corpus_tokens import tokens
from tui_gpt.cli.options import echo_json, help_without_command, json_option, overlay
from tui_gpt.cli.tables import amount, echo_pairs, echo_table
from tui_gpt.core.repeats import Repeats, in_words, leak_warning

if TYPE_CHECKING:
    from tui_gpt.core.corpora import CorpusInfo
    from tui_gpt.core.fetched import Missing
    from tui_gpt.engine.text.prepared import PreparedCorpus
    from tui_gpt.engine.text.token_files import CorpusFacts
    from tui_gpt.engine.text.tokenizer import Tokenizer

_MOST_SKIPPED = 5


@click.group("corpora", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """List and examine texts to train on.

    \b
    Examples:
      tui-gpt corpora list
      tui-gpt corpora show stories --megabytes 1
      tui-gpt corpora show book.txt --tokenizer bpe --json
      tui-gpt corpora show reviews.jsonl.gz --column body
      tui-gpt corpora show stories --mix python-docs=0.25
      tui-gpt corpora tokens book.txt --tokenizer bpe --limit 100
      zcat book.txt.gz | tui-gpt corpora show -
      tui-gpt corpora fetch tinystories --documents 200000
    """
    help_without_command(context)


command.add_command(tokens)


@command.command("list")
@json_option
def list_corpora(as_json: bool) -> None:
    """List the corpora that come with the program, and those that are fetched once.

    Any data set of the Hugging Face Hub is a corpus too, as hub:owner/name[@revision][:[config/]split[:column]].
    Any file and any folder of files is a corpus too: text, or a table of which every row is a document (.jsonl,
    .ndjson, .csv, .tsv, .parquet), compressed or not (.gz, .zst).
    """
    from tui_gpt.core.config import DataConfig
    from tui_gpt.core.corpora import CATALOGUE
    from tui_gpt.core.fetched import missing

    lacking = {name: missing(DataConfig(corpus=name)) for name in CATALOGUE}
    if as_json:
        import msgspec

        echo_json([{**msgspec.to_builtins(c), "here": lacking[c.name] is None} for c in CATALOGUE.values()])
        return
    rows = [(c.name, c.title, c.licence, _where(c, lacking[c.name])) for c in CATALOGUE.values()]
    echo_table([("NAME", "TITLE", "LICENCE", "WHERE"), *rows])
    for corpus in CATALOGUE.values():
        click.echo(f"\n{corpus.name}: {corpus.description}")
        if corpus.is_fetched:
            click.echo(f"  from {corpus.origin}")


def _where(corpus: CorpusInfo, lack: Missing | None) -> str:
    if lack is None:
        return "on this machine" if corpus.is_fetched else "comes with the program"
    return f"to be fetched, {amount(lack.n_bytes or corpus.n_bytes)}"


@command.command("fetch")
@click.argument("name", shell_complete=corpus_names)
@click.option("--documents", type=int, help="Fetch as much as holds so many documents; 0: all of it.")
@json_option
def fetch(name: str, documents: int | None, as_json: bool) -> None:
    """Fetch a corpus now, to be offline later.

    NAME is one that `corpora list` shows as to be fetched, or hub:owner/name[@revision][:[config/]split[:column]]. What
    is here is not fetched again, what broke off is gone on with; of a data set of the Hub, its newest commit is taken
    unless a revision says which.

    \b
    Examples:
      tui-gpt corpora fetch shakespeare
      tui-gpt corpora fetch tinystories --documents 0
      tui-gpt corpora fetch hub:roneneldan/TinyStories:validation
    """
    from tui_gpt.cli.following import ProgressLine
    from tui_gpt.core.config import DataConfig
    from tui_gpt.core.config_loading import convert
    from tui_gpt.core.corpora import find, with_own_choices
    from tui_gpt.core.errors import CorpusError
    from tui_gpt.core.fetched import pinned
    from tui_gpt.engine.text.fetched_text import fetch_corpus

    info = find(name)
    if not info.is_fetched:
        raise CorpusError(f"{name} is on this machine already; `tui-gpt corpora show {name}` tells what is in it")
    _, tree = overlay("data", corpus=name, max_documents=documents)
    data = with_own_choices(convert(tree["data"], DataConfig, "data"))
    progress = ProgressLine()
    try:
        fetch_corpus(info, data, progress, newest=True)
    finally:
        progress.done()
    if as_json:
        echo_json({"corpus": name, "pinned": pinned(name), "documents": data.max_documents})
    else:
        click.echo(f"{name} is on this machine; `tui-gpt train {pinned(name)}` needs no network now", err=True)


@command.command("show")
@click.argument("name", shell_complete=corpus_names)
@reading_options
@json_option
def show(name: str, as_json: bool, **options: Any) -> None:
    """Tell what is in a corpus.

    NAME is a corpus of `corpora list`, a file, a folder, hub:owner/name for a data set of the Hub, or - for stdin. It
    is fetched and prepared on the way, so that training starts at once.
    """
    prepared = read_corpus(name, **options)
    if as_json:
        echo_json(_as_tree(prepared))
    else:
        _tell(prepared)


def _as_tree(prepared: PreparedCorpus) -> dict[str, Any]:
    import msgspec

    facts: dict[str, Any] = msgspec.to_builtins(prepared.facts)
    line, ids = prepared.first_line()
    return {
        "source": prepared.source,
        "sha256": prepared.sha256,
        **facts,
        "train_tokens": prepared.train.n_tokens,
        "validation_tokens": prepared.validation.n_tokens,
        "line": line,
        "line_tokens": [{"id": i, "text": _written(prepared.tokenizer, i)} for i in ids],
        "prepared": prepared.folder,
    }


def _tell(prepared: PreparedCorpus) -> None:
    facts = prepared.facts
    _, ids = prepared.first_line()
    pairs = [
        ("corpus", prepared.source),
        *_of_mix(facts),
        *_of_table(facts),
        ("characters", f"{facts.characters:,}"),
        ("distinct", f"{facts.distinct_characters:,} characters"),
        ("conversations" if facts.answers else "documents", _documents(facts)),
        *([("answers", _answers(facts))] if facts.answers else []),
        *_repeats(facts.repeats),
        ("size", f"{amount(facts.bytes)} in UTF-8"),
        ("tokenizer", f"{facts.tokenizer}, {facts.vocab_size:,} tokens"),
        (
            "tokens",
            f"{facts.tokens:,}: {prepared.train.n_tokens:,} to train on, {prepared.validation.n_tokens:,} to validate",
        ),
        *(
            [("validation", f"{facts.own_validation}; data.validation_fraction does not apply")]
            if facts.own_validation
            else []
        ),
        ("bytes/token", f"{facts.bytes_per_token:.3f}"),
        ("sha256", prepared.sha256),
        ("sample", facts.sample),
        ("as tokens", "|".join(_written(prepared.tokenizer, i) for i in ids)),
        ("as ids", " ".join(map(str, ids))),
    ]
    if facts.changes:
        pairs.append(("changed", "\n".join(facts.changes)))
    left_out = [*facts.skipped[:_MOST_SKIPPED]]
    if len(facts.skipped) > _MOST_SKIPPED:
        left_out.append(f"and {len(facts.skipped) - _MOST_SKIPPED} more")
    echo_pairs(pairs + ([("left out", "\n".join(left_out))] if left_out else []))


def _of_mix(facts: CorpusFacts) -> list[tuple[str, str]]:
    """What only several corpora have, the main one first."""
    return [
        (
            f"{100 * part.share:g} %",
            f"{part.source}, {part.train_tokens:,} + {part.validation_tokens:,} tokens, {part.readings:.3g} x an epoch",
        )
        for part in facts.parts
    ]


def _of_table(facts: CorpusFacts) -> list[tuple[str, str]]:
    """What only files other than plain text have."""
    pairs = [("format", " and ".join(facts.formats))] if facts.formats not in ((), ("text",)) else []
    if facts.columns:
        pairs.append(("column", ", ".join(facts.columns)))
    if facts.empty_rows:
        empty = "without answer" if facts.answers else "empty rows"
        pairs.append((empty, f"{facts.empty_rows:,}, left out"))
    return pairs


def _documents(facts: CorpusFacts) -> str:
    if not facts.longest_document or facts.documents < 2:
        return f"{facts.documents:,}"
    return f"{facts.documents:,}, of {facts.shortest_document:,} to {facts.longest_document:,} characters"


def _answers(facts: CorpusFacts) -> str:
    return f"{facts.answers:,}, of {facts.answer_tokens:,} tokens: what is learned"


def _repeats(found: Repeats | None) -> list[tuple[str, str]]:
    """What was found of copies; nothing where nobody counted."""
    if found is None or not found.worth_saying:
        return []
    pairs = [("duplicates", in_words(found))]
    return pairs + ([("warning", leak_warning(found))] if leak_warning(found) else [])


def _written(tokenizer: Tokenizer, token: int) -> str:
    """A token as text; bytes that are only a part of a character as `\\xe2`."""
    return tokenizer.token_bytes(token).decode("utf-8", errors="backslashreplace")
