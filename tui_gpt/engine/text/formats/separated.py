"""CSV and TSV: rows of fields with a header row that names them; quoted fields may hold line ends."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text.formats.tables import (
    LONGEST_ROW,
    TEXT,
    NoTextColumnError,
    RowCount,
    choose_column,
    shown,
    text_lines,
    too_long,
)

_DELIMITERS = (",", ";", "\t")
_LIMIT_LOCK = Lock()


class SeparatedRows:
    """The rows below the header of one file, one at a time."""

    def __init__(self, path: Path, blocks: Iterator[str], delimiter: str = "") -> None:
        """Without a `delimiter` it is the one of comma, semicolon and tab that cuts the header into most names.

        Raises CorpusError for a file without a header.
        """
        self._path = path
        self._lines = text_lines(path, blocks)
        self._characters = 0
        header = next((line for line in self._lines if line.strip()), None)
        if header is None:
            raise NoTextColumnError(f"{path} has no header row that names its columns; add one, or choose another file")
        delimiter = delimiter or max(_DELIMITERS, key=lambda each: len(_fields(header, each)))
        self._rows = csv.reader(self._fed(header), delimiter=delimiter, strict=True)
        self.line = 1
        """Where the present row begins."""
        self.header = self._next() or []
        """The names of the columns."""

    def _fed(self, header: str) -> Iterator[str]:
        yield header + "\n"
        for line in self._lines:
            # A quote that is never closed would gather the rest of the file.
            self._characters += len(line) + 1
            if self._characters > LONGEST_ROW:
                raise too_long(self._path, self.line)
            yield line + "\n"

    def _next(self) -> list[str] | None:
        self.line = self._rows.line_num + 1
        self._characters = 0
        # The limit is one for the whole process: it is ours only while a row is read.
        with _LIMIT_LOCK:
            before = csv.field_size_limit(2 * LONGEST_ROW)  # more than a row gets
            try:
                return next(self._rows, None)
            except csv.Error as error:
                raise CorpusError(
                    f"{self._path} is not valid CSV in the row at line {self.line:,} ({error}); put fields with quotes "
                    'or line ends between quotes, and write a quote within them as ""'
                ) from None
            finally:
                csv.field_size_limit(before)

    def __iter__(self) -> Iterator[list[str]]:
        while (row := self._next()) is not None:
            if row:  # an empty line is none
                yield row

    def uneven(self, row: list[str]) -> CorpusError:
        """The refusal of a row that has more or fewer fields than the header."""
        return CorpusError(
            f"{self._path} has {len(row):,} fields in the row at line {self.line:,}, and its header has "
            f"{len(self.header):,}; put fields that hold the delimiter between quotes, or mend the row"
        )


def _fields(header: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([header], delimiter=delimiter), [])
    except csv.Error:
        return []


def find_column(path: Path, blocks: Iterator[str], wanted: str, delimiter: str) -> str:
    """The name of the column that holds the text. Raises NoTextColumnError, and CorpusError for a broken header."""
    header = SeparatedRows(path, blocks, delimiter).header
    column = choose_column(path, wanted, dict.fromkeys(header, (TEXT,)))
    if header.count(column) > 1:
        raise NoTextColumnError(f"{path} has {header.count(column)} columns called {shown(column)}; rename the others")
    return column


def read_rows(path: Path, blocks: Iterator[str], column: str, delimiter: str, count: RowCount) -> Iterator[str]:
    """The text of every row that has some. Raises CorpusError with the line of a row that is broken."""
    rows = SeparatedRows(path, blocks, delimiter)
    if column not in rows.header:
        raise CorpusError(f"{path} changed while it was being read; try again when nothing writes to it")
    place, width = rows.header.index(column), len(rows.header)
    for row in rows:
        if len(row) != width:
            raise rows.uneven(row)
        text = row[place]
        del row
        if text:
            yield text
        else:
            count.empty += 1
