"""Corpora that came over the network, as documents: files of the catalogue, and tables of the Hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tui_gpt.core import figures
from tui_gpt.core.config import DataConfig
from tui_gpt.core.corpora import END_OF_STORY, CorpusInfo, RemoteFile
from tui_gpt.core.errors import CorpusError
from tui_gpt.core.fetched import AVERAGE_DOCUMENT_BYTES, downloads_folder, missing, text_here
from tui_gpt.core.hub_corpus import parse_hub_corpus
from tui_gpt.engine.text.formats.document_files import DocumentFile, document_file
from tui_gpt.engine.text.formats.parting import parted
from tui_gpt.engine.text.formats.tables import RowCount, as_document
from tui_gpt.engine.text.reading import read_blocks
from tui_gpt.engine.text.sources import Document, Source, sha256_of, states_of
from tui_gpt.engine.text.wikitext import articles

Progress = Callable[[str, float], None]

_LINES_OF_ARTICLES = "wikitext-2"


@dataclass(frozen=True)
class _Text:
    """Files that are read one after the other, and how many of their documents count."""

    files: tuple[DocumentFile, ...]
    most: int | None = None
    """Documents, the empty ones counted too, so that it is the same ones whether the rest of a file is here or not."""
    of_articles: bool = False

    @property
    def n_bytes(self) -> int:
        whole = sum(file.n_bytes for file in self.files)
        return whole if self.most is None else min(whole, self.most * AVERAGE_DOCUMENT_BYTES)

    def documents(self, count: RowCount) -> Iterator[Document]:
        for file in self.files:
            if self.most is not None:
                blocks = read_blocks(file.path, "utf-8")
                yield from map(as_document, parted(file.path, blocks, END_OF_STORY, count, self.most))
            elif self.of_articles:
                yield from map(as_document, articles("".join(row) for row in file.documents(count)))
            else:
                yield from file.documents(count)


class FetchedSource(Source):
    """Text to train on, and where there is one, a text of its own to validate on."""

    def __init__(self, info: CorpusInfo, train: _Text, validation: _Text | None, key: list[object]) -> None:
        """`key` says how the files are read."""
        self.info = info
        self._train, self._validation, self._key = train, validation, key
        files = (*train.files, *(validation.files if validation else ()))
        self.formats = tuple(dict.fromkeys(file.format.title for file in files))
        self.columns = tuple(dict.fromkeys(file.column for file in files if file.column))
        self.is_table = any(file.format.is_table for file in files) and not train.of_articles
        self.own_validation = _named(info) if validation else ""
        self._files = files

    @property
    def n_bytes_expected(self) -> int:
        return self._train.n_bytes + (self._validation.n_bytes if self._validation else 0)

    @property
    def is_generated(self) -> bool:
        return False

    def parts(self) -> tuple[Iterator[Document], Iterator[Document]]:
        count = RowCount()

        def counted() -> Iterator[Document]:
            if self._validation is not None:
                own = RowCount()
                yield from self._validation.documents(own)
                count.empty += own.empty
            self.empty_rows = 0 if self._train.of_articles else count.empty
            if self._train.most is not None:
                name = self._train.files[0].path.name.removesuffix(".part")
                self.changes = (f"the first {self._train.most:,} documents of {name}",)

        return self._train.documents(count), counted()

    def fingerprint(self) -> str | None:
        states = states_of(file.path for file in self._files)
        return None if states is None else sha256_of(["fetched", *self._key, self._train.most, states])


def _named(info: CorpusInfo) -> str:
    if info.validation is not None:
        return info.validation.name
    return parse_hub_corpus(info.hub_validation).split


def fetched_source(info: CorpusInfo, data: DataConfig, progress: Progress, *, fetch: bool) -> FetchedSource:
    """The text of a corpus that is fetched; `data` leaves nothing to the corpus.

    Raises CorpusError where it cannot be had, or is not here and must not be fetched, and what `progress` raises.
    """
    if not fetch and (lack := missing(data)) is not None:
        size = "" if lack.n_bytes is None else f", {figures.memory(lack.n_bytes)}"
        raise CorpusError(
            f"{lack.title} is not on this machine yet; `tui-gpt corpora fetch {info.name}` fetches it{size}"
        )
    if info.train is not None:
        return _of_files(info, info.train, data, progress)
    train = _table(info.hub_train, data, data.max_documents or 0, progress)
    validation = _table(info.hub_validation, data, 0, progress) if info.hub_validation else None
    if info.name == _LINES_OF_ARTICLES:
        # Any number of rows makes an article; so all are there, and the articles are counted.
        train = _Text(_table(info.hub_train, data, 0, progress).files, of_articles=True)
        validation = validation and _Text(validation.files, of_articles=True)
    columns = [file.column for file in train.files]
    return FetchedSource(info, train, validation, ["hub", data.errors, columns, train.of_articles])


def fetch_corpus(info: CorpusInfo, data: DataConfig, progress: Progress, *, newest: bool = False) -> None:
    """See to it that a corpus is on this machine; `newest` takes the newest commit of a data set of the Hub.

    Raises as `fetched_source` does.
    """
    if newest and info.kind == "hub":
        from tui_gpt.engine.downloads.hub_tables import fetch_tables

        fetch_tables(parse_hub_corpus(info.hub_train), data.max_documents or 0, progress, newest=True)
    fetched_source(info, data, progress, fetch=True)


def _of_files(info: CorpusInfo, train: RemoteFile, data: DataConfig, progress: Progress) -> FetchedSource:
    stories = info.validation is not None
    data = msgspec.structs.replace(
        data, encoding="utf-8", errors="strict", separator=END_OF_STORY if stories else data.separator
    )
    wanted = (data.max_documents or 0) if stories else 0
    path = _here(info, train, wanted, progress)
    validation = None
    if info.validation is not None:
        most = info.validation_documents
        validation = _Text((document_file(_here(info, info.validation, most, progress), data),), most or None)
    return FetchedSource(
        info, _Text((document_file(path, data),), wanted or None), validation, ["text", data.separator]
    )


def _here(info: CorpusInfo, file: RemoteFile, documents: int, progress: Progress) -> Path:
    path = text_here(info, file, documents)
    if path is None:
        from tui_gpt.engine.downloads.plain_file import fetch_file

        fetch_file(info.title, file, downloads_folder(info.name) / file.name, progress, documents=documents)
        path = text_here(info, file, documents)
    if path is None:
        raise CorpusError(f"{file.name} was taken away while it was fetched; try again")
    return path


def _table(name: str, data: DataConfig, rows: int, progress: Progress) -> _Text:
    from tui_gpt.engine.downloads.hub_tables import fetch_tables
    from tui_gpt.engine.text.formats.parquet import require_parquet

    require_parquet()
    asked = parse_hub_corpus(name)
    files = fetch_tables(asked, rows, progress)
    data = msgspec.structs.replace(data, column=asked.column or data.column)
    return _Text(tuple(document_file(Path(file.path), data) for file in files))
