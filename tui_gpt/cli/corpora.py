"""`tui-gpt corpora`: what there is to train on, and what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tui_gpt.cli.completion import corpus_names
from tui_gpt.cli.corpus_input import given_corpus, mix_option, table_options
from tui_gpt.cli.options import echo_json, help_without_command, json_option, overlay
from tui_gpt.cli.tables import amount, echo_pairs, echo_table

if TYPE_CHECKING:
    from tui_gpt.engine.text.prepared import PreparedCorpus
    from tui_gpt.engine.text.token_files import CorpusFacts
    from tui_gpt.engine.text.tokenizer import Tokenizer

_VIEW_CHARACTERS = 72
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
      zcat book.txt.gz | tui-gpt corpora show -
    """
    help_without_command(context)


@command.command("list")
@json_option
def list_corpora(as_json: bool) -> None:
    """List the built-in corpora.

    Any file and any folder of files is a corpus too: text, or a table of which every row is a document (.jsonl,
    .ndjson, .csv, .tsv, .parquet), compressed or not (.gz, .zst).
    """
    from tui_gpt.core.corpora import CATALOGUE

    if as_json:
        echo_json(list(CATALOGUE.values()))
        return
    echo_table([("NAME", "TITLE", "LICENCE"), *((c.name, c.title, c.licence) for c in CATALOGUE.values())])
    for corpus in CATALOGUE.values():
        click.echo(f"\n{corpus.name}: {corpus.description}")


@command.command("show")
@click.argument("name", shell_complete=corpus_names)
@click.option("--tokenizer", type=click.Choice(["auto", "char", "bpe", "gpt2"]), help="How text becomes tokens.")
@click.option("--bpe-vocab-size", type=int, help="Tokens in a BPE trained on the corpus.")
@click.option("--encoding", help="Encoding of the text files (auto: by byte-order mark, else UTF-8).")
@click.option("--errors", type=click.Choice(["strict", "replace"]), help="What to do with bytes that do not decode.")
@click.option("--megabytes", type=float, help="How much text a generated corpus makes.")
@table_options
@mix_option
@json_option
def show(
    name: str,
    tokenizer: str | None,
    bpe_vocab_size: int | None,
    encoding: str | None,
    errors: str | None,
    megabytes: float | None,
    column: str | None,
    stdin_format: str | None,
    mix: tuple[str, ...],
    as_json: bool,
) -> None:
    """Tell what is in a corpus.

    NAME is a built-in corpus, a file, a folder, or - for stdin. It is prepared on the way, so that training starts at
    once.
    """
    from tui_gpt.cli.following import ProgressLine
    from tui_gpt.core.config import DataConfig
    from tui_gpt.core.config_loading import convert
    from tui_gpt.engine.text.prepare import prepare

    _, tree = overlay(
        "data",
        corpus=given_corpus(name, stdin_format),
        mix=mix or None,
        tokenizer=tokenizer,
        bpe_vocab_size=bpe_vocab_size,
        encoding=encoding,
        errors=errors,
        corpus_megabytes=megabytes,
        column=column,
    )
    data = convert(tree["data"], DataConfig, "data")
    progress = ProgressLine()
    try:
        prepared = prepare(data, progress=progress)
    finally:
        progress.done()
    if as_json:
        echo_json(_as_tree(prepared))
    else:
        _tell(prepared)


def _as_tree(prepared: PreparedCorpus) -> dict[str, Any]:
    import msgspec

    facts: dict[str, Any] = msgspec.to_builtins(prepared.facts)
    line = _line(prepared.facts.sample)
    ids = prepared.tokenizer.encode(line)
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
    ids = prepared.tokenizer.encode(_line(facts.sample))
    pairs = [
        ("corpus", prepared.source),
        *_of_mix(facts),
        *_of_table(facts),
        ("characters", f"{facts.characters:,}"),
        ("distinct", f"{facts.distinct_characters:,} characters"),
        ("documents", _documents(facts)),
        ("size", f"{amount(facts.bytes)} in UTF-8"),
        ("tokenizer", f"{facts.tokenizer}, {facts.vocab_size:,} tokens"),
        (
            "tokens",
            f"{facts.tokens:,}: {prepared.train.n_tokens:,} to train on, {prepared.validation.n_tokens:,} to validate",
        ),
        ("bytes/token", f"{facts.bytes_per_token:.3f}"),
        ("sha256", prepared.sha256),
        ("sample", facts.sample),
        ("as tokens", "|".join(_written(prepared.tokenizer, i) for i in ids)),
        ("as ids", " ".join(map(str, ids))),
    ]
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
        pairs.append(("empty rows", f"{facts.empty_rows:,}, left out"))
    return pairs


def _documents(facts: CorpusFacts) -> str:
    if not facts.longest_document or facts.documents < 2:
        return f"{facts.documents:,}"
    return f"{facts.documents:,}, of {facts.shortest_document:,} to {facts.longest_document:,} characters"


def _line(sample: str) -> str:
    """The first line with something on it, or as much as fits on one."""
    return next((line for line in sample.split("\n") if line.strip()), sample)[:_VIEW_CHARACTERS]


def _written(tokenizer: Tokenizer, token: int) -> str:
    """A token as text; bytes that are only a part of a character as `\\xe2`."""
    return tokenizer.token_bytes(token).decode("utf-8", errors="backslashreplace")
