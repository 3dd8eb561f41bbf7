"""What is known of a run, in columns, and the questions that a plot asks of it."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from math import isnan, nan
from operator import attrgetter
from typing import Literal

from tui_gpt.ui.curves.columns import Column
from tui_gpt.ui.curves.moments import Axis, Evaluation, Mark, Point, SampleText
from tui_gpt.ui.curves.timeline import Timeline

ColumnName = Literal["loss", "smoothed", "val_loss", "learning_rate", "grad_norm", "tokens_per_second", "memory"]
Span = tuple[float, float, float]
"""x, the smallest and the largest value there; both NaN where the line breaks."""

MEASURED: tuple[ColumnName, ...] = ("loss", "learning_rate", "grad_norm", "tokens_per_second", "memory")


class Readings:
    """Training steps and evaluations in columns. Every question takes the lock, so any thread may ask.

    `evaluations`, `samples`, `marks`, `segments` (steps at which a trainer began) and `gaps` (steps at which the loss
    began to be no number) are replaced, never changed: a reader may keep them. `version` grows with every change.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._timeline = Timeline()
        self._columns = {name: Column() for name in MEASURED}
        self._smoothed = array("d")
        self._val_timeline = Timeline()
        self._val_loss = Column()
        self.evaluations: tuple[Evaluation, ...] = ()
        self.samples: tuple[SampleText, ...] = ()
        self.marks: tuple[Mark, ...] = ()
        self.segments: tuple[int, ...] = ()
        self.gaps: tuple[int, ...] = ()
        self.opened = False
        """Everything that was there has been read once."""
        self.ended = False
        """The last trainer wrote its closing line: `end_reason` says why it ended."""
        self.end_reason = ""
        self.version = 0

    def __len__(self) -> int:
        """Training steps on record."""
        return len(self._timeline)

    @property
    def last_step(self) -> int | None:
        """The newest training step on record."""
        with self._lock:
            return self._timeline.steps[-1] if self._timeline.steps else None

    def bounds(self, axis: Axis = "step") -> tuple[float, float] | None:
        """Where the curve begins and ends on this axis; None without a step or an evaluation."""
        with self._lock:
            ends = [(along[0], along[-1]) for t in (self._timeline, self._val_timeline) if (along := t.along(axis))]
            return (min(first for first, _ in ends), max(last for _, last in ends)) if ends else None

    def series(
        self,
        name: ColumnName,
        first: float,
        last: float,
        columns: int,
        axis: Axis = "step",
        *,
        margin: bool = False,
    ) -> list[Span]:
        """Values with x from `first` to `last`, at most one span for each of `columns` equal parts of the axis.

        The average is not spread: its span is its value at the end of the part. `margin` adds the values just before
        and after, so that a line can run to the edge of a plot.
        """
        with self._lock:
            timeline = self._val_timeline if name == "val_loss" else self._timeline
            along = timeline.along(axis)
            size = len(self._smoothed) if name == "smoothed" else self._column(name).ready
            i, j = bisect_left(along, first, 0, size), bisect_right(along, last, 0, size)
            if margin:
                i, j = max(0, i - 1), min(size, j + 1)
            values = self._smoothed if name == "smoothed" else self._column(name).values
            if j - i <= columns:
                return [(x, y, y) for x, y in zip(along[i:j], values[i:j], strict=True)]
            width = (last - first) / columns
            edges = [i]
            for part in range(1, columns):
                edges.append(bisect_left(along, first + part * width, edges[-1], j))
            edges.append(j)
            middles = [first + (part + 0.5) * width for part in range(columns)]
            full = [part for part in range(columns) if edges[part] < edges[part + 1]]
            if name == "smoothed":
                return [(middles[part], y, y) for part in full for y in (values[edges[part + 1] - 1],)]
            found = self._column(name).stretches(edges)
            return [(middles[part], *found[part]) for part in full]

    def _column(self, name: ColumnName) -> Column:
        return self._val_loss if name == "val_loss" else self._columns[name]

    def extremes(self, name: ColumnName, first: float, last: float, axis: Axis = "step") -> tuple[float, float]:
        """The smallest and the largest finite value with x from `first` to `last`; NaN, NaN where there is none."""
        with self._lock:
            if name == "smoothed":
                raise ValueError("the average's extremes are not kept")
            along = (self._val_timeline if name == "val_loss" else self._timeline).along(axis)
            column = self._column(name)
            first_index, beyond = bisect_left(along, first, 0, column.ready), bisect_right(along, last, 0, column.ready)
            return column.extremes(first_index, beyond)

    def newest(self, name: ColumnName) -> float:
        """The newest value that is a number; NaN where there is none."""
        with self._lock:
            values: Sequence[float] = self._smoothed if name == "smoothed" else self._column(name).values
            return next((value for value in reversed(values) if not isnan(value)), nan)

    def at(self, step: float) -> Point | None:
        """What is known at the training step nearest to `step`; None before the first."""
        with self._lock:
            index = self._timeline.nearest(step)
            if index is None:
                return None
            here = self._timeline.steps[index]
            val = bisect_right(self._val_timeline.steps, here) - 1
            return Point(
                step=here,
                loss=self._columns["loss"].values[index],
                smoothed=self._smoothed[index] if index < len(self._smoothed) else nan,
                val_loss=self._val_loss.values[val] if val >= 0 else nan,
                val_step=self._val_timeline.steps[val] if val >= 0 else None,
                learning_rate=self._columns["learning_rate"].values[index],
                grad_norm=self._columns["grad_norm"].values[index],
                tokens_per_second=self._columns["tokens_per_second"].values[index],
                elapsed=self._timeline.elapsed[index],
                memory=self._columns["memory"].values[index],
                tokens=self._timeline.tokens[index],
            )

    def position(self, step: float, axis: Axis) -> float:
        """Where on the axis a step is; between two known ones in proportion."""
        with self._lock:
            return self._timeline.position(step, axis)

    def step_at(self, x: float, axis: Axis) -> int | None:
        """The training step nearest to a place on the axis; None before the first."""
        with self._lock:
            index = self._timeline.nearest(x, axis)
            return None if index is None else self._timeline.steps[index]

    def neighbour(self, step: float, offset: int) -> int | None:
        """The training step `offset` records after (before, if negative) the one nearest to `step`, within the run."""
        with self._lock:
            index = self._timeline.nearest(step)
            if index is None:
                return None
            return self._timeline.steps[min(max(index + offset, 0), len(self._timeline) - 1)]

    def nearest_sample(self, step: float) -> SampleText | None:
        """The sample whose step is nearest; of two as near, the earlier one."""
        samples = self.samples
        place = bisect_left(samples, step, key=attrgetter("step"))
        around = samples[max(0, place - 1) : place + 1]
        return min(around, key=lambda sample: abs(sample.step - step), default=None)
