"""A corpus as tokens on disk: what the trainer, the evaluation and the samples read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tui_gpt.core.config import SHORTEST_CONTEXT, RunConfig
from tui_gpt.core.errors import CorpusError, ModelError
from tui_gpt.core.given_files import read_given
from tui_gpt.engine.text.batches import Batches, WindowBatches
from tui_gpt.engine.text.token_files import CorpusFacts, TokenFile, open_token_file, read_manifest
from tui_gpt.engine.text.tokenizer import Tokenizer
from tui_gpt.engine.text.tokenizer_files import LARGEST_BYTES, load_tokenizer
from tui_gpt.engine.text.tokenizer_writing import TOKENIZER_FILE

TRAIN_FILE = "train.bin"
VALIDATION_FILE = "validation.bin"
_LINE_CHARACTERS = 72


@dataclass(frozen=True)
class PreparedCorpus:
    """A corpus as tokens on disk."""

    folder: Path
    tokenizer: Tokenizer
    train: TokenFile
    validation: TokenFile
    sha256: str
    """SHA-256 of the text in UTF-8; of several documents, SHA-256 of their digests, one after the other; of tables,
    with the digest of their columns' names before them."""
    source: str
    """The corpus as a person knows it: its name in the catalogue, or the file's."""
    facts: CorpusFacts

    @property
    def corpora(self) -> tuple[PreparedCorpus, ...]:
        """The corpora that it is made of: of a mix several, else itself."""
        return (self,)

    @property
    def epoch_tokens(self) -> float:
        """Tokens that are read until all of it was read once; of a mix, its main corpus."""
        return self.train.n_tokens

    @property
    def tokens_per_byte(self) -> float:
        """Of the validation text that is predicted."""
        return self.validation.n_tokens / max(1, self.validation.n_bytes)

    @property
    def train_sha256(self) -> str:
        """What tells its training tokens from all others. Raises CorpusError when that is damaged."""
        return read_manifest(self.folder).train.sha256

    def train_tokens(self) -> Iterator[NDArray[Any]]:
        """Its training tokens in order, in arrays of which each is mapped from one file."""
        yield self.train.tokens

    def first_line(self) -> tuple[str, list[int]]:
        """The first line with something on it, or as much as fits on one, and its tokens."""
        sample = self.facts.sample
        line = next((line for line in sample.split("\n") if line.strip()), sample)[:_LINE_CHARACTERS]
        return line, self.tokenizer.encode(line)

    def batches(self, config: RunConfig) -> Batches:
        """What a run of that configuration learns from. Raises ValueError when the training part fills no window."""
        return WindowBatches.of(self.train.tokens, config)

    def require_length(self, n_positions: int, *, can_shorten: bool = True) -> None:
        """Raises CorpusError when a part is too short for one window of tokens and the token after it.

        Without `can_shorten` the context is a finished model's, and nobody is advised to change it.
        """
        needed = n_positions + 1
        for name, part in (("training", self.train), ("validation", self.validation)):
            if part.n_tokens < needed:
                ways = ["choose a longer text"]
                if can_shorten and part.n_tokens > SHORTEST_CONTEXT:
                    ways.append(f"set model.n_positions to at most {part.n_tokens - 1:,}")
                if part is self.validation and not self.facts.own_validation:
                    ways.append("raise data.validation_fraction")
                raise CorpusError(
                    f"the {name} part of {self.source} has {part.n_tokens:,} tokens, and a context of "
                    f"{n_positions:,} needs at least {needed:,}; {', or '.join(ways)}"
                )


def open_prepared(folder: Path, *, verify: bool = False) -> PreparedCorpus:
    """Token files that were prepared before. Sizes are always checked, every byte with `verify`.

    Raises CorpusError when a part is missing or damaged.
    """
    manifest = read_manifest(folder)
    try:
        content = read_given(folder / TOKENIZER_FILE, LARGEST_BYTES)
        intact = hashlib.sha256(content).hexdigest() == manifest.tokenizer_sha256
        tokenizer = load_tokenizer(folder) if intact else None
    except (OSError, ModelError):
        tokenizer = None
    if tokenizer is None:
        raise CorpusError(f"the tokenizer in {folder} is missing or damaged; prepare the corpus again")
    corpus = PreparedCorpus(
        folder=folder,
        tokenizer=tokenizer,
        train=open_token_file(folder / TRAIN_FILE, manifest.train, manifest.dtype, verify=verify),
        validation=open_token_file(folder / VALIDATION_FILE, manifest.validation, manifest.dtype, verify=verify),
        sha256=manifest.sha256,
        source=manifest.source,
        facts=manifest.facts,
    )
    if manifest.dialogues is None:
        return corpus
    from tui_gpt.engine.text.dialogues.prepared_dialogues import open_dialogues

    return open_dialogues(corpus, manifest.dialogues, verify=verify)
