"""What tables of documents have in common: which column is the text, how long a row may be, and what is left out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tui_gpt.core.errors import CorpusError

LONGEST_ROW = 128 << 20
"""Characters in a line or row. One is held in memory as a whole."""
BLOCK_CHARACTERS = 1 << 20
TEXT = "text"
"""The kind of a value that is text."""
MESSAGES = "list of messages"
"""The kind of a list of objects that say who spoke, under one of SPEAKER_FIELDS."""
SPEAKER_FIELDS = ("role", "from")

_USUAL_COLUMNS = ("text", "content")
_SHOWN_COLUMNS = 12
_SHOWN_CHARACTERS = 40


class NoTextColumnError(CorpusError):
    """A table without a column that could be learned from."""


@dataclass
class RowCount:
    """What a reading of all tables leaves out."""

    empty: int = 0
    """Rows whose text is null, missing or of no characters."""


def as_document(text: str) -> Iterator[str]:
    """A row's text in blocks, with line ends as `\\n`, as they are in text files."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if len(text) <= BLOCK_CHARACTERS:
        return iter([text])
    return (text[start : start + BLOCK_CHARACTERS] for start in range(0, len(text), BLOCK_CHARACTERS))


def choose_column(path: Path, wanted: str, columns: Mapping[str, Collection[str]]) -> str:
    """The column to read: `wanted`, or without it `text`, else `content`, else the only one of text.

    `columns` holds the kinds of values that were seen in each, none where all were null. Raises NoTextColumnError,
    which names the columns.
    """
    if wanted:
        if wanted in columns:
            return wanted
        raise NoTextColumnError(f"{path} has no column {shown(wanted)}; {_advice(columns)}")
    of_text = [name for name, kinds in columns.items() if TEXT in kinds]
    for name in _USUAL_COLUMNS:
        if name in of_text or (name in columns and not columns[name]):
            return name
    if len(of_text) == 1:
        return of_text[0]
    lack = "several columns of text, none of them called text or content" if of_text else "no column of text"
    raise NoTextColumnError(f"{path} has {lack}; {_advice(columns)}")


def _advice(columns: Mapping[str, Collection[str]]) -> str:
    if not columns:
        return "it has no columns at all; choose another file"
    names = [f"{shown(name)} ({' or '.join(sorted(kinds)[:4]) or 'null'})" for name, kinds in columns.items()]
    more = f" and {len(names) - _SHOWN_COLUMNS:,} more" if len(names) > _SHOWN_COLUMNS else ""
    return (
        f"its columns are {', '.join(names[:_SHOWN_COLUMNS])}{more}; name the one to learn from with "
        "--column NAME (the field data.column)"
    )


def shown(name: str) -> str:
    """A column's name as a sentence holds it: anybody may have chosen it, and made it long."""
    return name if 0 < len(name) <= _SHOWN_CHARACTERS else repr(name[:_SHOWN_CHARACTERS])


def too_long(path: Path, line: int) -> CorpusError:
    """The refusal of a row that no memory should have to hold."""
    return CorpusError(
        f"{path} has a row of more than {LONGEST_ROW >> 20} MiB of text at line {line:,}; cut it into several documents"
    )


def text_lines(path: Path, blocks: Iterator[str]) -> Iterator[str]:
    """The lines of a text that comes in blocks, without their ends. Raises CorpusError for one that is too long."""
    pending: list[str] = []
    length = 0
    number = 1
    for block in blocks:
        first, *rest = block.split("\n")
        pending.append(first)
        length += len(first)
        if length > LONGEST_ROW:
            raise too_long(path, number)
        if rest:
            line = "".join(pending)
            pending, length = [], 0
            yield line
            del line  # or it is in memory while the next one grows
            yield from rest[:-1]
            number += len(rest)
            pending.append(rest[-1])
            length = len(rest[-1])
    if length:
        yield "".join(pending)
