"""What CORPUS is on a command line: a name, a path, or - for the text on standard input."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from tui_gpt.core.corpus_formats import CONTENTS, Content

if TYPE_CHECKING:
    from tui_gpt.engine.text.prepared import PreparedCorpus

F = TypeVar("F", bound=Callable[..., Any])

column_option = click.option(
    "--column", metavar="NAME", help="The column of a table to learn from (left out: text, content, or the only one)."
)
_format_option = click.option(
    "--format", "stdin_format", type=click.Choice(CONTENTS), help="What comes on standard input (-): text, or a table."
)

mix_option = click.option(
    "--mix",
    multiple=True,
    metavar="CORPUS=SHARE",
    help="Mix this corpus in, with this share of every step's sequences, e.g. python-docs=0.25. May be repeated.",
)


def table_options(function: F) -> F:
    """--column and --format."""
    return column_option(_format_option(function))


def reading_options(function: F) -> F:
    """How a text is read and becomes tokens; what was typed is for `read_corpus`."""
    for option in reversed(
        (
            click.option(
                "--tokenizer", type=click.Choice(["auto", "char", "bpe", "gpt2"]), help="How text becomes tokens."
            ),
            click.option("--bpe-vocab-size", type=int, help="Tokens in a BPE trained on the corpus."),
            click.option("--encoding", help="Encoding of the text files (auto: by byte-order mark, else UTF-8)."),
            click.option(
                "--errors", type=click.Choice(["strict", "replace"]), help="What to do with bytes that do not decode."
            ),
            click.option("--megabytes", "corpus_megabytes", type=float, help="How much text a generated corpus makes."),
            click.option("--documents", "max_documents", type=int, help="Take the first so many documents; 0: all."),
            click.option(
                "--clean", type=click.Choice(["auto", "on", "off"]), help="Mend and leave out what is broken."
            ),
            click.option(
                "--form",
                type=click.Choice(["auto", "text", "conversations"]),
                help="Whether all of it is learned, or the answers in it.",
            ),
            click.option("--separator", help="Text at which the documents of a plain text file part."),
            table_options,
            mix_option,
        )
    ):
        function = option(function)
    return function


def read_corpus(name: str, *, stdin_format: str | None, mix: tuple[str, ...] = (), **options: Any) -> PreparedCorpus:
    """The corpus as token files, with its progress on stderr. Raises CorpusError, ConfigError."""
    from tui_gpt.cli.following import ProgressLine
    from tui_gpt.cli.options import overlay
    from tui_gpt.core.config import DataConfig
    from tui_gpt.core.config_loading import convert
    from tui_gpt.engine.text.prepare import prepare

    _, tree = overlay("data", corpus=given_corpus(name, stdin_format), mix=mix or None, **options)
    data = convert(tree["data"], DataConfig, "data")
    progress = ProgressLine()
    try:
        return prepare(data, progress=progress)
    finally:
        progress.done()


def given_corpus(corpus: str | None, stdin_format: str | None) -> str | None:
    """The corpus as the configuration names it: for `-`, the path of what was read from standard input.

    Raises CorpusError for an input that cannot be read or kept.
    """
    if corpus != "-":
        if stdin_format is not None:
            raise click.UsageError("--format is for standard input (-); a file's name tells its format")
        return corpus
    from tui_gpt.cli.tables import amount
    from tui_gpt.core.standard_input import keep_standard_input

    narrates = sys.stderr is not None and sys.stderr.isatty()

    def show(n_bytes: int) -> None:
        if narrates:
            click.echo(f"\rreading standard input: {amount(n_bytes)}\x1b[K", nl=False, err=True)

    try:
        stream = getattr(sys.stdin, "buffer", None)
        return str(keep_standard_input(stream, cast("Content", stdin_format or "text"), show))
    finally:
        if narrates:
            click.echo("\r\x1b[K", nl=False, err=True)
