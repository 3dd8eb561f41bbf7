"""A corpus of conversations as tokens on disk."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_gpt.core import files
from tui_gpt.core.config import RunConfig
from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text.batches import Batches
from tui_gpt.engine.text.dialogues.chat_format import ChatFormat, chat_format
from tui_gpt.engine.text.dialogues.packing import PackedBatches, PackedRows
from tui_gpt.engine.text.prepared import PreparedCorpus
from tui_gpt.engine.text.token_files import DialogueRecord, DialogueRecords, TokenFile

MARKS_FILE, ENDS_FILE = "{part}_marks.bin", "{part}_ends.bin"
_LINE_TOKENS = 30


@dataclass(frozen=True, eq=False)
class DialoguePart:
    """The conversations to learn from, or those to measure by."""

    name: str
    """`training` or `validation`."""
    tokens: TokenFile
    marks: NDArray[np.uint8]
    """(n_tokens,), as `packing` has them."""
    ends: NDArray[Any]
    """(n_conversations,): where each of them ends."""
    record: DialogueRecord

    @lru_cache(maxsize=2)  # noqa: B019 - both parts of the corpus that was opened last
    def rows(self, n_positions: int) -> PackedRows:
        """The conversations in rows of so many tokens."""
        return PackedRows(self.tokens.tokens, self.marks, self.ends, n_positions)


@dataclass(frozen=True, eq=False)
class PreparedDialogues(PreparedCorpus):
    """Conversations, of which the answers are learned."""

    parts: tuple[DialoguePart, DialoguePart]
    """Training and validation."""
    question: str
    """The first one of the validation part: what samples answer."""

    @property
    def format(self) -> ChatFormat:
        """How its tokenizer writes conversations."""
        found = chat_format(self.tokenizer)
        assert found is not None, "it was prepared with one that does"
        return found

    @property
    def tokens_per_byte(self) -> float:
        record = self.parts[1].record
        return record.n_answer_tokens / max(1, record.answer_bytes)

    def first_line(self) -> tuple[str, list[int]]:
        """The beginning of the first conversation as it is learned: with the tokens that stand around its messages."""
        ids = [int(token) for token in self.train.tokens[: min(_LINE_TOKENS, int(self.parts[0].ends[0]))]]
        return self.tokenizer.decode(ids), ids

    def batches(self, config: RunConfig) -> Batches:
        """What a run of that configuration learns from. Raises ValueError where no answer fits into a row."""
        return PackedBatches.of(self.parts[0].rows(config.model.n_positions), config)

    def validation_rows(self, n_positions: int) -> PackedRows:
        """The validation part in rows of so many tokens."""
        return self.parts[1].rows(n_positions)

    def left_out(self, n_positions: int) -> str:
        """A sentence on the answers of the training part that no row of so many tokens can hold; empty for none."""
        part = self.parts[0]
        rows = part.rows(n_positions)
        lost = part.record.n_answer_tokens - rows.n_targets
        if not lost:
            return ""
        answers = "an answer ends" if rows.n_cut == 1 else f"{rows.n_cut:,} answers end"
        return (
            f"{answers} beyond {n_positions:,} tokens from the beginning of the question; what is beyond, {lost:,} of "
            f"{part.record.n_answer_tokens:,} tokens of answers, is not learned"
        )

    def require_length(self, n_positions: int, *, can_shorten: bool = True) -> None:
        """Raises CorpusError when a part has no answer that fits into a context of `n_positions` with its question.

        With `can_shorten` a longer context is advised, which is no more than a new model's.
        """
        for part in self.parts:
            if not len(part.rows(n_positions)):
                longer = "set model.n_positions to more, or " if can_shorten else ""
                raise CorpusError(
                    f"the {part.name} part of {self.source} has no answer that begins within {n_positions:,} tokens of "
                    f"its question; {longer}choose conversations with shorter questions"
                )


def open_dialogues(corpus: PreparedCorpus, records: DialogueRecords, *, verify: bool) -> PreparedDialogues:
    """What else belongs to a corpus of conversations. Raises CorpusError when it is missing or damaged."""
    train = _part(corpus.folder, "train", "training", corpus.train, records.train, verify)
    validation = _part(corpus.folder, "validation", "validation", corpus.validation, records.validation, verify)
    known = {field.name: getattr(corpus, field.name) for field in fields(PreparedCorpus)}
    return PreparedDialogues(**known, parts=(train, validation), question=records.question)


def _part(folder: Path, part: str, name: str, tokens: TokenFile, record: DialogueRecord, verify: bool) -> DialoguePart:
    marks, ends = (folder / file.format(part=part) for file in (MARKS_FILE, ENDS_FILE))
    return DialoguePart(
        name,
        tokens,
        _open(marks, "u1", tokens.n_tokens, record.marks_sha256, verify),
        _open(ends, "<u8", record.n_conversations, record.ends_sha256, verify),
        record,
    )


def _open(path: Path, dtype: str, size: int, sha256: str, verify: bool) -> NDArray[Any]:
    try:
        intact = path.stat().st_size == size * np.dtype(dtype).itemsize
        if not intact or (verify and files.sha256_file(path) != sha256):
            raise CorpusError(f"{path} has changed; prepare the corpus again")
        return np.memmap(path, dtype=dtype, mode="r", shape=(size,))
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}; prepare the corpus again") from None
