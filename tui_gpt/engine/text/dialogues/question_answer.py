"""Conversations as plain text: lines that begin with `Q:` and `A:`, a blank line and a new `Q:` for the next one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tui_gpt.engine.text.dialogues.conversation import Message, Role

_MARK = re.compile(r"(Q|Question|User|Human|A|Answer|Assistant|System):[ \t]*(.*)", re.DOTALL)
_ROLES: dict[str, Role] = {
    **dict.fromkeys(("Q", "Question", "User", "Human"), "user"),
    **dict.fromkeys(("A", "Answer", "Assistant"), "assistant"),
    "System": "system",
}


def read_conversations(lines: Iterator[str]) -> Iterator[tuple[int, list[Message]]]:
    """Each conversation with the number of its first line.

    A conversation ends at a blank line behind which somebody asks; other lines without a mark belong to the message
    above them. Raises ValueError, the rest of a sentence, for text before the first mark.
    """
    messages: list[tuple[Role, list[str]]] = []
    began, blank = 1, False
    for number, line in enumerate(lines, 1):
        mark = _MARK.fullmatch(line)
        role = None if mark is None else _ROLES[mark[1]]
        if messages and blank and role in ("user", "system"):
            yield began, _joined(messages)
            messages = []
        blank = not line.strip()
        if mark is not None and role is not None:
            if not messages:
                began = number
            messages.append((role, [mark[2]]))
        elif messages:
            messages[-1][1].append(line)
        elif not blank:
            raise ValueError(f'line {number:,} belongs to nobody; begin it with "Q:" or "A:"')
    if messages:
        yield began, _joined(messages)


def begins_with_mark(lines: Iterator[str]) -> bool:
    """Whether the first line with something on it says who speaks."""
    first = next((line for line in lines if line.strip()), "")
    return _MARK.fullmatch(first) is not None


def _joined(messages: list[tuple[Role, list[str]]]) -> list[Message]:
    return [Message(role, "\n".join(lines)) for role, lines in messages]
