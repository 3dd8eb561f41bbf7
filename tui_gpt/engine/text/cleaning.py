"""Cleaning up documents: what is mended in them, and which are left out.

In this order: bytes of UTF-8 that were once read as Windows-1252 (`â€œ` for a quotation mark) become the characters
they were; quotation marks, dashes, dots and spaces are written as on a typewriter; control characters and U+FFFD are
taken out; spaces within a line become one, those at its ends none, and several empty lines one. Letters stay as they
are. What is empty then, or does not end with the end of a sentence, is left out.
"""

from __future__ import annotations

import re
from collections import Counter

_LEADS = "[ÂÃâð]"
"""How the first byte of what is usually broken looks; others begin words of French or Vietnamese as well."""
_FOLLOWS = {bytes([byte]).decode("cp1252", "ignore") or chr(byte): byte for byte in range(0x80, 0xC0)}
"""What the bytes that continue a character of UTF-8 look like in Windows-1252; five stand for nothing there."""
_BROKEN = re.compile(f"{_LEADS}[{re.escape(''.join(_FOLLOWS))}\x80-\x9f]{{1,3}}")
_HALF_QUOTE = re.compile("â€(?=[^" + re.escape("".join(_FOLLOWS)) + "]|$)")
"""A closing quotation mark of which the last byte was lost, because it stands for nothing."""

_TYPEWRITER = str.maketrans(
    {
        **dict.fromkeys("“”„‟", '"'),
        **dict.fromkeys("‘’‚‛", "'"),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        "…": "...",
        **dict.fromkeys([0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000], " "),
        **dict.fromkeys("\u2028\u2029\u0085", "\n"),
    }
)
"""By character or its number."""
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufffd]")
_SPACES = re.compile(r"[ \t]+")
_AT_LINE_ENDS = re.compile(r" ?\n ?")
_EMPTY_LINES = re.compile(r"\n{3,}")
_ENDS = re.compile(r"""[.!?]["')\]*]*$""")

BROKEN, TYPEWRITER, UNSEEN, SPACES, UNENDED, EMPTY = (
    "broken characters mended",
    "quotes and dashes as on a typewriter",
    "control characters taken out",
    "surplus spaces taken out",
    "left out: break off within a sentence",
    "left out: nothing in them",
)


def cleaned(text: str, counts: Counter[str]) -> str:
    """The document as it is to be learned from, empty where it is left out; `counts` hears what changed it."""
    text = _step(text, _mended(text), BROKEN, counts)
    text = _step(text, text.translate(_TYPEWRITER), TYPEWRITER, counts)
    text = _step(text, _UNSEEN.sub("", text), UNSEEN, counts)
    text = _step(
        text, _EMPTY_LINES.sub("\n\n", _AT_LINE_ENDS.sub("\n", _SPACES.sub(" ", text))).strip(), SPACES, counts
    )
    if not text:
        counts[EMPTY] += 1
    elif not _ENDS.search(text):
        counts[UNENDED] += 1
        return ""
    return text


def _step(before: str, after: str, what: str, counts: Counter[str]) -> str:
    if after != before:
        counts[what] += 1
    return after


def _mended(text: str) -> str:
    if text.isascii():
        return text
    return _HALF_QUOTE.sub("”", _BROKEN.sub(_reread, text))


def _reread(found: re.Match[str]) -> str:
    """The longest character of UTF-8 that these characters were, and what follows it; unchanged where there is none."""
    broken = found[0]
    content = bytes([ord(broken[0]), *(_FOLLOWS.get(character, ord(character)) for character in broken[1:])])
    for length in range(len(content), 1, -1):
        try:
            return content[:length].decode("utf-8") + broken[length:]
        except UnicodeDecodeError:
            continue
    return broken
