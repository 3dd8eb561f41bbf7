"""Rows of tables as conversations: which fields hold them, and in which of the forms that are usual."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from tui_gpt.engine.text.dialogues.conversation import Conversation, Message, Role, as_conversation
from tui_gpt.engine.text.formats.tables import MESSAGES, TEXT, shown

Row = Mapping[str, Any]
"""The fields of a row by name, as JSON values."""

_SPEAKERS: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
}
_LISTS = ("messages", "conversations", "conversation")
_PAIRS = (
    ("instruction", "output"),
    ("instruction", "response"),
    ("question", "answer"),
    ("question", "response"),
    ("prompt", "completion"),
    ("prompt", "response"),
    ("user", "assistant"),
)
_ABOVE = ("system", "system_prompt")
"""What is read before everything."""
_BELOW = ("input", "context")
"""What a question is about."""
_TEXTS = ("text", "content")


@dataclass(frozen=True)
class RowForm:
    """How the rows of one table hold their conversations."""

    columns: tuple[str, ...]
    """Those that are read."""
    read: Callable[[Row], Iterator[Message]]
    """The messages of a row. Raises ValueError, the rest of a sentence, for one of another form."""

    def conversation(self, row: Row) -> Conversation:
        """What the row holds; empty where nothing is answered. Raises ValueError, the rest of a sentence."""
        return as_conversation(self.read(row))


def find_form(columns: Mapping[str, Collection[str]], column: str = "", *, sure: bool = False) -> RowForm | None:
    """The form of rows with these columns, each with the kinds of its values; None where they look like none.

    `column` names the one of a list of messages. Unless one is `sure` that a table holds conversations, it is taken for
    one of texts where its values are of other kinds than conversations need, or where a column of text stands beside a
    question and an answer.
    """
    if column:
        return RowForm((column,), partial(_listed, name=column)) if column in columns else None
    lists = [name for name in _LISTS if name in columns]
    for name in lists:
        if MESSAGES in columns[name]:
            above = _first_text(columns, _ABOVE)
            return RowForm((*above, name), partial(_listed, name=name, above=above))
    for asked, answered in _PAIRS:
        if asked in columns and answered in columns and (sure or _are_texts(columns, asked, answered)):
            if not sure and asked != "instruction" and any(text in columns for text in _TEXTS):
                return None
            above, below = _first_text(columns, _ABOVE), _first_text(columns, _BELOW)
            read = partial(_paired, above=above, asked=(asked, *below), answered=answered)
            return RowForm((*above, *below, asked, answered), read)
    return RowForm((lists[0],), partial(_listed, name=lists[0])) if lists and sure else None


def _are_texts(columns: Mapping[str, Collection[str]], *names: str) -> bool:
    return all(set(columns[name]) == {TEXT} for name in names)


def _first_text(columns: Mapping[str, Collection[str]], names: Collection[str]) -> tuple[str, ...]:
    """The first of these columns that holds texts, or none; where the first rows hold nothing, later ones may."""
    return tuple(name for name in names if name in columns and set(columns[name]) <= {TEXT})[:1]


def _paired(row: Row, above: tuple[str, ...], asked: tuple[str, ...], answered: str) -> Iterator[Message]:
    """Alpaca's form and plain pairs; what a question is about stands below it."""
    yield from _systems(row, above)
    yield Message("user", "\n\n".join(filter(None, (_text(row, name) for name in asked))))
    yield Message("assistant", _text(row, answered))


def _systems(row: Row, names: tuple[str, ...]) -> Iterator[Message]:
    return (Message("system", _text(row, name)) for name in names)


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"holds a value in {shown(name)} that is no text")
    return value


def _listed(row: Row, name: str, above: tuple[str, ...] = ()) -> Iterator[Message]:
    """The `messages` form (role, content), and that of ShareGPT (from, value)."""
    yield from _systems(row, above)
    messages = row.get(name)
    if messages is None:
        return
    if not isinstance(messages, list):
        raise ValueError(f"holds no list of messages in {shown(name)}")
    for number, message in enumerate(messages, 1):
        if not isinstance(message, Mapping):
            raise ValueError(f"has no object as message {number} of {shown(name)}")
        speaker, content = message.get("role", message.get("from")), message.get("content", message.get("value"))
        if not isinstance(speaker, str) or speaker.lower() not in _SPEAKERS:
            said = shown(speaker) if isinstance(speaker, str) else "nobody"
            raise ValueError(
                f"has {said} as the role of message {number}, and it must be one of system, user and assistant"
            )
        if content is not None and not isinstance(content, str):
            raise ValueError(f"has a message {number} whose content is no text")
        yield Message(_SPEAKERS[speaker.lower()], content or "")
