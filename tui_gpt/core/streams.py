"""Texts that are learned from while the rest of them arrives: what makes such a text, part by part.

A plan says everything that its token files depend on, so that whoever makes a part makes the same one: today or after
a resumption, from a text that is all here or from one that is still on its way.
"""

from __future__ import annotations

from typing import Literal, cast

import msgspec

from tui_gpt.core.config import DataConfig
from tui_gpt.core.corpora import RemoteFile, find, with_own_choices
from tui_gpt.core.fetched import AVERAGE_DOCUMENT_BYTES


class StreamPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text of the catalogue, how it is arranged and by which kind of tokenizer it is encoded. Never changes."""

    corpus: str
    """Its name in the catalogue."""
    title: str
    train: RemoteFile
    validation: RemoteFile
    documents: int
    """How many of the first file are learned from; 0: all."""
    validation_documents: int
    """How many of the second file are validated on; 0: all."""
    part_documents: int
    """Documents of a part, as they stand in the file, before any is left out."""
    clean: bool
    min_characters: int
    shuffle_seed: int | None
    tokenizer: Literal["bpe", "gpt2"]
    bpe_vocab_size: int | None = None
    """Of a tokenizer that is, or may have been, trained on the first part; None for any other."""

    @property
    def documents_expected(self) -> int:
        """About how many documents all parts have together, before any is left out."""
        there = max(1, self.train.n_bytes // AVERAGE_DOCUMENT_BYTES)
        return min(self.documents, there) if self.documents else there

    def documents_until(self, part: int) -> int:
        """How many documents of the file have to be here for the parts up to this one, itself among them."""
        until = (part + 1) * self.part_documents
        return min(until, self.documents) if self.documents else until


def stream_plan(data: DataConfig, part_documents: int, tokenizer: str | None = None) -> StreamPlan | None:
    """How the text that `data` names is learned from while it arrives; None for a text that is read as a whole.

    Those are all but files of the catalogue that hold many documents, of which more than one part is wanted, and whose
    tokenizer can write any text: one of characters has to know them all. `tokenizer` is the kind of one that is given.
    Raises CorpusError where there is no such corpus.
    """
    info = find(data.corpus)
    if info.train is None or info.validation is None:
        return None
    data = with_own_choices(data)
    kind = tokenizer or (info.tokenizer if data.tokenizer == "auto" else data.tokenizer)
    wanted = data.max_documents or 0
    if kind not in ("bpe", "gpt2") or 0 < wanted <= part_documents:
        return None
    return StreamPlan(
        corpus=info.name,
        title=info.title,
        train=info.train,
        validation=info.validation,
        documents=wanted,
        validation_documents=info.validation_documents,
        part_documents=part_documents,
        clean=data.clean == "on",
        min_characters=data.min_characters,
        shuffle_seed=data.shuffle_seed,
        tokenizer=cast("Literal['bpe', 'gpt2']", kind),
        bpe_vocab_size=data.bpe_vocab_size if kind == "bpe" else None,
    )
