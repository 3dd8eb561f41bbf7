"""Parquet tables: one column, a few rows at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text.formats.tables import (
    LONGEST_ROW,
    MESSAGES,
    SPEAKER_FIELDS,
    TEXT,
    NoTextColumnError,
    RowCount,
    choose_column,
    shown,
)

_BUFFER_BYTES = 1 << 20
_BATCH_ROWS = 16
"""Few, because each of them may be as long as a row may be: a dictionary repeats its words for next to nothing."""
_DICTIONARY_ROWS = 1 << 16
"""A column that is a dictionary in memory too comes with all of its words each time, and else only with numbers."""


def find_column(path: Path, wanted: str) -> str:
    """The column that holds the text, by the footer alone.

    Raises NoTextColumnError, and CorpusError for a file that is damaged or encrypted or where pyarrow is missing.
    """
    with _open(path) as file:
        schema = file.schema_arrow
        columns: dict[str, list[str]] = {}
        for field in schema:
            columns.setdefault(field.name, []).append(_kind(field.type))
        name = choose_column(path, wanted, columns)
        if len(columns[name]) > 1:
            raise NoTextColumnError(f"{path} has {len(columns[name])} columns called {shown(name)}; rename the others")
        if columns[name] != [TEXT]:
            raise NoTextColumnError(
                f"{path} holds {columns[name][0]} in the column {shown(name)}, and text is needed; name a column of "
                "text with --column NAME"
            )
        return name


def require_parquet() -> None:
    """Raises CorpusError where pyarrow is missing, before anything is fetched that only it can read."""
    _pyarrow()


def count_rows(path: Path) -> int:
    """How many rows it has, by the footer alone. Raises CorpusError as `find_column` does."""
    with _open(path) as file:
        return int(file.metadata.num_rows)


def read_rows(path: Path, column: str, errors: Literal["strict", "replace"], count: RowCount) -> Iterator[str]:
    """The text of every row that has some. Raises CorpusError with the number of a row that is no UTF-8."""
    number = 0
    with _open(path) as file:
        is_dictionary = hasattr(file.schema_arrow.field(column).type, "index_type")
        rows = _DICTIONARY_ROWS if is_dictionary else _BATCH_ROWS
        for batch in file.iter_batches(batch_size=rows, columns=[column], use_threads=False):
            values = batch.column(batch.schema.get_field_index(column))
            del batch
            for value in values:
                number += 1
                text = _text(path, number, value.value if is_dictionary and value.is_valid else value, errors)
                if text:
                    yield text
                else:
                    count.empty += 1


def column_kinds(path: Path) -> dict[str, set[str]]:
    """The columns and the kinds of their values, MESSAGES among them, by the footer alone. Raises CorpusError."""
    with _open(path) as file:
        kinds: dict[str, set[str]] = {}
        for field in file.schema_arrow:
            kinds.setdefault(field.name, set()).add(MESSAGES if _holds_messages(field.type) else _kind(field.type))
        return kinds


def _holds_messages(kind: Any) -> bool:
    message = getattr(kind, "value_type", None)
    if message is None or not str(message).startswith("struct<"):
        return False
    return any(message.field(number).name in SPEAKER_FIELDS for number in range(message.num_fields))


def read_whole_rows(path: Path, columns: Collection[str]) -> Iterator[dict[str, Any]]:
    """Rows with these columns as Python's own values, whatever is nested in them. Raises CorpusError."""
    with _open(path) as file:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=list(columns), use_threads=False):
            yield from batch.to_pylist()


def _text(path: Path, number: int, value: Any, errors: str) -> str | None:
    if not value.is_valid:
        return None
    content = value.as_buffer()
    if content.size > LONGEST_ROW:
        raise CorpusError(
            f"{path} has more than {LONGEST_ROW >> 20} MiB of text in row {number:,}; cut it into several documents"
        )
    try:
        return str(content.to_pybytes(), "utf-8", errors)
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path} is not valid utf-8 in row {number:,}, at byte {error.start:,} of its text "
            f"(0x{error.object[error.start]:02X}: {error.reason}); put U+FFFD in place of such bytes with "
            "--errors replace"
        ) from None


def _kind(kind: Any) -> str:
    """`text`, or the type's own name."""
    name = str(getattr(kind, "value_type", kind)) if hasattr(kind, "index_type") else str(kind)
    return TEXT if name in ("string", "large_string", "string_view") else name.partition("<")[0][:40]


# What the footer says of single columns stays unread: pyarrow ends the process where it is damaged (26.0.1).


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """The file, with whatever pyarrow says of it as a CorpusError."""
    arrow, parquet = _pyarrow()
    with path.open("rb") as handle:
        handle.seek(0, 2)
        handle.seek(max(handle.tell() - 4, 0))
        if handle.read(4) == b"PARE":
            raise CorpusError(f"{path} is an encrypted Parquet file; decrypt it first")
    try:
        with parquet.ParquetFile(
            path, buffer_size=_BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True
        ) as file:
            yield file
    except (arrow.ArrowException, OSError, ValueError, KeyError, MemoryError, OverflowError) as error:
        reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise CorpusError(f"{path} is a damaged Parquet file ({reason}); copy or download it again") from None


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise CorpusError(
            "Parquet files are read by the package pyarrow, which is not installed; `pip install 'tui-gpt[data]'` adds "
            "it"
        ) from None
    return pyarrow, pyarrow.parquet
