"""RunHistory: the metrics of a run in columns, while it goes on."""

from __future__ import annotations

import math
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_gpt.core.errors import RunError
from tui_gpt.core.runs.metrics import MetricsWriter, read_all
from tui_gpt.ui.curves.history import RunHistory
from tui_gpt.ui.curves.smoothing import DEFAULT_FACTOR


def train(writer: MetricsWriter, step: int, loss: float = math.nan, **more: Any) -> None:
    values = {"loss": loss if loss == loss else 1.0 / (step + 1), "learning_rate": 1e-3, "grad_norm": 0.5}
    values |= {"tokens": 64 * step, "elapsed": 0.5 * step, "tokens_per_second": 128.0, "memory": 1000 + step}
    writer.write("train", step, {**values, **more})


def evaluate(writer: MetricsWriter, step: int, loss: float) -> None:
    values = {"val_loss": loss, "bits_per_byte": loss / 2, "whole": False, "best": True, "elapsed": 0.5 * step}
    writer.write("eval", step, values)
    writer.write("sample", step, {"text": f"text {step}", "prompt": "Once", "seed": 7})


def plain(spans: list[tuple[float, float, float]]) -> list[tuple[float, ...] | float]:
    return [x if math.isnan(low) else (x, low, high) for x, low, high in spans]


def losses(history: RunHistory) -> list[tuple[float, float]]:
    return [(x, low) for x, low, _ in history.series("loss", 0, 1e9, 10**6)]


def opened(folder: Path) -> RunHistory:
    history = RunHistory(folder)
    history.poll()
    return history


def test_a_run_is_followed_as_it_is_written(tmp_path: Path) -> None:
    history = RunHistory(tmp_path)
    assert not history.poll() or history.opened
    assert history.bounds() is None
    assert history.at(3) is None
    with MetricsWriter(tmp_path, 0) as writer:
        for step in range(1, 51):
            train(writer, step)
            if step % 10 == 0:
                evaluate(writer, step, 2.0 - step / 100)
                assert history.poll()
        assert not history.poll()
        writer.write("mark", 50, {"event": "saved as model bard", "model": "bard"})
        writer.write("end", 50, {"reason": "trained to the end"})
    assert history.poll()
    assert (len(history), history.last_step, history.bounds()) == (50, 50, (1, 50))
    assert history.bounds("elapsed") == (0.5, 25.0)
    assert history.bounds("tokens") == (64, 3200)
    assert [e.step for e in history.evaluations] == [10, 20, 30, 40, 50]
    assert [(m.step, m.event, m.values) for m in history.marks] == [(50, "saved as model bard", {"model": "bard"})]
    assert history.ended
    assert history.end_reason == "trained to the end"
    point = history.at(24.6)
    assert point is not None
    assert (point.step, point.loss, point.val_loss, point.val_step) == (25, pytest.approx(1 / 26), 1.8, 20)
    assert (point.elapsed, point.tokens, point.memory, point.tokens_per_second) == (12.5, 1600, 1025, 128.0)
    sample = history.nearest_sample(24)
    assert sample is not None
    assert (sample.step, sample.text, sample.seed) == (20, "text 20", 7)
    assert history.position(25, "tokens") == 1600
    assert history.step_at(12.6, "elapsed") == 25


def test_what_a_killed_trainer_did_beyond_its_checkpoint_is_gone_from_everything(tmp_path: Path) -> None:
    history = RunHistory(tmp_path)
    for begin, end in ((0, 100), (60, 90), (60, 75), (70, 200)):
        with MetricsWriter(tmp_path, begin) as writer:
            for step in range(begin + 1, end + 1):
                train(writer, step, loss=step + begin / 1000)
                if step % 20 == 0:
                    evaluate(writer, step, 1.0 + begin)
                    writer.write("mark", step, {"event": f"from {begin}"})
        history.poll()
    for each in (history, opened(tmp_path)):
        expected = [(r.step, r.values["loss"]) for r in read_all(tmp_path) if r.kind == "train"]
        assert losses(each) == expected
        assert [(e.step, e.val_loss) for e in each.evaluations] == [
            *((step, 1.0) for step in (20, 40, 60)),
            *((step, 71.0) for step in range(80, 201, 20)),
        ]
        assert [s.step for s in each.samples] == list(range(20, 201, 20))
        assert [m.event for m in each.marks] == ["from 0"] * 3 + ["from 70"] * 7
        assert each.segments == (0, 60, 60, 70)
    again = [y for _, _, y in opened(tmp_path).series("smoothed", 0, 1e9, 10**6)]
    assert [y for _, _, y in history.series("smoothed", 0, 1e9, 10**6)] == pytest.approx(again)


@settings(max_examples=25)
@given(
    plan=st.lists(st.tuples(st.integers(0, 120), st.integers(0, 80)), min_size=1, max_size=5),
    polls=st.integers(1, 40),
)
def test_polled_often_or_once_the_history_is_the_same(
    plan: list[tuple[int, int]], polls: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("run")
    followed, reached = RunHistory(folder), 0
    for begin, count in plan:
        start = min(begin, reached)
        with MetricsWriter(folder, start) as writer:
            for step in range(start + 1, start + count + 1):
                train(writer, step, loss=math.inf if step % 17 == 0 else step / 7 + begin)
                if step % polls == 0:
                    evaluate(writer, step, 2.0)
                    followed.poll()
        reached = start + count
    followed.poll()
    once = opened(folder)
    expected = [
        (r.step, r.values["loss"] if math.isfinite(float(r.values["loss"] or 0)) else None)
        for r in read_all(folder)
        if r.kind == "train"
    ]
    for history in (followed, once):
        assert [(x, None if math.isnan(y) else y) for x, y in losses(history)] == expected
        assert history.skipped == 0
    assert followed.evaluations == once.evaluations
    assert followed.gaps == once.gaps
    for name in ("loss", "grad_norm", "memory"):
        assert plain(followed.series(name, 0, 300, 9)) == plain(once.series(name, 0, 300, 9))


def test_losses_that_are_no_numbers_are_gaps_and_told(tmp_path: Path) -> None:
    with MetricsWriter(tmp_path, 0) as writer:
        for step in range(1, 41):
            train(writer, step, loss=2.0)
    text = next(tmp_path.glob("metrics-*.jsonl"))
    lines = text.read_text(encoding="utf-8").replace(
        '"step":20,"values":{"loss":2.0', '"step":20,"values":{"loss":null'
    )
    text.write_text(lines, encoding="utf-8")
    history = opened(tmp_path)
    assert history.gaps == (20,)
    spans = history.series("loss", 1, 40, 1000)
    assert [x for x, low, _ in spans if math.isnan(low)] == [20]
    point = history.at(20)
    assert point is not None
    assert math.isnan(point.loss)
    assert math.isnan(point.smoothed)
    wide = history.series("loss", 1, 40, 4)
    assert [(low, high) for _, low, high in wide] == [(2.0, 2.0)] * 4


def test_older_lines_without_memory_or_time_are_read(tmp_path: Path) -> None:
    lines = ['{"kind":"start","step":0}'] + [
        f'{{"kind":"train","step":{k},"values":{{"loss":{k}.5}}}}' for k in (1, 2, 3)
    ]
    (tmp_path / "metrics-0001.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    history = opened(tmp_path)
    assert losses(history) == [(1, 1.5), (2, 2.5), (3, 3.5)]
    assert history.bounds("elapsed") == (0.0, 0.0)
    assert math.isnan(history.newest("memory"))
    assert math.isnan(history.extremes("memory", 0, 10)[0])


def test_garbage_torn_lines_and_steps_out_of_order_cost_themselves_only(tmp_path: Path) -> None:
    path = tmp_path / "metrics-0001.jsonl"
    with MetricsWriter(tmp_path, 0) as writer:
        for step, line in enumerate((b"\x00\x00", b"[]", b'{"kind":"train","step":-1}', b'{"kind":"odd","step":1}'), 1):
            train(writer, step, loss=1.0)
            with path.open("ab") as handle:
                handle.write(line + b"\n")
        train(writer, 3, loss=9.0)
        train(writer, 5, loss=1.0)
    with path.open("ab") as handle:
        handle.write(b'{"kind":"tr')
    with MetricsWriter(tmp_path, 5) as writer:
        train(writer, 6, loss=1.0)
    history = opened(tmp_path)
    assert losses(history) == [(step, 1.0) for step in range(1, 7)]
    assert history.skipped == 6


def test_a_segment_that_cannot_be_read_is_said_in_a_sentence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "metrics-0001.jsonl")
    with pytest.raises(RunError, match="cannot be read"):
        RunHistory(tmp_path).poll()


def test_a_budget_reads_in_pieces_and_progress_grows(tmp_path: Path) -> None:
    line = '{{"kind":"train","step":{0},"values":{{"loss":{0}.25,"elapsed":{0}.5,"tokens":{0}}}}}'
    text = "\n".join(line.format(step) for step in range(1, 60_001)) + "\n"
    (tmp_path / "metrics-0001.jsonl").write_text(text, encoding="utf-8")
    history, seen = RunHistory(tmp_path), []
    while not history.opened:
        history.poll(0.0)
        seen.append(history.progress)
    while history.poll(0.0):
        pass
    assert len(seen) > 2
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(history) == 60_000
    assert len(history.series("learning_rate", 0, 60_000, 100)) == 100
    assert history.extremes("loss", 100, 200) == (100.25, 200.25)


def test_readers_see_whole_records_while_a_thread_polls(tmp_path: Path) -> None:
    history, done, wrong = RunHistory(tmp_path), threading.Event(), []

    def poll() -> None:
        for begin in (0, 300, 200):
            with MetricsWriter(tmp_path, begin) as writer:
                for step in range(begin + 1, begin + 401):
                    train(writer, step, loss=float(step), grad_norm=float(step))
                    if step % 5 == 0:
                        history.poll()
        history.poll()
        done.set()

    thread = threading.Thread(target=poll)
    thread.start()
    while not done.is_set():
        for name in ("loss", "grad_norm"):
            wrong += [(x, low, high) for x, low, high in history.series(name, 0, 1000, 2000) if not x == low == high]
        point = history.at(350)
        if point is not None and point.loss != point.step:
            wrong.append((point.step, point.loss, point.grad_norm))
    thread.join()
    assert wrong == []
    assert history.last_step == 600


def test_another_factor_averages_anew(tmp_path: Path) -> None:
    with MetricsWriter(tmp_path, 0) as writer:
        for step in range(1, 200):
            train(writer, step, loss=float(step % 3))
    history = opened(tmp_path)
    before = history.series("smoothed", 0, 200, 500)
    history.smoothing = 0.0
    assert [y for _, y, _ in history.series("smoothed", 0, 200, 500)] == [float(step % 3) for step in range(1, 200)]
    history.smoothing = DEFAULT_FACTOR
    assert history.series("smoothed", 0, 200, 500) == before
    with pytest.raises(ValueError, match="smoothing factor"):
        history.smoothing = 1.5


def test_series_have_at_most_a_span_per_column_and_a_margin_when_asked(tmp_path: Path) -> None:
    with MetricsWriter(tmp_path, 0) as writer:
        for step in range(1, 1001):
            train(writer, step)
    history = opened(tmp_path)
    for axis, last in (("step", 1000.0), ("elapsed", 500.0), ("tokens", 64_000.0)):
        for columns in (1, 7, 100, 999, 5000):
            spans = history.series("loss", 0, last, columns, axis)  # type: ignore[arg-type]
            assert len(spans) <= columns
            assert min(low for _, low, _ in spans) == pytest.approx(1 / 1001)
            assert max(high for _, _, high in spans) == pytest.approx(1 / 2)
            assert [x for x, _, _ in spans] == sorted(x for x, _, _ in spans)
    assert [x for x, _, _ in history.series("loss", 10, 12, 100)] == [10, 11, 12]
    assert [x for x, _, _ in history.series("loss", 10, 12, 100, margin=True)] == [9, 10, 11, 12, 13]
