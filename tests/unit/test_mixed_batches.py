"""In every step each corpus of a mix has its share, as exactly as whole sequences allow; all of it is arithmetic."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_gpt.engine.text.batches import WindowBatches, seed_of_part
from tui_gpt.engine.text.mixed_batches import MixedBatches, allotments

LENGTH = 4
APART = 10_000
"""Tokens of a text say which text they are from: those of the first are below this, of the second below twice this."""

weights = st.lists(st.integers(1, 60), min_size=1, max_size=6)


def mixed(sizes: list[int], shares: list[int], batch_size: int, seed: int = 3) -> MixedBatches:
    texts = [np.arange(size, dtype=np.uint32) + number * APART for number, size in enumerate(sizes)]
    parts = [WindowBatches(text, LENGTH, batch_size, seed_of_part(seed, number)) for number, text in enumerate(texts)]
    return MixedBatches(parts, shares, batch_size)


@given(shares=weights, batch_size=st.integers(1, 50))
def test_a_step_has_each_share_rounded_down_or_up_and_all_steps_together_are_never_one_sequence_off(
    shares: list[int], batch_size: int
) -> None:
    counts, total = allotments(shares, batch_size), sum(shares)
    assert np.array_equal(counts[0], np.zeros(len(shares)))
    steps = np.diff(counts, axis=0)
    for part, share in enumerate(shares):
        owed = share * batch_size
        assert set(steps[:, part]) <= {owed // total, -(-owed // total)}
        assert all(abs(int(count) * total - step * owed) < total for step, count in enumerate(counts[:, part]))
        assert counts[-1, part] * total == (len(counts) - 1) * owed, "it ends where it can begin again"
    assert np.array_equal(steps.sum(axis=1), np.full(len(steps), batch_size))


def test_shares_in_ten_thousandths_repeat_within_ten_thousand_steps() -> None:
    counts = allotments([3001, 2999, 1001, 999, 701, 499, 300, 250, 250], 31)
    assert len(counts) == 10_001 and counts[-1].sum() == 310_000


@given(shares=st.lists(st.integers(1, 20), min_size=2, max_size=4), batch_size=st.integers(1, 9), data=st.data())
def test_what_stands_before_a_step_is_what_counting_every_step_finds(
    shares: list[int], batch_size: int, data: st.DataObject
) -> None:
    sizes = data.draw(st.lists(st.integers(LENGTH + 1, 60), min_size=len(shares), max_size=len(shares)))
    batches = mixed(sizes, shares, batch_size)
    counted = np.zeros(len(shares), dtype=np.int64)
    for step in range(data.draw(st.integers(1, 60))):
        assert np.array_equal(batches.before(step), counted)
        rows = batches.batch(step).ids[:, 0] // APART
        counted += np.bincount(rows, minlength=len(shares))


@pytest.mark.slow
@given(
    shares=st.lists(st.integers(1, 9), min_size=2, max_size=3),
    batch_size=st.integers(1, 7),
    seed=st.integers(0, 2**31 - 1),
    data=st.data(),
)
def test_every_part_visits_each_window_once_in_an_epoch_of_its_own(
    shares: list[int], batch_size: int, seed: int, data: st.DataObject
) -> None:
    sizes = data.draw(st.lists(st.integers(3 * LENGTH, 40), min_size=len(shares), max_size=len(shares)))
    batches = mixed(sizes, shares, batch_size, seed)
    steps = -(-3 * 10 * sum(shares) // batch_size)
    firsts = np.concatenate([batches.batch(step).ids[:, 0] for step in range(steps)])
    for part, size in enumerate(sizes):
        starts = firsts[firsts // APART == part] - part * APART
        windows = max(1, (size - 1) // LENGTH - 1)
        for epoch in range(len(starts) // windows):
            visited = np.sort(starts[epoch * windows : (epoch + 1) * windows])
            assert np.array_equal(visited - visited[0], np.arange(windows) * LENGTH)


@given(step=st.integers(0, 10**12))
def test_a_batch_depends_on_nothing_but_seed_and_step(step: int) -> None:
    shares, batch_size = [65, 25, 10], 7
    asked_before = mixed([500, 300, 40], shares, batch_size)
    asked_before.batch(0)
    asked_before.batch(step + 1)
    batch, again = asked_before.batch(step), mixed([500, 300, 40], shares, batch_size).batch(step)
    assert np.array_equal(batch.ids, again.ids) and np.array_equal(batch.targets, again.targets)
    assert batch.ids.shape == (batch_size, LENGTH) and batch.n_targets == batch_size * LENGTH
    assert np.array_equal(batch.targets, batch.ids + 1), "each row is a piece of one text"


@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 6, 12])
def test_the_ranks_shares_make_up_the_batch(world_size: int) -> None:
    batches = mixed([500, 300, 40], [6, 5, 2], 12)
    for step in (0, 1, 2, 1000):
        shares = [batches.batch(step, rank, world_size) for rank in range(world_size)]
        assert np.array_equal(np.concatenate([share.ids for share in shares]), batches.batch(step).ids)
        assert all(share.n_targets == 12 * LENGTH for share in shares)


def test_an_epoch_is_the_main_corpus_read_once() -> None:
    batches = mixed([401, 900], [3, 1], 4)
    assert batches.rows_per_epoch == pytest.approx(99 / 0.75)
    seen: Counter[Any] = Counter()
    for step in range(int(batches.steps_per_epoch)):
        seen.update(batches.batch(step).ids[:, 0].tolist())
    of_main = [start for start in seen if start < APART]
    assert len(of_main) == 99 and max(seen.values()) == 1


def test_the_main_corpus_is_read_as_it_is_alone_and_no_two_parts_in_one_order() -> None:
    batches = mixed([4001, 4001], [1, 1], 4)
    firsts = np.concatenate([batches.batch(step).ids[:, 0] for step in range(50)])
    main, other = firsts[firsts < APART], firsts[firsts >= APART] - APART
    alone = WindowBatches(np.arange(4001, dtype=np.uint32), LENGTH, 2, 3)
    assert main.tolist() == [start for step in range(50) for start in alone.starts(step).tolist()]
    assert np.mean(main == other) < 0.05
