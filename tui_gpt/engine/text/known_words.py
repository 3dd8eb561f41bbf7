"""The tokens of many pieces of text at a time, from a table of those that came before.

Natural text says few words again and again, so that most of what there is to find out about a long text is known when a
small part of it has been encoded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from tui_gpt.engine.text.tokenizer import TokenArray
from tui_gpt.engine.text.word_pieces import CUT, DOCUMENT_END, Places, piece_starts

MOST_WORDS = 1 << 17
MOST_BYTES = 1 << 22
"""What is known at the most, before all is forgotten: some megabytes of memory. Common words are soon known again."""
_LONGEST_KEY = 15
"""Bytes of a word that is found by arithmetic: two numbers of 64 bits hold them and how many they are."""
_SHORT = 64
"""Characters of a word that can be encoded the quick way."""
_BLOCK, _LARGE_BLOCK = 1 << 13, 1 << 15
"""Pieces that are looked for at a time: few where many are new, so that the next block finds them in the table; else
many, so that threads do not wait for each other at every few of them."""
_LEARNING_SHARE = 32
"""Many are new where it is one in so many."""
_NEW_SHARE = 4
"""Where one in so many pieces was new, the table cost more than it saved ..."""
_TEXTS_WITHOUT = 8
"""... so that the next texts do without."""

_PLACES = 2 * MOST_WORDS
_PLACE_SHIFT = np.uint64(64 - (_PLACES - 1).bit_length())
_LOW_FACTOR, _HIGH_FACTOR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
_FIRST_BYTES = np.array([(1 << 8 * n) - 1 for n in range(9)], dtype=np.uint64)
"""What is kept of a number of which only so many bytes belong to a word."""

Keys = tuple[NDArray[np.uint64], NDArray[np.uint64]]


class KnownWords:
    """An encoder that remembers. Threads share it: they do the arithmetic beside each other, and learn in turns."""

    def __init__(
        self, encode: Callable[[str], TokenArray], encode_word: Callable[[str], Sequence[int]], end: int
    ) -> None:
        """`encode` gives the ids of any text, `encode_word` the same of a short one, sooner.

        `end` is the id between documents.
        """
        self._encode, self._encode_word, self._end = encode, encode_word, end
        self._without, self._block = 0, _BLOCK
        self._learning = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        # By number; 0 is no word's, for its key says no length.
        self._low, self._high = np.zeros(MOST_WORDS + 3, np.uint64), np.zeros(MOST_WORDS + 3, np.uint64)
        self._begins, self._counts = np.zeros(MOST_WORDS + 3, np.int64), np.zeros(MOST_WORDS + 3, np.int64)
        # Of all words, one after the other. Never changed, only replaced: who reads needs no turn.
        self._ids = np.empty(0, np.uint32)
        self._places = np.zeros(_PLACES, np.int32)
        self._numbers: dict[bytes, int] = {}
        self._bytes = 0
        self._learn({CUT: 1, DOCUMENT_END: 2}, [[], [self._end]])

    def encode(self, segments: Sequence[str | None]) -> TokenArray:
        """The ids of texts one after the other, of which None ends a document. Raises what `encode` raises."""
        data = CUT.join(DOCUMENT_END if segment is None else segment.encode("utf-8") for segment in segments)
        if self._without or not data:
            self._without = max(0, self._without - 1)
            end = np.array([self._end], dtype=np.uint32)
            parts = [end if segment is None else self._encode(segment) for segment in segments]
            return np.concatenate([np.empty(0, np.uint32), *parts])
        starts, begin, new = piece_starts(data), 0, 0
        found = []
        while begin < len(starts) - 1:
            block = starts[begin : begin + self._block + 1]
            ids, learned = self._ids_of(data[block[0] : block[-1]], block - block[0])
            found.append(ids)
            begin += len(block) - 1
            new += learned
            self._block = _BLOCK if _LEARNING_SHARE * learned > len(block) else _LARGE_BLOCK
        if _NEW_SHARE * new > len(starts):
            self._without = _TEXTS_WITHOUT
        return np.concatenate(found)

    def _ids_of(self, data: bytes, starts: Places) -> tuple[TokenArray, int]:
        """The ids of the pieces of a block, and how many of them were new."""
        low, high = _keys(data, starts)
        places = (((low * _LOW_FACTOR ^ high) * _HIGH_FACTOR) >> _PLACE_SHIFT).view(np.int64)
        with self._learning:
            if len(self._numbers) + len(low) > MOST_WORDS or self._bytes > MOST_BYTES:
                self._forget()
            known = len(self._numbers)
            numbers = self._find((low, high), places)
            missing = np.flatnonzero(numbers == 0)
            if len(missing):
                numbers[missing] = self._numbers_of(data, starts[missing], starts[missing + 1])
                new = missing[numbers[missing] > known]
                self._place(numbers[new], (low[new], high[new]), places[new])
            learned = len(self._numbers) - known
            begins, counts, ids = self._begins[numbers], self._counts[numbers], self._ids
        ends = np.cumsum(counts)
        each = np.repeat(begins - ends + counts, counts)
        each += np.arange(len(each))
        found: TokenArray = ids[each]
        return found, learned

    def _find(self, keys: Keys, places: Places) -> NDArray[np.int32]:
        """The number of the word with each key, 0 where there is none; `places` then are where those would be."""
        low, high = keys
        numbers = self._places[places]
        # Where another word has the place, the next one is looked at; a free one ends the search.
        others = np.flatnonzero((numbers > 0) & ((self._low[numbers] != low) | (self._high[numbers] != high)))
        while len(others):
            places[others] = (places[others] + 1) % _PLACES
            numbers[others] = found = self._places[places[others]]
            differ = (self._low[found] != low[others]) | (self._high[found] != high[others])
            others = others[(found > 0) & differ]
        return numbers

    def _numbers_of(self, data: bytes, begins: Places, ends: Places) -> list[int]:
        """Of pieces that are not in the table: those that had no number have one now."""
        words = [data[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
        known = self._numbers
        new: dict[bytes, int] = {}
        for word in words:
            if word not in known and word not in new:
                new[word] = len(known) + len(new) + 1
        texts = [word.decode("utf-8") for word in new]
        self._learn(
            new, [self._encode_word(text) if len(text) <= _SHORT else self._encode(text).tolist() for text in texts]
        )
        return [known[word] for word in words]

    def _learn(self, words: dict[bytes, int], ids: Sequence[Sequence[int]]) -> None:
        """Remember words under the next numbers."""
        numbers = slice(len(self._numbers) + 1, len(self._numbers) + 1 + len(words))
        counts = np.fromiter(map(len, ids), np.int64, len(words))
        self._counts[numbers] = counts
        self._begins[numbers] = len(self._ids) + np.cumsum(counts) - counts
        self._ids = np.concatenate([self._ids, np.fromiter(chain.from_iterable(ids), np.uint32)])
        self._numbers |= words
        self._bytes += sum(map(len, words))

    def _place(self, numbers: NDArray[np.int32], keys: Keys, places: Places) -> None:
        """Put new words into the table, each at the first free place from its own on; long ones have none."""
        self._low[numbers], self._high[numbers] = keys
        short = keys[1] >> np.uint64(56) <= _LONGEST_KEY
        numbers, places = numbers[short], places[short]
        while len(numbers):
            free = self._places[places] == 0
            # Of several that want the same place the last one has it.
            self._places[places[free]] = numbers[free]
            waiting = self._places[places] != numbers
            numbers, places = numbers[waiting], (places[waiting] + 1) % _PLACES


def _keys(data: bytes, starts: Places) -> Keys:
    """Two numbers for each piece: up to 15 bytes and the length. A longer one has a length that no word has."""
    numbers: NDArray[np.uint64] = np.ndarray(len(data) + 8, "<u8", data + bytes(15), strides=(1,))
    starts, lengths = starts[:-1], np.diff(starts)
    low = numbers[starts] & _FIRST_BYTES[np.minimum(lengths, 8)]
    high = numbers[starts + np.minimum(lengths, 8)] & _FIRST_BYTES[np.clip(lengths - 8, 0, 7)]
    high |= np.where(lengths > _LONGEST_KEY, 255, lengths).astype(np.uint64) << np.uint64(56)
    return low, high
