"""Columns and their pyramid: what a plot is made of must lose no minimum and no maximum."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_gpt.ui.curves.columns import Column
from tui_gpt.ui.curves.smoothing import Smoothing

Values = list[float | None]

numbers = st.floats(-1e6, 1e6, width=32) | st.sampled_from([math.nan, math.inf, -math.inf, None, 1e308, -1e308])


def made_long(seed: Values, length: int) -> Values:
    return [seed[(k * k + k // 7) % len(seed)] for k in range(length)]


def truth(values: Values) -> tuple[float, float] | None:
    there = [value for value in values if value is not None and math.isfinite(value)]
    return (min(there), max(there)) if there else None


def shown(extremes: tuple[float, float]) -> tuple[float, float] | None:
    assert math.isnan(extremes[0]) == math.isnan(extremes[1])
    return None if math.isnan(extremes[0]) else (extremes[0], extremes[1])


def column_of(values: Values, pieces: int = 1) -> Column:
    column = Column()
    size = max(1, -(-len(values) // pieces))
    for begin in range(0, len(values), size):
        column.extend(values[begin : begin + size])
        column.index(len(values))
    return column


@settings(max_examples=80)
@given(
    seed=st.lists(numbers, min_size=1, max_size=40),
    length=st.integers(1, 5000),
    pieces=st.integers(1, 9),
    ends=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_extremes_are_those_of_the_values_however_they_came(
    seed: Values, length: int, pieces: int, ends: tuple[float, float]
) -> None:
    values = made_long(seed, length)
    column = column_of(values, pieces)
    first, last = sorted(int(end * length) for end in ends)
    assert shown(column.extremes(first, last)) == truth(values[first:last])
    assert shown(column.extremes(0, length)) == truth(values)


@settings(max_examples=60)
@given(seed=st.lists(numbers, min_size=1, max_size=40), length=st.integers(400, 9000), columns=st.integers(1, 120))
def test_stretches_lose_no_minimum_no_maximum_and_stay_near_their_edges(
    seed: Values, length: int, columns: int
) -> None:
    values = made_long(seed, length)
    edges = [length * part // columns for part in range(columns + 1)]
    column = column_of(values)
    found = [pair for extremes in column.stretches(edges) if (pair := shown(extremes)) is not None]
    all_of_it = (min(low for low, _ in found), max(high for _, high in found)) if found else None
    assert all_of_it == truth(values)
    near = length / columns / 4
    for (begin, end), extremes in zip(pairwise(edges), column.stretches(edges), strict=True):
        around = truth(values[max(0, int(begin - near)) : int(end + near) + 1])
        if (pair := shown(extremes)) is not None:
            assert around is not None
            assert around[0] <= pair[0] <= pair[1] <= around[1]


@settings(max_examples=60)
@given(seed=st.lists(numbers, min_size=1, max_size=40), length=st.integers(1, 3000), share=st.floats(0, 1))
def test_a_column_that_was_cut_off_and_went_on_equals_one_that_never_was(
    seed: Values, length: int, share: float
) -> None:
    values = made_long(seed, length)
    kept = int(share * length)
    column = column_of(values)
    column.truncate(kept)
    column.extend(values[: length - kept])
    column.index(length)
    fresh = column_of(values[:kept] + values[: length - kept])
    assert len(column) == column.ready == length
    for first, last in ((0, length), (kept // 2, length), (kept, length), (0, kept)):
        assert shown(column.extremes(first, last)) == shown(fresh.extremes(first, last))


def test_what_is_not_indexed_yet_is_not_asked_for() -> None:
    column = Column()
    column.extend([1.0] * 1000)
    assert (len(column), column.ready) == (1000, 0)
    assert column.index(600)
    assert column.ready == 600
    assert column.index(600)
    assert column.ready == 1000
    assert not column.index(600)


@given(
    values=st.lists(st.floats(-100, 100) | st.just(math.nan), min_size=1, max_size=300),
    factor=st.sampled_from([0.0, 0.5, 0.9, 0.98]),
    cut=st.floats(0, 1),
)
def test_the_average_is_the_same_in_one_piece_in_two_and_after_going_back(
    values: list[float], factor: float, cut: float
) -> None:
    whole = Smoothing(factor).extend(values)
    place = int(cut * len(values))
    smoothing = Smoothing(factor)
    pieces = smoothing.extend(values[:place]) + smoothing.extend(values[place:])
    assert pieces == pytest.approx(whole, nan_ok=True)
    smoothing.restore(pieces[:place])
    assert smoothing.extend(values[place:]) == pytest.approx(whole[place:], rel=1e-6, abs=1e-6, nan_ok=True)


@given(value=st.floats(-1e3, 1e3), factor=st.sampled_from([0.5, 0.98, 0.999]), count=st.integers(1, 3000))
def test_the_average_of_a_constant_is_the_constant_from_the_first_value_on(
    value: float, factor: float, count: int
) -> None:
    assert Smoothing(factor).extend([value] * count) == pytest.approx([value] * count, rel=1e-9, abs=1e-9)


def test_a_factor_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="smoothing factor"):
        Smoothing(1.0)
