"""The files of a corpus, each with its documents, whatever its format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tui_gpt.core.config import DataConfig
from tui_gpt.core.corpus_formats import CorpusFormat, format_of
from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text.formats import jsonl, parquet, separated
from tui_gpt.engine.text.formats.parting import parted
from tui_gpt.engine.text.formats.tables import NoTextColumnError, RowCount, as_document
from tui_gpt.engine.text.formats.unpacking import GZIP_MAGIC, ZSTANDARD_MAGIC
from tui_gpt.engine.text.reading import HEAD_BYTES, find_files, no_plain_file, read_blocks, text_problem, unreadable

_GROWTH = 3
"""About how much longer a text is than its compressed file; only a progress bar believes it."""


@dataclass(frozen=True)
class DocumentFile:
    """One file, its format, and where in it the text is."""

    path: Path
    format: CorpusFormat
    column: str
    """Of a table; empty for text, and where every row is a text."""
    n_bytes: int
    """About how many bytes of text it holds."""
    _data: DataConfig

    def documents(self, count: RowCount) -> Iterator[Iterator[str]]:
        """Each document's text in blocks; what a table leaves out is added to `count`.

        Raises CorpusError for a file that is damaged or cannot be read, saying where.
        """
        if not self.format.is_table:
            blocks = read_format(self.path, self.format, self._data)
            if not self._data.separator:
                yield blocks
                return
            for text in parted(self.path, blocks, self._data.separator, count):
                yield as_document(text)
            return
        try:
            for text in self._rows(count):
                yield as_document(text)
        except OSError as error:
            raise unreadable(self.path, error) from None

    def _rows(self, count: RowCount) -> Iterator[str]:
        if self.format.content == "parquet":
            return parquet.read_rows(self.path, self.column, self._data.errors, count)
        blocks = read_format(self.path, self.format, self._data)
        if self.format.content == "jsonl":
            return jsonl.read_rows(self.path, blocks, self.column, count)
        return separated.read_rows(self.path, blocks, self.column, delimiter_of(self.format), count)


@dataclass(frozen=True)
class DocumentFiles:
    """The files behind a path, in the order in which they are read."""

    files: tuple[DocumentFile, ...]
    skipped: tuple[str, ...]
    """What was left out of a folder, each as `path: reason`."""

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats for people, each once."""
        return tuple(dict.fromkeys(file.format.title for file in self.files))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read, each once."""
        return tuple(dict.fromkeys(file.column for file in self.files if file.column))


def find_document_files(path: Path, data: DataConfig) -> DocumentFiles:
    """The file at `path`, or the files in the folder there, recursively and sorted by path.

    Of a folder, what is no text and tables without a column of text are left out; a table that is damaged is not.
    Raises CorpusError when there is nothing to read, saying why.
    """
    found: dict[Path, DocumentFile] = {}

    def problem(each: Path) -> str | None:
        try:
            opened = _opened(each, data)
        except NoTextColumnError as error:
            return str(error).removeprefix(f"{each} ")
        except OSError as error:
            return str(unreadable(each, error)).removeprefix(f"{each} ")
        if isinstance(opened, str):
            return opened
        found[each] = opened
        return None

    files = find_files(path, problem, data.encoding)
    return DocumentFiles(tuple(found[each] for each in files.files), files.skipped)


def document_file(path: Path, data: DataConfig) -> DocumentFile:
    """One file, whatever it is called. Raises CorpusError where it is not to be read, saying why."""
    try:
        opened = _opened(path, data)
    except OSError as error:
        raise unreadable(path, error) from None
    if isinstance(opened, str):
        raise CorpusError(f"{path} {opened}")
    return opened


def _opened(path: Path, data: DataConfig) -> DocumentFile | str:
    """The file, or why it is none, as the rest of a sentence. Raises CorpusError for one that is damaged."""
    kind = format_of(path.name)
    lie = lie_of(path, kind)
    if lie is not None:
        return lie
    n_bytes = path.stat().st_size * (_GROWTH if kind.compression or kind.content == "parquet" else 1)
    if kind.content == "parquet":
        return DocumentFile(path, kind, parquet.find_column(path, data.column), n_bytes, data)
    problem = text_problem(path, data.encoding, kind.compression)
    if problem is not None:
        return problem
    column = ""
    if kind.content == "jsonl":
        column = jsonl.find_column(path, read_format(path, kind, data), data.column)
    elif kind.is_table:
        column = separated.find_column(path, read_format(path, kind, data), data.column, delimiter_of(kind))
    return DocumentFile(path, kind, column, n_bytes, data)


def lie_of(path: Path, kind: CorpusFormat) -> str | None:
    """Why the file is not what it is called, as the rest of a sentence. Raises OSError."""
    if kind == ("text", ""):
        return None
    magic, called = {
        "gzip": (GZIP_MAGIC, ".gz and is not compressed with gzip"),
        "zstd": (ZSTANDARD_MAGIC, ".zst and is not compressed with Zstandard"),
        "": (b"PAR1|PARE", ".parquet and is no Parquet file") if kind.content == "parquet" else (b"", ""),
    }[kind.compression]
    problem = no_plain_file(path)
    if problem is not None:
        return problem
    with path.open("rb") as handle:
        head = handle.read(HEAD_BYTES)
    return None if re.match(magic, head) else f"is called {called}; give it the name of what it is"


def read_format(path: Path, kind: CorpusFormat, data: DataConfig) -> Iterator[str]:
    """The text of a file in blocks, unpacked. Raises CorpusError, and OSError."""
    return read_blocks(path, data.encoding, data.errors, compression=kind.compression)


def delimiter_of(kind: CorpusFormat) -> str:
    """What parts the fields of a row; empty where the header is to tell."""
    return "\t" if kind.content == "tsv" else ""
