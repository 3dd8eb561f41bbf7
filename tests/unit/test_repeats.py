"""What a text says more than once is found in one reading, whatever the blocks in which it arrives."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from peak_memory import PEAK_BYTES

from tui_gpt.core.config import DataConfig
from tui_gpt.core.repeats import Repeats, in_short, in_words, leak_warning
from tui_gpt.engine.text.prepare import prepare
from tui_gpt.engine.text.prepared import open_prepared
from tui_gpt.engine.text.repeats import Paragraphs, document_repeats
from tui_gpt.engine.text.survey import survey, train_characters

TEXTS = st.text(alphabet="ab \t\n\r\x0c漢", max_size=60)


def naive(unit: str, texts: list[str], places: list[int], boundary: int) -> Repeats:
    """By comparing every text with every other."""
    seen: set[str] = set()
    trained = {text for text, place in zip(texts, places, strict=True) if place + len(text) <= boundary}
    validated = [text for text, place in zip(texts, places, strict=True) if place >= boundary]
    copies = [text for text in texts if text in seen or seen.add(text)]  # type: ignore[func-returns-value]
    leaked = [text for text in validated if text in trained]
    return Repeats(
        unit="documents" if unit == "documents" else "paragraphs",
        counted=len(texts),
        copies=len(copies),
        copied_characters=sum(map(len, copies)),
        characters=sum(map(len, texts)),
        leaked=len(leaked),
        leaked_characters=sum(map(len, leaked)),
        validation_characters=sum(map(len, validated)),
    )


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


@given(st.lists(st.text(alphabet="ab", max_size=3), min_size=1, max_size=12), st.floats(0.01, 0.5))
def test_copies_among_documents_are_those_that_comparing_each_with_each_finds(
    texts: list[str], fraction: float
) -> None:
    texts = [*texts, "xyz", ""]
    surveyed = survey(([text] for text in texts), lambda n_bytes: None)
    boundary = train_characters(surveyed.document_lengths, fraction)
    places = [sum(map(len, texts[:number])) for number in range(len(texts))]
    full = [(text, place) for text, place in zip(texts, places, strict=True) if text]
    expected = naive("documents", [text for text, _ in full], [place for _, place in full], boundary)
    assert surveyed.repeats(boundary) == expected


@given(TEXTS, st.lists(st.integers(0, 1000), max_size=8), st.floats(0, 1))
def test_paragraphs_are_the_same_in_blocks_of_any_size(text: str, places: list[int], share: float) -> None:
    boundary = int(share * len(text))
    found = Paragraphs()
    for block in cut(text, places):
        found.add(block)
    paragraphs, starts, end = [], [], 0
    for piece in re.split(r"\n\s*\n", text):
        if piece.strip():
            paragraphs.append(piece.strip())
            starts.append(text.index(piece.strip(), end))
            end = starts[-1] + len(piece.strip())
    assert found.repeats(boundary) == naive("paragraphs", paragraphs, starts, boundary)


def test_a_sample_by_hash_stands_for_more_paragraphs_than_are_remembered() -> None:
    draw = random.Random(5)
    few = Paragraphs(most=2000)
    whole = Paragraphs()
    for number in range(30_000):
        # A third of them are drawn from two thousand texts, and so occur five times each.
        text = f"number {number}" if number % 3 else f"one of many, {draw.randrange(2000)}"
        for paragraphs in (few, whole):
            paragraphs.add(text + "\n\n")
    boundary = 400_000
    exact, estimate = whole.repeats(boundary), few.repeats(boundary)
    assert (exact.exact, estimate.exact) == (True, False)
    assert len(few._digests) <= 2000
    assert estimate.counted == pytest.approx(exact.counted, rel=0.1)
    assert estimate.copied_share == pytest.approx(exact.copied_share, rel=0.15)
    assert estimate.leaked_share == pytest.approx(exact.leaked_share, rel=0.15)
    assert "about" in in_words(estimate) and "about" not in in_words(exact)


def test_a_gap_without_end_is_not_held() -> None:
    found = Paragraphs()
    found.add("one")
    for _ in range(100):
        found.add(" " * 10_000)
    found.add("one\n\ntwo")
    assert len(found._held) == 0
    assert (found.repeats(10**7).counted, found.repeats(10**7).copies) == (3, 1)


def test_one_document_is_compared_by_paragraphs_and_several_as_they_are() -> None:
    one = survey([["a\n\nb\n", "\na"]], lambda n_bytes: None).repeats(4)
    assert (one.unit, one.counted, one.copies, one.leaked) == ("paragraphs", 3, 1, 1)
    several = survey([["a\n\na"], ["a\n\na"]], lambda n_bytes: None).repeats(4)
    assert (several.unit, several.counted, several.copies, several.leaked) == ("documents", 2, 1, 1)


def test_what_the_border_of_the_parts_cuts_in_two_is_no_leak() -> None:
    assert document_repeats([7, 7], [10, 990], 900).leaked == 0
    assert document_repeats([7, 7, 7], [10, 980, 10], 900).leaked == 1
    # 8 to 12 stands half in either part, and its copy behind it was not trained on as a whole.
    assert document_repeats([5, 7, 7], [8, 4, 4], 10).leaked == 0
    assert document_repeats([5, 7, 7], [8, 4, 4], 12).leaked == 1


def repeats(**changes: object) -> Repeats:
    plain = Repeats(
        unit="documents",
        counted=1000,
        copies=12,
        copied_characters=1234,
        characters=100_000,
        leaked=5,
        leaked_characters=1200,
        validation_characters=10_000,
    )
    return msgspec.structs.replace(plain, **changes)


@pytest.mark.parametrize(
    ("tell", "changes", "words"),
    [
        (in_words, {}, "12 of 1,000 documents are copies of an earlier one, 1.2 % of the characters"),
        (in_words, {"copies": 1}, "1 of 1,000 documents is a copy of an earlier one, 1.2 % of the characters"),
        (in_words, {"copies": 0}, "none among 1,000 documents"),
        (in_words, {"copied_characters": 1}, "12 of 1,000 documents are copies of an earlier one, less than 0.1 % of "),
        (in_words, {"copied_characters": 99_999}, "99.9 % of the characters"),
        (in_words, {"unit": "paragraphs", "exact": False}, "12 of about 1,000 paragraphs (parted by blank lines) are"),
        (in_short, {}, "12, 1.2 %"),
        (in_short, {"copies": 0}, "none"),
        (in_short, {"copied_characters": 1, "exact": False}, "about 12, < 0.1 %"),
        (leak_warning, {}, "5 documents of the validation part, 12 % of it, stand in the training part too: the"),
        (leak_warning, {"leaked": 1}, "1 document of the validation part, 12 % of it, stands in the training part"),
    ],
)
def test_it_is_said_in_plain_words(tell: Callable[[Repeats], str], changes: dict[str, object], words: str) -> None:
    assert words in tell(repeats(**changes))


def test_a_leak_of_next_to_nothing_is_no_warning() -> None:
    assert leak_warning(repeats(leaked_characters=99)) == ""
    assert leak_warning(repeats(leaked=0, leaked_characters=0, validation_characters=0)) == ""


def test_prepared_token_files_keep_what_was_found(tmp_path: Path) -> None:
    rows = [f'{{"text": "row {number % 15}"}}' for number in range(20)]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(rows), encoding="utf-8")
    prepared = prepare(DataConfig(corpus=str(path)), cache=tmp_path / "cache")
    found = prepared.facts.repeats
    assert found is not None
    assert (found.unit, found.counted, found.copies, found.leaked) == ("documents", 20, 5, 2)
    assert open_prepared(prepared.folder).facts.repeats == found
    # A manifest from before anybody counted is as good as ever, and says nothing of it.
    manifest = prepared.folder / "manifest.json"
    tree = msgspec.json.decode(manifest.read_bytes())
    del tree["facts"]["repeats"]
    manifest.write_bytes(msgspec.json.encode(tree))
    assert open_prepared(prepared.folder).facts.repeats is None
    assert prepare(DataConfig(corpus=str(path)), cache=tmp_path / "cache").folder == prepared.folder


MEASURE = f"""{PEAK_BYTES}
import sys
from tui_gpt.engine.text.survey import survey
def document(number_of_blocks):
    for block in range(number_of_blocks):
        yield "".join(f"paragraph {{block}} {{number}}, which goes on for a while\\n\\n" for number in range(10_000))
surveyed = survey([document(int(sys.argv[1]))], lambda n_bytes: None)
print(surveyed.repeats(1_000_000).counted, peak_bytes())
"""


@pytest.mark.slow
def test_paragraphs_are_counted_in_memory_that_does_not_grow_with_the_text() -> None:
    peaks = []
    for blocks in (2, 600):
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(blocks)], capture_output=True, text=True, check=True
        ).stdout.split()
        assert int(done[0]) == pytest.approx(blocks * 10_000, rel=0.02)
        peaks.append(int(done[1]))
    # Twenty-four bytes for each of half a million, once more while half is forgotten, and the sorting of it.
    assert peaks[1] - peaks[0] < 50_000_000, peaks
