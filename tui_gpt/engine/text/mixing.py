"""Several corpora as one: a tokenizer that knows them all, each prepared by itself with it, and their shares.

The token files are those of the corpora, which others of the same tokenizer share. The mix itself is a small folder
beside them: the tokenizer, and a record of which token files belong to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
from numpy.typing import NDArray

from tui_gpt.core import files
from tui_gpt.core.config import DataConfig, RunConfig
from tui_gpt.core.corpora import find
from tui_gpt.core.corpus_shares import WHOLE, CorpusShare, PartFacts, corpus_shares, in_words, unique_names
from tui_gpt.core.errors import CorpusError, ModelError
from tui_gpt.core.given_files import read_given
from tui_gpt.engine.text.batches import Batches, WindowBatches, seed_of_part
from tui_gpt.engine.text.cache_folders import make_once
from tui_gpt.engine.text.char_tokenizer import CharTokenizer
from tui_gpt.engine.text.dialogues.dialogue_sources import holds_conversations
from tui_gpt.engine.text.given_tokenizer import GivenTokenizer
from tui_gpt.engine.text.mixed_batches import MixedBatches
from tui_gpt.engine.text.prepare import Preparation, Progress
from tui_gpt.engine.text.prepared import PreparedCorpus, open_prepared
from tui_gpt.engine.text.sources import open_source
from tui_gpt.engine.text.token_files import CHARACTER_SEPARATOR, CorpusFacts, TokenFile
from tui_gpt.engine.text.tokenizer import Tokenizer, TokenizerKind
from tui_gpt.engine.text.tokenizer_files import LARGEST_BYTES, load_tokenizer
from tui_gpt.engine.text.tokenizer_writing import TOKENIZER_FILE

MIX_FILE = "mix.json"
_SCHEMA = 1
_LARGEST_RECORD_BYTES = 1 << 16


class MixRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `mix.json`."""

    schema: int
    tokenizer_sha256: str
    distinct_characters: int
    """Of all corpora together."""
    folders: tuple[str, ...]
    """Names of the folders of token files beside this one, the main corpus' first."""


class JoinedTokens(TokenFile):
    """How much there is in the token files of several corpora; to be read, each corpus has its own."""

    @classmethod
    def of(cls, files_of_parts: Sequence[TokenFile]) -> JoinedTokens:
        """All of these, of which there is at least one."""
        first = files_of_parts[0]
        n_tokens, n_bytes = (sum(getattr(file, name) for file in files_of_parts) for name in ("n_tokens", "n_bytes"))
        return cls(first.path.parent, first.dtype, n_tokens, n_bytes)

    @property
    def tokens(self) -> NDArray[Any]:
        """Raises TypeError."""
        raise TypeError("the tokens of a mix lie in those of its parts")


@dataclass(frozen=True)
class MixedCorpus(PreparedCorpus):
    """Several corpora, each with its share of every step's sequences.

    `train`, `validation` and `facts` tell of all of them together.
    """

    mixed: tuple[PreparedCorpus, ...]
    """The main corpus first."""
    shares: tuple[float, ...]
    """Of every step's sequences; their sum is 1."""

    @property
    def corpora(self) -> tuple[PreparedCorpus, ...]:
        return self.mixed

    @property
    def epoch_tokens(self) -> float:
        return self.mixed[0].train.n_tokens / self.shares[0]

    @property
    def tokens_per_byte(self) -> float:
        """A token's bytes are their mean over the shares, as the loss is."""
        n_bytes = sum(share / part.tokens_per_byte for share, part in zip(self.shares, self.mixed, strict=True))
        return 1.0 / n_bytes

    def require_length(self, n_positions: int, *, can_shorten: bool = True) -> None:
        for part in self.mixed:
            part.require_length(n_positions, can_shorten=can_shorten)

    def batches(self, config: RunConfig) -> Batches:
        length, seed, batch_size = config.model.n_positions, config.train.seed, config.train.batch_size
        windows = [
            WindowBatches(part.train.tokens, length, batch_size, seed_of_part(seed, number))
            for number, part in enumerate(self.mixed)
        ]
        return MixedBatches(windows, [round(share * WHOLE) for share in self.shares], batch_size)


def prepare_mix(
    data: DataConfig, tokenizer: Tokenizer | None, root: Path, report: Progress, *, verify: bool, fetch: bool
) -> MixedCorpus:
    """What `prepare` does where there is a mix. Raises ConfigError, CorpusError and OSError."""
    shares = corpus_shares(data.corpus, data.mix)
    given = None if tokenizer is None else GivenTokenizer.of(tokenizer, root)
    with ExitStack() as stack:
        parts = []
        for share in shares:
            part_data, telling = _data_of(data, share), _telling(report, share)
            _require_plain_text(part_data, telling, fetch=fetch)
            source = open_source(part_data, telling, fetch=fetch)
            parts.append(stack.enter_context(Preparation(part_data, source, root, telling, verify=verify)))
        _require_different(parts)
        folder, record, one_for_all = _Mix(data, shares, parts, given, root, report).found_or_made()
        prepared = []
        for part in parts:
            part.given = GivenTokenizer(one_for_all, record.tokenizer_sha256)
            prepared.append(part.prepared())
    folders = tuple(part.folder.name for part in prepared)
    if folders != record.folders:
        _write_record(folder, msgspec.structs.replace(record, folders=folders))
    names = unique_names([part.source for part in prepared])
    named = tuple(replace(part, source=name) for part, name in zip(prepared, names, strict=True))
    facts = _facts(named, shares, record.distinct_characters)
    return MixedCorpus(
        folder=folder,
        tokenizer=one_for_all,
        train=JoinedTokens.of([part.train for part in named]),
        validation=JoinedTokens.of([part.validation for part in named]),
        sha256=_sha256_of_texts([part.sha256 for part in named], shares),
        source=in_words(facts.parts),
        facts=facts,
        mixed=named,
        shares=tuple(share.share for share in shares),
    )


def require_intact(folder: Path) -> None:
    """Read every byte of the token files that belong to a prepared corpus, a mix or not.

    Raises CorpusError when one is missing or damaged.
    """
    if not (folder / MIX_FILE).exists():
        open_prepared(folder, verify=True)
        return
    for name in _read_record(folder).folders:
        open_prepared(folder.parent / Path(name).name, verify=True)


_OF_ALL = (
    *("corpus_megabytes", "tokenizer", "bpe_vocab_size", "validation_fraction"),
    *("encoding", "errors", "form"),
)
"""Settings that hold for every part; what else is said about the text is said of the main corpus."""


def _data_of(data: DataConfig, share: CorpusShare) -> DataConfig:
    """The settings of one corpus by itself."""
    if share.corpus == data.corpus:
        main: DataConfig = msgspec.structs.replace(data, mix=())
        return main
    return DataConfig(corpus=share.corpus, **{field: getattr(data, field) for field in _OF_ALL})


def _telling(report: Progress, share: CorpusShare) -> Progress:
    name = find(share.corpus).name
    return lambda step, done: report(f"{name}: {step}", done)


def _require_plain_text(data: DataConfig, report: Progress, *, fetch: bool) -> None:
    """Raise CorpusError for conversations: what counts as a target would differ from row to row."""
    if holds_conversations(data, report, fetch=fetch):
        info = find(data.corpus)
        otherwise = "leave it out of the mix" if info.kind == "conversations" else "set data.form to text"
        raise CorpusError(
            f"a mix is made of plain texts, and {info.name} has questions and answers; train on it by itself, or "
            f"{otherwise}"
        )


def _require_different(parts: Sequence[Preparation]) -> None:
    seen: dict[str, str] = {}
    for part in parts:
        digest, name = part.known().sha256, part.source.info.name
        if digest in seen:
            raise CorpusError(f"{seen[digest]} and {name} have the same text; leave one of them out of data.mix")
        seen[digest] = name


def _sha256_of_texts(digests: Sequence[str], shares: Sequence[CorpusShare]) -> str:
    """What stands for all the texts and their shares."""
    lines = (f"{digest} {share.weight}\n" for digest, share in zip(digests, shares, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@dataclass(frozen=True)
class _Mix:
    """The folder of a mix: found, or made."""

    data: DataConfig
    shares: tuple[CorpusShare, ...]
    parts: Sequence[Preparation]
    given: GivenTokenizer | None
    root: Path
    report: Progress

    def _kind(self) -> TokenizerKind:
        if self.given is not None:
            return self.given.tokenizer.kind
        if self.data.tokenizer != "auto":
            return self.data.tokenizer
        kinds = {part.kind() for part in self.parts}
        return kinds.pop() if len(kinds) == 1 else "bpe"

    def _folder(self) -> Path:
        kind = self._kind()
        key = {
            "mix": _SCHEMA,
            "sha256": _sha256_of_texts([part.known().sha256 for part in self.parts], self.shares),
            "tokenizer": kind,
            "bpe_vocab_size": self.data.bpe_vocab_size if kind == "bpe" and self.given is None else None,
            "validation_fraction": self.data.validation_fraction,
            "tokenizer_sha256": None if self.given is None else self.given.sha256,
        }
        return self.root / hashlib.sha256(msgspec.json.encode(key)).hexdigest()[:32]

    def find(self) -> tuple[Path, MixRecord, Tokenizer] | None:
        """The folder with what is in it; None where there is none, or it is damaged."""
        folder = self._folder()
        try:
            record = _read_record(folder)
            content = read_given(folder / TOKENIZER_FILE, LARGEST_BYTES)
            if hashlib.sha256(content).hexdigest() != record.tokenizer_sha256:
                return None
            return folder, record, load_tokenizer(folder)
        except (OSError, ModelError, CorpusError):
            return None

    def found_or_made(self) -> tuple[Path, MixRecord, Tokenizer]:
        """The same, made where it is missing. Raises CorpusError and OSError."""
        found = self.find()
        if found is None:
            for part in self.parts:
                part.survey()
            # Of what was read just now, whatever was remembered.
            found = make_once(self._folder(), self.find, self._write, self.report)
        return found

    def _write(self, folder: Path) -> None:
        alphabet = "".join(sorted(set().union(*(part.survey().alphabet for part in self.parts))))
        self._tokenizer(alphabet).save(folder)
        record = MixRecord(
            schema=_SCHEMA,
            tokenizer_sha256=files.sha256_file(folder / TOKENIZER_FILE),
            distinct_characters=len(alphabet),
            folders=(),
        )
        _write_record(folder, record)

    def _tokenizer(self, alphabet: str) -> Tokenizer:
        if self.given is not None:
            return self.given.tokenizer
        match self._kind():
            case "char":
                several = any(len(part.survey().document_lengths) > 1 for part in self.parts)
                return CharTokenizer(alphabet + (CHARACTER_SEPARATOR if several else ""))
            case "gpt2":
                from tui_gpt.engine.text.gpt2_tokenizer import gpt2_tokenizer

                return gpt2_tokenizer()
            case "bpe":
                from tui_gpt.engine.text.bpe_training import train_bpe

                samples = (
                    part.training_sample(share.share) for part, share in zip(self.parts, self.shares, strict=True)
                )
                return train_bpe(chain.from_iterable(samples), self.data.bpe_vocab_size)


def _read_record(folder: Path) -> MixRecord:
    path = folder / MIX_FILE
    try:
        record = msgspec.json.decode(read_given(path, _LARGEST_RECORD_BYTES), type=MixRecord)
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}; prepare the corpus again") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorpusError(f"{path} is damaged ({error}); prepare the corpus again") from None
    if record.schema != _SCHEMA:
        raise CorpusError(f"{path} was written by another version of tui-gpt; prepare the corpus again")
    return record


def _write_record(folder: Path, record: MixRecord) -> None:
    files.write_bytes(folder / MIX_FILE, msgspec.json.format(msgspec.json.encode(record)))


def _facts(parts: Sequence[PreparedCorpus], shares: Sequence[CorpusShare], distinct_characters: int) -> CorpusFacts:
    """Sums over the corpora; columns and sample are the main one's, as the configuration's column is."""
    every = [part.facts for part in parts]
    main = every[0]
    n_bytes, tokens = sum(facts.bytes for facts in every), sum(facts.tokens for facts in every)
    rate = parts[0].train.n_tokens / shares[0].weight
    return CorpusFacts(
        characters=sum(facts.characters for facts in every),
        bytes=n_bytes,
        distinct_characters=distinct_characters,
        documents=sum(facts.documents for facts in every),
        tokenizer=main.tokenizer,
        vocab_size=main.vocab_size,
        tokens=tokens,
        bytes_per_token=n_bytes / tokens,
        sample=main.sample,
        skipped=tuple(reason for facts in every for reason in facts.skipped),
        formats=tuple(dict.fromkeys(name for facts in every for name in facts.formats)),
        columns=main.columns,
        empty_rows=sum(facts.empty_rows for facts in every),
        own_validation=main.own_validation,
        changes=tuple(f"{part.source}: {change}" for part in parts for change in part.facts.changes),
        shortest_document=min(facts.shortest_document for facts in every),
        longest_document=max(facts.longest_document for facts in every),
        parts=tuple(
            PartFacts(
                source=part.source,
                share=share.share,
                sha256=part.sha256,
                train_tokens=part.train.n_tokens,
                validation_tokens=part.validation.n_tokens,
                readings=rate * share.weight / part.train.n_tokens,
            )
            for part, share in zip(parts, shares, strict=True)
        ),
    )
