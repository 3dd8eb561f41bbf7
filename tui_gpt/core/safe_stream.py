"""Foreign text that arrives in pieces, made safe as if it had come in one."""

from __future__ import annotations

from tui_gpt.core.safe_text import safe_text

_JOINERS = frozenset("\u200d\ufe0e\ufe0f")
_JOINER_BASES = frozenset("0123456789#*\u2139")
"""ASCII and letters that an emoji can begin with."""
_LONGEST_HELD = 256


class SafeStream:
    """`safe_text` for text that arrives in pieces: where it is cut makes no difference.

    What an invisible joiner means depends on its neighbours, so a character that one could follow waits for the next.
    """

    def __init__(self) -> None:
        self._held = ""

    def push(self, text: str) -> str:
        """What can be shown now."""
        text = self._held + text
        cut = _cut(text)
        self._held = text[cut:]
        return safe_text(text[:cut])

    def flush(self) -> str:
        """The rest, when nothing follows."""
        held, self._held = self._held, ""
        return safe_text(held)


def _cut(text: str) -> int:
    """Up to where `text` means the same whatever follows."""
    if not text or _stands_alone(text[-1]) or len(text) > _LONGEST_HELD:
        return len(text)
    # Between two characters of which neither is a joiner of the other.
    cuts = (at for at in range(len(text) - 1, 0, -1) if text[at] not in _JOINERS and text[at - 1] != "\u200d")
    return next(cuts, 0)


def _stands_alone(character: str) -> bool:
    return (character.isascii() or character.isalpha()) and character not in _JOINER_BASES
