"""Metrics as append-only JSON lines: one segment per trainer process, joined by whoever reads."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, get_args

import msgspec

from tui_gpt.core.errors import RunError
from tui_gpt.core.files import fsync_dir
from tui_gpt.core.runs.metric_lines import LineFollower, segments
from tui_gpt.core.runs.plain_files import reason

Kind = Literal["start", "train", "eval", "sample", "mark", "end"]
KINDS: tuple[str, ...] = get_args(Kind)
Value = float | int | str | bool | None
PART_LOSS = "val_loss/"
"""Before the name of a corpus of a mix: the validation loss on it alone, in an `eval` record beside `val_loss`."""

_CHUNK = 8 << 20


# Not tracked by the garbage collector, which would take most of the time of reading a long run: no cycles here.
class MetricRecord(msgspec.Struct, omit_defaults=True, gc=False):
    """One line. `step` counts completed optimizer steps; `start` carries the step from which its segment goes on."""

    kind: Kind
    step: int
    values: dict[str, Value] = msgspec.field(default_factory=dict)
    nonfinite: dict[str, Literal["nan", "inf", "-inf"]] = msgspec.field(default_factory=dict)
    """Values that JSON has no number for. In the file they are null under `values`; a reader puts them back."""


class MetricsWriter:
    """Appends to a new segment; its first line, of kind `start`, says from which step it goes on.

    Each line is one `write` to a file opened for appending, so that a reader finds whole lines up to the last newline.
    Raises RunError when the disk refuses; a line torn that way is closed off before the next one.
    """

    def __init__(self, run_folder: Path, step: int, values: Mapping[str, Value] | None = None) -> None:
        self._descriptor, self.path = _new_segment(run_folder)
        self._torn = False
        try:
            self.write("start", step, values or {})
            self.sync()
            fsync_dir(run_folder)
        except BaseException as error:
            self.close()
            with suppress(OSError):
                self.path.unlink()
            if isinstance(error, OSError):
                raise _not_made(self.path, error) from error
            raise

    def write(self, kind: Kind, step: int, values: Mapping[str, Value]) -> None:
        """Append one line. Floats keep every bit; a lone surrogate in a text becomes U+FFFD."""
        line = _encode(kind, step, values)
        if self._torn:
            line = b"\n" + line
        written = 0
        try:
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
        except OSError as error:
            self._torn = self._torn or written > 0
            raise RunError(f"{self.path} cannot be written: {reason(error)}; make space and resume the run") from error
        self._torn = False

    def sync(self) -> None:
        """Wait until every line is on the disk."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise RunError(
                f"{self.path} is not safely on disk: {reason(error)}; check it and resume the run"
            ) from error

    def close(self) -> None:
        """Close the segment; a second time does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _new_segment(run_folder: Path) -> tuple[int, Path]:
    path = run_folder / "metrics"
    try:
        number = max((n for n, _ in segments(run_folder)), default=0) + 1
        path = run_folder / f"metrics-{number:04d}.jsonl"
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644), path
    except OSError as error:
        raise _not_made(path, error) from error


def _not_made(path: Path, error: OSError) -> RunError:
    return RunError(f"{path} cannot be made: {reason(error)}; check the space and the permissions there")


def _encode(kind: Kind, step: int, values: Mapping[str, Value]) -> bytes:
    finite: dict[str, Value] = {}
    nonfinite: dict[str, Literal["nan", "inf", "-inf"]] = {}
    for name, value in values.items():
        if isinstance(value, float):
            finite[name] = float(value) if math.isfinite(value) else None
            if not math.isfinite(value):
                nonfinite[name] = "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
        else:
            finite[name] = value
    record = MetricRecord(kind, step, finite, nonfinite)
    try:
        return msgspec.json.encode(record) + b"\n"
    except UnicodeEncodeError:
        for name, value in finite.items():
            if isinstance(value, str):
                finite[name] = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return msgspec.json.encode(record) + b"\n"


class MetricsReader:
    """Follows a run's metrics across segments, from the first line on.

    `skipped` counts lines that are not records: garbage, or what a killed trainer left
    unfinished in an earlier segment.
    """

    def __init__(self, run_folder: Path) -> None:
        self._lines = LineFollower(run_folder)
        self._decoder = msgspec.json.Decoder(MetricRecord)
        self._garbage = 0

    @property
    def skipped(self) -> int:
        """How many lines so far were not records."""
        return self._garbage + self._lines.torn

    def poll(self) -> list[MetricRecord]:
        """What was added since the last call, in the order of writing; empty when nothing was.

        Records that a later `start` supersedes are among them: `without_superseded` drops those. Raises RunError when a
        segment cannot be read.
        """
        records: list[MetricRecord] = []
        for lines in self._lines.blocks(_CHUNK):
            self._decode(lines, records)
        return records

    def _decode(self, lines: bytes, records: list[MetricRecord]) -> None:
        start = len(records)
        try:
            records += self._decoder.decode_lines(lines)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # Somewhere among these lines is garbage: one by one, to lose that line only.
            for line in lines.split(b"\n"):
                if not line.strip():
                    continue
                try:
                    records.append(self._decoder.decode(line))
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    self._garbage += 1
        for record in records[start:]:
            if record.nonfinite:
                record.values.update({name: float(word) for name, word in record.nonfinite.items()})


def without_superseded(records: Iterable[MetricRecord]) -> list[MetricRecord]:
    """The records without those that a later segment repeats.

    A trainer that was killed had gone beyond its last checkpoint. The one that resumes starts at that checkpoint's
    step, and what was recorded before it under a greater step is history that did not happen.
    """
    kept: list[MetricRecord] = []
    for record in records:
        if record.kind == "start" and kept and max(r.step for r in kept) > record.step:
            kept = [r for r in kept if r.step <= record.step]
        kept.append(record)
    return kept


def read_all(run_folder: Path) -> list[MetricRecord]:
    """The joined history of a run, superseded records left out. Raises RunError when a segment cannot be read."""
    return without_superseded(MetricsReader(run_folder).poll())
