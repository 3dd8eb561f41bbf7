"""Rows of conversations: every answer is learned once in an epoch, none from another conversation, no row too long."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_gpt.engine.text.batches import IGNORED
from tui_gpt.engine.text.dialogues.packing import ANSWER, TURN, PackedBatches, PackedRows, pack

Turn = tuple[int, int]
"""Tokens of a question (its mark and its end too), and of the answer to it (its mark does not count)."""


class Corpus:
    """Conversations whose tokens all differ, so that each can be found again in the rows."""

    def __init__(self, talks: list[tuple[int, list[Turn]]]) -> None:
        """Each with the tokens of its system message, or none, and its turns."""
        marks: list[int] = []
        ends: list[int] = []
        self.system: list[tuple[int, int]] = []
        for system, turns in talks:
            begin = len(marks)
            marks += [0] * system
            self.system.append((begin, len(marks)))
            for asked, answered in turns:
                marks += [TURN] + [0] * (asked - 1) + [0] + [ANSWER] * answered
            ends.append(len(marks))
        self.marks = np.array(marks, dtype=np.uint8)
        self.tokens = np.arange(1, len(marks) + 1, dtype=np.uint32)  # 0 fills up rows
        self.ends = np.array(ends, dtype=np.uint64)
        self.talk_of = np.repeat(np.arange(len(talks)), np.diff([0, *ends]))

    def rows(self, n_positions: int) -> PackedRows:
        return PackedRows(self.tokens, self.marks, self.ends, n_positions)


turns = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 12)), min_size=1, max_size=6)
corpora = st.lists(st.tuples(st.sampled_from([0, 0, 1, 3, 9]), turns), min_size=1, max_size=12).map(Corpus)


def lost_by_cutting(corpus: Corpus, n_positions: int) -> set[int]:
    """Places of the answers that no row holds, found the slow way: each question anew, as long as there is room."""
    lost: set[int] = set()
    begin = 0
    for number, end in enumerate(corpus.ends.tolist()):
        if end - begin > n_positions + 1:
            first, until = corpus.system[number]
            heading = until - first if until - first <= (n_positions + 1) // 2 else 0
            asked = [place for place in range(begin, end) if corpus.marks[place] & TURN]
            for start, stop in zip(asked, [*asked[1:], end], strict=True):
                fits = start + n_positions + 1 - heading
                lost |= {place for place in range(start, stop) if place >= fits and corpus.marks[place] & ANSWER}
        begin = end
    return lost


@given(corpus=corpora, n_positions=st.integers(2, 40))
@settings(max_examples=300)
def test_every_answer_is_a_target_once_and_sees_its_own_conversation_only(corpus: Corpus, n_positions: int) -> None:
    rows = corpus.rows(n_positions)
    batch = rows.take(np.arange(len(rows), dtype=np.int64))
    assert batch.segments is not None
    assert batch.ids.shape == batch.targets.shape == batch.segments.shape == (len(rows), n_positions)
    targets = batch.targets[batch.targets != IGNORED]
    answers = set((np.flatnonzero(corpus.marks & ANSWER) + 1).tolist())
    lost = {place + 1 for place in lost_by_cutting(corpus, n_positions)}
    assert sorted(targets.tolist()) == sorted(answers - lost)
    assert rows.n_targets == batch.n_targets == len(targets) == rows.targets_of_row.sum()
    assert (rows.targets_of_row > 0).all()
    for ids, wanted, segments in zip(batch.ids, batch.targets, batch.segments, strict=True):
        read = ids[segments >= 0]
        # What is read stands at the beginning, each conversation in one stretch.
        assert (segments[: len(read)] >= 0).all() and not ids[len(read) :].any()
        assert (np.diff(segments[: len(read)]) >= 0).all()
        for segment in np.unique(segments[segments >= 0]):
            here = segments == segment
            places = ids[here] - 1
            talks = np.unique(corpus.talk_of[places])
            assert len(talks) == 1
            first, until = corpus.system[talks[0]]
            # It begins with the system message or a question, and nothing is missing behind that.
            body = places[places >= until]
            assert corpus.marks[body[0]] & TURN and (np.diff(body) == 1).all()
            assert places[: len(places) - len(body)].tolist() in ([], list(range(first, until)))
            counted = wanted[here]
            assert (counted[counted != IGNORED] == places[counted != IGNORED] + 2).all()


@given(corpus=corpora, n_positions=st.integers(2, 40))
def test_the_system_message_stands_above_every_part_that_has_room_for_it(corpus: Corpus, n_positions: int) -> None:
    rows = corpus.rows(n_positions)
    batch = rows.take(np.arange(len(rows), dtype=np.int64))
    assert batch.segments is not None
    for ids, segments in zip(batch.ids, batch.segments, strict=True):
        for segment in np.unique(segments[segments >= 0]):
            places = ids[segments == segment] - 1
            first, until = corpus.system[corpus.talk_of[places[0]]]
            if 0 < until - first <= (n_positions + 1) // 2:
                assert places[: until - first].tolist() == list(range(first, until))


def test_the_first_words_of_an_assistant_are_learned_once_however_often_they_are_read() -> None:
    corpus = Corpus([(3, [(3, 4)] * 5)])
    corpus.marks[1:3] = ANSWER  # who speaks first is the assistant
    rows = corpus.rows(12)
    batch = rows.take(np.arange(len(rows), dtype=np.int64))
    assert len(rows) == 5 and (batch.ids == 2).sum() == 5
    assert (
        sorted(batch.targets[batch.targets != IGNORED].tolist()) == (np.flatnonzero(corpus.marks & ANSWER) + 1).tolist()
    )


@given(st.lists(st.integers(1, 50), max_size=80))
def test_rows_hold_every_piece_once_and_are_never_too_long(lengths: list[int]) -> None:
    pieces, ends = pack(np.array(lengths, dtype=np.int64), 50)
    assert sorted(pieces.tolist()) == list(range(len(lengths)))
    rows = np.split(pieces, ends[:-1]) if len(ends) else []
    sums = [sum(lengths[piece] for piece in row) for row in rows]
    assert all(0 < total <= 50 for total in sums)
    # Best fit decreasing needs at most 11/9 of the rows of the best packing, and 4 more (Johnson, 1973).
    assert len(rows) <= 11 / 9 * max(1, -(-sum(lengths) // 50)) + 4 + sum(length > 25 for length in lengths)
    if len(sums) > 1:
        assert min(a + b for i, a in enumerate(sums) for b in sums[:i]) > 50, "two rows would have fitted into one"


def test_real_lengths_fill_their_rows() -> None:
    lengths = np.random.default_rng(0).gamma(2.0, 40.0, 100_000).astype(np.int64).clip(2, 256)
    began = time.process_time()
    _, ends = pack(lengths, 256)
    assert time.process_time() - began < 5
    assert lengths.sum() / (len(ends) * 256) > 0.98


@given(corpus=corpora, seed=st.integers(0, 2**31 - 1), batch_size=st.sampled_from([1, 2, 6, 12]))
def test_an_epoch_meets_every_row_once_and_shares_make_up_the_batch(corpus: Corpus, seed: int, batch_size: int) -> None:
    rows = corpus.rows(12)
    if not len(rows):
        with pytest.raises(ValueError, match="no answer to learn"):
            PackedBatches(rows, batch_size, seed)
        return
    batches = PackedBatches(rows, batch_size, seed)
    assert batches.steps_per_epoch == len(rows) / batch_size
    steps = [batches.batch(step) for step in range(-(-2 * len(rows) // batch_size))]
    seen = np.concatenate([batch.targets for batch in steps])
    for epoch in range(2):
        told = seen[epoch * len(rows) : (epoch + 1) * len(rows)]
        assert (told != IGNORED).sum() == rows.n_targets
        assert len(np.unique(told[told != IGNORED])) == rows.n_targets
    for step, batch in enumerate(steps):
        assert batch.n_targets == (batch.targets != IGNORED).sum() > 0
        for world_size in {1, 2, 3, 6} & {d for d in range(1, batch_size + 1) if batch_size % d == 0}:
            shares = [batches.batch(step, rank, world_size) for rank in range(world_size)]
            assert {share.n_targets for share in shares} == {batch.n_targets}
            for name in ("ids", "targets", "segments"):
                joined = np.concatenate([getattr(share, name) for share in shares])
                assert np.array_equal(joined, getattr(batch, name))


def test_a_conversation_without_any_question_that_is_too_long_is_left_out() -> None:
    corpus = Corpus([(30, []), (0, [(2, 2)])])
    corpus.marks[5:30] = ANSWER
    rows = corpus.rows(8)
    assert len(rows) == 1 and rows.n_targets == 2
