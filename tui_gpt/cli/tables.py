"""Rows and marks on stdout, as wide as they need to be and in characters that stdout can show."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from tui_gpt.core.safe_text import safe_text


def echo_table(rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as they need to be, foreign text made safe."""
    safe = [[safe_text(cell, newlines=False) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in safe) for column in range(len(safe[0]))]
    for row in safe:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def echo_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Labels and what belongs to them, one below the other; further lines of a value are indented like its first."""
    width = max((len(label) for label, _ in pairs), default=0)
    for label, value in pairs:
        first, *rest = safe_text(value).split("\n")
        click.echo(f"{label.ljust(width)}  {first}".rstrip())
        for line in rest:
            click.echo(f"{' ' * width}  {line}".rstrip())


def one_line(text: str) -> str:
    """Foreign text as one safe line."""
    return safe_text(text, newlines=False)


def mark(good: bool) -> str:
    """A check mark or a cross; `+` or `x` where the encoding of stdout has neither."""
    try:
        "✓✗".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "+" if good else "x"
    return "✓" if good else "✗"


def amount(n_bytes: float) -> str:
    """Bytes in decimal units, e.g. `12.3 MB`."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes:.0f} bytes"
