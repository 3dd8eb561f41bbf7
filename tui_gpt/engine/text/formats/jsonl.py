"""JSON Lines: a JSON object per line, of which one field is the text, or a JSON string per line."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec

from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text.formats.tables import (
    MESSAGES,
    SPEAKER_FIELDS,
    TEXT,
    RowCount,
    choose_column,
    shown,
    text_lines,
)

_HEAD_LINES = 100
_HEAD_CHARACTERS = 1 << 22

_KINDS = {b'"': TEXT, b"n": "", b"t": "boolean", b"f": "boolean", b"{": "object", b"[": "list"}
"""What a value is, by its first character; else a number. Null is of no kind."""

_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw] | str | None)


def find_column(path: Path, blocks: Iterator[str], wanted: str) -> str:
    """The field that holds the text, by the first lines; an empty string where all of them are strings themselves.

    Raises NoTextColumnError, and CorpusError for lines that are broken.
    """
    columns: dict[str, set[str]] = {}
    bare = False
    read = 0
    for number, line in enumerate(itertools.islice(text_lines(path, blocks), _HEAD_LINES), 1):
        if not line.strip():
            continue
        row = _row(path, number, line)
        bare = bare or isinstance(row, str)
        for name, raw in (row if isinstance(row, dict) else {}).items():
            columns.setdefault(name, set()).update(filter(None, [_kind(raw)]))
        read += len(line)
        if read > _HEAD_CHARACTERS:
            break
    if bare and not columns:
        return ""
    return choose_column(path, wanted, columns)


def _kind(raw: msgspec.Raw) -> str:
    return _KINDS.get(bytes(memoryview(raw)[:1]), "number")


def field_kinds(path: Path, blocks: Iterator[str]) -> dict[str, set[str]]:
    """The fields in the first lines and the kinds of their values, MESSAGES among them. Raises CorpusError."""
    kinds: dict[str, set[str]] = {}
    read = 0
    for number, line in enumerate(itertools.islice(text_lines(path, blocks), _HEAD_LINES), 1):
        if line.strip() and isinstance(row := _row(path, number, line), dict):
            for name, raw in row.items():
                kind = MESSAGES if _holds_messages(raw) else _kind(raw)
                kinds.setdefault(name, set()).update(filter(None, [kind]))
        read += len(line)
        if read > _HEAD_CHARACTERS:
            break
    return kinds


def _holds_messages(raw: msgspec.Raw) -> bool:
    if _kind(raw) != "list":
        return False
    try:
        found = msgspec.json.decode(raw, type=list[dict[str, msgspec.Raw]])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return bool(found) and any(name in found[0] for name in SPEAKER_FIELDS)


def read_objects(path: Path, blocks: Iterator[str], columns: Collection[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number of every line that holds an object, and those of its fields that are among `columns`.

    Raises CorpusError with the number of a line that is broken.
    """
    for number, line in enumerate(text_lines(path, blocks), 1):
        if not line or line.isspace():
            continue
        row = _row(path, number, line)
        if not isinstance(row, dict):
            raise CorpusError(f"{path} line {number:,} is no object; mend the line, or leave it out")
        try:
            found = {name: msgspec.json.decode(row[name]) for name in columns if name in row}
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise CorpusError(
                f"{path} line {number:,} is not valid JSON ({error}); mend the line, or leave it out"
            ) from None
        yield number, found


def read_rows(path: Path, blocks: Iterator[str], column: str, count: RowCount) -> Iterator[str]:
    """The text of every line that has some. Raises CorpusError with the number of a line that is broken."""
    for number, line in enumerate(text_lines(path, blocks), 1):
        if not line or line.isspace():
            continue
        row = _row(path, number, line)
        text = _text(path, number, row.get(column), column) if isinstance(row, dict) else row
        del row, line
        if text:
            yield text
        else:
            count.empty += 1


def _row(path: Path, number: int, line: str) -> dict[str, msgspec.Raw] | str | None:
    try:
        row: dict[str, msgspec.Raw] | str | None = _DECODER.decode(line)
        return row
    except msgspec.ValidationError:
        problem = "is neither an object nor a string, as each line must be"
    except RecursionError:
        problem = "is nested too deeply"
    except (msgspec.DecodeError, UnicodeError) as error:
        problem = f"is not valid JSON ({error})"
    raise CorpusError(f"{path} line {number:,} {problem}; mend the line, or leave it out")


def _text(path: Path, number: int, raw: msgspec.Raw | None, column: str) -> str | None:
    kind = "" if raw is None else _kind(raw)
    if raw is None or not kind:
        return None
    if kind != TEXT:
        an = "an" if kind == "object" else "a"
        raise CorpusError(
            f"{path} line {number:,} holds {an} {kind} in {shown(column)}, and text is needed; mend the line, or name "
            "another column with --column NAME"
        )
    try:
        return msgspec.json.decode(raw, type=str)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise CorpusError(
            f"{path} line {number:,} is not valid JSON ({error}); mend the line, or leave it out"
        ) from None
