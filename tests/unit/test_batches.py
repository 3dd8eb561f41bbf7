"""Batches are a pure function of seed and step, and an epoch sees every window once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_gpt.engine.text.batches import WindowBatches, permute


@given(size=st.integers(1, 3000), key=st.integers(0, 2**32 - 1))
def test_a_keyed_permutation_meets_every_index_once(size: int, key: int) -> None:
    images = permute(np.arange(size, dtype=np.int64), size, key)
    assert sorted(images.tolist()) == list(range(size))


@given(size=st.integers(1, 2**40), key=st.integers(0, 2**32 - 1), data=st.data())
def test_a_permutation_of_any_size_stays_inside_and_never_meets_twice(size: int, key: int, data: st.DataObject) -> None:
    indices = data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=50, unique=True))
    images = permute(np.array(indices, dtype=np.int64), size, key).tolist()
    assert all(0 <= image < size for image in images)
    assert len(set(images)) == len(indices)
    assert permute(np.array(indices[:1], dtype=np.int64), size, key)[0] == images[0]


def test_the_order_is_mixed_and_another_key_gives_another() -> None:
    first, second = (permute(np.arange(1000, dtype=np.int64), 1000, key) for key in (1, 2))
    assert np.mean(first == np.arange(1000)) < 0.02 and np.mean(first == second) < 0.02
    # Neighbours in order are no neighbours in the text.
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 0.1


texts = st.integers(2, 400)


@given(n_tokens=texts, n_positions=st.integers(1, 40), batch_size=st.integers(1, 9), seed=st.integers(0, 2**31 - 1))
def test_an_epoch_visits_every_window_once_and_stays_inside_the_text(
    n_tokens: int, n_positions: int, batch_size: int, seed: int
) -> None:
    tokens = np.arange(n_tokens, dtype=np.uint16)
    if n_tokens <= n_positions:
        with pytest.raises(ValueError, match="do not fill one window"):
            WindowBatches(tokens, n_positions, batch_size, seed)
        return
    batches = WindowBatches(tokens, n_positions, batch_size, seed)
    windows = batches.windows_per_epoch
    steps = -(-3 * windows // batch_size)
    starts = np.concatenate([batches.starts(step) for step in range(steps)])
    assert starts.min() >= 0 and starts.max() + n_positions + 1 <= n_tokens
    for epoch in range(3):
        visited = np.sort(starts[epoch * windows : (epoch + 1) * windows])
        assert np.array_equal(visited - visited[0], np.arange(windows) * n_positions)
    # At most two windows' worth of tokens are left out of an epoch.
    assert (n_tokens - 1) - windows * n_positions < 2 * n_positions
    assert batches.steps_per_epoch == windows / batch_size


@given(step=st.integers(0, 10**9), seed=st.integers(0, 2**31 - 1))
def test_a_batch_depends_on_nothing_but_seed_and_step(step: int, seed: int) -> None:
    tokens = np.arange(1000, dtype=np.uint16)
    asked_before = WindowBatches(tokens, 16, 4, seed)
    asked_before.batch(0)
    asked_before.batch(step + 1)
    batch = asked_before.batch(step)
    again = WindowBatches(tokens, 16, 4, seed).batch(step)
    assert np.array_equal(batch.ids, again.ids) and np.array_equal(batch.targets, again.targets)
    assert batch.ids.shape == (4, 16) and batch.ids.dtype == np.int64 and batch.n_targets == 64
    # Each row is a piece of the text: here, consecutive numbers, and the targets are those one further.
    assert np.array_equal(np.diff(batch.ids, axis=1), np.ones((4, 15)))
    assert np.array_equal(batch.targets, batch.ids + 1)


@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 6, 12])
def test_the_ranks_shares_make_up_the_batch(world_size: int) -> None:
    tokens = np.arange(5000, dtype=np.uint32)
    batches = WindowBatches(tokens, 16, 12, 3)
    for step in (0, 1, 1000):
        shares = [batches.batch(step, rank, world_size) for rank in range(world_size)]
        assert np.array_equal(np.concatenate([share.ids for share in shares]), batches.batch(step).ids)
        assert all(share.n_targets == 12 * 16 for share in shares)


def test_epochs_and_seeds_differ_in_order() -> None:
    tokens = np.arange(3000, dtype=np.uint16)
    first, second = (WindowBatches(tokens, 10, 298, 1).starts(step) for step in (0, 1))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, WindowBatches(tokens, 10, 298, 2).starts(0))
