r"""The one gate through which foreign text (corpora, model output, notes, names) reaches a terminal.

A terminal obeys what it is sent: escape sequences move the cursor, change the title, write the clipboard; direction
overrides and invisible characters make text look like another. Here each of them becomes visible: C0 controls as their
control pictures (ESC is ␛), the rest as `\x9b`, `\u202e` or `\U000e0041`. All other Unicode stays as it is.
"""

from __future__ import annotations

import re
import unicodedata

_KEPT_SPACES = "Zs"

# Cf characters that have a shape of their own: Arabic, Syriac and Kaithi number and verse signs.
_VISIBLE_FORMATS = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")

# Not in a category of controls, and yet invisible (Unicode's Default_Ignorable_Code_Point, and the blank Braille cell):
# text can be hidden in runs of them.
_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, [*range(0xFE00, 0xFE0E), *range(0xE0100, 0xE01F0)]))
)
_MAY_HIDE = re.compile(f"[{re.escape(''.join(sorted(_INVISIBLE)))}]")

# The zero-width joiner and the two presentation selectors make emoji (family, heart in red) and stay where they do.
_PICTURES = "\u2190-\u2bff\U0001f000-\U0001faff"
_SELECTABLE = f"[0-9#*\u00a9\u00ae\u203c\u2049\u2122\u2139\u3030\u303d\u3297\u3299{_PICTURES}]"
_JOINERS = frozenset("\u200d\ufe0e\ufe0f")
_ANY_JOINER = re.compile("[\u200d\ufe0e\ufe0f]")
_MISPLACED_JOINER = re.compile(
    rf"(?<!{_SELECTABLE})[\ufe0e\ufe0f]"
    rf"|\u200d(?![{_PICTURES}])"
    rf"|(?<![{_PICTURES}])(?<![{_PICTURES}]\ufe0f)\u200d"
)


def safe_text(text: str, *, newlines: bool = True) -> str:
    """`text` with everything that could command or deceive a terminal made visible; tabs stay.

    Line feeds stay too, unless `newlines` is False: then the result is one line, and ␊ stands for each.
    Lone surrogates are escaped, so that the result can always be encoded in UTF-8.
    """
    if text.isprintable() and not _MAY_HIDE.search(text) and not _ANY_JOINER.search(text):
        return text
    # The selectors are printable to Python and the joiner is not; where they belong to an emoji, they stay.
    text = _MISPLACED_JOINER.sub(lambda match: _visible(match[0]), text)
    table = {ord(c): _visible(c) for c in set(text) if not _harmless(c)}
    if newlines:
        table.pop(0x0A, None)
    return text.translate(table) if table else text


def _harmless(character: str) -> bool:
    if character in _JOINERS or character == "\t":
        return True
    if character.isprintable():
        return character not in _INVISIBLE
    return unicodedata.category(character) == _KEPT_SPACES or character in _VISIBLE_FORMATS


def _visible(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
