"""A run's validation losses in a few points, for whoever keeps a model of it."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from tui_gpt.core.model_record import CurvePoint
from tui_gpt.core.runs.metric_lines import LineFollower

POINTS = 10
_BLOCK = 8 << 20


class _Line(msgspec.Struct):
    kind: str
    step: int
    values: dict[str, float | int | str | bool | None] = {}


_DECODER = msgspec.json.Decoder(_Line)


def loss_curve(run_folder: Path, last_step: int, points: int = POINTS) -> list[CurvePoint]:
    """At most `points` evaluations up to `last_step`, evenly among those there were; the first and the last are in it.

    Steps that a later trainer repeated count once, as it found them. Lines that are no records are passed over, and so
    are losses that are no numbers. Raises RunError when a segment of the metrics cannot be read.
    """
    found: dict[int, float] = {}
    for block in LineFollower(run_folder).blocks(_BLOCK):
        for line in block.split(b"\n"):
            # By far the most lines are of steps: looked at only as far as to know that.
            if line.startswith((b'{"kind":"eval"', b'{"kind":"start"')):
                _take(line, found)
    steps = [step for step in sorted(found) if step <= last_step]
    if len(steps) > points:
        steps = [steps[round(index * (len(steps) - 1) / (points - 1))] for index in range(points)]
    return [CurvePoint(step=step, val_loss=round(found[step], 4)) for step in steps]


def _take(line: bytes, found: dict[int, float]) -> None:
    try:
        record = _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if record.kind == "start":
        for step in [step for step in found if step > record.step]:
            del found[step]
        return
    loss = record.values.get("val_loss")
    if isinstance(loss, float) and math.isfinite(loss) and record.step >= 0:
        found[record.step] = loss
