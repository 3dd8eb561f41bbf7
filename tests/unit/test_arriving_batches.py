"""Batches of a text that arrives: drawn from what is there, a pure function of seed and step, every window once."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_gpt.core.corpora import END_OF_STORY
from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text.formats.parting import parted
from tui_gpt.engine.text.formats.tables import RowCount
from tui_gpt.engine.text.reading import read_blocks
from tui_gpt.engine.text.streaming import batches as arriving_batches
from tui_gpt.engine.text.streaming import parts
from tui_gpt.engine.text.streaming.batches import ArrivingBatches, windows_of

sizes = st.lists(st.integers(0, 90), min_size=1, max_size=6)


class Text:
    """Parts of which more and more are there. A token tells its place in the whole."""

    def __init__(self, lengths: list[int]) -> None:
        ends = np.cumsum([0, *lengths])
        self.parts = [np.arange(ends[i], ends[i + 1], dtype=np.uint32) for i in range(len(lengths))]
        self.here = 0

    def next_part(self, number: int) -> tuple[np.ndarray, bool] | None:
        return (self.parts[number], number + 1 == len(self.parts)) if number < self.here else None


def batches_of(text: Text, length: int, batch_size: int, seed: int) -> ArrivingBatches:
    found = ArrivingBatches(text.next_part, length, batch_size, seed, lambda: 1000.0)
    found.look()
    return found


@given(lengths=sizes, length=st.integers(1, 12), batch_size=st.integers(1, 7), seed=st.integers(0, 2**31 - 1))
def test_what_comes_late_changes_nothing_of_any_batch(
    lengths: list[int], length: int, batch_size: int, seed: int
) -> None:
    text = Text(lengths)
    text.here = len(lengths)
    whole = batches_of(text, length, batch_size, seed)
    total = sum(windows_of(n, length) for n in lengths)
    assert whole.is_complete and whole.rows_per_epoch == total
    if not total:
        return
    text.here = 0
    late = batches_of(text, length, batch_size, seed)
    for step in range(2 * total // batch_size + 2):
        while not late.has(step):
            # Not one part more than the naive count says.
            assert sum(windows_of(n, length) for n in lengths[: text.here]) < (step + 1) * batch_size
            text.here += 1
            late.look()
        mine, theirs = late.batch(step), whole.batch(step)
        assert np.array_equal(mine.ids, theirs.ids) and np.array_equal(mine.targets, theirs.targets)
        assert np.array_equal(mine.targets, mine.ids + 1)


@given(lengths=sizes, length=st.integers(1, 12), batch_size=st.integers(1, 7), seed=st.integers(0, 2**31 - 1))
def test_an_epoch_meets_every_window_once_the_first_one_part_by_part(
    lengths: list[int], length: int, batch_size: int, seed: int
) -> None:
    text = Text(lengths)
    text.here = len(lengths)
    batches = batches_of(text, length, batch_size, seed)
    counts = [windows_of(n, length) for n in lengths]
    total = sum(counts)
    if not total:
        with pytest.raises(ValueError, match="has not come yet"):
            batches.places(0)
        return
    steps = range(-(-3 * total // batch_size))
    places = [np.concatenate(both) for both in zip(*map(batches.places, steps), strict=True)]
    for epoch in range(3):
        parts, starts = (place[epoch * total : (epoch + 1) * total] for place in places)
        if not epoch:
            assert parts.tolist() == [part for part, count in enumerate(counts) for _ in range(count)]
        for part, count in enumerate(counts):
            mine = np.sort(starts[parts == part])
            assert len(mine) == count
            if count:
                assert np.array_equal(mine - mine[0], np.arange(count) * length)
                assert mine[0] >= 0 and mine[-1] + length + 1 <= lengths[part]
    assert batches.steps_per_epoch == total / batch_size


@given(seed=st.integers(0, 2**31 - 1), step=st.integers(0, 60))
def test_ranks_share_a_batch(seed: int, step: int) -> None:
    text = Text([70, 5, 120, 90])
    text.here = 4
    batches = batches_of(text, 8, 6, seed)
    shares = [batches.batch(step, rank, 3).ids for rank in range(3)]
    assert np.array_equal(np.concatenate(shares), batches.batch(step).ids)


def test_another_seed_and_another_part_are_other_orders_and_later_epochs_mix_the_parts() -> None:
    text = Text([400, 400])
    text.here = 2
    first, second = (batches_of(text, 4, 98, seed) for seed in (1, 2))
    assert not np.array_equal(first.places(0)[1], second.places(0)[1])
    assert not np.array_equal(first.places(0)[1], first.places(1)[1])
    assert set(first.places(0)[0]) == {0} and set(first.places(2)[0]) == {0, 1}


@given(
    pieces=st.lists(st.text("ab\n\ré|<", max_size=12), max_size=12),
    most=st.integers(1, 5),
    tail=st.sampled_from(["", "\n", "c"]),
    chunk=st.integers(1, 9),
)
def test_stretches_of_a_file_are_its_documents_one_after_the_other(
    pieces: list[str], most: int, tail: str, chunk: int
) -> None:
    text = "".join(f"{piece}{END_OF_STORY}" for piece in pieces) + tail
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "_CHUNK", chunk)
        path = Path(folder) / "stories.txt"
        path.write_bytes(text.encode())
        found, begin, empty = [], 0, 0
        for _ in range(len(pieces) + 2):
            stretch = parts.read_stretch(path, begin, most, whole=True)
            assert stretch.begin == begin and stretch.found <= most
            found += stretch.texts
            empty += stretch.empty
            begin = stretch.end
            if stretch.ends_file:
                break
            assert stretch.found == most
        count = RowCount()
        assert found == list(parted(path, read_blocks(path, "utf-8"), END_OF_STORY, count))
        assert empty == count.empty and stretch.ends_file
        with pytest.raises(CorpusError, match="taken away while it was read"):
            parts.read_stretch(path, begin, most, whole=False)


def test_a_rank_whose_disk_shows_a_part_later_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving_batches, "_POLL_SECONDS", 0.0)
    text = Text([60, 60])
    text.here = 1
    batches = batches_of(text, 8, 6, 1)
    assert not batches.has(1) and batches.rows_per_epoch == 1000.0
    asked: list[int] = []

    def later(number: int) -> tuple[np.ndarray, bool] | None:
        asked.append(number)
        text.here = 1 + (len(asked) > 5)
        return text.next_part(number)

    monkeypatch.setattr(batches, "_next_part", later)
    assert batches.batch(1).ids.shape == (6, 8)
    assert len(asked) == 6 and batches.is_complete
    monkeypatch.setattr(arriving_batches, "_PATIENCE_SECONDS", 0.0)
    text.here = 1
    lone = batches_of(text, 8, 6, 1)
    with pytest.raises(CorpusError, match="the text of step 2 is not there"):
        lone.batch(1)
