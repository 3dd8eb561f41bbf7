"""What CORPUS is on a command line: a name, a path, or - for the text on standard input."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

from tui_gpt.core.corpus_formats import CONTENTS, Content

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
