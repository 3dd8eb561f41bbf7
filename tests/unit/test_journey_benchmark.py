"""What the figures of the journey are made of: percentiles, shares of words, lost steps, and what a terminal showed."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parent.parent.parent
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are a part of the checkout, not of the source package", allow_module_level=True)
sys.path.insert(0, str(ROOT))

from benchmarks.journey.findings import Finding  # noqa: E402
from benchmarks.journey.numbers import median, missing_steps, percentile  # noqa: E402
from benchmarks.journey.presses import Press, answers  # noqa: E402
from benchmarks.journey.replay import Chunk, Emulator, Picture, first_seen  # noqa: E402
from benchmarks.journey.words import vocabulary_of, word_share, words_of  # noqa: E402

FLOATS = st.lists(st.floats(-1e6, 1e6), min_size=1)


# ---- numbers


@given(FLOATS, st.floats(0, 100))
def test_a_percentile_is_a_value_that_at_least_so_many_do_not_exceed(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values) - 1e-9


@given(FLOATS)
def test_the_ends_of_the_percentiles_are_the_smallest_and_the_largest(values: list[float]) -> None:
    assert percentile(values, 0) == min(values)
    assert percentile(values, 100) == max(values)


def test_the_99th_of_300_values_leaves_three_beyond() -> None:
    assert percentile(list(range(1, 301)), 99) == 297


@given(FLOATS)
def test_the_median_is_that_of_the_standard_library(values: list[float]) -> None:
    assert median(values) == statistics.median(values)


def test_nothing_has_no_median_and_no_percentile() -> None:
    with pytest.raises(ValueError, match="median"):
        median([])
    for values, percent in (([], 50), ([1.0], 101), ([1.0], -1)):
        with pytest.raises(ValueError, match="percent"):
            percentile(values, percent)


def test_missing_and_repeated_steps_are_lost_ones() -> None:
    assert missing_steps([]) == 0
    assert missing_steps([1, 2, 3]) == 0
    assert missing_steps([1, 3]) == 1
    assert missing_steps([2, 3]) == 1
    assert missing_steps([1, 2, 2, 3]) == 1
    assert missing_steps([1, 2, 3, 2, 3, 4]) == 2


# ---- words


def test_words_are_runs_of_letters_in_lower_case() -> None:
    assert words_of("The fox's 2 cubs-ran, \u00e9t\u00e9_x. 'No'") == [
        "the",
        "fox's",
        "cubs",
        "ran",
        "\u00e9t\u00e9",
        "x",
        "no",
    ]


KNOWN = vocabulary_of(["The cat sat on the mat.", "A dog ran."])


@pytest.mark.parametrize(
    ("text", "prompt", "share"),
    [
        (" cat sat", "The", 1.0),
        (" cat qzx", "The", 0.5),
        ("", "The", 0.0),
        (" 123 -- !", "The", 0.0),
        ("t sat", "The ca", 1.0),
        ("t sat", "The cx", 0.5),
        (" t sat", "The ca", 0.5),
        (" cat cat qzx cat", "", 0.75),
        (" CAT", "", 1.0),
    ],
)
def test_the_share_counts_each_word_as_often_as_it_stands_there(text: str, prompt: str, share: float) -> None:
    assert word_share(text, KNOWN, prompt) == share


def test_only_the_first_200_characters_count_and_a_word_cut_by_the_last_does_not() -> None:
    assert word_share("cat " * 50 + "qzx " * 50, KNOWN) == 1.0
    cut = "cat " * 49 + "  qzx cat"
    assert len(cut[:200]) == 200 and cut[198:200] == "qz"
    assert word_share(cut, KNOWN) == 1.0
    whole = "cat " * 49 + " qzx cat"
    assert whole[197:200] == "qzx"
    assert word_share(whole, KNOWN) == 49 / 50


# ---- findings


@pytest.mark.parametrize(
    ("aim", "bound", "value", "met"),
    [
        ("at most", 2.0, 2.0, True),
        ("at most", 2.0, 2.1, False),
        ("at least", 0.98, 0.98, True),
        ("at least", 0.98, 0.9, False),
        ("exactly", 0.0, 0.0, True),
        ("exactly", 0.0, 1.0, False),
        ("at most", 2.0, None, False),
        ("told", None, 7.0, None),
    ],
)
def test_a_finding_says_whether_its_aim_is_met(aim: str, bound: float | None, value: float | None, met: object) -> None:
    finding = Finding(row="row", what="what", value=value, unit="s", aim=aim, bound=bound)  # type: ignore[arg-type]
    assert finding.met is met
    assert ("NOT MET" in finding.lines()[0]) == (met is False)


# ---- what a terminal showed


def frame(text: str) -> bytes:
    """A text in the upper left corner, as Textual writes it: between the marks of synchronised output."""
    return f"\x1b[?2026h\x1b[1;1H\x1b[38;2;1;2;3m{text}\x1b[0m\x1b[?2026l".encode()


def test_the_questions_that_textual_asks_a_terminal_leave_no_letters_behind() -> None:
    emulator = Emulator()
    emulator.feed(
        b"\x1b[?1049h\x1b[?1000h\x1b[?1003h\x1b[?25l\x1b[?1004h\x1b[>25u\x1b[?2026$p\x1b[?2048$p\x1b[?2004h\x1b[?7l"
    )
    assert emulator.picture.text.strip() == ""
    assert emulator.feed(frame("1 Configure")).lines[0] == "1 Configure"


def test_the_first_chunk_that_shows_it_gives_the_time() -> None:
    recording = [Chunk(1.0, frame("one")), Chunk(2.0, frame("two")), Chunk(3.0, frame("six")), Chunk(4.0, frame("two"))]
    wanted = {"two": lambda p: p.shows("two"), "ten": lambda p: p.shows("ten"), "one": lambda p: p.shows("one")}
    assert first_seen(recording, wanted) == {"two": 2.0, "ten": None, "one": 1.0}
    assert first_seen(recording, wanted, after=2.5) == {"two": 4.0, "ten": None, "one": None}


def test_a_character_split_between_two_reads_is_one_character() -> None:
    data = frame("\u2819\u28ff")
    cut = data.index("\u28ff".encode()) + 1
    emulator = Emulator()
    emulator.feed(data[:cut])
    assert emulator.feed(data[cut:]).lines[0] == "\u2819\u28ff"


def test_a_press_is_answered_by_the_first_change_of_its_sign_and_by_nothing_after_the_next_press() -> None:
    def line(picture: Picture) -> str:
        return picture.lines[0]

    recording = [
        Chunk(0.5, frame("aaa")),
        Chunk(1.25, frame("aaa")),
        Chunk(1.5, frame("bbb")),
        Chunk(3.25, frame("ccc")),
        Chunk(3.5, frame("ddd")),
    ]
    presses = [Press(1.0, "first", line), Press(2.0, "second", line), Press(3.0, "third", line)]
    assert answers(recording, presses) == [("first", 0.5), ("second", None), ("third", 0.25)]
