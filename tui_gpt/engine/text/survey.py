"""The first reading of a corpus: how long it is, what is in it, and the hash that stands for it."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from tui_gpt.core.errors import CorpusError
from tui_gpt.core.repeats import Repeats
from tui_gpt.engine.text.repeats import Paragraphs, document_repeats
from tui_gpt.engine.text.sources import Document

AUTO_CHAR_LIMIT = 256
"""With at most this many distinct characters at the beginning of the text, `auto` means the character tokenizer."""
AUTO_CHARACTERS = 4_000_000
"""How many characters count as the beginning."""
_SAMPLE_CHARACTERS = 300


class TextHash:
    """SHA-256 of one document in UTF-8; of several, SHA-256 of their digests, one after the other.

    Of a table, SHA-256 of the digest of the names of its columns that are read, and of those of the documents.
    """

    def __init__(self, columns: Iterable[str] = ()) -> None:
        """`columns` are those that are read, none for plain text."""
        self._document = hashlib.sha256()
        self._first: bytes | None = None
        self._ended = 0
        self._all = hashlib.sha256()
        names = b"".join(name.encode("utf-8", "backslashreplace") + b"\0" for name in columns)
        if names:
            self._end(hashlib.sha256(names).digest())

    def update(self, content: bytes) -> None:
        """The next bytes of the current document."""
        self._document.update(content)

    def end_document(self) -> bytes:
        """Ends the current document, and returns its digest."""
        digest = self._document.digest()
        self._end(digest)
        self._document = hashlib.sha256()
        return digest

    def _end(self, digest: bytes) -> None:
        self._first = self._first or digest
        self._all.update(digest)
        self._ended += 1

    def hexdigest(self) -> str:
        """Of the documents that have ended, in hexadecimal."""
        one = self._first if self._ended == 1 else None
        return (one or self._all.digest()).hex()


@dataclass(frozen=True)
class Survey:
    """What one reading of all documents tells."""

    characters: int
    bytes: int
    """UTF-8 bytes of the text."""
    alphabet: str
    """Every distinct character, sorted."""
    sha256: str
    """As `TextHash` makes it."""
    sample: str
    suits_char: bool
    """Whether the beginning has few enough distinct characters for a character tokenizer."""
    document_lengths: array[int]
    """Characters of each document."""
    document_keys: array[int]
    """The first 64 bits of each document's SHA-256."""
    paragraphs: Paragraphs | None
    """Of the document, where there is only one."""

    def repeats(self, boundary: int) -> Repeats:
        """What is there more than once; the training part ends at `boundary`, in characters."""
        if self.paragraphs is not None:
            return self.paragraphs.repeats(boundary)
        return document_repeats(self.document_keys, self.document_lengths, boundary)


def survey(documents: Iterable[Document], on_bytes: Callable[[int], None], columns: Iterable[str] = ()) -> Survey:
    """Read every document once. `on_bytes` hears how many bytes have been read so far; `columns` are those of tables.

    Raises CorpusError as the documents do, and when there is too little text to be split in two.
    """
    seen = np.zeros(0x110000, dtype=np.bool_)
    lengths, keys = array("Q"), array("Q")
    paragraphs: Paragraphs | None = Paragraphs()
    hashed = TextHash(columns)
    sample: list[str] = []
    characters = n_bytes = 0
    suits_char: bool | None = None
    for document in documents:
        length = 0
        if lengths:
            paragraphs = None
        for block in document:
            content = block.encode("utf-8")
            hashed.update(content)
            seen[np.frombuffer(block.encode("utf-32-le"), dtype="<u4")] = True
            if characters + length < _SAMPLE_CHARACTERS:
                sample.append(block[:_SAMPLE_CHARACTERS])
            if paragraphs is not None:
                paragraphs.add(block)
            length += len(block)
            n_bytes += len(content)
            if suits_char is None and characters + length >= AUTO_CHARACTERS:
                suits_char = int(seen.sum()) <= AUTO_CHAR_LIMIT
            on_bytes(n_bytes)
        characters += length
        lengths.append(length)
        keys.append(int.from_bytes(hashed.end_document()[:8], "little"))
    if characters < 2:
        raise CorpusError(
            f"the text has {'one character' if characters else 'no characters'}, and at least one is needed to train "
            "on and one to validate on; choose a longer text"
        )
    alphabet = "".join(map(chr, np.flatnonzero(seen).tolist()))
    return Survey(
        characters=characters,
        bytes=n_bytes,
        alphabet=alphabet,
        sha256=hashed.hexdigest(),
        sample="\n\n".join(sample)[:_SAMPLE_CHARACTERS],
        suits_char=len(alphabet) <= AUTO_CHAR_LIMIT if suits_char is None else suits_char,
        document_lengths=lengths,
        document_keys=keys,
        paragraphs=paragraphs,
    )


def train_characters(document_lengths: Iterable[int], validation_fraction: float) -> int:
    """How many characters come before the validation part.

    The exact share of one document; of several, the boundary of documents nearest to it, unless that would make the
    validation part less than half or more than one and a half times as long as asked for.
    """
    ends = np.cumsum(np.fromiter(document_lengths, dtype=np.int64))
    total = int(ends[-1])
    # As nanoGPT splits: 0.9 of the length, rounded down; but never nothing on either side.
    exact = min(max(int((1 - validation_fraction) * total), 1), total - 1)
    nearest = int(ends[np.argmin(np.abs(ends - exact))])
    return nearest if 0 < nearest < total and 2 * abs(nearest - exact) <= total - exact else exact


def evenly_spread(blocks: Iterable[str], total: int, wanted: int) -> Iterator[str]:
    """Blocks from all over a text of `total` characters, about `wanted` characters; all of them when that is more."""
    share = min(1.0, wanted / total)
    before = taken = 0
    for block in blocks:
        if taken <= share * before:
            taken += len(block)
            yield block
        before += len(block)
