"""A text that arrives as a corpus: what is whole before training starts, and the parts as they come.

Its folder holds `plan.json`, written first and never changed, the tokenizer and the validation text, which depend on
the plan and on the first part alone, and the parts.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from tui_gpt.core import files, locations
from tui_gpt.core.config import SHORTEST_CONTEXT, RunConfig
from tui_gpt.core.errors import CorpusError, ModelError
from tui_gpt.core.given_files import read_given
from tui_gpt.core.streams import StreamPlan
from tui_gpt.engine.text.arranging import in_sentences
from tui_gpt.engine.text.batches import Batches
from tui_gpt.engine.text.cache_folders import make_once
from tui_gpt.engine.text.given_tokenizer import GivenTokenizer
from tui_gpt.engine.text.prepared import VALIDATION_FILE, PreparedCorpus
from tui_gpt.engine.text.sources import sha256_of
from tui_gpt.engine.text.streaming.batches import ArrivingBatches, windows_of
from tui_gpt.engine.text.streaming.making import (
    PartMaker,
    Progress,
    arrangement_of,
    facts_of,
    stretch_of,
    validation_stretch,
    write_documents,
    write_part,
)
from tui_gpt.engine.text.streaming.parts import Part, TextFacts, open_part, part_file, read_record
from tui_gpt.engine.text.survey import evenly_spread
from tui_gpt.engine.text.token_files import CorpusFacts, DtypeName, FileRecord, TokenFile, open_token_file
from tui_gpt.engine.text.tokenizer import Tokenizer
from tui_gpt.engine.text.tokenizer_files import LARGEST_BYTES, load_tokenizer
from tui_gpt.engine.text.tokenizer_writing import TOKENIZER_FILE

PLAN_FILE = "plan.json"
SCHEMA = 1

_LARGEST_PLAN_BYTES = 16 << 20
_MOST_WORKERS = 8


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """`plan.json`: the plan, and what followed from it before the rest came."""

    schema: int
    plan: StreamPlan
    sha256: str
    """Stands for the whole text: SHA-256 of the plan and of the digests of the first part and the validation text. The
    hash of the file that the parts are taken from is part of the plan."""
    dtype: DtypeName
    tokenizer_sha256: str
    validation: FileRecord
    validation_text: TextFacts


@dataclass(frozen=True)
class _Arriving(TokenFile):
    """What is to be learned from. Counts are those to be expected until everything is here."""

    folder: Path

    @property
    def tokens(self) -> NDArray[Any]:
        """Of the parts that are here, one after the other, copied into memory; training draws from the parts."""
        parts = _open_parts(self.folder, self.dtype)
        return np.concatenate([np.empty(0, dtype=self.dtype), *(part.tokens for part in parts)])


@dataclass(frozen=True)
class StreamedCorpus(PreparedCorpus):
    """A corpus of which parts may still be on their way."""

    plan: StreamPlan
    parts_here: int
    """When it was opened."""
    is_complete: bool
    """Whether everything was here when it was opened; else what `train` and `facts` say of the whole is estimated."""

    @property
    def train_sha256(self) -> str:
        return sha256_of([part.record.tokens.sha256 for part in _open_parts(self.folder, self.train.dtype)])

    def train_tokens(self) -> Iterator[NDArray[Any]]:
        for part in _open_parts(self.folder, self.train.dtype):
            yield part.tokens

    def batches(self, config: RunConfig) -> Batches:
        dtype = self.train.dtype

        def next_part(number: int) -> tuple[NDArray[Any], bool] | None:
            part = open_part(self.folder, number, dtype)
            return None if part is None else (part.tokens, part.record.is_last)

        length = config.model.n_positions
        expected = float(windows_of(self.train.n_tokens, length))
        batches = ArrivingBatches(next_part, length, config.train.batch_size, config.train.seed, lambda: expected)
        batches.look()
        return batches

    def require_length(self, n_positions: int, *, can_shorten: bool = True) -> None:
        first = open_part(self.folder, 0, self.train.dtype)
        n_first = 0 if first is None else len(first.tokens)
        for name, n_tokens in (("first", n_first), ("validation", self.validation.n_tokens)):
            if n_tokens <= n_positions:
                ways = ["choose another text"]
                if can_shorten and n_tokens > SHORTEST_CONTEXT:
                    ways.append(f"set model.n_positions to at most {n_tokens - 1:,}")
                raise CorpusError(
                    f"the {name} part of {self.source} has {n_tokens:,} tokens, and a context of {n_positions:,} needs "
                    f"at least {n_positions + 1:,}; {', or '.join(ways)}"
                )


def prepare_stream(
    plan: StreamPlan,
    report: Progress,
    tokenizer: Tokenizer | None = None,
    *,
    root: Path | None = None,
    whole: bool = True,
    fetch: bool = True,
) -> StreamedCorpus:
    """The text of a plan as far as training on it can start, or with `whole` all of it: made where it is not here.

    A `tokenizer` that is given is taken as it is. Every byte of what is here is compared with its hash. Raises
    CorpusError where it cannot be had, and what `report` raises.
    """
    root = root or locations.cache_dir() / "corpora"
    try:
        root.mkdir(parents=True, exist_ok=True)
        given = None if tokenizer is None else GivenTokenizer.of(tokenizer, root)
        folder, head = _begun(plan, root, given, report, fetch)
        chosen = load_tokenizer(folder)
        maker = PartMaker(folder, head.plan, chosen, head.dtype, workers=_workers(), fetch=fetch)
        maker.bring(report, None if whole else 1)
        return _opened(folder, head, chosen)
    except ModelError as error:
        raise CorpusError(f"{error}; prepare the corpus again") from None
    except OSError as error:
        raise CorpusError(
            f"token files cannot be written to {root}: {error.strerror or error}; free space or set another cache"
        ) from error


def read_head(folder: Path) -> Head | None:
    """The plan in a folder, with tokenizer and validation text intact; None where that is not so."""
    try:
        head = msgspec.json.decode(read_given(folder / PLAN_FILE, _LARGEST_PLAN_BYTES), type=Head)
        tokenizer = read_given(folder / TOKENIZER_FILE, LARGEST_BYTES)
        if head.schema != SCHEMA or hashlib.sha256(tokenizer).hexdigest() != head.tokenizer_sha256:
            return None
        open_token_file(folder / VALIDATION_FILE, head.validation, head.dtype, verify=True)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError, CorpusError):
        return None
    return head


def require_parts_intact(folder: Path) -> None:
    """Compare every byte of what was made in a folder with its hash. Raises CorpusError naming what is damaged."""
    head = read_head(folder)
    if head is None:
        raise CorpusError(f"the tokenizer or the validation text in {folder} has changed")
    for number in itertools.count():
        if read_record(folder, number) is None:
            return
        if open_part(folder, number, head.dtype) is None:
            raise CorpusError(f"{part_file(folder, number)} has changed")


def _workers() -> int:
    return min(os.cpu_count() or 1, _MOST_WORKERS)


def _folder(root: Path, plan: StreamPlan, given: GivenTokenizer | None) -> Path:
    """Where token files of this text with this tokenizer lie, the same for everyone who wants the same."""
    key = [SCHEMA, "stream", _lasting(plan), given.sha256 if given else None]
    return root / sha256_of(key)[:32]


def _lasting(plan: StreamPlan) -> list[object]:
    """What of a plan says which text it is; where its files are asked for and what it is called does not."""
    return [
        *(plan.train.sha256, plan.documents, plan.validation.sha256, plan.validation_documents, plan.part_documents),
        *(plan.clean, plan.min_characters, plan.shuffle_seed, plan.tokenizer, plan.bpe_vocab_size),
    ]


def _begun(
    plan: StreamPlan, root: Path, given: GivenTokenizer | None, report: Progress, fetch: bool
) -> tuple[Path, Head]:
    if given is not None:
        # A tokenizer that was made from this very text has token files already, made when it was.
        own = _folder(root, plan, None)
        known = read_head(own)
        if known is not None and known.tokenizer_sha256 == given.sha256:
            return own, known
        plan = msgspec.structs.replace(plan, bpe_vocab_size=None)
    folder = _folder(root, plan, given)
    head = read_head(folder)
    if head is None:
        head = make_once(
            folder, lambda: read_head(folder), lambda made: _write_head(made, plan, given, report, fetch), report
        )
    return folder, head


def _write_head(folder: Path, plan: StreamPlan, given: GivenTokenizer | None, report: Progress, fetch: bool) -> None:
    """The tokenizer, the validation text and, because it was read for these, the first part."""
    stretch = stretch_of(plan, 0, 0, report, fetch=fetch)
    arrangement, counts = arrangement_of(plan), Counter[str]()
    first = arrangement.part_to_train_on(stretch.texts, 0, Counter())
    own = validation_stretch(plan, report, fetch=fetch)
    kept = list(map("".join, arrangement.to_validate_on(map(iter, ([text] for text in own.texts)), counts)))
    for side, texts in (("train", first), ("validate", kept)):
        if not texts:
            raise CorpusError(
                f"nothing is left of {plan.corpus} to {side} on; lower data.min_characters, or set data.clean to off"
            )
    tokenizer = given.tokenizer if given else _trained(plan, first, report)
    tokenizer.save(folder)
    report(f"encoding {plan.title}", 0.0)
    validation = write_documents(folder / VALIDATION_FILE, kept, tokenizer, _workers(), ends=False)
    record = write_part(folder, 0, stretch, plan, tokenizer, _workers())
    text = facts_of(kept, own.empty, counts)
    head = Head(
        schema=SCHEMA,
        plan=plan,
        sha256=sha256_of(["stream", _lasting(plan)[:8], record.text.sha256, text.sha256]),
        dtype=cast("DtypeName", tokenizer.dtype.__name__),
        tokenizer_sha256=files.sha256_file(folder / TOKENIZER_FILE),
        validation=validation,
        validation_text=text,
    )
    files.write_bytes(folder / PLAN_FILE, msgspec.json.format(msgspec.json.encode(head)))


def _trained(plan: StreamPlan, texts: list[str], report: Progress) -> Tokenizer:
    """The tokenizer of a plan: of the first part alone, so that it does not depend on how fast the rest comes."""
    if plan.bpe_vocab_size is None:
        from tui_gpt.engine.text.gpt2_tokenizer import gpt2_tokenizer

        return gpt2_tokenizer()
    from tui_gpt.engine.text.bpe_training import train_bpe
    from tui_gpt.engine.text.prepare import BPE_SAMPLE_CHARACTERS, BPE_SAMPLE_CHARACTERS_PER_TOKEN

    report("training the tokenizer", 0.0)
    total = sum(map(len, texts))
    wanted = min(total, BPE_SAMPLE_CHARACTERS, BPE_SAMPLE_CHARACTERS_PER_TOKEN * plan.bpe_vocab_size)
    return train_bpe(evenly_spread(iter(texts), total, wanted), plan.bpe_vocab_size)


def _open_parts(folder: Path, dtype: DtypeName) -> list[Part]:
    parts: list[Part] = []
    while (part := open_part(folder, len(parts), dtype)) is not None:
        parts.append(part)
        if part.record.is_last:
            break
    return parts


def _opened(folder: Path, head: Head, tokenizer: Tokenizer) -> StreamedCorpus:
    parts = _open_parts(folder, head.dtype)
    if not parts:
        raise CorpusError(f"the token files just written to {folder} are damaged; check the disk that holds the cache")
    plan, is_complete = head.plan, parts[-1].record.is_last
    scale = 1.0 if is_complete else _expected_documents(plan, parts) / (len(parts) * plan.part_documents)
    train = _Arriving(
        part_file(folder, 0),
        head.dtype,
        round(scale * sum(part.record.tokens.n_tokens for part in parts)),
        round(scale * sum(part.record.tokens.n_bytes for part in parts)),
        folder,
    )
    validation = open_token_file(folder / VALIDATION_FILE, head.validation, head.dtype)
    return StreamedCorpus(
        folder=folder,
        tokenizer=tokenizer,
        train=train,
        validation=validation,
        sha256=head.sha256,
        source=plan.corpus,
        facts=_facts(head, parts, tokenizer, is_complete=is_complete),
        plan=plan,
        parts_here=len(parts),
        is_complete=is_complete,
    )


def _expected_documents(plan: StreamPlan, parts: list[Part]) -> float:
    """How many there will be, judged by the bytes of those that are here; never fewer than those."""
    here = len(parts) * plan.part_documents
    there = plan.train.n_bytes * here / max(1, parts[-1].record.end)
    return max(here, min(plan.documents, there) if plan.documents else there)


def _facts(head: Head, parts: list[Part], tokenizer: Tokenizer, *, is_complete: bool) -> CorpusFacts:
    """Of what is here: sums, and the first part's sample."""
    plan, own = head.plan, head.validation_text
    texts = [part.record.text for part in parts]
    everything = [*texts, own]
    n_tokens = sum(part.record.tokens.n_tokens for part in parts) + head.validation.n_tokens
    n_bytes = sum(part.record.tokens.n_bytes for part in parts) + head.validation.n_bytes
    changes = []
    if plan.documents:
        changes.append(f"the first {plan.documents:,} documents of {plan.train.name}")
    if not is_complete:
        n_parts = round(plan.documents_expected / plan.part_documents + 0.499)
        changes.append(f"figures are of the {len(parts)} of about {n_parts} parts that are here; the rest is arriving")
    counts: Counter[str] = Counter()
    for text in everything:
        counts.update(text.counts)
    return CorpusFacts(
        characters=sum(text.characters for text in everything),
        bytes=sum(text.bytes for text in everything),
        distinct_characters=len(set().union(*(text.alphabet for text in everything))),
        documents=sum(text.documents for text in everything),
        tokenizer=tokenizer.kind,
        vocab_size=tokenizer.vocab_size,
        tokens=n_tokens,
        bytes_per_token=n_bytes / n_tokens,
        sample=texts[0].sample,
        formats=("text",),
        empty_rows=sum(text.empty for text in everything),
        own_validation=plan.validation.name,
        changes=(*changes, *in_sentences(counts)),
        shortest_document=min(text.shortest for text in everything if text.documents),
        longest_document=max(text.longest for text in everything),
    )
