"""What was read of a long run is kept, and loaded the next time: what is then known is what its lines say."""

from __future__ import annotations

import math
import os
import resource
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_gpt.ui.curves import history as history_module
from tui_gpt.ui.curves.history import RunHistory
from tui_gpt.ui.curves.kept_history import Facts, Kept, keep, kept_file, load
from tui_gpt.ui.curves.moments import AXES
from tui_gpt.ui.curves.readings import MEASURED

GARBAGE = (b"\x00\x00", b"[]", b'{"kind":"train","step":-1}', b"{", b'{"kind":"odd","step":1}')
TORN = b'{"kind":"train","step":7,"val'


@pytest.fixture(autouse=True)
def _own_cache(home: Path) -> None:
    """Every test begins with nothing kept."""


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of any length are kept, as soon as anything is new."""
    monkeypatch.setattr(history_module, "_WORTH_KEEPING", 1)
    monkeypatch.setattr(history_module, "_GROWTH", 0.0)


class Watched(RunHistory):
    """Counts the bytes that it parses."""

    def __init__(self, folder: Path, **more: Any) -> None:
        super().__init__(folder, **more)
        self.parsed = 0
        decode = self._decoder.decode

        def counting(lines: bytes) -> Any:
            self.parsed += len(lines)
            return decode(lines)

        self._decoder.decode = counting  # type: ignore[method-assign]


def opened(folder: Path) -> Watched:
    history = Watched(folder)
    history.poll()
    return history


def parsed_anew(folder: Path) -> Watched:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUI_GPT_HOME", str(folder / "nothing-is-kept-here"))
        patch.setattr(history_module, "_WORTH_KEEPING", 1 << 60)
        return opened(folder)


def known(history: RunHistory) -> dict[str, Any]:
    """Everything that a history knows, bit for bit."""
    columns = {**history._columns, "val_loss": history._val_loss}
    timelines = {"steps": history._timeline, "evaluations": history._val_timeline}
    return {
        **{name: bytes(column.values) for name, column in columns.items()},
        **{f"{name} lows": [bytes(level) for level in column._lows] for name, column in columns.items()},
        **{f"{name} highs": [bytes(level) for level in column._highs] for name, column in columns.items()},
        **{f"{name} state": (column.ready, column.has_gaps) for name, column in columns.items()},
        **{f"{name} {axis}": bytes(line.along(axis)) for name, line in timelines.items() for axis in AXES},
        "smoothed": bytes(history._smoothed),
        "smoothing": (history._smoothing.factor, history._smoothing.state),
        "rare": repr((history.evaluations, history.samples, history.marks)),
        "segments": (history.segments, history.gaps),
        "end": (history.opened, history.ended, history.end_reason),
        "counters": (history.skipped, history._decoder.garbage, history._newest_step, history._lines.bytes_read),
        "places": history._lines.places(),
    }


def assert_right(history: RunHistory) -> None:
    found, expected = known(history), known(parsed_anew(history.folder))
    assert [name for name in found if found[name] != expected[name]] == []


# ---- files


def line(kind: str, step: int, **values: Any) -> bytes:
    return msgspec.json.encode({"kind": kind, "step": step, "values": values}) + b"\n"


def train(step: int, loss: float) -> bytes:
    number = loss if math.isfinite(loss) else None
    values = {"loss": number, "learning_rate": 1e-3 / step, "grad_norm": None if step % 13 == 5 else 0.5 + step % 7}
    if step % 11:
        values |= {"tokens": 64 * step, "elapsed": 0.5 * step - step % 3, "tokens_per_second": 128.25}
    if step % 17 > 3:
        values["memory"] = 1000 + step
    return line("train", step, **values)


def segment(start: int, count: int, losses: list[float], *, every: int = 10, end: bool = False) -> bytes:
    """As a trainer would have written it that goes on from step `start`; a loss is taken from the list by step."""
    lines = [line("start", start, elapsed=0.0)]
    for step in range(start + 1, start + count + 1):
        loss = losses[step * step % len(losses)]
        lines.append(train(step, loss + start))
        if step % every == 0:
            val_loss = loss if math.isfinite(loss) else None
            lines.append(line("eval", step, val_loss=val_loss, whole=False, best=step % 2 == 0, elapsed=0.5 * step))
            lines.append(line("sample", step, text=f"text {step} \u2603", prompt="Once", seed=step))
        if step % (3 * every) == 0:
            lines.append(line("eval", step, val_loss=1.5, bits_per_byte=0.7, whole=True, best=False))
            lines.append(line("mark", step, event="learning rate", learning_rate=0.1, by=None, whole=True, times=3))
    if end:
        lines.append(line("end", start + count, reason="stopped"))
    return b"".join(lines)


def append(folder: Path, number: int, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"metrics-{number:04d}.jsonl").open("ab") as file:
        file.write(content)


def replace(folder: Path, number: int, content: bytes) -> None:
    (folder / f"metrics-{number:04d}.jsonl").write_bytes(content)


def content_of(folder: Path, number: int) -> bytes:
    return (folder / f"metrics-{number:04d}.jsonl").read_bytes()


def kept_files() -> list[Path]:
    folder = kept_file(Path("any")).parent
    return sorted(folder.iterdir()) if folder.is_dir() else []


LOSSES = [2.0, 1.75, math.nan, 1.5, 1.25, 3.0, -0.0]


def usual_run(folder: Path) -> Path:
    """Two segments, the first of which ended in the middle of a line, and was longer than its last checkpoint."""
    append(folder, 1, segment(0, 700, LOSSES) + GARBAGE[0] + b"\n" + TORN)
    append(folder, 2, segment(600, 900, LOSSES))
    return folder


# ---- what is loaded is what would have been read

losses = st.lists(st.floats(-1e3, 1e3) | st.sampled_from([math.nan, math.inf, 1e308, -0.0]), min_size=1, max_size=12)
pieces = st.lists(
    st.tuples(
        st.integers(0, 250),  # where it begins, at the most where the one before ended
        st.integers(0, 200),  # steps
        st.integers(1, 50),  # steps between evaluations
        st.sampled_from([b"", TORN, GARBAGE[0] + b"\n", GARBAGE[3] + b"\n" + TORN]),
    ),
    min_size=1,
    max_size=4,
)


class Writer:
    """Appends segments to a run, and remembers how far it came."""

    def __init__(self, folder: Path, values: list[float]) -> None:
        self.folder = folder
        self.reached = 0
        self._number = 0
        self._values = values

    def write(self, plan: list[tuple[int, int, int, bytes]], *, end: bool = False) -> None:
        for begin, count, every, rest in plan:
            self._number += 1
            start = min(begin, self.reached)
            append(self.folder, self._number, segment(start, count, self._values, every=every, end=end) + rest)
            self.reached = start + count

    def go_on(self, count: int) -> None:
        """More lines of the newest segment; a torn one before them is finished."""
        steps = range(self.reached + 1, self.reached + count + 1)
        append(self.folder, self._number, b"\n" + b"".join(train(step, 1.0 / step) for step in steps))
        self.reached += count


@settings(max_examples=40)
@given(values=losses, before=pieces, after=pieces, more=st.integers(0, 300), end=st.booleans())
@pytest.mark.usefixtures("eager")
def test_kept_and_loaded_is_parsed_anew(
    values: list[float],
    before: list[tuple[int, int, int, bytes]],
    after: list[tuple[int, int, int, bytes]],
    more: int,
    end: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("run")
    writer = Writer(folder, values)
    writer.write(before, end=end)
    first = opened(folder)
    assert kept_file(folder).is_file()
    assert_right(first)
    for change in (lambda: None, lambda: writer.go_on(0 if end else more), lambda: writer.write(after, end=end)):
        size = first._lines.bytes_read
        change()
        again = opened(folder)
        assert again.parsed == again._lines.bytes_read - size, "more was parsed than was added"
        assert_right(again)
        first.poll()
        assert_right(first)


@pytest.mark.usefixtures("eager")
def test_a_history_that_was_loaded_answers_as_one_that_was_read(tmp_path: Path) -> None:
    opened(usual_run(tmp_path))
    loaded, read = opened(tmp_path), parsed_anew(tmp_path)
    assert loaded.parsed == 0
    assert loaded.opened
    assert loaded.progress == 1.0
    assert loaded.segments == (0, 600)
    assert loaded.skipped == read.skipped == 2
    for axis in AXES:
        assert loaded.bounds(axis) == read.bounds(axis)
        for name in (*MEASURED, "smoothed", "val_loss"):
            for columns in (7, 100, 5000):
                spans = [history.series(name, 0, 1e6, columns, axis) for history in (loaded, read)]
                assert repr(spans[0]) == repr(spans[1])
    for step in (1, 599, 600, 601, 1500):
        assert repr(loaded.at(step)) == repr(read.at(step))
    assert repr(loaded.nearest_sample(610)) == repr(read.nearest_sample(610))


@pytest.mark.usefixtures("eager")
def test_what_a_later_trainer_repeats_is_dropped_from_what_was_loaded(tmp_path: Path) -> None:
    opened(usual_run(tmp_path))
    append(tmp_path, 3, segment(100, 50, LOSSES))
    again = opened(tmp_path)
    assert again.parsed == len(content_of(tmp_path, 3))
    assert again.last_step == 150
    assert again.segments == (0, 100)
    assert_right(again)


@pytest.mark.usefixtures("eager")
def test_another_factor_averages_what_was_loaded_anew(tmp_path: Path) -> None:
    opened(usual_run(tmp_path))
    other = Watched(tmp_path, smoothing=0.5)
    other.poll()
    assert other.parsed == 0
    assert other.smoothing == 0.5
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUI_GPT_HOME", str(tmp_path / "nothing-is-kept-here"))
        anew = RunHistory(tmp_path, smoothing=0.5)
        anew.poll()
    spans = [repr(history.series("smoothed", 0, 1e6, 500)) for history in (other, anew)]
    assert spans[0] == spans[1]


# ---- files that are not what was read


def cut(folder: Path) -> None:
    replace(folder, 2, content_of(folder, 2)[:-1])


def cut_to_nothing(folder: Path) -> None:
    replace(folder, 2, b"")


def cut_the_first(folder: Path) -> None:
    replace(folder, 1, content_of(folder, 1)[: -len(TORN)])


def grow_the_first(folder: Path) -> None:
    append(folder, 1, b"\n" + train(590, 9.0))


def change_the_beginning(folder: Path) -> None:
    replace(folder, 1, content_of(folder, 1).replace(b'"loss":', b'"loss":1', 1))


def change_the_end(folder: Path) -> None:
    head, _, tail = content_of(folder, 2).rpartition(b'"loss":')
    replace(folder, 2, head + b'"loss":7' + tail[1:])


def swap(folder: Path) -> None:
    first, second = content_of(folder, 1), content_of(folder, 2)
    replace(folder, 1, second)
    replace(folder, 2, first)


def one_goes(folder: Path) -> None:
    (folder / "metrics-0001.jsonl").unlink()


def one_comes_before(folder: Path) -> None:
    replace(folder, 0, segment(0, 10, LOSSES))


def one_has_two_names(folder: Path) -> None:
    (folder / "metrics-00002.jsonl").write_bytes(content_of(folder, 2))


def another_run(folder: Path) -> None:
    shutil.rmtree(folder)
    append(folder, 1, segment(0, 900, [1.0, 2.0], every=30))
    append(folder, 2, segment(900, 1100, [3.0], every=30))


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    "change",
    [
        cut,
        cut_to_nothing,
        cut_the_first,
        grow_the_first,
        change_the_beginning,
        change_the_end,
        swap,
        one_goes,
        one_comes_before,
        one_has_two_names,
        another_run,
    ],
)
def test_segments_that_are_not_those_that_were_read_are_parsed_anew(
    change: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = usual_run(tmp_path / "run")
    opened(folder)
    change(folder)
    again = opened(folder)
    assert again.parsed == again._lines.bytes_read > 0
    assert_right(again)
    assert opened(folder).parsed == (again.parsed if change is one_has_two_names else 0)


@pytest.mark.usefixtures("eager")
def test_a_segment_that_is_a_link_is_not_followed_to_what_was_kept(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    append(folder, 1, segment(0, 300, LOSSES))
    places = opened(folder)._lines.places()
    (folder / "metrics-0001.jsonl").rename(tmp_path / "elsewhere")
    (folder / "metrics-0001.jsonl").symlink_to(tmp_path / "elsewhere")
    assert not RunHistory(folder)._lines.go_on_from(places)
    assert not RunHistory(folder)._lines.go_on_from(())


@pytest.mark.usefixtures("eager")
def test_two_runs_are_kept_apart_and_a_renamed_one_is_another(tmp_path: Path) -> None:
    for name, values in (("bard", [1.0, 2.0]), ("poet", [3.0])):
        append(tmp_path / name, 1, segment(0, 300, values))
        opened(tmp_path / name)
    assert len(kept_files()) == 2
    for name in ("bard", "poet"):
        again = opened(tmp_path / name)
        assert again.parsed == 0
        assert_right(again)
    shutil.rmtree(tmp_path / "poet")
    (tmp_path / "bard").rename(tmp_path / "poet")
    renamed = opened(tmp_path / "poet")
    assert renamed.parsed > 0
    assert renamed.newest("loss") in (1.0, 2.0)
    assert_right(renamed)


# ---- kept files that are damaged, or lie


def parts_of(kept: Kept) -> list[Any]:
    columns = [entries for column in kept.columns for entries in column]
    everything = [*kept.timeline, *columns, kept.smoothed, *kept.val_timeline, *kept.val_loss]
    return [(entries, len(entries)) for entries in everything]


def write(path: Path, kept: Kept, **changed: Any) -> None:
    for _ in keep(path, msgspec.structs.replace(kept.facts, **changed), parts_of(kept)):
        pass


@pytest.fixture
def kept(eager: None, tmp_path: Path) -> Kept:
    """A small run in `tmp_path` that was kept."""
    append(tmp_path, 1, segment(0, 70, LOSSES, every=30))
    opened(tmp_path)
    found = load(kept_file(tmp_path))
    assert found is not None
    return found


def test_a_kept_file_that_is_cut_anywhere_or_longer_counts_as_none(kept: Kept, tmp_path: Path) -> None:
    path = kept_file(tmp_path)
    content = path.read_bytes()
    write(tmp_path / "same", kept)
    assert (tmp_path / "same").read_bytes() == content
    for length in range(len(content)):
        os.truncate(path, len(content) - 1 - length)
        assert load(path) is None, f"cut to {len(content) - 1 - length}"
        if length % 500 == 0:
            assert_right(opened(tmp_path))
            path.write_bytes(content[: len(content) - 1 - length])
    for more in (b"\0", content):
        path.write_bytes(content + more)
        assert load(path) is None
    path.write_bytes(content)
    assert load(path) is not None


def test_a_kept_file_with_any_byte_changed_counts_as_none(kept: Kept, tmp_path: Path) -> None:
    path = kept_file(tmp_path)
    content = bytearray(path.read_bytes())
    with path.open("r+b", buffering=0) as file:
        for place, byte in enumerate(content):
            for other in (byte ^ 1, byte ^ 0x80):
                os.pwrite(file.fileno(), bytes([other]), place)
                assert load(path) is None, f"byte {place} of {len(content)}"
            os.pwrite(file.fileno(), bytes([byte]), place)
    assert load(path) is not None


@settings(max_examples=60)
@given(content=st.binary(max_size=300))
def test_a_kept_file_of_any_content_is_no_problem(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("cache") / "kept"
    path.write_bytes(content)
    assert load(path) is None


LIES: list[dict[str, Any]] = [
    {"schema": 2},
    {"byteorder": "middle"},
    {"n_steps": 69},
    {"n_steps": 71},
    {"n_steps": 0},
    {"n_steps": 2**53},
    {"n_steps": 2**60},
    {"n_steps": -1},
    {"n_evaluations": 1},
    {"n_evaluations": 2**40},
    {"has_gaps": (True,)},
    {"smoothing": 1.0},
    {"smoothing_state": (1.0, 2.0)},
    {"evaluations": ("none",)},
    {"garbage": -1},
]


@pytest.mark.parametrize("lie", LIES, ids=str)
def test_a_kept_file_that_lies_counts_as_none(lie: dict[str, Any], kept: Kept, tmp_path: Path) -> None:
    path = kept_file(tmp_path)
    write(path, kept, **lie)
    assert load(path) is None
    assert_right(opened(tmp_path))


@pytest.mark.parametrize("length", [0, 1, 2**20, 2**63, 2**64 - 1])
def test_a_kept_file_that_lies_about_the_length_of_its_facts_counts_as_none(
    length: int, kept: Kept, tmp_path: Path
) -> None:
    path = kept_file(tmp_path)
    path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
    assert load(path) is None


def test_places_that_do_not_fit_are_parsed_anew(kept: Kept, tmp_path: Path) -> None:
    place = kept.facts.places[0]
    others = [
        (),
        (msgspec.structs.replace(place, offset=place.offset - 1),),
        (msgspec.structs.replace(place, offset=2**53),),
        (msgspec.structs.replace(place, number=2),),
        (place, place),
        (place, msgspec.structs.replace(place, number=2)),
        (msgspec.structs.replace(place, head=b""),),
    ]
    for places in others:
        write(kept_file(tmp_path), kept, places=places)
        assert load(kept_file(tmp_path)) is not None
        again = opened(tmp_path)
        assert again.parsed == place.offset
        assert_right(again)


# ---- caches in which nothing can be kept


@pytest.mark.usefixtures("eager")
def test_a_cache_that_cannot_be_written_is_no_problem(tmp_path: Path, home: Path) -> None:
    folder = usual_run(tmp_path / "run")
    home.mkdir()
    (home / "cache").write_text("a file where a folder should be", encoding="utf-8")
    for _ in range(2):
        history = opened(folder)
        assert not history.poll()
        assert_right(history)
    (home / "cache").unlink()
    kept_file(folder).mkdir(parents=True)
    assert_right(opened(folder))
    assert [path for path in kept_files() if path != kept_file(folder)] == []
    kept_file(folder).rmdir()
    os.mkfifo(kept_file(folder))
    assert opened(folder).parsed > 0


@pytest.mark.usefixtures("eager")
@pytest.mark.skipif(os.geteuid() == 0, reason="whoever may do everything may write into every folder")
def test_a_cache_that_may_not_be_written_is_no_problem(tmp_path: Path) -> None:
    folder = usual_run(tmp_path / "run")
    kept_file(folder).parent.mkdir(parents=True)
    kept_file(folder).parent.chmod(0o500)
    try:
        assert_right(opened(folder))
        assert kept_files() == []
    finally:
        kept_file(folder).parent.chmod(0o700)


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file can grow beyond 20 kB, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("eager")
def test_a_disk_that_is_full_is_no_problem_and_nothing_half_written_stays(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = usual_run(tmp_path / "run")
    request.getfixturevalue("small_files")
    history = opened(folder)
    assert not history.poll()
    assert_right(history)
    assert kept_files() == []


@pytest.mark.usefixtures("eager")
def test_the_last_of_a_disk_is_left_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 9 * 10**8, 10**8))
    opened(usual_run(tmp_path))
    assert kept_files() == []


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("values", [{"event": "x", "number": 2**70}, {"event": "y", "number": 10**300}])
def test_a_run_with_what_cannot_be_kept_is_parsed_each_time(values: dict[str, Any], tmp_path: Path) -> None:
    number = str(values["number"]).encode()
    mark = b'{"kind":"mark","step":50,"values":{"event":"x","number":' + number + b"}}\n"
    append(tmp_path, 1, segment(0, 50, LOSSES) + mark)
    for _ in range(2):
        history = opened(tmp_path)
        assert history.parsed > 0
        assert_right(history)
    assert [path for path in kept_files() if path.name.startswith(".")] == []


# ---- when it is written, and what goes


def long_lines(first: int, last: int) -> bytes:
    """Steps of about 200 bytes each."""
    lines = (
        f'{{"kind":"train","step":{step},"values":{{"loss":{1 + 1 / step},"learning_rate":0.001,"tokens":{step},'
        f'"elapsed":{step / 8},"memory":{step},"grad_norm":{step % 7},"tokens_per_second":5e4}},{"":70}"more":0}}\n'
        for step in range(first, last + 1)
    )
    return "".join(lines).encode()


def is_kept_by_next_poll(history: RunHistory) -> bool:
    """Poll, and say whether there is a new file."""
    path, before = kept_file(history.folder), history.folder / "before"
    before.unlink(missing_ok=True)
    if path.exists():
        os.link(path, before)
    history.poll()
    return path.exists() and not (before.exists() and path.samefile(before))


def test_a_short_run_is_not_kept(tmp_path: Path) -> None:
    append(tmp_path, 1, line("start", 0) + long_lines(1, 30_000) + line("end", 30_000, reason="stopped"))
    assert not is_kept_by_next_poll(RunHistory(tmp_path)), "so little is parsed soon"


def test_a_run_is_kept_again_when_it_has_grown_much_or_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    least = 1 << 20  # an eighth of what it is, and the run is as much shorter
    monkeypatch.setattr(history_module, "_WORTH_KEEPING", least)
    append(tmp_path, 1, line("start", 0))
    history, step, kept_at, left_out = Watched(tmp_path), 0, 0, 0
    while history.parsed < 7 * least:
        append(tmp_path, 1, long_lines(step + 1, step + 2500))
        step += 2500
        is_kept = is_kept_by_next_poll(history)
        assert is_kept == (history.parsed - kept_at >= max(least, kept_at / 4))
        kept_at, left_out = history.parsed if is_kept else kept_at, left_out + (not is_kept)
    assert left_out > 3
    growth = 0
    while growth <= least:
        append(tmp_path, 1, long_lines(step + 1, step + 100))
        step += 100
        assert not is_kept_by_next_poll(history)
        growth = history.parsed - kept_at
    assert growth < kept_at / 4
    again = Watched(tmp_path)
    assert not is_kept_by_next_poll(again)
    assert again.parsed == growth
    assert again.last_step == step
    append(tmp_path, 1, line("end", step, reason="stopped"))
    assert is_kept_by_next_poll(Watched(tmp_path)), "it grows no more"
    assert opened(tmp_path).parsed == 0
    assert_right(opened(tmp_path))


def test_keeping_goes_on_from_poll_to_poll_while_the_run_does(tmp_path: Path) -> None:
    append(tmp_path, 1, line("start", 0) + long_lines(1, 50_000))
    history, polls = Watched(tmp_path), 0
    while not kept_files():
        history.poll(0.0)
    while not kept_file(tmp_path).exists():
        polls += 1
        append(tmp_path, 1, train(50_000 + polls, 2.0) + line("eval", 50_000, val_loss=1.0 / polls, whole=True))
        history.poll(0.0)
    assert polls > 10
    history.poll()
    assert_right(history)
    assert kept_files() == [kept_file(tmp_path)]
    again = opened(tmp_path)
    assert 0 < again.parsed < 1000 * polls
    assert_right(again)


def test_a_trainer_that_goes_back_while_its_run_is_being_kept_ends_that(tmp_path: Path) -> None:
    append(tmp_path, 1, line("start", 0) + long_lines(1, 50_000))
    history = Watched(tmp_path)
    while not kept_files():
        history.poll(0.0)
    assert not kept_file(tmp_path).exists()
    append(tmp_path, 2, segment(20_000, 10, LOSSES))
    history.poll(0.0)
    while not kept_file(tmp_path).exists():
        history.poll(0.0)
    assert len(kept_files()) == 1
    again = opened(tmp_path)
    assert again.parsed == 0
    assert again.last_step == 20_010
    assert_right(again)


def test_a_history_that_is_let_go_while_it_is_being_kept_leaves_nothing(tmp_path: Path) -> None:
    append(tmp_path, 1, line("start", 0) + long_lines(1, 50_000))
    history = Watched(tmp_path)
    while not kept_files():
        history.poll(0.0)
    history._keeping = None
    assert kept_files() == []


_LEAVE_WHILE_KEEPING = """
import sys
from pathlib import Path
from tui_gpt.ui.curves import kept_history
from tui_gpt.ui.curves.history import RunHistory
kept_history._LAST_SECONDS = float(sys.argv[2])
history = RunHistory(Path(sys.argv[1]))
folder = kept_history.kept_file(history.folder).parent
while not folder.is_dir() or not list(folder.iterdir()):
    history.poll(0.0)
assert not kept_history.kept_file(history.folder).exists()
"""


@pytest.mark.parametrize(("seconds", "files"), [(60, 1), (-1, 0)])
def test_a_program_that_ends_while_it_is_keeping_finishes_soon_or_leaves_nothing(
    seconds: int, files: int, tmp_path: Path
) -> None:
    append(tmp_path, 1, line("start", 0) + long_lines(1, 50_000))
    command = [sys.executable, "-c", _LEAVE_WHILE_KEEPING, str(tmp_path), str(seconds)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    assert ended.stderr == ""
    assert len(kept_files()) == files
    again = opened(tmp_path)
    assert (again.parsed == 0) == bool(files)
    assert_right(again)


@pytest.mark.usefixtures("eager")
def test_the_longest_unused_of_many_go_and_what_was_left_half_written(tmp_path: Path) -> None:
    used = usual_run(tmp_path / "used")
    opened(used)
    folder, now = kept_file(used).parent, time.time()
    for age in range(40):
        path = folder / f"{age:02d}.curves"
        path.write_bytes(b"")
        os.utime(path, (now - 100 - age, now - 100 - age))
    for name, age in ((".old.curves.012345.tmp", 100), (".new.curves.012345.tmp", 5)):
        (folder / name).write_bytes(b"")
        os.utime(folder / name, (now - age, now - age))
    os.utime(kept_file(used), (now - 1000, now - 1000))
    assert opened(used).parsed == 0  # and now it is used again
    opened(usual_run(tmp_path / "new"))
    names = {path.name for path in kept_files()}
    expected = {f"{age:02d}.curves" for age in range(30)}
    expected |= {kept_file(used).name, kept_file(tmp_path / "new").name, ".new.curves.012345.tmp"}
    assert names == expected


def test_facts_are_what_the_format_says() -> None:
    """Another field is another schema: a file of before must not be taken for one of now."""
    assert Facts.__struct_fields__ == (
        "schema",
        "byteorder",
        "places",
        "garbage",
        "out_of_order",
        "newest_step",
        "n_steps",
        "n_evaluations",
        "has_gaps",
        "smoothing",
        "smoothing_state",
        "evaluations",
        "samples",
        "marks",
        "segments",
        "gaps",
        "ended",
        "end_reason",
    )
