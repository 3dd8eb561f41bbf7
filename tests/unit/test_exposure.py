"""How much of a text is read how often: arithmetic that agrees with the batches that are really drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_gpt.core.exposure import exposure, in_words
from tui_gpt.engine.text.batches import WindowBatches


@given(
    n_tokens=st.integers(1000, 4000),
    n_positions=st.integers(4, 12),
    batch_size=st.integers(1, 16),
    steps=st.integers(0, 400),
    seed=st.integers(0, 5),
)
def test_it_agrees_with_a_count_of_what_the_batches_contain(
    n_tokens: int, n_positions: int, batch_size: int, steps: int, seed: int
) -> None:
    batches = WindowBatches(np.arange(n_tokens), n_positions, batch_size, seed)
    seen = np.zeros(n_tokens, dtype=np.int64)
    for step in range(steps):
        np.add.at(seen, batches.batch(step).ids.ravel(), 1)
    passes = steps * batch_size * n_positions / n_tokens
    # At the ends of the text less than two windows are left out in every epoch.
    slack = 3 * n_positions * (passes + 1) / n_tokens
    expected = dict(exposure(passes))
    for times in {*range(int(seen.max()) + 1), *expected}:
        assert np.mean(seen == times) == pytest.approx(expected.get(times, 0.0), abs=slack)


@given(st.floats(0, 1e6))
def test_the_parts_are_the_whole_and_their_readings_all_there_are(passes: float) -> None:
    parts = exposure(passes)
    assert sum(part.share for part in parts) == pytest.approx(1)
    assert sum(part.times * part.share for part in parts) == pytest.approx(passes)
    assert in_words(passes)


@pytest.mark.parametrize("passes", [math.nan, math.inf, -0.1])
def test_what_is_no_number_of_times_is_refused(passes: float) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        exposure(passes)


@pytest.mark.parametrize(
    ("passes", "words"),
    [
        (0, "next to nothing of it"),
        (0.004, "next to nothing of it"),
        (0.23, "77 % never, 23 % once"),
        (0.006, "99 % never, 1 % once"),
        (0.9951, "all of it once"),
        (0.994, "1 % never, 99 % once"),
        (1, "all of it once"),
        (2.001, "all of it twice"),
        (2.3, "70 % twice, 30 % 3 times"),
        (1234.5, "50 % 1,234 times, 50 % 1,235 times"),
    ],
)
def test_it_is_said_in_plain_words(passes: float, words: str) -> None:
    assert in_words(passes) == words
