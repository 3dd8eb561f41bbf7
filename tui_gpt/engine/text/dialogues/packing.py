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

Span = tuple[int, int]


class PackedRows:
    """Conversations in rows of at most `n_positions` tokens, the same ones every time.

    One that is longer is cut before questions, so that each part begins with one, under the system message where there
    is one. What is too long for a row by itself, a question with its answer, loses its end. Parts without a token of an
    answer are left out.
    """

    def __init__(self, tokens: NDArray[Any], marks: NDArray[np.uint8], ends: NDArray[Any], n_positions: int) -> None:
        """`tokens` and their `marks` (n_tokens,) of all conversations one after the other, which end at `ends` (n,)."""
        self._tokens, self._marks, self._length = tokens, marks, n_positions
        self.n_cut = 0
        """Questions with their answers that lost their end."""
        self._pieces = list(self._all_pieces(ends))
        # A token that is only predicted takes no place.
        self._rows = pack([sum(end - start for start, end in piece) - 1 for piece in self._pieces], n_positions)

    def __len__(self) -> int:
        return len(self._rows)

    def _all_pieces(self, ends: NDArray[Any]) -> Iterator[list[Span]]:
        start = 0
        for end in ends.tolist():
            for piece in self._pieces_of(start, end):
                if any((self._marks[a:b] & ANSWER).any() for a, b in piece):
                    yield piece
            start = end

    def _pieces_of(self, start: int, end: int) -> Iterator[list[Span]]:
        """Spans of tokens that are read as one."""
        room = self._length + 1
        if end - start <= room:
            yield [(start, end)]
            return
        turns = [start + int(place) for place in np.flatnonzero(self._marks[start:end] & TURN)]
        # What stands before the first question: a system message, or the assistant's first words.
        first = turns[0] if turns else end
        heading = [(start, first)] if start < first and first - start <= room // 2 else []
        room -= sum(b - a for a, b in heading)
        borders = [*turns, end]
        begin = 0
        while begin < len(turns):
            # As many questions with their answers as fit, at least one.
            until = max(begin + 1, bisect_left(borders, borders[begin] + room + 1) - 1)
            a, b = borders[begin], borders[until]
            self.n_cut += b - a > room
            yield [*heading, (a, min(b, a + room))]
            begin = until

    @cached_property
    def targets_of_row(self) -> NDArray[np.int64]:
        """How many targets count in each row."""
        counts = [
            sum(int((self._marks[a + (n == 0) : b] & ANSWER).sum()) for n, (a, b) in enumerate(piece))
            for piece in self._pieces
        ]
        return np.array([sum(counts[piece] for piece in row) for row in self._rows], dtype=np.int64)

    def take(self, rows: NDArray[np.int64], n_targets: int | None = None) -> Batch:
        """These rows; `n_targets` of a batch of which they are a share, else their own."""
        shape = (len(rows), self._length)
        ids, segments = np.zeros(shape, dtype=np.int64), np.full(shape, -1, dtype=np.int64)
        targets = np.full(shape, IGNORED, dtype=np.int64)
        for number, row in enumerate(rows.tolist()):
            at = 0
            for segment, piece in enumerate(self._rows[row]):
                tokens = np.concatenate([self._tokens[a:b] for a, b in self._pieces[piece]]).astype(np.int64)
                counts = np.concatenate([self._marks[a:b] for a, b in self._pieces[piece]]) & ANSWER
                here = slice(at, at + len(tokens) - 1)
                ids[number, here] = tokens[:-1]
                targets[number, here] = np.where(counts[1:], tokens[1:], IGNORED)
                segments[number, here] = segment
                at = here.stop
        own = int(self.targets_of_row[rows].sum()) if n_targets is None else n_targets
        return Batch(ids, targets, own, segments)


def pack(lengths: list[int], room: int) -> list[list[int]]:
    """Numbers of pieces of these lengths (at most `room`) in rows: the longest first, each where it fits best."""
    rows: list[list[int]] = []
    with_room: dict[int, list[int]] = {}
    rooms: list[int] = []
    for piece in sorted(range(len(lengths)), key=lambda number: (-lengths[number], number)):
        length = lengths[piece]
        place = bisect_left(rooms, length)
        if place == len(rooms):
            row, left = len(rows), room
            rows.append([])
        else:
            left = rooms[place]
            row = with_room[left].pop()
            if not with_room[left]:
                del with_room[left], rooms[place]
        rows[row].append(piece)
        left -= length
        if left not in with_room:
            with_room[left] = []
            insort(rooms, left)
        with_room[left].append(row)
    return rows


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
