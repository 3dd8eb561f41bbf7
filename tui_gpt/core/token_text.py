r"""A token as people see it: every character visible, white space too, bytes that are only a part of one as `\xe2`."""

from __future__ import annotations

import unicodedata

from tui_gpt.core.safe_text import safe_text

LONGEST_TEXT = 200
"""Characters of a token that are handed around; a text of one repeated letter makes tokens of a million."""

_SPACE = "\u2423"
_TAB = "\u2409"
_BASE = "\u25cc"


def token_text(content: bytes) -> str:
    r"""The text a token stands for, at most LONGEST_TEXT characters of it and then `…`; stray bytes as `\xe2`."""
    text = content[: 4 * LONGEST_TEXT + 4].decode("utf-8", "backslashreplace")
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "…"


def visible(text: str) -> str:
    """The text with nothing invisible in it and safe to show: `␣` a space, `␉` a tab, `␊` a line feed.

    Other spaces are escaped; a mark that would sit on the character before it gets a circle to sit on.
    """
    marked = _BASE + text if text and unicodedata.category(text[0]).startswith("M") else text
    safe = safe_text(marked, newlines=False).replace(" ", _SPACE).replace("\t", _TAB)
    if safe.isascii():
        return safe
    return "".join(_escaped(c) if unicodedata.category(c) == "Zs" else c for c in safe)


def _escaped(space: str) -> str:
    code = ord(space)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


_CONTROL_NAMES = {0: "NULL", 9: "TAB", 10: "LINE FEED", 12: "FORM FEED", 13: "CARRIAGE RETURN", 27: "ESCAPE"}


def character_name(text: str) -> str:
    """`U+0041 LATIN CAPITAL LETTER A` for a token of one character, else empty."""
    if len(text) != 1:
        return ""
    code = ord(text)
    name = unicodedata.name(text, "") or _CONTROL_NAMES.get(code, "control character" if code < 0xA0 else "")
    return f"U+{code:04X} {name}".rstrip()
