"""From conversations to token files, once: read, choose or train a tokenizer, encode, publish in the cache."""

from __future__ import annotations

import hashlib
import itertools
import os
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
import numpy as np

from tui_gpt.core import files
from tui_gpt.core.config import N_CHAT_TOKENS, DataConfig
from tui_gpt.core.errors import CorpusError
from tui_gpt.core.given_files import read_given
from tui_gpt.engine.text.cache_folders import make_once
from tui_gpt.engine.text.char_tokenizer import CharTokenizer
from tui_gpt.engine.text.dialogues.chat_format import chat_format, with_chat
from tui_gpt.engine.text.dialogues.conversation import Conversation, as_text
from tui_gpt.engine.text.dialogues.dialogue_sources import DialogueSource
from tui_gpt.engine.text.dialogues.packing import ANSWER, TURN
from tui_gpt.engine.text.dialogues.prepared_dialogues import ENDS_FILE, MARKS_FILE, PreparedDialogues
from tui_gpt.engine.text.given_tokenizer import GivenTokenizer
from tui_gpt.engine.text.prepared import TRAIN_FILE, VALIDATION_FILE, open_prepared
from tui_gpt.engine.text.repeats import document_repeats
from tui_gpt.engine.text.survey import AUTO_CHAR_LIMIT, evenly_spread
from tui_gpt.engine.text.token_files import (
    MANIFEST_FILE,
    SCHEMA,
    CorpusFacts,
    DialogueRecord,
    DialogueRecords,
    DtypeName,
    FileRecord,
    Manifest,
)
from tui_gpt.engine.text.tokenizer import Tokenizer, TokenizerKind
from tui_gpt.engine.text.tokenizer_writing import TOKENIZER_FILE

Progress = Callable[[str, float], None]

_SAMPLE_CHARACTERS = 600
_BPE_SAMPLE_CHARACTERS_PER_TOKEN = 4000
_MOST_SKIPPED = 1000


@dataclass(frozen=True)
class _Survey:
    """What one reading of all conversations tells."""

    sha256: str
    """Of the SHA-256 of each conversation as JSON, one after the other."""
    alphabet: str
    lengths: array[int]
    """Characters of each conversation."""
    keys: array[int]
    """By which each is known among the others."""
    n_bytes: int
    answers: int
    empty: int
    sample: str


class DialoguePreparation:
    """One call of `prepare`, for conversations."""

    def __init__(
        self,
        data: DataConfig,
        source: DialogueSource,
        root: Path,
        report: Progress,
        given: Tokenizer | None,
        *,
        verify: bool,
    ) -> None:
        self._data, self._source, self._root = data, source, root
        self._report = report
        self._verify = verify
        self._given = None if given is None else GivenTokenizer.of(with_chat(given), root)

    def run(self) -> PreparedDialogues:
        """The token files. Raises CorpusError and OSError."""
        fingerprint = self._source.fingerprint()
        known = self._recall(fingerprint)
        found = self._find(self._root / known) if known else None
        if found is not None:
            return found
        surveyed = self._survey()
        folder = self._folder(surveyed)
        found = make_once(
            folder, lambda: self._find(folder), lambda temporary: self._write(temporary, surveyed), self._report
        )
        if fingerprint is not None and fingerprint == self._source.fingerprint():
            self._remember(fingerprint, folder.name)
        return found

    # ---- what was prepared before

    def _wanted(self) -> dict[str, object]:
        """What the token files depend on, beside the text."""
        size = self._data.bpe_vocab_size if self._given is None else None
        return {
            "schema": SCHEMA,
            "form": "conversations",
            "tokenizer": self._data.tokenizer if self._given is None else self._given.sha256,
            "bpe_vocab_size": size,
            "validation_fraction": self._data.validation_fraction,
        }

    def _folder(self, surveyed: _Survey) -> Path:
        wanted = self._wanted() | {"sha256": surveyed.sha256}
        if self._given is None:
            # As a run writes it down: what it was chosen by makes no other token.
            kind = wanted["tokenizer"] = self._kind(surveyed)
            wanted["bpe_vocab_size"] = self._data.bpe_vocab_size if kind == "bpe" else None
        key = msgspec.json.encode(wanted)
        return self._root / hashlib.sha256(key).hexdigest()[:32]

    def _index_file(self, fingerprint: str) -> Path:
        key = hashlib.sha256(msgspec.json.encode([fingerprint, self._wanted()])).hexdigest()
        return self._root / "sources" / f"{key}.json"

    def _recall(self, fingerprint: str | None) -> str | None:
        """The name of the folder that was made of this very source."""
        if fingerprint is None:
            return None
        try:
            name = msgspec.json.decode(read_given(self._index_file(fingerprint), 1 << 10), type=str)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        return name if Path(name).name == name else None

    def _remember(self, fingerprint: str, folder: str) -> None:
        path = self._index_file(fingerprint)
        path.parent.mkdir(exist_ok=True)
        files.write_bytes(path, msgspec.json.encode(folder), durable=False)

    def _find(self, folder: Path) -> PreparedDialogues | None:
        try:
            prepared = open_prepared(folder, verify=self._verify)
        except CorpusError:
            return None
        if not isinstance(prepared, PreparedDialogues) or chat_format(prepared.tokenizer) is None:
            return None
        facts = msgspec.structs.replace(
            prepared.facts,
            skipped=self._source.skipped[:_MOST_SKIPPED],
            formats=self._source.formats,
            columns=self._source.columns,
        )
        return replace(prepared, source=self._source.info.name, facts=facts)

    # ---- reading

    def _survey(self) -> _Survey:
        expected = max(1, self._source.n_bytes_expected)
        digest, lengths, keys, alphabet = hashlib.sha256(), array("Q"), array("Q"), set[str]()
        n_bytes = answers = 0
        sample = ""
        for conversation in self._source.conversations():
            own = _digest_of(conversation)
            digest.update(own)
            keys.append(int.from_bytes(own[:8], "little"))
            lengths.append(sum(len(message.content) for message in conversation))
            for message in conversation:
                alphabet.update(message.content)
                n_bytes += len(message.content.encode("utf-8", "surrogatepass"))
                answers += message.role == "assistant"
            sample = sample or as_text(conversation)[:_SAMPLE_CHARACTERS]
            self._report("reading", min(1.0, n_bytes / expected))
        if len(lengths) < 2:
            raise CorpusError(
                f"{self._source.info.name} has {'one conversation' if lengths else 'no conversation'} with an answer, "
                "and at least one is needed to learn from and one to measure by; choose more of them"
            )
        return _Survey(
            sha256=digest.hexdigest(),
            alphabet="".join(sorted(alphabet)),
            lengths=lengths,
            keys=keys,
            n_bytes=n_bytes,
            answers=answers,
            empty=self._source.empty,
            sample=sample,
        )

    def _kind(self, surveyed: _Survey) -> TokenizerKind:
        choice = self._data.tokenizer if self._data.tokenizer != "auto" else self._source.info.tokenizer
        if choice != "auto":
            return choice
        return "char" if len(surveyed.alphabet) <= AUTO_CHAR_LIMIT else "bpe"

    def _tokenizer(self, surveyed: _Survey, n_train: int) -> Tokenizer:
        if self._given is not None:
            self._given.require_alphabet(surveyed.alphabet, self._source.info.name)
            return self._given.tokenizer
        match self._kind(surveyed):
            case "char":
                return with_chat(CharTokenizer(surveyed.alphabet))
            case "gpt2":
                from tui_gpt.engine.text.gpt2_tokenizer import gpt2_tokenizer

                return with_chat(gpt2_tokenizer())
            case "bpe":
                from tui_gpt.engine.text.bpe_training import train_bpe

                self._report("training the tokenizer", 0.0)
                size = max(257, self._data.bpe_vocab_size - N_CHAT_TOKENS)
                return with_chat(train_bpe(self._training_texts(surveyed, n_train, size), size))

    def _training_texts(self, surveyed: _Survey, n_train: int, vocab_size: int) -> Iterator[str]:
        """Messages from all over the training part: sets are often sorted by what they are about."""
        training = itertools.islice(self._source.conversations(), n_train)
        texts = (message.content for conversation in training for message in conversation)
        total = sum(surveyed.lengths[:n_train])
        return evenly_spread(texts, total, _BPE_SAMPLE_CHARACTERS_PER_TOKEN * vocab_size)

    # ---- writing

    def _write(self, folder: Path, surveyed: _Survey) -> None:
        n = len(surveyed.lengths)
        n_train = n - min(max(round(n * self._data.validation_fraction), 1), n - 1)
        tokenizer = self._tokenizer(surveyed, n_train)
        tokenizer.save(folder)
        with ExitStack() as stack:
            writers = [_PartWriter(folder, part, tokenizer, stack) for part in ("train", "validation")]
            digest, question = hashlib.sha256(), ""
            for number, conversation in enumerate(self._source.conversations()):
                digest.update(_digest_of(conversation))
                writers[number >= n_train].add(conversation)
                if number >= n_train and not question:
                    question = next(message.content for message in conversation if message.role == "user")
                self._report("encoding", min(1.0, number / n))
            if digest.hexdigest() != surveyed.sha256:
                raise CorpusError(
                    f"{self._source.info.name} changed while it was being read; try again when nothing writes to it"
                )
            (train, train_record), (validation, validation_record) = (writer.close() for writer in writers)
        tokens = train.n_tokens + validation.n_tokens
        manifest = Manifest(
            schema=SCHEMA,
            source=self._source.info.name,
            sha256=surveyed.sha256,
            dtype=cast("DtypeName", tokenizer.dtype.__name__),
            tokenizer_sha256=files.sha256_file(folder / TOKENIZER_FILE),
            train=train,
            validation=validation,
            facts=CorpusFacts(
                characters=sum(surveyed.lengths),
                bytes=surveyed.n_bytes,
                distinct_characters=len(surveyed.alphabet),
                documents=n,
                tokenizer=tokenizer.kind,
                vocab_size=tokenizer.vocab_size,
                tokens=tokens,
                bytes_per_token=(train.n_bytes + validation.n_bytes) / tokens,
                sample=surveyed.sample,
                skipped=self._source.skipped[:_MOST_SKIPPED],
                formats=self._source.formats,
                columns=self._source.columns,
                empty_rows=surveyed.empty,
                shortest_document=min(surveyed.lengths),
                longest_document=max(surveyed.lengths),
                repeats=document_repeats(surveyed.keys, surveyed.lengths, sum(surveyed.lengths[:n_train])),
                answers=surveyed.answers,
                answer_tokens=train_record.n_answer_tokens + validation_record.n_answer_tokens,
            ),
            dialogues=DialogueRecords(train=train_record, validation=validation_record, question=question[:10_000]),
        )
        files.write_bytes(folder / MANIFEST_FILE, msgspec.json.format(msgspec.json.encode(manifest)))


class _PartWriter:
    """Writes the tokens of one part, the marks of each and the ends of its conversations."""

    def __init__(self, folder: Path, part: str, tokenizer: Tokenizer, stack: ExitStack) -> None:
        names = ({"train": TRAIN_FILE, "validation": VALIDATION_FILE}[part], MARKS_FILE, ENDS_FILE)
        self._files = [_HashedFile(folder / name.format(part=part), stack) for name in names]
        self._dtype = np.dtype(tokenizer.dtype).newbyteorder("<")
        found = chat_format(tokenizer)
        assert found is not None, "with_chat gave it one"
        self._format = found
        self._n_tokens = self._n_bytes = self._n = self._n_answer_tokens = self._answer_bytes = 0

    def add(self, conversation: Conversation) -> None:
        encoded = self._format.encode(conversation)
        marks = np.array(encoded.answers, dtype=np.uint8) * ANSWER
        marks[encoded.turns] |= TURN
        self._n += 1
        self._n_tokens += len(encoded.ids)
        for message in conversation:
            size = len(message.content.encode("utf-8"))
            self._n_bytes += size
            self._answer_bytes += size if message.role == "assistant" else 0
        self._n_answer_tokens += sum(encoded.answers)
        ids = np.array(encoded.ids, dtype=self._dtype)
        ends = np.array([self._n_tokens], dtype="<u8")
        for file, content in zip(self._files, (ids, marks, ends), strict=True):
            file.write(content.tobytes())

    def close(self) -> tuple[FileRecord, DialogueRecord]:
        """Bring everything to the disk; what there is."""
        tokens, marks, ends = (file.close() for file in self._files)
        return FileRecord(n_tokens=self._n_tokens, n_bytes=self._n_bytes, sha256=tokens), DialogueRecord(
            n_conversations=self._n,
            n_answer_tokens=self._n_answer_tokens,
            answer_bytes=self._answer_bytes,
            marks_sha256=marks,
            ends_sha256=ends,
        )


class _HashedFile:
    def __init__(self, path: Path, stack: ExitStack) -> None:
        self._handle: BinaryIO = stack.enter_context(path.open("xb"))
        self._digest = hashlib.sha256()

    def write(self, content: bytes) -> None:
        self._handle.write(content)
        self._digest.update(content)

    def close(self) -> str:
        """Make it durable; its SHA-256."""
        self._handle.flush()
        os.fsync(self._handle.fileno())
        return self._digest.hexdigest()


def _digest_of(conversation: Conversation) -> bytes:
    try:
        content = msgspec.json.encode(conversation)
    except UnicodeEncodeError:
        raise CorpusError(
            f"a conversation has half a character (a lone surrogate): {as_text(conversation)[:60]!r}; mend it"
        ) from None
    return hashlib.sha256(content).digest()
