"""A corpus as a source of documents that can be read more than once, whatever lies behind it."""

from __future__ import annotations

import hashlib
import os
import time
from abc import ABC, abstractmethod
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from tui_gpt.core.config import DataConfig
from tui_gpt.core.corpora import CorpusInfo, find, with_own_choices
from tui_gpt.core.errors import CorpusError
from tui_gpt.core.safe_text import safe_text
from tui_gpt.engine.text.arranging import Arrangement, in_sentences
from tui_gpt.engine.text.builtin import builtin_documents, builtin_version
from tui_gpt.engine.text.formats.document_files import DocumentFiles, find_document_files
from tui_gpt.engine.text.formats.tables import RowCount

# A change within the clock's granularity of the last one would leave a file's times as they are.
_SETTLED_NS = 2_000_000_000

Document = Iterator[str]
"""One document's text, in blocks."""
FileState = tuple[str, int, int, int, int, int]
"""Path, device, inode, size, and the times of the last changes to content and inode, in nanoseconds."""


class Source(ABC):
    """Documents in a fixed order."""

    info: CorpusInfo
    skipped: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    """For people, of files: `text`, `JSON Lines, gzip`."""
    columns: tuple[str, ...] = ()
    """Of tables, those that are read."""
    is_table: bool = False
    """Whether documents are rows."""
    empty_rows: int = 0
    """How many rows of tables had no text, once all documents were read."""
    own_validation: str = ""
    """What it has to validate on, for people, where that is a text of its own; its documents come last."""
    training_documents: int | None = None
    """How many come before those, once all documents were read; None where it has none of its own."""
    changes: tuple[str, ...] = ()
    """What was changed or left out on the way, a sentence each, once all documents were read."""

    @property
    @abstractmethod
    def n_bytes_expected(self) -> int:
        """About how many bytes of text there will be, for a progress bar."""

    @property
    @abstractmethod
    def is_generated(self) -> bool:
        """Whether reading it again means making it again."""

    @abstractmethod
    def parts(self) -> tuple[Iterator[Document], Iterator[Document]]:
        """The documents, and those to validate on where they are a text of its own, which are read after the others."""

    def documents(self) -> Iterator[Document]:
        """Every document; each must be read to its end before the next is asked for."""
        train, validation = self.parts()
        number = 0
        for number, document in enumerate(train, 1):  # noqa: B007 - counts
            yield document
        if self.own_validation:
            self.training_documents = number
        yield from validation

    @abstractmethod
    def fingerprint(self) -> str | None:
        """Equal as long as the text is certainly the same, found without reading it; None when that cannot be known."""


def open_source(
    data: DataConfig, progress: Callable[[str, float], None] | None = None, *, fetch: bool = True
) -> Source:
    """The corpus that the configuration names, fetched first where it must be and `fetch` allows it.

    Raises CorpusError when there is no such thing to read, and what `progress` raises.
    """
    info = find(data.corpus)
    data = with_own_choices(data)
    if info.is_fetched:
        from tui_gpt.engine.text.fetched_text import fetched_source

        source: Source = fetched_source(info, data, progress or (lambda _what, _share: None), fetch=fetch)
    elif info.path is None:
        source = _BuiltinSource(info, data.corpus_megabytes)
    else:
        source = _FileSource(info, find_document_files(info.path, data), data)
    arrangement = Arrangement.of(data)
    return source if arrangement.changes_nothing else _ArrangedSource(source, arrangement)


class _FileSource(Source):
    def __init__(self, info: CorpusInfo, files: DocumentFiles, data: DataConfig) -> None:
        self.info = info
        self.skipped = tuple(safe_text(reason, newlines=False) for reason in files.skipped)
        self.formats, self.columns = files.formats, files.columns
        self.is_table = any(file.format.is_table for file in files.files)
        self._files = files.files
        self._data = data

    @property
    def n_bytes_expected(self) -> int:
        return sum(file.n_bytes for file in self._files)

    @property
    def is_generated(self) -> bool:
        return False

    def parts(self) -> tuple[Iterator[Document], Iterator[Document]]:
        return self._documents(), iter(())

    def _documents(self) -> Iterator[Document]:
        count = RowCount()
        for file in self._files:
            yield from file.documents(count)
        self.empty_rows = count.empty

    def fingerprint(self) -> str | None:
        states = states_of(file.path for file in self._files)
        if states is None:
            return None
        rules = [self._data.encoding, self._data.errors, *filter(None, [self._data.separator])]
        if self.is_table:
            return sha256_of(["tables", *rules, [file.column for file in self._files], states])
        return sha256_of(["files", *rules, states])


class _BuiltinSource(Source):
    def __init__(self, info: CorpusInfo, megabytes: float) -> None:
        self.info = info
        self._megabytes = megabytes

    @property
    def n_bytes_expected(self) -> int:
        # What the interpreter brings varies by a few per cent from version to version.
        return {"python": 11_000_000, "python-docs": 1_600_000}.get(self.info.name, int(self._megabytes * 1e6))

    @property
    def is_generated(self) -> bool:
        return True

    def parts(self) -> tuple[Iterator[Document], Iterator[Document]]:
        return (iter([text]) for text in builtin_documents(self.info.name, self._megabytes)), iter(())

    def fingerprint(self) -> str | None:
        size = self._megabytes if self.info.kind == "generated" else None
        return sha256_of(["builtin", self.info.name, size, builtin_version(self.info.name)])


class _ArrangedSource(Source):
    """Documents of another source: fewer of them, cleaned up, in another order."""

    def __init__(self, source: Source, arrangement: Arrangement) -> None:
        self._source, self._arrangement = source, arrangement
        self.info, self.skipped, self.formats = source.info, source.skipped, source.formats
        self.columns, self.is_table, self.own_validation = source.columns, source.is_table, source.own_validation

    @property
    def n_bytes_expected(self) -> int:
        return self._source.n_bytes_expected

    @property
    def is_generated(self) -> bool:
        return self._source.is_generated

    def parts(self) -> tuple[Iterator[Document], Iterator[Document]]:
        train, validation = self._source.parts()
        counts: Counter[str] = Counter()

        def counted() -> Iterator[Document]:
            yield from self._arrangement.to_validate_on(validation, counts)
            self.empty_rows = self._source.empty_rows
            self.changes = (*self._source.changes, *in_sentences(counts))

        def some() -> Iterator[Document]:
            left = False
            for document in self._arrangement.to_train_on(train, counts):
                left = True
                yield document
            if not left and counts:
                raise CorpusError(
                    f"nothing is left of {self.info.name} to train on ({'; '.join(in_sentences(counts))}); lower "
                    "data.min_characters, or set data.clean to off"
                )

        return some(), counted()

    def fingerprint(self) -> str | None:
        known = self._source.fingerprint()
        return None if known is None else sha256_of(["arranged", *self._arrangement.key(), known])


def states_of(paths: Iterable[Path]) -> list[FileState] | None:
    """What tells whether these files are the same later on; None where one is too new, or away, to tell."""
    states = []
    for path in paths:
        try:
            state = path.stat()
        except OSError:
            return None
        # The clock may have been turned back: a time in the future is as doubtful as one just now.
        if time.time_ns() - max(state.st_mtime_ns, state.st_ctime_ns) < _SETTLED_NS:
            return None
        where = _written(path.absolute())
        states.append((where, state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns))
    return states


def _written(path: Path) -> str:
    """The path in valid Unicode: the names in a folder may be any bytes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def sha256_of(value: object) -> str:
    """Of the value as JSON, in hexadecimal."""
    return hashlib.sha256(msgspec.json.encode(value)).hexdigest()


class Spool:
    """Keeps generated documents in a file while they are first read, so that they are made only once."""

    def __init__(self, source: Source, handle: BinaryIO) -> None:
        self._source = source
        self._handle = handle
        self._lengths = array("Q")
        self._complete = False

    def documents(self) -> Iterator[Document]:
        """The source's documents: made the first time, which must run to its end, and read back afterwards."""
        return self._replay() if self._complete else self._record()

    def _record(self) -> Iterator[Document]:
        for document in self._source.documents():
            content = "".join(document).encode("utf-8")
            self._handle.write(content)
            self._lengths.append(len(content))
            yield iter([content.decode("utf-8")])
        self._handle.flush()
        self._complete = True

    def _replay(self) -> Iterator[Document]:
        self._handle.seek(0)
        for length in self._lengths:
            content = self._handle.read(length)
            if len(content) != length:
                raise CorpusError("the generated text could not be read back; check the disk that holds the cache")
            yield iter([content.decode("utf-8")])
