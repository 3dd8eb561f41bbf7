"""Finding what a text says more than once, in eight to twenty-four bytes for each document or paragraph.

A document is known by the first eight bytes of its SHA-256: among ten million different documents two share them with a
probability of three in a million.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tui_gpt.core.repeats import Repeats

MOST_PARAGRAPHS = 1 << 19
"""Paragraphs that are remembered. Beyond, every second one is forgotten by its hash, so that copies go together."""

_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")
_LONGEST_GAP = 1 << 16
"""White space in a row after which a paragraph has ended, blank line or not: it has to be held until text follows."""


def document_repeats(digests: Sequence[int], lengths: Sequence[int], boundary: int) -> Repeats:
    """Copies among documents, given a number of 64 bits and the characters of each, in their order.

    The training part ends at `boundary`, in characters of all documents together.
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    starts = np.cumsum(sizes) - sizes
    keys = np.asarray(digests, dtype=np.uint64)
    full = sizes > 0
    if not full.all():
        keys, sizes, starts = keys[full], sizes[full], starts[full]
    return _count("documents", keys, sizes, starts, boundary)


class Paragraphs:
    """The paragraphs of one document that arrives in blocks."""

    def __init__(self, most: int = MOST_PARAGRAPHS) -> None:
        """`most` are remembered at a time."""
        self._most = most
        self._digests, self._lengths, self._starts = array("Q"), array("Q"), array("Q")
        self._one_in = 1
        self._position = 0  # in the text, where `_held` begins
        self._held = ""  # white space at the end of what has come
        self._open = False  # whether a paragraph has begun
        self._hash = _new_hash()
        self._start = self._length = 0

    def add(self, block: str) -> None:
        """The next block."""
        text = self._held + block
        solid = len(text.rstrip())
        if solid:
            self._take(text[:solid])
        self._position += solid
        self._held = text[solid:]
        if len(self._held) > _LONGEST_GAP:
            self._end()
            self._position += len(self._held)
            self._held = ""

    def _take(self, text: str) -> None:
        """Text that does not end in white space."""
        begin = 0
        for gap in _BLANK_LINES.finditer(text):
            self._continue(text[begin : gap.start()].rstrip(), begin)
            self._end()
            begin = gap.end()
        self._continue(text[begin:], begin)

    def _continue(self, piece: str, begin: int) -> None:
        if not self._open:
            indented = len(piece)
            piece = piece.lstrip()
            if not piece:
                return
            self._open, self._length = True, 0
            self._start = self._position + begin + indented - len(piece)
        self._hash.update(piece.encode("utf-8"))
        self._length += len(piece)

    def _end(self) -> None:
        if not self._open:
            return
        digest = int.from_bytes(self._hash.digest(), "little")
        self._open, self._hash = False, _new_hash()
        if digest % self._one_in == 0:
            self._digests.append(digest)
            self._lengths.append(self._length)
            self._starts.append(self._start)
            if len(self._digests) > self._most:
                self._forget()

    def _forget(self) -> None:
        self._one_in *= 2
        digests, lengths, starts = self._columns()
        kept = digests % np.uint64(self._one_in) == 0
        self._digests, self._lengths, self._starts = (
            array("Q", column[kept].tobytes()) for column in (digests, lengths, starts)
        )

    def _columns(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64]]:
        digests, lengths, starts = (
            np.asarray(column, dtype=np.uint64) for column in (self._digests, self._lengths, self._starts)
        )
        return digests, lengths, starts

    def repeats(self, boundary: int) -> Repeats:
        """Copies among them, once all blocks have come; the training part ends at `boundary`, in characters."""
        self._end()
        digests, lengths, starts = self._columns()
        return _count("paragraphs", digests, lengths.view(np.int64), starts.view(np.int64), boundary, self._one_in)


def _new_hash() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=8)


def _is_among(keys: NDArray[np.uint64], ordered: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether each of `keys` is one of `ordered`; np.isin sorts both once more, in five times the memory."""
    if not len(ordered):
        return np.zeros(len(keys), dtype=np.bool_)
    places = np.searchsorted(ordered, keys)
    np.minimum(places, len(ordered) - 1, out=places)
    found: NDArray[np.bool_] = ordered[places] == keys
    return found


def _count(
    unit: Literal["documents", "paragraphs"],
    keys: NDArray[np.uint64],
    sizes: NDArray[np.int64],
    starts: NDArray[np.int64],
    boundary: int,
    one_in: int = 1,
) -> Repeats:
    """Copies by their keys; each stands for `one_in`."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    is_first = np.ones(len(keys), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    firsts = order[is_first]
    del is_first
    in_training = starts + sizes <= boundary
    in_validation = starts >= boundary
    trained = ordered[in_training[order]]
    del order, ordered
    leaked = in_validation.copy()
    leaked[in_validation] = _is_among(keys[in_validation], trained)

    def total(values: NDArray[Any]) -> int:
        return int(values.sum()) * one_in

    return Repeats(
        unit=unit,
        counted=len(keys) * one_in,
        copies=(len(keys) - len(firsts)) * one_in,
        copied_characters=total(sizes) - total(sizes[firsts]),
        characters=total(sizes),
        leaked=total(leaked),
        leaked_characters=total(sizes[leaked]),
        validation_characters=total(sizes[in_validation]),
        exact=one_in == 1,
    )
