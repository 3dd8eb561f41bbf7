r"""A field's value as one line that can be typed, and back.

Numbers and choices are what they look like. Text may hold what no input line can (line feeds, escape sequences of a
foreign file name): those characters are written `\n`, `\t`, `\x1b`, `\u202e`, and a backslash before such a letter is
doubled, so that nothing is lost on the way.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from tui_gpt.core.config_loading import FieldDoc, parse_value
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.safe_text import safe_text

_ESCAPE = re.compile(r"\\(?:(\\)|(n)|(t)|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))")
_AMBIGUOUS = re.compile(r"\\(?=[\\nt]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})")
_LETTERS = {"\n": r"\n", "\t": r"\t"}


def escaped(text: str) -> str:
    """The text as one line in which every character can be seen and typed."""
    written = []
    for place, character in enumerate(text):
        # Before what begins an escape, or becomes one.
        following = text[place + 1 : place + 2]
        doubled = character == "\\" and (_AMBIGUOUS.match(text, place) or (following and not _plain(following)))
        written.append("\\\\" if doubled else character if _plain(character) else _escape(character))
    return "".join(written)


def _plain(character: str) -> bool:
    return character != "\t" and safe_text(character, newlines=False) == character


def _escape(character: str) -> str:
    if character in _LETTERS:
        return _LETTERS[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def unescaped(line: str) -> str:
    """The text that such a line stands for; a backslash that begins no escape is itself."""

    def character(match: re.Match[str]) -> str:
        backslash, feed, tab, *codes = match.groups()
        if backslash or feed or tab:
            return "\\" if backslash else "\n" if feed else "\t"
        code = int(next(code for code in codes if code), 16)
        return chr(code) if code < 0x110000 else match[0]

    return _ESCAPE.sub(character, line)


def typed(doc: FieldDoc, value: Any) -> str:
    """A value of the field as it is typed into the form; an empty line for none."""
    if value is None:
        return ""
    match doc.type:
        case "yes/no":
            return "yes" if value else "no"
        case "list of text":
            # JSON's strings are TOML's; what neither escapes and a terminal must not get is escaped as TOML does.
            items = (msgspec.json.encode(item).decode() for item in value)
            return (
                "[" + ", ".join("".join(c if _plain(c) else _toml(c) for c in item) for item in items) + "]"
                if value
                else ""
            )
        case "text":
            return escaped(value)
        case "number":
            return f"{value:.12g}"
        case _:
            return str(value)


def _toml(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def parsed(doc: FieldDoc, line: str) -> Any:
    """The value that was typed. Raises ConfigError in the words that stand beside the field."""
    if doc.type == "text":
        return unescaped(line)
    if not line.strip() and not doc.optional and doc.type != "list of text":
        kind = {"integer": "a whole number", "number": "a number"}.get(doc.type, "one of its choices")
        raise ConfigError(doc.path, f"is empty, and needs {kind}")
    return parse_value(doc, line.strip())
