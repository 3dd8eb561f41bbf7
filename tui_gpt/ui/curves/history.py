"""RunHistory: the metrics of a run, read while the run goes on.

One worker thread calls `poll`; any thread reads. A poll decodes outside of the lock and takes it for the few
milliseconds in which a block of records is added to all columns, so that a reader sees whole records only.
"""

from __future__ import annotations

import sys
import time
from array import array
from bisect import bisect_right
from contextlib import closing, suppress
from math import isnan
from pathlib import Path
from typing import cast

from tui_gpt.core.runs.metric_lines import LineFollower
from tui_gpt.ui.curves.columns import Part
from tui_gpt.ui.curves.kept_history import SCHEMA, Facts, Writing, keep, kept_file, load
from tui_gpt.ui.curves.moments import Evaluation, Mark, SampleText
from tui_gpt.ui.curves.readings import MEASURED, Readings
from tui_gpt.ui.curves.records import End, Eval, Line, LineDecoder, MarkLine, SampleLine, Start, Train
from tui_gpt.ui.curves.smoothing import DEFAULT_FACTOR, Smoothing

_BLOCK = 1 << 19  # decoding holds the interpreter's lock, for about 1.5 ms with as many bytes
_BREATH = 0.00005
_AT_ONCE = 16_384
_SHORT = 65_536
_WORTH_KEEPING = 8 << 20  # bytes of lines that are parsed in about 0.1 s
_GROWTH = 0.25


class RunHistory(Readings):
    """Follows the metrics of the run in `folder`. What a later segment repeats is gone, as in `core.runs.metrics`.

    What is known of a long run is kept in the cache, so that the next one that follows it has it at once.
    """

    def __init__(self, folder: Path, smoothing: float = DEFAULT_FACTOR) -> None:
        super().__init__()
        self.folder = folder
        self._lines = LineFollower(folder)
        self._decoder = LineDecoder()
        self._smoothing = Smoothing(smoothing)
        self._asked_smoothing = smoothing
        self._fresh: dict[str, list[object]] = {}
        self._newest_step = 0
        self._out_of_order = 0
        self._kept_bytes: int | None = None
        """Of the lines whose content is kept; None before the first poll."""
        self._keeping: Writing | None = None

    # ---- reading

    @property
    def progress(self) -> float:
        """The share of the bytes of all segments that has been read, 0 to 1."""
        return min(1.0, self._lines.bytes_read / self._lines.bytes_known) if self._lines.bytes_known else 0.0

    @property
    def skipped(self) -> int:
        """Lines that are no records: garbage, torn ones, or steps that do not follow the one before."""
        return self._decoder.garbage + self._lines.torn + self._out_of_order

    @property
    def pending(self) -> bool:
        """Whether the next `poll` has more to do than to look for new lines."""
        return not self.opened or self._keeping is not None or self._is_worth_keeping()

    def poll(self, budget_seconds: float | None = None) -> bool:
        """Read what was added; say whether anything changed. To be called from one worker thread.

        With a budget, it ends soon after that many seconds, and the next call goes on from there.
        Raises RunError when a segment cannot be read.
        """
        before = self.version
        if self._kept_bytes is None:
            self._kept_bytes = self._lines.bytes_read if self._load() else 0
        # What was loaded is not shown before the lines added since are read: let them be in the same round.
        deadline = None if budget_seconds is None else time.monotonic() + budget_seconds
        with closing(self._lines.blocks(_BLOCK)) as blocks:  # type: ignore[type-var]
            for lines in blocks:
                self._add(self._decoder.decode(lines))
                if deadline is not None and time.monotonic() > deadline:
                    break
                if len(lines) * 2 > _BLOCK:
                    time.sleep(_BREATH)  # the screen's turn
            else:
                self._note_opened()
        self._smooth(deadline)
        self._index(deadline)
        self._keep(deadline)
        return self.version != before

    def _note_opened(self) -> None:
        if not self.opened:
            self.opened = True
            self.version += 1

    def _add(self, records: list[Line]) -> None:
        """Add a block of records, in the order of the lines."""
        kinds = list(map(type, records))
        rare = []
        if kinds.count(Train) < len(kinds):
            rare = [index for index, kind in enumerate(kinds) if kind is not Train]
        begin = 0
        for start in [*(index for index in rare if kinds[index] is Start), len(records)]:
            # Steps first: an evaluation asks how many tokens its step had seen. A start may cut off what is before it.
            between = [index for index in rare if begin <= index < start]
            steps = records[begin:start]
            for index in reversed(between):
                del steps[index - begin]
            self._add_steps(cast(list[Train], steps))
            for index in between:
                self._add_rare(records[index])
            if start < len(records):
                self._begin_segment(records[start].step)
            begin = start + 1
        self._publish()

    def _add_steps(self, records: list[Train]) -> None:
        if not records:
            return
        steps = [record.step for record in records]
        last = self._timeline.steps[-1] if self._timeline.steps else -1
        if steps[0] <= last or (
            steps[-1] - steps[0] != len(steps) - 1 or steps != list(range(steps[0], steps[-1] + 1))
        ):
            ascending = []
            for record in records:
                if record.step > last:
                    ascending.append(record)
                    last = record.step
            self._out_of_order += len(records) - len(ascending)
            if not (records := ascending):
                return
            steps = [record.step for record in records]
        values = [record.values for record in records]
        fresh: dict[str, list[float | None]] = {
            "loss": [value.loss for value in values],
            "learning_rate": [value.learning_rate for value in values],
            "grad_norm": [value.grad_norm for value in values],
            "tokens_per_second": [value.tokens_per_second for value in values],
            "memory": [value.memory for value in values],
        }
        elapsed = [value.elapsed for value in values]
        tokens = [value.tokens for value in values]
        with self._lock:
            first = len(self._timeline)
            self._timeline.extend(steps, elapsed, tokens)
            for name, column in self._columns.items():
                column.extend(fresh[name])
            # The loss is drawn while a long run is being read; the others when it has been.
            self._columns["loss"].index(len(steps))
            self._newest_step = max(self._newest_step, steps[-1])
            self._find_gaps(first)
            if len(self._smoothed) == first:
                self._smoothed.extend(array("d", self._smoothing.extend(self._columns["loss"].values[first:].tolist())))
            self.ended = False
            self.version += 1

    def _find_gaps(self, first: int) -> None:
        if not self._columns["loss"].has_gaps:
            return
        losses = self._columns["loss"].values
        was = first == 0 or not isnan(losses[first - 1])
        for index in range(first, len(losses)):
            there = not isnan(losses[index])
            if was and not there:
                self._collect("gaps", self._timeline.steps[index])
            was = there

    def _add_rare(self, record: Line) -> None:
        self._newest_step = max(self._newest_step, record.step)
        self.version += 1
        match record:
            case Eval():
                self._add_evaluation(record)
            case SampleLine(step=step, values=values):
                seed = values.get("seed")
                sample = SampleText(step, record.text("prompt"), record.text("text"), seed if type(seed) is int else 0)
                self._collect("samples", sample)
            case MarkLine(step=step, values=values):
                more = {name: value for name, value in values.items() if name != "event"}
                self._collect("marks", Mark(step, record.text("event"), more))
            case End():
                self.ended, self.end_reason = True, record.text("reason")
            case _:
                raise AssertionError(type(record))

    def _add_evaluation(self, record: Eval) -> None:
        elapsed, val_loss = record.number("elapsed"), record.number("val_loss")
        flags = record.values
        self._collect(
            "evaluations",
            Evaluation(
                record.step,
                val_loss,
                record.number("bits_per_byte"),
                flags.get("whole") is True,
                flags.get("best") is True,
                elapsed,
            ),
        )
        with self._lock:
            newest = self._val_timeline.steps[-1] if self._val_timeline.steps else -1
            if record.step < newest:
                self._out_of_order += 1
                return
            if record.step == newest:  # the whole text, measured after a part of it, at the end of a run
                self._val_timeline.truncate(len(self._val_timeline) - 1)
                self._val_loss.truncate(len(self._val_timeline))
            self._val_timeline.extend([record.step], [elapsed], [self._tokens_at(record.step)])
            self._val_loss.extend([val_loss])
            self._val_loss.index(1)

    def _tokens_at(self, step: int) -> float:
        index = bisect_right(self._timeline.steps, step) - 1
        return self._timeline.tokens[index] if index >= 0 else 0.0

    def _collect(self, name: str, item: object) -> None:
        self._fresh.setdefault(name, []).append(item)

    def _publish(self) -> None:
        """Make what was collected visible: one new tuple for each kind, however many there are in a block."""
        for name, items in self._fresh.items():
            setattr(self, name, (*getattr(self, name), *items))
        self._fresh.clear()

    def _begin_segment(self, step: int) -> None:
        self._publish()
        if self._keeping is not None:  # what is being written may not stay
            self._keeping, self._kept_bytes = None, 0
        with self._lock:
            if self._newest_step > step:
                self._drop_after(step)
            self._newest_step = step
            self.segments = (*self.segments, step)
            self.ended, self.end_reason = False, ""
            self.version += 1

    def _drop_after(self, step: int) -> None:
        """What was recorded under a greater step is history that did not happen."""
        kept = bisect_right(self._timeline.steps, step)
        self._timeline.truncate(kept)
        for column in self._columns.values():
            column.truncate(kept)
        if len(self._smoothed) > kept:
            del self._smoothed[kept:]
            self._smoothing.restore(self._smoothed)
        kept = bisect_right(self._val_timeline.steps, step)
        self._val_timeline.truncate(kept)
        self._val_loss.truncate(kept)
        self.evaluations = tuple(item for item in self.evaluations if item.step <= step)
        self.samples = tuple(item for item in self.samples if item.step <= step)
        self.marks = tuple(item for item in self.marks if item.step <= step)
        self.segments = tuple(item for item in self.segments if item <= step)
        self.gaps = tuple(item for item in self.gaps if item <= step)

    def _index(self, deadline: float | None) -> None:
        """Make extremes known where they are not yet, a piece at a time."""
        if not self.opened:
            return
        for column in self._columns.values():
            while True:
                with self._lock:
                    if not column.index(_AT_ONCE):
                        break
                    self.version += 1
                if deadline is not None and time.monotonic() > deadline:
                    return

    # ---- the cache

    def _load(self) -> bool:
        """Know at once what was kept of these segments; say whether anything was."""
        kept = load(kept_file(self.folder))
        if kept is None or not self._lines.go_on_from(kept.facts.places):
            return False
        facts = kept.facts
        self._decoder.garbage, self._out_of_order = facts.garbage, facts.out_of_order
        self._newest_step = facts.newest_step
        *gaps, val_gaps = facts.has_gaps
        with self._lock:
            self._timeline.restore(*kept.timeline)
            for name, parts, has_gaps in zip(MEASURED, kept.columns, gaps, strict=True):
                self._columns[name].restore(parts, has_gaps=has_gaps)
            self._smoothing, self._smoothed = Smoothing(facts.smoothing), kept.smoothed
            self._smoothing.go_on_from(facts.smoothing_state)
            self._val_timeline.restore(*kept.val_timeline)
            self._val_loss.restore(kept.val_loss, has_gaps=val_gaps)
            self.evaluations, self.samples, self.marks = facts.evaluations, facts.samples, facts.marks
            self.segments, self.gaps = facts.segments, facts.gaps
            self.ended, self.end_reason = facts.ended, facts.end_reason
            self.version += 1
        return True

    def _keep(self, deadline: float | None) -> None:
        """Go on with keeping what is known, or begin with it where enough of it is new."""
        if self._keeping is None and self._is_worth_keeping():
            self._kept_bytes = self._lines.bytes_read
            self._keeping = self._write()
        if self._keeping is None:
            return
        # With no place to keep it, or with something that cannot be kept, it is parsed again the next time.
        with suppress(OSError, OverflowError, ValueError):
            for _ in self._keeping:
                if deadline is not None and time.monotonic() > deadline:
                    return
        self._keeping = None

    def _is_worth_keeping(self) -> bool:
        before, length = self._kept_bytes or 0, len(self)
        enough = max(_WORTH_KEEPING, 0 if self.ended else _GROWTH * before)
        if not self.opened or self._lines.bytes_read - before < enough or len(self._smoothed) < length:
            return False
        return all(column.ready == length for column in self._columns.values())

    def _write(self) -> Writing:
        """Keep what is known when this begins: steps may be added before it ends."""
        columns = [self._columns[name] for name in MEASURED]
        parts = self._timeline.parts(len(self))
        for column in columns:
            parts += column.parts(len(self))
        # Copies of what changes: another factor averages anew, a second evaluation at a step replaces the first.
        vals = [*self._val_timeline.parts(len(self._val_timeline)), *self._val_loss.parts(len(self._val_loss))]
        with self._lock:
            smoothed, state = self._smoothed[:], self._smoothing.state
        parts += [Part(smoothed, len(self)), *(Part(entries[:length], length) for entries, length in vals)]
        facts = Facts(
            schema=SCHEMA,
            byteorder=sys.byteorder,
            places=self._lines.places(),
            garbage=self._decoder.garbage,
            out_of_order=self._out_of_order,
            newest_step=self._newest_step,
            n_steps=len(self),
            n_evaluations=len(self._val_loss),
            has_gaps=tuple(column.has_gaps for column in (*columns, self._val_loss)),
            smoothing=self._smoothing.factor,
            smoothing_state=state,
            evaluations=self.evaluations,
            samples=self.samples,
            marks=self.marks,
            segments=self.segments,
            gaps=self.gaps,
            ended=self.ended,
            end_reason=self.end_reason,
        )
        return keep(kept_file(self.folder), facts, parts)

    # ---- smoothing

    @property
    def smoothing(self) -> float:
        """The factor of the moving average, at least 0 and less than 1. Setting it averages anew.

        A short run shows it at once, a long one after the next `poll`.
        """
        return self._asked_smoothing

    @smoothing.setter
    def smoothing(self, factor: float) -> None:
        if factor == self._asked_smoothing:
            return
        Smoothing(factor)  # raises ValueError for a factor out of range
        self._asked_smoothing = factor
        if len(self) <= _SHORT:
            self._smooth(None)

    def _smooth(self, deadline: float | None) -> None:
        """Average what is not averaged yet, a piece at a time."""
        while True:
            with self._lock:
                if self._smoothing.factor != self._asked_smoothing:
                    self._smoothing = Smoothing(self._asked_smoothing)
                    del self._smoothed[:]
                done = len(self._smoothed)
                losses = self._columns["loss"].values[done : done + _AT_ONCE].tolist()
                if not losses:
                    return
                self._smoothed.extend(array("d", self._smoothing.extend(losses)))
                self.version += 1
            if deadline is not None and time.monotonic() > deadline:
                return
