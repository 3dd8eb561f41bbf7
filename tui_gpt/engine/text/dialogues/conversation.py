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
    """The messages as they are learned from: without space around them, and with an answer as the last.

    Messages of one role in a row become one, with a blank line between them; empty ones go, and so does what nobody
    answers at the end. Empty where nothing is answered. Raises ValueError, the rest of a sentence, for a system message
    that is not the first.
    """
    joined: list[Message] = []
    for role, content in messages:
        text = content.replace("\r\n", "\n").replace("\r", "\n").strip()
        if not text:
            continue
        if joined and joined[-1].role == role:
            joined[-1] = Message(role, f"{joined[-1].content}\n\n{text}")
        elif role == "system" and joined:
            raise ValueError("has a system message after others, and it can only be the first")
        else:
            joined.append(Message(role, text))
    while joined and joined[-1].role != "assistant":
        joined.pop()
    return tuple(joined) if any(message.role == "user" for message in joined) else ()


def as_text(conversation: Conversation) -> str:
    """For people: each message behind its role, a line between two of them."""
    return "\n".join(f"{message.role}: {message.content}" for message in conversation)
