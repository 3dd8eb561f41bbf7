"""Flat files of token ids, memory-mapped, and the manifest that says what they are."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tui_gpt.core import files
from tui_gpt.core.corpus_shares import PartFacts
from tui_gpt.core.errors import CorpusError
from tui_gpt.core.given_files import read_given
from tui_gpt.core.repeats import Repeats
from tui_gpt.engine.text.mapped_tokens import MappedTokens
from tui_gpt.engine.text.tokenizer import TokenArray, Tokenizer

SCHEMA = 1
MANIFEST_FILE = "manifest.json"
_LARGEST_MANIFEST_BYTES = 16 << 20

DtypeName = Literal["uint16", "uint32"]

BATCH_CHARACTERS = 1 << 18
"""Characters that are encoded at once. Bounds memory: a character needs up to 16 bytes on its way to a token."""

LONGEST_RUN = 1 << 21
"""Characters in a row in which a tokenizer finds no place to cut, after which the text is cut all the same. Tokens of
real texts never get there; a file without a space would be encoded as one piece of 44 bytes of memory per character."""


class CorpusFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What `tui-gpt corpora show` prints."""

    characters: int
    bytes: int
    """UTF-8 bytes of the text, without what separates documents."""
    distinct_characters: int
    documents: int
    tokenizer: str
    vocab_size: int
    tokens: int
    """Training and validation tokens together."""
    bytes_per_token: float
    sample: str
    """The first few hundred characters."""
    skipped: tuple[str, ...] = ()
    """Files of a folder that were left out, each with the reason."""
    formats: tuple[str, ...] = ()
    """What the files are, for people: `text`, `JSON Lines, gzip`."""
    columns: tuple[str, ...] = ()
    """Of tables, those that were read."""
    empty_rows: int = 0
    """Rows of tables that were left out because they have no text."""
    shortest_document: int = 0
    """In characters; 0 where nobody counted."""
    longest_document: int = 0
    answers: int = 0
    """Of conversations, how many answers there are; 0 for texts."""
    answer_tokens: int = 0
    """Tokens of answers, which are what is learned of conversations."""
    own_validation: str = ""
    """The file or split to validate on, of a corpus that has its own: then data.validation_fraction does not apply."""
    changes: tuple[str, ...] = ()
    """What was cleaned up or left out, a sentence each."""
    repeats: Repeats | None = None
    """None where nobody counted: in token files that an earlier version made."""
    parts: tuple[PartFacts, ...] = ()
    """Of a mix, its corpora, the main one first; what is above tells of all of them together."""


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the manifest knows about one file of tokens."""

    n_tokens: int
    n_bytes: int
    """UTF-8 bytes of the text that the tokens stand for; `<|endoftext|>` stands for none."""
    sha256: str


class DialogueRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the manifest knows about the conversations of one part."""

    n_conversations: int
    n_answer_tokens: int
    answer_bytes: int
    """UTF-8 bytes of the answers' text; the tokens that end them stand for none."""
    marks_sha256: str
    """Of a byte for each token, which tells whether it belongs to an answer."""
    ends_sha256: str
    """Of eight bytes for each conversation: where it ends."""


class DialogueRecords(msgspec.Struct, frozen=True, kw_only=True):
    """Of a corpus of conversations."""

    train: DialogueRecord
    validation: DialogueRecord
    question: str
    """The first question of the validation part: what samples answer."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `manifest.json`."""

    schema: int
    source: str
    sha256: str
    """SHA-256 of the text in UTF-8; of several documents, SHA-256 of their digests, one after the other."""
    dtype: DtypeName
    tokenizer_sha256: str
    train: FileRecord
    validation: FileRecord
    facts: CorpusFacts
    dialogues: DialogueRecords | None = None
    """None for a corpus of texts."""


@dataclass(frozen=True)
class TokenFile:
    """One file of token ids."""

    path: Path
    dtype: DtypeName
    n_tokens: int
    n_bytes: int
    """UTF-8 bytes of the text that the tokens stand for."""

    @cached_property
    def tokens(self) -> NDArray[Any]:
        """The ids, shape (n_tokens,), read-only and mapped from the file: only what is touched is read."""
        if self.n_tokens == 0:  # an empty file cannot be mapped
            return np.empty(0, dtype=self.dtype)
        return MappedTokens.of(self.path, self.dtype, self.n_tokens)


def read_manifest(folder: Path) -> Manifest:
    """The manifest in a folder of token files. Raises CorpusError when it is missing or damaged."""
    path = folder / MANIFEST_FILE
    try:
        manifest = msgspec.json.decode(read_given(path, _LARGEST_MANIFEST_BYTES), type=Manifest)
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}; prepare the corpus again") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorpusError(f"{path} is damaged ({error}); prepare the corpus again") from None
    if manifest.schema != SCHEMA:
        raise CorpusError(f"{path} was written by another version of tui-gpt; prepare the corpus again")
    return manifest


def open_token_file(path: Path, record: FileRecord, dtype: DtypeName, *, verify: bool = False) -> TokenFile:
    """The token file at `path`. Raises CorpusError when its size, or with `verify` its hash, is not as recorded."""
    expected = record.n_tokens * np.dtype(dtype).itemsize
    try:
        actual = path.stat().st_size
        intact = actual == expected and (not verify or files.sha256_file(path) == record.sha256)
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}; prepare the corpus again") from None
    if not intact:
        what = "has changed" if actual == expected else f"has {actual:,} bytes instead of {expected:,}"
        raise CorpusError(f"{path} {what}; prepare the corpus again")
    return TokenFile(path, dtype, record.n_tokens, record.n_bytes)


class TokenFileWriter:
    """Encodes documents that arrive in blocks, several blocks at a time, and writes their ids in order.

    Blocks are cut where no token can cross, so that the ids are those of each document as a whole; only a run of more
    than LONGEST_RUN characters without such a place is cut anywhere.
    """

    def __init__(self, path: Path, tokenizer: Tokenizer, pool: ThreadPoolExecutor, workers: int) -> None:
        self.path = path
        self._tokenizer = tokenizer
        self._pool = pool
        self._window = 2 * workers
        self._handle = path.open("xb")
        self._digest = hashlib.sha256()
        self._n_tokens = 0
        self._n_bytes = 0
        self._waiting = ""  # the newest block: only if another one follows, a place to cut it is looked for
        self._carry: list[str] = []  # of the current document, behind its last cut
        self._carry_characters = 0
        self._batch: list[str | None] = []  # None: between two documents
        self._batch_characters = 0
        self._encoding: deque[Future[tuple[TokenArray, int]]] = deque()

    def write(self, text: str) -> None:
        """The next block of the current document."""
        self._part(self._waiting)
        self._waiting = text

    def end_document(self) -> None:
        """Ends the current document; another one follows."""
        self._flush()
        self._add(None)

    def _part(self, text: str) -> None:
        """Hold what is behind the last place to cut; what is before it can be encoded."""
        before = self._carry[-1][-1:] if self._carry else ""
        # Only the new block is searched: where the old ones could be cut, they were.
        cut = self._tokenizer.last_cut(before + text) - len(before) if text else 0
        if cut > 0:
            self._hold(text[:cut])
            self._flush_carry()
            text = text[cut:]
        while self._carry_characters + len(text) > LONGEST_RUN:
            space = LONGEST_RUN - self._carry_characters
            self._hold(text[:space])
            self._flush_carry()
            text = text[space:]
        self._hold(text)

    def _flush(self) -> None:
        """Encode what is left of the document."""
        if self._carry or len(self._waiting) > LONGEST_RUN:
            self._part(self._waiting)
            self._flush_carry()
        elif self._waiting:
            self._add(self._waiting)
        self._waiting = ""

    def close(self) -> FileRecord:
        """Write what is left and make the file durable. Raises what the tokenizer raises, and OSError."""
        self._flush()
        self._submit()
        while self._encoding:
            self._collect()
        self._handle.flush()
        os.fsync(self._handle.fileno())
        self._handle.close()
        return FileRecord(n_tokens=self._n_tokens, n_bytes=self._n_bytes, sha256=self._digest.hexdigest())

    def abandon(self) -> None:
        """Close the file without writing what is left; harmless after `close`."""
        for future in self._encoding:
            future.cancel()
        self._handle.close()

    def _hold(self, text: str) -> None:
        if text:
            self._carry.append(text)
            self._carry_characters += len(text)

    def _flush_carry(self) -> None:
        if self._carry:
            self._add("".join(self._carry))
            self._carry, self._carry_characters = [], 0

    def _add(self, segment: str | None) -> None:
        self._batch.append(segment)
        # A separator counts too, so that empty documents cannot pile up.
        self._batch_characters += len(segment) if segment else 1
        if self._batch_characters >= BATCH_CHARACTERS:
            self._submit()

    def _submit(self) -> None:
        if self._batch:
            self._encoding.append(self._pool.submit(encode_segments, self._tokenizer, self._batch))
            self._batch, self._batch_characters = [], 0
        while len(self._encoding) > self._window:
            self._collect()

    def _collect(self) -> None:
        ids, n_bytes = self._encoding.popleft().result()
        content = ids.astype(np.dtype(self._tokenizer.dtype).newbyteorder("<")).tobytes()
        self._handle.write(content)
        self._digest.update(content)
        self._n_tokens += len(ids)
        self._n_bytes += n_bytes


CHARACTER_SEPARATOR = "\n\n"
"""What stands between documents for a tokenizer without `<|endoftext|>`."""


def encode_segments(tokenizer: Tokenizer, segments: Sequence[str | None]) -> tuple[TokenArray, int]:
    """The ids of pieces of text, None among them meaning the end of a document; and the UTF-8 bytes of that text."""
    if tokenizer.eot_id is None:
        text = "".join(CHARACTER_SEPARATOR if segment is None else segment for segment in segments)
        return tokenizer.encode_array(text), _utf8_length(text)
    return tokenizer.encode_documents(segments), sum(_utf8_length(segment) for segment in segments if segment)


def _utf8_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8"))
