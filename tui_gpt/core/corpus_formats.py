"""What the name of a corpus file says of what is in it: plain text or a table, compressed or not."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal, NamedTuple

Content = Literal["text", "jsonl", "csv", "tsv", "parquet"]
CONTENTS: tuple[Content, ...] = ("text", "jsonl", "csv", "tsv", "parquet")
Compression = Literal["", "gzip", "zstd"]

_COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}
_CONTENTS: dict[str, Content] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
_TITLES: dict[Content, str] = {
    "text": "text",
    "jsonl": "JSON Lines",
    "csv": "CSV",
    "tsv": "tab-separated values",
    "parquet": "Parquet",
}


class CorpusFormat(NamedTuple):
    """How a file is to be read."""

    content: Content
    compression: Compression = ""

    @property
    def title(self) -> str:
        """For people: `JSON Lines, gzip`."""
        return ", ".join(filter(None, [_TITLES[self.content], self.compression]))

    @property
    def is_table(self) -> bool:
        """Whether it has rows, of which a column of text is learned from."""
        return self.content != "text"


def format_of(name: str) -> CorpusFormat:
    """The format of a file of that name, in capitals or not; what has no name of its own here is text."""
    path = PurePath(name.lower())
    compression = _COMPRESSIONS.get(path.suffix, "")
    inner = _CONTENTS.get(PurePath(path.stem).suffix if compression else path.suffix, "text")
    # Parquet compresses its own pages, and can only be read from a file that can be sought in.
    return CorpusFormat("text" if compression and inner == "parquet" else inner, compression)


def bare_name(name: str) -> str:
    """The name without what tells the format: `book` of `book.jsonl.gz`."""
    path = PurePath(name)
    if path.suffix.lower() in _COMPRESSIONS:
        path = PurePath(path.stem)
    return path.stem
