"""From a corpus to token files, once: read, choose or train a tokenizer, encode, publish in the cache."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Literal, Self, cast

import msgspec

from tui_gpt.core import files, locations
from tui_gpt.core.config import DataConfig
from tui_gpt.core.errors import CorpusError
from tui_gpt.core.given_files import read_given
from tui_gpt.core.streams import stream_plan
from tui_gpt.engine.text import arranging
from tui_gpt.engine.text.cache_folders import make_once
from tui_gpt.engine.text.char_tokenizer import CharTokenizer
from tui_gpt.engine.text.dialogues.dialogue_sources import holds_conversations, open_dialogues
from tui_gpt.engine.text.dialogues.prepare_dialogues import DialoguePreparation
from tui_gpt.engine.text.given_tokenizer import GivenTokenizer
from tui_gpt.engine.text.prepared import TRAIN_FILE, VALIDATION_FILE, PreparedCorpus, open_prepared
from tui_gpt.engine.text.sources import Document, Source, Spool, open_source
from tui_gpt.engine.text.streaming.corpus import prepare_stream
from tui_gpt.engine.text.survey import Survey, TextHash, evenly_spread, survey, train_characters
from tui_gpt.engine.text.token_files import (
    CHARACTER_SEPARATOR,
    MANIFEST_FILE,
    SCHEMA,
    CorpusFacts,
    DtypeName,
    Manifest,
    TokenFileWriter,
)
from tui_gpt.engine.text.tokenizer import Tokenizer, TokenizerKind
from tui_gpt.engine.text.tokenizer_writing import TOKENIZER_FILE

Progress = Callable[[str, float], None]
"""Called with the name of the step and how much of it is done, 0 to 1; what it raises ends the preparation."""

BPE_SAMPLE_CHARACTERS = 32_000_000
BPE_SAMPLE_CHARACTERS_PER_TOKEN = 4000
"""A BPE learns from at most about so many characters, in all and for each token, spread over the training part."""

_MOST_WORKERS = 8
_MOST_SKIPPED = 1000
_LARGEST_INDEX_BYTES = 1 << 16


class Known(msgspec.Struct, frozen=True):
    """What is remembered about a source that was read before."""

    sha256: str
    suits_char: bool
    empty_rows: int = 0
    training_documents: int | None = None
    changes: tuple[str, ...] = ()


def prepare(
    data: DataConfig,
    *,
    tokenizer: Tokenizer | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
    verify: bool = False,
    fetch: bool = True,
    whole: bool = True,
) -> PreparedCorpus:
    """The corpus as token files in the cache, made now unless they are there; fetched first where `fetch` allows it.

    Training text comes first and validation text last: of one file the exact share of its characters, of several
    documents the nearest boundary, and what the corpus itself has for it, if it does; each row of a table is a
    document. Documents are separated by `<|endoftext|>`, for
    characters by a blank line. The tokenizer `auto` is the catalogue's choice for a built-in corpus; for files it is
    `char` when the first four million characters have at most 256 distinct ones, else `bpe`. A `tokenizer` that is
    given (a model's, say) is taken as it is, whatever `data` says of it. Of conversations (`data.form`) the answers are
    what is learned, and a tokenizer gets tokens for them that has none. Of several corpora (`data.mix`) each is
    prepared by itself, with one tokenizer for all. Of a text that can be learned from while it arrives (`streaming`),
    nothing but its beginning need be here unless it is wanted `whole`. With `verify` every byte of files that are there
    is compared with its hash, and files that are damaged are made again; without it, only their sizes are.

    Raises CorpusError when there is no such corpus, when it cannot be read, when it has characters that the given
    tokenizer cannot write, or when the cache cannot be written; ConfigError where `data.mix` is wrong.
    """
    root = cache or locations.cache_dir() / "corpora"
    report = progress or (lambda step, done: None)
    try:
        root.mkdir(parents=True, exist_ok=True)
        if data.mix:
            from tui_gpt.engine.text.mixing import prepare_mix  # here, because it is made of what is below

            return prepare_mix(data, tokenizer, root, report, verify=verify, fetch=fetch)
        if holds_conversations(data, report, fetch=fetch):
            talks = open_dialogues(data, report)
            return DialoguePreparation(data, talks, root, report, tokenizer, verify=verify).run()
        plan = stream_plan(data, arranging.PART_DOCUMENTS, None if tokenizer is None else tokenizer.kind)
        if plan is not None:
            return prepare_stream(plan, report, tokenizer, root=root, whole=whole, fetch=fetch)
        given = None if tokenizer is None else GivenTokenizer.of(tokenizer, root)
        source = open_source(data, report, fetch=fetch)
        with Preparation(data, source, root, report, given, verify=verify) as preparation:
            return preparation.prepared()
    except OSError as error:
        raise CorpusError(
            f"token files cannot be written to {root}: {error.strerror or error}; free space or set another cache"
        ) from error


def explore(data: DataConfig, *, progress: Progress | None = None) -> CorpusFacts:
    """What is in a corpus. Prepares it, so that training on it afterwards starts at once. Raises CorpusError."""
    return prepare(data, progress=progress).facts


class Preparation:
    """One text on its way to token files. As a context, which holds what it generates until it is left."""

    def __init__(
        self,
        data: DataConfig,
        source: Source,
        root: Path,
        report: Progress,
        given: GivenTokenizer | None = None,
        *,
        verify: bool,
    ) -> None:
        self.source = source
        self.given = given
        """The tokenizer to take; None: one made from the text."""
        self._verify = verify
        self._data = data
        self._root = root
        self._report = report
        self._open_documents: Callable[[], Iterator[Document]] = source.documents
        self._fingerprint = source.fingerprint()
        self._known: Known | None = None
        self._surveyed: Survey | None = None
        self._held = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._held.close()

    def known(self) -> Known:
        """What tells this text from others: remembered, or found by reading it. Raises CorpusError."""
        if self._known is None:
            self._known = self._recall(self._fingerprint)
            if self._known is None:
                self.survey()
            else:
                self.source.empty_rows, self.source.changes = self._known.empty_rows, self._known.changes
                self.source.training_documents = self._known.training_documents
        assert self._known is not None
        return self._known

    def survey(self) -> Survey:
        """What reading all of it tells; it is read once. Raises CorpusError."""
        if self._surveyed is None:
            if self.source.is_generated:
                handle = self._held.enter_context(tempfile.TemporaryFile(dir=self._root))  # noqa: SIM115 - held here
                self._open_documents = Spool(self.source, cast("BinaryIO", handle)).documents
            self._surveyed = survey(self._open_documents(), self._on_bytes("reading"), self.source.columns)
            self._known = Known(
                self._surveyed.sha256,
                self._surveyed.suits_char,
                self.source.empty_rows,
                self.source.training_documents,
                self.source.changes,
            )
        return self._surveyed

    def prepared(self) -> PreparedCorpus:
        """The token files: found, or made now. Raises CorpusError and OSError."""
        prepared = self._find_prepared(self.known())
        if prepared is None:
            surveyed = self.survey()
            known = self.known()
            prepared = self._find_prepared(known) or self._build_alone(self._folder(known, self.given), surveyed)
        # Only what was the same before and after reading is what was read.
        before = None if self._surveyed is None else self._fingerprint
        if before is not None and before == self.source.fingerprint():
            self._remember(before, self.known())
        return prepared

    def _find_prepared(self, known: Known) -> PreparedCorpus | None:
        """The token files wanted, if they are there."""
        if self.given is None:
            return self._find(self._folder(known))
        # A tokenizer that was made from this very text has token files already, made when it was.
        for folder in (self._folder(known), self._folder(known, self.given)):
            found = self._find(folder)
            if found is not None and self.given.is_in(folder):
                return found
        return None

    def kind(self) -> TokenizerKind:
        """The tokenizer's: the given one's, the one asked for, or what suits the text. Raises CorpusError."""
        return self._kind(self.known().suits_char)

    def _kind(self, suits_char: bool) -> TokenizerKind:
        if self.given is not None:
            return self.given.tokenizer.kind
        choice = self._data.tokenizer if self._data.tokenizer != "auto" else self.source.info.tokenizer
        if choice != "auto":
            return choice
        return "char" if suits_char else "bpe"

    def _folder(self, known: Known, given: GivenTokenizer | None = None) -> Path:
        """Where token files of this text with this tokenizer lie, the same for everyone who wants the same."""
        kind = self._kind(known.suits_char)
        key: dict[str, object] = {
            "schema": SCHEMA,
            "sha256": known.sha256,
            "tokenizer": kind,
            "bpe_vocab_size": self._data.bpe_vocab_size if kind == "bpe" and given is None else None,
            "validation_fraction": self._data.validation_fraction,
        }
        if known.training_documents is not None:
            key |= {"validation_fraction": None, "training_documents": known.training_documents}
        if given is not None:
            key["tokenizer_sha256"] = given.sha256
        return self._root / hashlib.sha256(msgspec.json.encode(key)).hexdigest()[:32]

    def _index_file(self, fingerprint: str) -> Path:
        return self._root / "sources" / f"{fingerprint}.json"

    def _recall(self, fingerprint: str | None) -> Known | None:
        if fingerprint is None:
            return None
        try:
            content = read_given(self._index_file(fingerprint), _LARGEST_INDEX_BYTES)
            return msgspec.json.decode(content, type=Known)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def _remember(self, fingerprint: str, known: Known) -> None:
        path = self._index_file(fingerprint)
        path.parent.mkdir(exist_ok=True)
        files.write_bytes(path, msgspec.json.encode(known), durable=False)

    def _find(self, folder: Path) -> PreparedCorpus | None:
        try:
            prepared = open_prepared(folder, verify=self._verify)
        except CorpusError:
            return None
        # The same text may have been prepared under another name.
        facts = msgspec.structs.replace(
            prepared.facts,
            skipped=self.source.skipped[:_MOST_SKIPPED],
            formats=self.source.formats,
            columns=self.source.columns,
            empty_rows=self.source.empty_rows,
            own_validation=self.source.own_validation,
            changes=self.source.changes,
        )
        return replace(prepared, source=self.source.info.name, facts=facts)

    def _on_bytes(self, step: str) -> Callable[[int], None]:
        expected = max(self.source.n_bytes_expected, 1)
        return lambda n_bytes: self._report(step, min(1.0, n_bytes / expected))

    def _build_alone(self, folder: Path, surveyed: Survey) -> PreparedCorpus:
        return make_once(
            folder, lambda: self._find(folder), lambda temporary: self._write(temporary, surveyed), self._report
        )

    def _write(self, folder: Path, surveyed: Survey) -> None:
        boundary = self._boundary(surveyed)
        tokenizer = self._tokenizer(surveyed)
        tokenizer.save(folder)
        workers = min(os.cpu_count() or 1, _MOST_WORKERS)
        names = (TRAIN_FILE, VALIDATION_FILE)
        with ThreadPoolExecutor(workers) as pool, ExitStack() as stack:
            writers = [TokenFileWriter(folder / name, tokenizer, pool, workers) for name in names]
            for writer in writers:
                stack.callback(writer.abandon)
            self._encode(writers, surveyed, boundary)
            train, validation = (writer.close() for writer in writers)
        tokens = train.n_tokens + validation.n_tokens
        manifest = Manifest(
            schema=SCHEMA,
            source=self.source.info.name,
            sha256=surveyed.sha256,
            dtype=cast("DtypeName", tokenizer.dtype.__name__),
            tokenizer_sha256=files.sha256_file(folder / TOKENIZER_FILE),
            train=train,
            validation=validation,
            facts=CorpusFacts(
                characters=surveyed.characters,
                bytes=surveyed.bytes,
                distinct_characters=len(surveyed.alphabet),
                documents=len(surveyed.document_lengths),
                tokenizer=tokenizer.kind,
                vocab_size=tokenizer.vocab_size,
                tokens=tokens,
                bytes_per_token=(train.n_bytes + validation.n_bytes) / tokens,
                sample=surveyed.sample,
                skipped=self.source.skipped[:_MOST_SKIPPED],
                formats=self.source.formats,
                columns=self.source.columns,
                empty_rows=self.source.empty_rows,
                own_validation=self.source.own_validation,
                changes=self.source.changes,
                shortest_document=min(surveyed.document_lengths),
                longest_document=max(surveyed.document_lengths),
                repeats=surveyed.repeats(boundary),
            ),
        )
        files.write_bytes(folder / MANIFEST_FILE, msgspec.json.format(msgspec.json.encode(manifest)))

    def _boundary(self, surveyed: Survey) -> int:
        """How many characters are trained on. Raises CorpusError where nothing would be left on one side."""
        own = self.source.training_documents
        if own is None:
            return train_characters(surveyed.document_lengths, self._data.validation_fraction)
        boundary = sum(surveyed.document_lengths[:own])
        if not 0 < boundary < surveyed.characters:
            side = "train" if boundary == 0 else "validate"
            raise CorpusError(
                f"nothing is left of {self.source.info.name} to {side} on; lower data.min_characters, or set "
                "data.clean to off"
            )
        return boundary

    def _tokenizer(self, surveyed: Survey) -> Tokenizer:
        if self.given is not None:
            self.given.require_characters(surveyed, self.source.info.name)
            return self.given.tokenizer
        match self._kind(surveyed.suits_char):
            case "char":
                separator = CHARACTER_SEPARATOR if len(surveyed.document_lengths) > 1 else ""
                return CharTokenizer(surveyed.alphabet + separator)
            case "gpt2":
                from tui_gpt.engine.text.gpt2_tokenizer import gpt2_tokenizer

                return gpt2_tokenizer()
            case "bpe":
                from tui_gpt.engine.text.bpe_training import train_bpe

                self._report("training the tokenizer", 0.0)
                return train_bpe(self.training_sample(), self._data.bpe_vocab_size)

    def training_sample(self, share: float = 1.0) -> Iterator[str]:
        """What a BPE learns from: the training part, or text from all over it where that is long.

        `share` is that of this text in all that is learned from.
        """
        boundary = self._boundary(self.survey())
        blocks = (
            text for part, text in _divided(self._open_documents(), boundary) if text is not None and part == "train"
        )
        most = min(BPE_SAMPLE_CHARACTERS, BPE_SAMPLE_CHARACTERS_PER_TOKEN * self._data.bpe_vocab_size)
        wanted = min(boundary, max(1, int(share * most)))
        done = 0
        for block in evenly_spread(blocks, boundary, wanted):
            yield block
            done += len(block)
            self._report("training the tokenizer", min(1.0, done / wanted))

    def _encode(self, writers: list[TokenFileWriter], surveyed: Survey, boundary: int) -> None:
        train, validation = writers
        written = 0
        hashed = TextHash(self.source.columns)
        for part, text in _divided(_hashing(self._open_documents(), hashed), boundary):
            writer = train if part == "train" else validation
            if text is None:
                writer.end_document()
                continue
            writer.write(text)
            written += len(text)
            self._report("encoding", min(1.0, written / surveyed.characters))
        # Another text of the same length would be kept, and found again, as the one that was surveyed.
        if hashed.hexdigest() != surveyed.sha256:
            raise CorpusError(
                f"{self.source.info.name} changed while it was being read; try again when nothing writes to it"
            )


def _hashing(documents: Iterator[Document], hashed: TextHash) -> Iterator[Document]:
    """The same documents, with what passes by in `hashed`."""

    def passing(document: Document) -> Document:
        for block in document:
            hashed.update(block.encode("utf-8"))
            yield block
        hashed.end_document()

    return map(passing, documents)


Part = Literal["train", "validation"]


def _divided(documents: Iterator[Document], boundary: int) -> Iterator[tuple[Part, str | None]]:
    """Every block with its part, cut at `boundary` characters; None where two documents of a part meet."""
    position = 0
    between = False
    for document in documents:
        for block in document:
            if between and position != boundary:
                yield ("train" if position < boundary else "validation"), None
            between = False
            cut = min(max(boundary - position, 0), len(block))
            if cut:
                yield "train", block[:cut]
            if cut < len(block):
                yield "validation", block[cut:]
            position += len(block)
        between = position > 0
