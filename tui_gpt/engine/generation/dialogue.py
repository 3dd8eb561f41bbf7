"""Answers in a conversation: what was said so far as a prompt that ends where the answer begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from tui_gpt.core.config import SampleConfig
from tui_gpt.core.errors import ModelError
from tui_gpt.engine.generation.stream import generate_text
from tui_gpt.engine.text.dialogues.chat_format import ChatFormat, chat_format
from tui_gpt.engine.text.dialogues.conversation import Message, in_turns
from tui_gpt.engine.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from tui_gpt.engine.interop.huggingface import LoadedModel

_LEAST_ROOM = 4
"""The share of the context that an answer gets in any case is one of so many."""


@dataclass(frozen=True)
class DialoguePrompt:
    """What a model reads before it answers."""

    ids: list[int]
    dropped: int
    """Messages that were left out, the oldest first, because they do not fit."""


def require_chat_format(tokenizer: Tokenizer, model: str) -> ChatFormat:
    """How a model's tokenizer writes conversations. Raises ModelError for one that continues texts."""
    found = chat_format(tokenizer)
    if found is None:
        raise ModelError(
            f"{model} has learned from texts and not from conversations, so it continues what it reads; train it on "
            "conversations first (`tui-gpt train conversations --from MODEL`)"
        )
    return found


def dialogue_prompt(
    tokenizer: Tokenizer, messages: Sequence[Message], n_positions: int, max_new_tokens: int, model: str = "this model"
) -> DialoguePrompt:
    """The tokens of a conversation, `in_turns`, up to where its next answer begins.

    Where they leave too little of a context of `n_positions` tokens for `max_new_tokens`, or for a quarter of it, the
    oldest questions go with their answers; the system message and the last question stay. Raises ModelError for a
    tokenizer that writes no conversations, CorpusError for characters that it does not know.
    """
    written = require_chat_format(tokenizer, model)
    said = in_turns(messages)
    kept = [written.encode([message]).ids for message in said]  # each once, however many go
    answer = written.encode([], answer_next=True).ids
    room = n_positions - min(max_new_tokens, max(1, n_positions // _LEAST_ROOM)) - len(answer)
    first = 1 if said and said[0].role == "system" else 0
    questions = [number for number, message in enumerate(said) if message.role == "user" and number > first]
    used = sum(map(len, kept))
    until = first
    for following in questions:
        if used <= room:
            break
        used -= sum(map(len, kept[until:following]))
        until = following
    del kept[first:until]
    return DialoguePrompt([*chain.from_iterable(kept), *answer], until - first)


def reply(loaded: LoadedModel, messages: Sequence[Message], settings: SampleConfig) -> str:
    """What a model answers, its first sample, without space around it. Raises as the two below do."""
    prompt = dialogue_prompt(loaded.tokenizer, messages, loaded.config.n_positions, settings.max_new_tokens)
    return generate_text(loaded.network, loaded.tokenizer, prompt.ids, settings)[0].strip()
