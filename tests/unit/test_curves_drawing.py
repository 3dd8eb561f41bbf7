"""Raster, axes, scale and window: what a plot is drawn with."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_gpt.ui.curves.axes import frame, short_duration, short_number, ticks_along, value_ticks
from tui_gpt.ui.curves.moments import AXES, Axis
from tui_gpt.ui.curves.raster import Raster
from tui_gpt.ui.curves.scale import choose_scale
from tui_gpt.ui.curves.strips import one_line
from tui_gpt.ui.curves.window import Window


def dots(raster: Raster) -> set[tuple[int, int]]:
    """The dots that are set, from what the rows show."""
    bits = {
        0x01: (0, 0),
        0x02: (0, 1),
        0x04: (0, 2),
        0x40: (0, 3),
        0x08: (1, 0),
        0x10: (1, 1),
        0x20: (1, 2),
        0x80: (1, 3),
    }
    found = set()
    for row, (characters, _) in enumerate(raster.rows()):
        for column, character in enumerate(characters):
            code = 0 if character == " " else ord(character) - 0x2800
            found |= {(2 * column + dx, 4 * row + dy) for bit, (dx, dy) in bits.items() if code & bit}
    return found


@given(x=st.integers(-3, 25), top=st.integers(-5, 45), bottom=st.integers(-5, 45), width=st.integers(1, 11))
def test_a_vertical_run_sets_exactly_its_dots(x: int, top: int, bottom: int, width: int) -> None:
    raster = Raster(width, 10)
    raster.vertical(x, top, bottom, 1)
    assert dots(raster) == {(x, y) for y in range(max(top, 0), min(bottom, 39) + 1) if 0 <= x < 2 * width}
    faint = Raster(width, 10)
    faint.vertical(x, top, bottom, 1, faint=True)
    assert dots(faint) == {(a, y) for a, y in dots(raster) if (a + y) % 2 == 0}


@given(x0=st.floats(-5, 30), dx=st.floats(0, 40), y0=st.floats(-20, 60), y1=st.floats(-20, 60))
def test_a_line_is_unbroken_and_reaches_both_ends(x0: float, dx: float, y0: float, y1: float) -> None:
    raster = Raster(10, 10)
    raster.line((x0, y0), (x0 + dx, y1), 1)
    found = dots(raster)
    for x, y in ((round(x0), round(y0)), (round(x0 + dx), round(y1))):
        if 0 <= x < 20 and 0 <= y < 40:
            assert any(abs(b - y) <= 1 for a, b in found if a == x)
    columns = sorted({x for x, _ in found})
    for left, right in pairwise(columns):
        if right == left + 1:
            lefts, rights = ([y for x, y in found if x == side] for side in (left, right))
            assert min(abs(a - b) for a in lefts for b in rights) <= 1


def test_a_break_is_not_bridged() -> None:
    raster = Raster(10, 2)
    raster.polyline([(0, 1), (3, 1), None, (9, 1), (12, 1), None, (18, 1)], 1)
    assert {x for x, _ in dots(raster)} == {0, 1, 2, 3, 9, 10, 11, 12, 18}


def test_without_braille_each_pen_has_its_own_character() -> None:
    raster = Raster(4, 2, braille=False, letters=" .*o")
    raster.vertical(0, 0, 1, 1)
    raster.vertical(1, 0, 0, 2)
    raster.vertical(2, 1, 1, 3)
    assert ["".join(characters) for characters, _ in raster.rows()] == [".*  ", ". o "]


@given(
    axis=st.sampled_from(AXES),
    first=st.floats(0, 1e12),
    span=st.floats(0.5, 1e12),
    width=st.integers(8, 280),
)
def test_ticks_lie_within_differ_and_fit(axis: Axis, first: float, span: float, width: int) -> None:
    last = first + span
    ticks = ticks_along(axis, first, last, width)
    room = 1e-6 * span + 1e-9 * last
    assert all(first - room <= x <= last + room for x, _ in ticks)
    assert len(ticks) <= max(2, width // 8)
    if axis != "elapsed" and span > 1e-3 * first:
        assert len({text for _, text in ticks}) == len(ticks)


@given(low=st.floats(-1e300, 1e300), span=st.floats(1e-6, 1e3), height=st.integers(1, 90), log=st.booleans())
def test_value_ticks_are_few_and_short(low: float, span: float, height: int, log: bool) -> None:
    if log:
        low = max(-300.0, min(300.0, low))
        span = min(span, 5.0)
    elif abs(low) > 1e3:
        span = abs(low) * min(span, 1.0)
    ticks = value_ticks(low, low + span, height, log=log)
    assert len(ticks) <= max(4, height)
    assert all(math.isfinite(y) for y, _ in ticks)


@pytest.mark.parametrize(("width", "height"), [(9, 3), (24, 5), (113, 31), (280, 90)])
def test_the_frame_has_the_size_asked_for(width: int, height: int) -> None:
    lines = frame(width, height, ((0, "0"), (5, "5"), (10, "10")), ((0, "0"), (1, "1")), 6)
    assert len(lines) == height
    assert {len(line) for line in lines} == {width}
    assert lines[height - 2][6] == "└"
    assert all(line[6] in "│┤" for line in lines[: height - 2])


def test_numbers_and_durations_are_short() -> None:
    assert [short_number(value) for value in (0, 7, 950, 1200, 3_500_000, 2.5e9, math.nan)] == [
        "0", "7", "950", "1.2k", "3.5M", "2.5G", "-",
    ]  # fmt: skip
    assert [short_duration(seconds, 1) for seconds in (5, 65, 120, 3725, 90_061)] == [
        "5s", "1:05", "2m", "1:02:05", "1d 1:01",
    ]  # fmt: skip


def test_the_first_steps_do_not_flatten_the_rest_and_validation_stays_inside() -> None:
    spread = [(10.0 - k, 11.0 - k) for k in range(3)] + [(1.5, 1.6)] * 197
    scale = choose_scale(spread, [1.7], log=False)
    assert scale.high < 2
    assert scale.beyond == 11.0
    wide = choose_scale(spread, [4.0], log=False)
    assert wide.high > 4.0
    assert choose_scale(spread[:30], [], log=False).beyond is None


@given(
    values=st.lists(st.floats(), max_size=60),
    log=st.booleans(),
)
def test_a_scale_is_finite_and_not_empty_whatever_the_values(values: list[float], log: bool) -> None:
    scale = choose_scale([(value, value) for value in values], values[:3], log=log)
    assert math.isfinite(scale.low)
    assert math.isfinite(scale.high)
    assert scale.low < scale.high
    for value in values:
        dot = scale.dot(value, 100)
        assert dot is None or math.isfinite(dot)


@given(
    zooms=st.lists(st.tuples(st.sampled_from([0.5, 2.0, 0.1]), st.floats(0, 1), st.floats(-2, 2)), max_size=12),
    end=st.floats(10, 1e6),
)
def test_a_window_stays_within_the_bounds(zooms: list[tuple[float, float, float]], end: float) -> None:
    window, bounds = Window(), (1.0, end)
    for factor, share, pan in zooms:
        view = window.view("step", bounds)
        window.zoom(factor, view.first + share * (view.last - view.first), "step", bounds)
        window.pan(pan, "step", bounds)
        view = window.view("step", bounds)
        assert bounds[0] - 1e-6 * end <= view.first < view.last <= bounds[1] + 1e-6 * end
        assert window.zoomed or (view.first, view.last) == bounds


def test_a_zoomed_window_at_the_right_edge_follows_and_another_stays() -> None:
    window = Window()
    window.zoom(0.5, 100.0, "step", (0.0, 100.0))
    assert window.follows
    assert window.view("step", (0.0, 120.0)).last == 120.0
    window.pan(-0.5, "step", (0.0, 120.0))
    assert not window.follows
    before = window.view("step", (0.0, 120.0))
    assert window.view("step", (0.0, 500.0)) == before
    window.whole()
    assert window.view("step", (0.0, 500.0)).last == 500.0


def test_foreign_text_becomes_one_harmless_line() -> None:
    assert one_line("a\x1b[31mb\nc\td", 40) == "a␛[31mb␊c d"
    assert one_line("x" * 50, 10) == "x" * 9 + "…"
