"""Metrics: appended by one process, followed by any number."""

from __future__ import annotations

import json
import math
import os
import struct
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_gpt.core.errors import RunError
from tui_gpt.core.runs.metrics import MetricRecord, MetricsReader, MetricsWriter, Value, read_all


def bits(value: Value) -> object:
    return struct.pack("<d", value) if isinstance(value, float) and not math.isnan(value) else repr(value)


@settings(max_examples=60, deadline=None)
@given(
    values=st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=8),
        st.floats()
        | st.integers(-(2**63), 2**63 - 1)
        | st.text(st.characters(codec="utf-8"))
        | st.booleans()
        | st.none(),
    )
)
def test_every_value_comes_back_bit_for_bit_through_strict_json(
    values: dict[str, Value], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("run")
    with MetricsWriter(folder, 0) as writer:
        writer.write("train", 1, values)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not strict JSON")

    for line in writer.path.read_text(encoding="utf-8").split("\n")[:-1]:
        json.loads(line, parse_constant=refuse)
    read = read_all(folder)[1]
    assert {k: bits(v) for k, v in read.values.items()} == {k: bits(v) for k, v in values.items()}


def test_a_lone_surrogate_in_a_sample_becomes_a_replacement_character(tmp_path: Path) -> None:
    with MetricsWriter(tmp_path, 0) as writer:
        writer.write("sample", 1, {"text": "a\ud800b😀"})
    assert read_all(tmp_path)[1].values == {"text": "a\ufffdb😀"}


def test_each_writer_begins_a_segment_with_the_step_from_which_it_goes_on(tmp_path: Path) -> None:
    for step in (0, 5):
        with MetricsWriter(tmp_path, step, {"threads": 2}) as writer:
            writer.write("train", step + 1, {"loss": 1.0})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["metrics-0001.jsonl", "metrics-0002.jsonl"]
    assert [(r.kind, r.step) for r in MetricsReader(tmp_path).poll()] == [
        ("start", 0),
        ("train", 1),
        ("start", 5),
        ("train", 6),
    ]


def test_a_reader_gets_each_record_once_and_stops_at_the_last_newline(tmp_path: Path) -> None:
    writer = MetricsWriter(tmp_path, 0)
    reader = MetricsReader(tmp_path)
    assert [r.kind for r in reader.poll()] == ["start"]
    assert reader.poll() == []
    writer.write("train", 1, {"loss": 2.5})
    with writer.path.open("ab") as handle:
        handle.write(b'{"kind":"train","step":2,"va')
    assert [r.step for r in reader.poll()] == [1]
    assert reader.poll() == []
    with writer.path.open("ab") as handle:
        handle.write(b'lues":{"loss":2.0}}\n')
    assert reader.poll() == [MetricRecord("train", 2, {"loss": 2.0})]
    writer.close()
    with MetricsWriter(tmp_path, 2) as second:
        second.write("train", 3, {"loss": 1.5})
    assert [(r.kind, r.step) for r in reader.poll()] == [("start", 2), ("train", 3)]
    assert reader.skipped == 0


def test_a_torn_last_line_of_an_earlier_segment_is_left_alone_and_counted(tmp_path: Path) -> None:
    with MetricsWriter(tmp_path, 0) as writer:
        writer.write("train", 1, {"loss": 2.5})
    with writer.path.open("ab") as handle:
        handle.write(b'{"kind":"train","st')
    before = writer.path.read_bytes()
    with MetricsWriter(tmp_path, 1) as second:
        second.write("train", 2, {"loss": 2.0})
    reader = MetricsReader(tmp_path)
    assert [(r.kind, r.step) for r in reader.poll()] == [
        ("start", 0),
        ("train", 1),
        ("start", 1),
        ("train", 2),
    ]
    assert reader.skipped == 1
    assert writer.path.read_bytes() == before


def test_garbage_between_lines_costs_those_lines_only(tmp_path: Path) -> None:
    writer = MetricsWriter(tmp_path, 0)
    garbage = [
        b"\x00" * 40,
        b"\xff\xfe",
        b"[]",
        b'{"kind":"unknown","step":1}',
        b'{"kind":"train"}',
        b"[" * 5000,
        b"",
    ]
    for step, line in enumerate(garbage, 1):
        writer.write("train", step, {"loss": float(step)})
        with writer.path.open("ab") as handle:
            handle.write(line + b"\n")
    writer.close()
    reader = MetricsReader(tmp_path)
    assert [r.step for r in reader.poll()] == [0, 1, 2, 3, 4, 5, 6, 7]
    assert reader.skipped == len(garbage) - 1  # an empty line is nothing lost


def test_what_a_killed_trainer_did_beyond_its_checkpoint_is_superseded(tmp_path: Path) -> None:
    for start, steps in ((0, range(1, 11)), (6, range(7, 10)), (6, range(7, 9)), (8, range(9, 13))):
        with MetricsWriter(tmp_path, start) as writer:
            for step in steps:
                writer.write("train", step, {"segment": writer.path.name})
    trained = [(r.step, r.values["segment"]) for r in read_all(tmp_path) if r.kind == "train"]
    assert [step for step, _ in trained] == list(range(1, 13))
    assert [str(name)[8:12] for _, name in trained] == ["0001"] * 6 + ["0003"] * 2 + ["0004"] * 4


def test_segments_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10_000, 9999, 2):
        (tmp_path / f"metrics-{number:04d}.jsonl").write_text(f'{{"kind":"mark","step":{number}}}\n', encoding="utf-8")
    assert [r.step for r in MetricsReader(tmp_path).poll()] == [2, 9999, 10_000]


def test_a_segment_that_is_a_fifo_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "metrics-0001.jsonl")
    with pytest.raises(RunError, match="cannot be read"):
        MetricsReader(tmp_path).poll()


def test_no_folder_is_no_metrics(tmp_path: Path) -> None:
    assert read_all(tmp_path / "nowhere") == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs file size limits")
def test_after_a_line_torn_by_a_full_disk_the_next_one_is_whole(tmp_path: Path) -> None:
    import resource
    import signal

    writer = MetricsWriter(tmp_path, 0)
    size = writer.path.stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limits[1]))
        with pytest.raises(RunError, match="too large"):
            writer.write("train", 1, {"loss": 1.0})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    writer.write("train", 2, {"loss": 2.0})
    writer.close()
    assert writer.path.stat().st_size > size + 10
    assert [(r.kind, r.step) for r in read_all(tmp_path)] == [("start", 0), ("train", 2)]


def test_a_hundred_thousand_lines_are_read_in_seconds(tmp_path: Path) -> None:
    values = '"values":{"loss":1.2345678901234567,"learning_rate":0.001,"tokens_per_second":9876.5}'
    text = "".join(f'{{"kind":"train","step":{step},{values}}}\n' for step in range(100_000))
    (tmp_path / "metrics-0001.jsonl").write_text(text, encoding="utf-8")
    began = time.process_time()
    assert len(read_all(tmp_path)) == 100_000
    assert time.process_time() - began < 10.0  # it takes 0.2 where nothing else runs
