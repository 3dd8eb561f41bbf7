"""Rows of conversations: several in a row where they fit, each of them apart from the others."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_gpt.core.config import RunConfig
from tui_gpt.engine.text.batches import IGNORED, Batch, Batches, shuffled

ANSWER, TURN = 1, 2
"""Marks of a token: it belongs to an answer; it begins a question, so that what stands before can be left away."""

_COUNTED_TOGETHER = 1 << 16
"""Conversations of which the answers are counted at once."""


class PackedRows:
    """Conversations in rows of at most `n_positions` tokens, the same ones every time.

    One that is longer is cut before questions, so that each part begins with one, under the system message where there
    is one. What is too long for a row by itself, a question with its answer, loses its end. Parts without a token of an
    answer are left out. Memory is that of a few numbers for each conversation.
    """

    def __init__(self, tokens: NDArray[Any], marks: NDArray[np.uint8], ends: NDArray[Any], n_positions: int) -> None:
        """`tokens` and their `marks` (n_tokens,) of all conversations one after the other, which end at `ends` (n,)."""
        self._tokens, self._marks, self._length = tokens, marks, n_positions
        self._headings: dict[int, tuple[int, int]] = {}
        """Of parts of what was cut, by where they begin: what is read before them, which counts in the first only."""
        self.n_cut = 0
        """Questions with their answers that lost their end."""
        self._begins, self._ends, self._n_targets = self._all_pieces(np.asarray(ends, dtype=np.int64))
        # A token that is only predicted takes no place.
        lengths = self._ends - self._begins - 1
        for number in np.flatnonzero(np.isin(self._begins, list(self._headings))).tolist() if self._headings else ():
            heading = self._headings[int(self._begins[number])]
            lengths[number] += heading[1] - heading[0]
        self._pieces, self._row_ends = pack(lengths, n_positions)

    def __len__(self) -> int:
        return len(self._row_ends)

    def _all_pieces(self, ends: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Where each piece begins and ends, and how many targets count in it."""
        begins = np.concatenate((np.zeros(1, dtype=np.int64), ends[:-1]))
        counts = self._count_answers(begins, ends)
        fits = ends - begins <= self._length + 1
        cut = [
            piece
            for begin, end in zip(begins[~fits].tolist(), ends[~fits].tolist(), strict=True)
            for piece in self._pieces_of(begin, end)
        ]
        of_cut = np.array(cut, dtype=np.int64).reshape(-1, 3)
        pieces = np.concatenate((np.stack((begins, ends, counts), axis=1)[fits], of_cut))
        pieces = pieces[pieces[:, 2] > 0]
        pieces = pieces[np.argsort(pieces[:, 0], kind="stable")]
        return pieces[:, 0].copy(), pieces[:, 1].copy(), pieces[:, 2].copy()

    def _count_answers(self, begins: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
        counts = np.zeros_like(begins)
        for start in range(0, len(begins), _COUNTED_TOGETHER):
            part = slice(start, start + _COUNTED_TOGETHER)
            first = int(begins[part][0])
            marks = self._marks[first : int(ends[part][-1])] & ANSWER
            counts[part] = np.add.reduceat(marks, begins[part] - first, dtype=np.int64)
        return counts

    def _pieces_of(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Begin, end and number of targets of the pieces of a conversation that is too long for a row."""
        room = self._length + 1
        turns = [start + int(place) for place in np.flatnonzero(self._marks[start:end] & TURN)]
        # What stands before the first question: a system message, or the assistant's first words.
        first = turns[0] if turns else end
        heading = (start, first) if start < first and first - start <= room // 2 else (start, start)
        room -= heading[1] - heading[0]
        borders = [*turns, end]
        begin = 0
        while begin < len(turns):
            # As many questions with their answers as fit, at least one.
            until = max(begin + 1, bisect_left(borders, borders[begin] + room + 1) - 1)
            a, b = borders[begin], borders[until]
            self.n_cut += b - a > room
            b = min(b, a + room)
            if heading[0] < heading[1]:
                self._headings[a] = heading
            counted = (heading[0], b) if a == heading[1] else (a, b)
            yield a, b, int((self._marks[slice(*counted)] & ANSWER).sum())
            begin = until

    @cached_property
    def targets_of_row(self) -> NDArray[np.int64]:
        """How many targets count in each row."""
        until = np.cumsum(self._n_targets[self._pieces], dtype=np.int64)[self._row_ends - 1]
        return np.diff(until, prepend=0)

    @property
    def n_targets(self) -> int:
        """How many targets count in all rows."""
        return int(self._n_targets.sum())

    def take(self, rows: NDArray[np.int64], n_targets: int | None = None) -> Batch:
        """These rows; `n_targets` of a batch of which they are a share, else their own."""
        shape = (len(rows), self._length)
        ids, segments = np.zeros(shape, dtype=np.int64), np.full(shape, -1, dtype=np.int64)
        targets = np.full(shape, IGNORED, dtype=np.int64)
        for number, row in enumerate(rows.tolist()):
            at = 0
            for segment, piece in enumerate(self._pieces_in(row)):
                tokens, counts = self._read(piece)
                here = slice(at, at + len(tokens) - 1)
                ids[number, here] = tokens[:-1]
                targets[number, here] = np.where(counts[1:], tokens[1:], IGNORED)
                segments[number, here] = segment
                at = here.stop
        own = int(self.targets_of_row[rows].sum()) if n_targets is None else n_targets
        return Batch(ids, targets, own, segments)

    def _pieces_in(self, row: int) -> list[int]:
        pieces: list[int] = self._pieces[self._row_ends[row - 1] if row else 0 : self._row_ends[row]].tolist()
        return pieces

    def _read(self, piece: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """The tokens of a piece, and which of them count."""
        begin, end = int(self._begins[piece]), int(self._ends[piece])
        tokens: NDArray[Any] = self._tokens[begin:end]
        counts: NDArray[Any] = self._marks[begin:end] & ANSWER
        if (heading := self._headings.get(begin)) is not None:
            a, b = heading
            tokens = np.concatenate((self._tokens[a:b], tokens))
            # What is read before every part of a conversation is learned once.
            before = self._marks[a:b] & ANSWER if b == begin else np.zeros_like(self._marks[a:b])
            counts = np.concatenate((before, counts))
        return tokens.astype(np.int64), counts


def pack(lengths: NDArray[np.int64], room: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pieces of these lengths (at most `room`) in rows: the longest first, each where it fits best.

    Returns the numbers of the pieces, row after row, and where among them each row ends.
    """
    order = np.argsort(-lengths, kind="stable")
    row_of = np.empty(len(lengths), dtype=np.int64)
    with_room: dict[int, list[int]] = {}
    rooms: list[int] = []
    n_rows = 0
    for number, length in enumerate(lengths[order].tolist()):
        place = bisect_left(rooms, length)
        if place == len(rooms):
            row, left = n_rows, room
            n_rows += 1
        else:
            left = rooms[place]
            row = with_room[left].pop()
            if not with_room[left]:
                del with_room[left], rooms[place]
        row_of[number] = row
        left -= length
        if left not in with_room:
            with_room[left] = []
            insort(rooms, left)
        with_room[left].append(row)
    by_row = np.argsort(row_of, kind="stable")
    return order[by_row], np.cumsum(np.bincount(row_of, minlength=n_rows), dtype=np.int64)


class PackedBatches(Batches):
    """Rows in an order that is another one in every epoch."""

    def __init__(self, rows: PackedRows, batch_size: int, seed: int) -> None:
        if not len(rows):
            raise ValueError("there is no answer to learn")
        self._rows, self.batch_size, self._seed = rows, batch_size, seed

    @classmethod
    def of(cls, rows: PackedRows, config: RunConfig) -> PackedBatches:
        """As a run of that configuration draws them."""
        return cls(rows, config.train.batch_size, config.train.seed)

    @property
    def rows_per_epoch(self) -> float:
        return len(self._rows)

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        numbers = np.arange(step * self.batch_size, (step + 1) * self.batch_size, dtype=np.int64)
        rows = shuffled(numbers, len(self._rows), self._seed)
        share = self.batch_size // world_size
        return self._rows.take(rows[rank * share : (rank + 1) * share], int(self._rows.targets_of_row[rows].sum()))
