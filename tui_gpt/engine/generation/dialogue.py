"""Answers in a conversation: what was said so far as a prompt that ends where the answer begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui_gpt.core.config import SampleConfig
from tui_gpt.core.errors import ModelError
from tui_gpt.engine.generation.stream import generate_text
from tui_gpt.engine.text.dialogues.chat_format import ChatFormat, chat_format
from tui_gpt.engine.text.dialogues.conversation import Message
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
    """The tokens of a conversation up to where its next answer begins.

    Where they leave too little of a context of `n_positions` tokens for `max_new_tokens`, or for a quarter of it, the
    oldest questions go with their answers; the system message and the last question stay. Raises ModelError for a
    tokenizer that writes no conversations, CorpusError for characters that it does not know.
    """
    written = require_chat_format(tokenizer, model)
    system = [message for message in messages[:1] if message.role == "system"]
    said = list(messages[len(system) :])
    room = n_positions - min(max_new_tokens, max(1, n_positions // _LEAST_ROOM))
    dropped = 0
    while True:
        ids = written.encode([*system, *said], answer_next=True).ids
        following = next((i for i, message in enumerate(said) if i and message.role == "user"), None)
        if len(ids) <= room or following is None:
            return DialoguePrompt(ids, dropped)
        dropped += following
        del said[:following]


def reply(loaded: LoadedModel, messages: Sequence[Message], settings: SampleConfig) -> str:
    """What a model answers, its first sample, without space around it. Raises as the two below do."""
    prompt = dialogue_prompt(loaded.tokenizer, messages, loaded.config.n_positions, settings.max_new_tokens)
    return generate_text(loaded.network, loaded.tokenizer, prompt.ids, settings)[0].strip()
