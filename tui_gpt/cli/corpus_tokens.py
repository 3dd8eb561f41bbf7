"""`tui-gpt corpora tokens`: every token of a corpus and how often it occurs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from tui_gpt.cli.completion import corpus_names
from tui_gpt.cli.corpus_input import read_corpus, reading_options
from tui_gpt.cli.options import echo_json, json_option
from tui_gpt.cli.tables import echo_table
from tui_gpt.core.token_order import SORTS, TokenSort, cumulative_shares, found, never_in_words, ordered

if TYPE_CHECKING:
    from tui_gpt.engine.text.prepared import PreparedCorpus

_ROWS = 50
_LONGEST_SHOWN = 40


@click.command("tokens")
@click.argument("name", shell_complete=corpus_names)
@click.option(
    "--sort", type=click.Choice(SORTS), default="count", show_default=True, help="The most frequent or longest first."
)
@click.option("--find", "wanted", default="", metavar="TEXT", help="Only tokens with this text in them, or #ID.")
@click.option(
    "--limit", type=click.IntRange(min=0), metavar="N", help=f"Rows at most, 0 for all [default: {_ROWS}; JSON: all]"
)
@reading_options
@json_option
def tokens(name: str, sort: TokenSort, wanted: str, limit: int | None, as_json: bool, **options: Any) -> None:
    """List the tokens of a corpus, and how often each occurs in its training part.

    White space is visible: ␣ a space, ␊ a line feed; bytes that are only a part of a character are written \\xe2. The
    cumulative share is that of the token and all more frequent ones, in any order. With --json a line for each token.
    NAME is what `corpora show` takes.
    """
    from tui_gpt.cli.following import ProgressLine
    from tui_gpt.engine.text.token_counts import token_counts

    prepared = read_corpus(name, **options)
    progress = ProgressLine()
    try:
        counts: list[int] = token_counts(prepared, progress).tolist()
    finally:
        progress.done()
    contents = [prepared.tokenizer.token_bytes(token) for token in range(len(counts))]
    ids = found(ordered(sort, counts, [len(c) for c in contents]), _texts(contents), wanted)
    most = (0 if as_json else _ROWS) if limit is None else limit
    shown = ids[:most] if most else ids
    shares = cumulative_shares(counts)
    if as_json:
        for token in shown:
            echo_json(_as_tree(prepared, token, contents[token], counts, shares), lines=True)
        return
    _tell(prepared, shown, contents, counts, shares)
    if len(shown) < len(ids):
        click.echo(f"and {len(ids) - len(shown):,} more; --limit 0 shows all", err=True)
    if never := never_in_words(counts):
        click.echo(never, err=True)


def _texts(contents: Sequence[bytes]) -> list[str]:
    return [content.decode("utf-8", "backslashreplace") for content in contents]


def _as_tree(
    prepared: PreparedCorpus, token: int, content: bytes, counts: Sequence[int], shares: Sequence[float]
) -> dict[str, Any]:
    return {
        "id": token,
        "text": content.decode("utf-8", "backslashreplace"),
        "bytes": content.hex(),
        "count": counts[token],
        "share": counts[token] / max(1, prepared.train.n_tokens),
        "cumulative_share": shares[token],
    }


def _tell(
    prepared: PreparedCorpus,
    ids: Sequence[int],
    contents: Sequence[bytes],
    counts: Sequence[int],
    shares: Sequence[float],
) -> None:
    if not ids:
        click.echo("no token is like that", err=True)
        return
    total = max(1, prepared.train.n_tokens)

    def rows() -> Iterator[tuple[str, ...]]:
        for token in ids:
            share = f"{counts[token] / total:.3%}"
            text, name = _shown(prepared, token, contents[token])
            yield str(token), f"{counts[token]:,}", share, f"{shares[token]:.2%}", text, name

    echo_table([("ID", "COUNT", "SHARE", "CUMULATIVE", "TEXT", ""), *rows()])


def _shown(prepared: PreparedCorpus, token: int, content: bytes) -> tuple[str, str]:
    from tui_gpt.core.token_text import character_name, token_text, visible

    text = token_text(content)
    seen = visible(text)
    seen = seen if len(seen) <= _LONGEST_SHOWN else seen[: _LONGEST_SHOWN - 1] + "…"
    return seen, "between documents" if token == prepared.tokenizer.eot_id else character_name(text)
