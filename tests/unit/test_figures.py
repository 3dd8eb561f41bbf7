"""Figures as people read them."""

from __future__ import annotations

import math

import pytest

from tui_gpt.core import figures


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 m 00 s"),
        (125, "2 m 05 s"),
        (3600, "1 h 00 m"),
        (3 * 3600 + 605, "3 h 10 m"),
        (50 * 3600, "2 d 2 h"),
        (4e9, "127 years"),
        (None, "?"),
        (math.inf, "?"),
        (math.nan, "?"),
    ],
)
def test_a_duration_has_the_two_units_that_matter(seconds: float | None, shown: str) -> None:
    assert figures.duration(seconds) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (946, "946"),
        (999.6, "1.00 k"),
        (12_345, "12.3 k"),
        (2_160_000, "2.16 M"),
        (124_439_808, "124 M"),
        (999_999, "1.00 M"),
        (1_557_611_200, "1.56 B"),
        (6e15, "6e+03 T"),
    ],
)
def test_an_amount_has_three_digits(number: float, shown: str) -> None:
    assert figures.amount(number) == shown


def test_memory_is_in_powers_of_ten() -> None:
    assert [figures.memory(size) for size in (512e3, 38e6, 1.24e9, 141e9)] == ["512 kB", "38 MB", "1.2 GB", "141 GB"]


def test_a_loss_that_is_no_number_says_so() -> None:
    assert [figures.loss(value) for value in (None, 1.42, math.nan)] == ["-", "1.4200", "not a number"]
