"""The sample that is written at every evaluation: always the same prompt and seed, so that only the model differs."""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec
import numpy as np

from tui_gpt.core.config import RunConfig, SampleConfig
from tui_gpt.engine.generation.dialogue import dialogue_prompt
from tui_gpt.engine.generation.stream import Generator
from tui_gpt.engine.network import GPT
from tui_gpt.engine.text.dialogues.conversation import Message
from tui_gpt.engine.text.dialogues.prepared_dialogues import PreparedDialogues
from tui_gpt.engine.text.prepared import PreparedCorpus

_FIRST_WORDS = re.compile(r"\S+(?:\s+\S+){0,2}")
_PROMPT_CHARACTERS = 60
"""Where words are not told apart by spaces."""
_LOOK_AT_TOKENS = 200


@dataclass(frozen=True)
class Sample:
    """A continuation, without its prompt."""

    prompt: str
    text: str
    seed: int


def sample_prompt(corpus: PreparedCorpus, config: RunConfig) -> str:
    """The configured prompt, or the first words of a line or document of the validation text, or its first question."""
    if config.train.sample_prompt:
        return config.train.sample_prompt
    if isinstance(corpus, PreparedDialogues):
        return corpus.question
    tokens = np.asarray(corpus.corpora[0].validation.tokens[:_LOOK_AT_TOKENS])
    ids = [int(token) for token in tokens]
    eot = corpus.tokenizer.eot_id
    if eot is not None and eot in ids[:-1]:
        ids = ids[ids.index(eot) + 1 :]
    text = corpus.tokenizer.decode([token for token in ids if token != eot])
    # The split may fall into the middle of a word: begin with the first whole line.
    line = next((line for line in text.split("\n")[1:] if line.strip()), text.split("\n")[0])
    # As they stand there, whatever space is between them: a tokenizer of characters may know no other.
    words = _FIRST_WORDS.search(line)
    return words[0][:_PROMPT_CHARACTERS] if words else line[:1]


def sample_text(network: GPT, corpus: PreparedCorpus, config: RunConfig) -> Sample | None:
    """What the network writes now; None where the configuration asks for no sample."""
    if not config.train.sample_tokens:
        return None
    prompt = sample_prompt(corpus, config)
    seed = config.train.seed
    settings: SampleConfig = msgspec.structs.replace(
        config.sample, max_new_tokens=config.train.sample_tokens, seed=seed, n_samples=1
    )
    reads: str | list[int] = prompt
    if isinstance(corpus, PreparedDialogues):
        asked = [Message("user", prompt)]
        n_positions = network.config.n_positions
        reads = dialogue_prompt(corpus.tokenizer, asked, n_positions, settings.max_new_tokens).ids
        prompt += "\n"  # shown with its answer on a line of its own
    pieces = Generator(network, corpus.tokenizer).stream(reads, settings)
    return Sample(prompt, "".join(piece.text for piece in pieces), seed)
