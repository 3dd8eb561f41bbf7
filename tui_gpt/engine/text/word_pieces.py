"""GPT-2's pieces of texts, found by arithmetic on all of their bytes at once.

The pattern (`REGEX["gpt2"]` in `bpe_tokenizer`) tells letters, digits, white space and everything else apart. Of ASCII
a table knows which is which. A character beyond it stays in one stretch with what stands around it, from white space to
white space, for the caller to encode as a whole: so of Unicode nothing need be known but its white space.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CUT, DOCUMENT_END = b"\xfe", b"\xff"
"""Between two texts, as pieces of their own: bytes that UTF-8 does not have."""

_OTHER, _LETTER, _DIGIT, _SPACE, _BEYOND, _EDGE = range(6)
_BLANK, _QUOTE = b" '"


def _kind(byte: int) -> int:
    if byte >= 0x80:
        return _EDGE if byte in CUT + DOCUMENT_END else _BEYOND
    if chr(byte).isalpha():
        return _LETTER
    if chr(byte).isdigit():
        return _DIGIT
    return _SPACE if byte in b"\t\n\v\f\r " else _OTHER


_KINDS = bytes(_kind(byte) for byte in range(256))
_ONE_LETTER = np.isin(np.arange(256), list(b"sdmt"))
_TWO_LETTERS = np.isin(np.arange(1 << 16), [first | second << 8 for first, second in (b"ll", b"ve", b"re")])

Places = NDArray[np.intp]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]


def piece_starts(data: bytes) -> Places:
    """Where pieces begin in texts in UTF-8 with CUT or DOCUMENT_END between them, and the length as the last.

    What lies between two of these places is one piece or several: encoded by itself it gives the tokens that it has in
    its text. `data` is not empty.
    """
    text, kinds = np.frombuffer(data, np.uint8), np.frombuffer(data.translate(_KINDS), np.uint8)
    space = kinds == _SPACE
    edges = np.flatnonzero(kinds == _EDGE)
    starts = np.empty(len(text) + 1, np.bool_)
    # A piece begins with a run of one kind, but for a blank before it, which it takes along ...
    inner = starts[1:-1]
    np.not_equal(kinds[1:], kinds[:-1], out=inner)
    inner &= text[:-1] != _BLANK
    # ... and so does white space, whose last character is by itself, or that blank, where a text goes on behind it.
    goes_on = ~space
    goes_on[edges] = False
    inner |= space[1:] & ~space[:-1]
    inner[:-1] |= space[1:-1] & space[:-2] & goes_on[2:]
    starts[edges] = starts[edges + 1] = True
    starts[0] = starts[-1] = True
    _part_contractions(text, kinds, starts)
    beyond = np.flatnonzero(kinds == _BEYOND)
    if len(beyond):
        goes_on[_last_of_spaces(text, beyond)] = False
        # Behind what is no white space a piece of white space begins, whatever else stood there.
        certain = goes_on[:-1] & space[1:]
        certain[edges[edges > 0] - 1] = certain[edges[edges < len(certain)]] = True
        _join_around(beyond, np.flatnonzero(certain) + 1, starts)
    return np.flatnonzero(starts)


def _part_contractions(text: Bytes, kinds: Bytes, starts: Flags) -> None:
    """An apostrophe with which a piece begins takes the letters of a contraction from the word behind it."""
    quotes = np.flatnonzero(text[:-1] == _QUOTE)
    quotes = quotes[starts[quotes] & (kinds[quotes + 1] == _LETTER)]
    first = text[quotes + 1]
    # Where the text ends with the first letter, that letter itself stands for the second: `'l` is none.
    second = text[np.minimum(quotes + 2, len(text) - 1)] * (quotes + 2 < len(text))
    one = _ONE_LETTER[first]
    two = ~one & _TWO_LETTERS[first | second.astype(np.uint16) << 8]
    starts[quotes[one | two] + 1] = False
    starts[quotes[one] + 2] = starts[quotes[two] + 3] = True


def _join_around(beyond: Places, certain: Places, starts: Flags) -> None:
    """Leave no start between the certain ones around each of these bytes."""
    stretches = np.searchsorted(certain, beyond, side="right")
    stretches = stretches[np.flatnonzero(np.diff(stretches, prepend=-1))]
    bounds = np.concatenate(([0], certain, [len(starts) - 1]))
    for begin, end in zip(bounds[stretches].tolist(), bounds[stretches + 1].tolist(), strict=True):
        starts[begin + 1 : end] = False


def _last_of_spaces(text: Bytes, beyond: Places) -> Places:
    """Those of the bytes beyond ASCII with which white space ends.

    That is U+0085, U+00A0, U+1680, U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F and U+3000. (Before the first byte
    of all the last ones are looked at, which at worst finds one too many.)
    """
    last, before, first = text[beyond], text[beyond - 1], text[beyond - 2]
    two = (before == 0xC2) & ((last == 0x85) | (last == 0xA0))
    e280 = (first == 0xE2) & (before == 0x80) & ((last <= 0x8A) | (last == 0xA8) | (last == 0xA9) | (last == 0xAF))
    others = np.array([0xE19A80, 0xE2819F, 0xE38080])
    three = np.isin(first.astype(np.int32) << 16 | before.astype(np.int32) << 8 | last, others)
    found: Places = beyond[two | e280 | three]
    return found
