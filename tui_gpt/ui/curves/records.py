"""Metrics decoded for curves: the numbers of a `train` line straight into fields, without a dictionary for each.

A million lines are read when a long run is opened, and the dictionaries would take most of that time.
"""

from __future__ import annotations

from math import nan
from typing import Annotated

import msgspec
from msgspec import Meta

from tui_gpt.core.runs.metrics import Value

Step = Annotated[int, Meta(ge=0, le=2**53)]
Number = float | None
"""None is what stands in the file for a number that is not finite, or not known."""


class TrainValues(msgspec.Struct, gc=False):
    """What one optimizer step tells; NaN where an older trainer did not write a value."""

    loss: Number = nan
    learning_rate: Number = nan
    grad_norm: Number = nan
    tokens_per_second: Number = nan
    memory: Number = nan
    elapsed: Number = nan
    tokens: Number = nan


class Train(msgspec.Struct, gc=False, tag_field="kind", tag="train"):
    """A `train` line."""

    step: Step
    values: TrainValues = msgspec.field(default_factory=TrainValues)


class _Rare(msgspec.Struct, tag_field="kind"):
    step: Step
    values: dict[str, Value] = msgspec.field(default_factory=dict)

    def number(self, name: str) -> float:
        """The value as a float; NaN where it is missing or no number."""
        value = self.values.get(name)
        return float(value) if isinstance(value, float | int) and not isinstance(value, bool) else nan

    def text(self, name: str) -> str:
        """The value as a text; empty where it is missing or none."""
        value = self.values.get(name)
        return value if isinstance(value, str) else ""


class Start(_Rare, tag="start"):
    """The first line of a segment: its trainer goes on from `step`."""


class Eval(_Rare, tag="eval"):
    """An evaluation."""


class SampleLine(_Rare, tag="sample"):
    """What the model wrote at an evaluation."""


class MarkLine(_Rare, tag="mark"):
    """What a person or the trainer did."""


class End(_Rare, tag="end"):
    """The last line of a trainer that ended in good order."""


Line = Train | Start | Eval | SampleLine | MarkLine | End


class LineDecoder:
    """Decodes blocks of whole lines; `garbage` counts those that are not records."""

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(Line)
        self.garbage = 0

    def decode(self, lines: bytes) -> list[Line]:
        """The records in the order of the lines."""
        try:
            found: list[Line] = self._decoder.decode_lines(lines)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # Somewhere among these lines is garbage: one by one, to lose that line only.
            return [record for line in lines.split(b"\n") if line.strip() for record in self._one(line)]
        return found

    def _one(self, line: bytes) -> list[Line]:
        try:
            return [self._decoder.decode(line)]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.garbage += 1
            return []
