"""What was said, by whom: the messages of one conversation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

Role = Literal["system", "user", "assistant"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant")


class Message(NamedTuple):
    """One thing that was said."""

    role: Role
    content: str


Conversation = tuple[Message, ...]


def as_conversation(messages: Iterable[Message]) -> Conversation:
    """The messages as they are learned from: `in_turns`, and with an answer as the last; the rest of it goes.

    Empty where nothing is answered. Raises ValueError, the rest of a sentence, for a system message that is not the
    first.
    """
    joined = in_turns(messages)
    if any(message.role == "system" for message in joined[1:]):
        raise ValueError("has a system message after others, and it can only be the first")
    while joined and joined[-1].role != "assistant":
        joined.pop()
    return tuple(joined) if any(message.role == "user" for message in joined) else ()


def in_turns(messages: Iterable[Message]) -> list[Message]:
    """The messages as a model knows them: without space around them and without empty ones.

    Those of one role in a row become one, with a blank line between them.
    """
    joined: list[Message] = []
    for role, content in messages:
        text = content.replace("\r\n", "\n").replace("\r", "\n").strip()
        if not text:
            continue
        if joined and joined[-1].role == role:
            joined[-1] = Message(role, f"{joined[-1].content}\n\n{text}")
        else:
            joined.append(Message(role, text))
    return joined


def as_text(conversation: Conversation) -> str:
    """For people: each message behind its role, a line between two of them."""
    return "\n".join(f"{message.role}: {message.content}" for message in conversation)
