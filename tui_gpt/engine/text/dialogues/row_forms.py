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
    ("prompt", "completion"),
    ("prompt", "response"),
    ("user", "assistant"),
)
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
            return RowForm((name,), partial(_listed, name=name))
    for asked, answered in _PAIRS:
        if asked in columns and answered in columns and (sure or _are_texts(columns, asked, answered)):
            if not sure and asked != "instruction" and any(text in columns for text in _TEXTS):
                return None
            extra = tuple(name for name in ("system", "input") if name in columns and name not in (asked, answered))
            return RowForm((*extra, asked, answered), partial(_paired, asked=asked, answered=answered))
    return RowForm((lists[0],), partial(_listed, name=lists[0])) if lists and sure else None


def _are_texts(columns: Mapping[str, Collection[str]], *names: str) -> bool:
    return all(set(columns[name]) == {TEXT} for name in names)


def _paired(row: Row, asked: str, answered: str) -> Iterator[Message]:
    """Alpaca's form and plain pairs; Alpaca's `input` stands below its `instruction`."""
    question = "\n\n".join(filter(None, (_text(row, asked), _text(row, "input"))))
    for role, content in (("system", _text(row, "system")), ("user", question), ("assistant", _text(row, answered))):
        yield Message(_SPEAKERS[role], content)


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"holds a value in {shown(name)} that is no text")
    return value


def _listed(row: Row, name: str) -> Iterator[Message]:
    """The `messages` form (role, content), and that of ShareGPT (from, value)."""
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
