"""GPT-2's way of writing any byte as one printable character, used by every byte-level `tokenizer.json`.

Source: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019), and the code released with it.
Printable Latin-1 characters stand for themselves; the other 68 bytes take the characters from U+0100 on.
"""

from __future__ import annotations

_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_OTHERS = [byte for byte in range(256) if byte not in set(_PRINTABLE)]

CHARACTER_OF_BYTE: dict[int, str] = {
    **{byte: chr(byte) for byte in _PRINTABLE},
    **{byte: chr(0x100 + position) for position, byte in enumerate(_OTHERS)},
}
BYTE_OF_CHARACTER: dict[str, int] = {character: byte for byte, character in CHARACTER_OF_BYTE.items()}

BYTES_IN_ORDER: tuple[bytes, ...] = tuple(bytes([byte]) for byte in [*_PRINTABLE, *_OTHERS])
"""The single bytes in the order in which GPT-2 numbers them, 0 to 255."""


def to_characters(token: bytes) -> str:
    """The bytes of a token, as `tokenizer.json` writes them."""
    return "".join(CHARACTER_OF_BYTE[byte] for byte in token)


def to_bytes(written: str) -> bytes | None:
    """The bytes that a written token stands for; None when a character stands for no byte."""
    try:
        return bytes(BYTE_OF_CHARACTER[character] for character in written)
    except KeyError:
        return None
