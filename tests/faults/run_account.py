"""What a run's folder must hold, by an account in memory of what was done to it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_gpt.core.runs.checkpoints import Pointers, Tag
from tui_gpt.core.runs.metrics import Value
from tui_gpt.core.runs.records import ENDED
from tui_gpt.ui.curves.history import RunHistory

if TYPE_CHECKING:
    from dry_trainer import DryTrainer

KNOWN_BY = 4096  # bytes at either end of a segment, by which the screen's cache knows it


@dataclass
class Line:
    """One line of the metrics: what it says, None if that is lost; its bytes; whether its end was written."""

    record: tuple[str, int, dict[str, Value]] | None
    length: int
    whole: bool = True


@dataclass
class Account:
    """What a run's folder must hold."""

    segments: list[list[Line]] = field(default_factory=list)
    checkpoints: dict[int, bytes] = field(default_factory=dict)
    """state.json of each that was finished and not rotated."""
    damaged: set[int] = field(default_factory=set)
    pointers: Pointers | None = field(default_factory=Pointers)
    """None: pointers.json is damaged."""
    lost: set[int] = field(default_factory=set)
    """Steps of damaged checkpoints that went while they were replaced; a pointer may name them still."""
    pending: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    answered: dict[str, str] = field(default_factory=dict)
    state: str | None = None
    status_is_damaged: bool = False
    curve_is_damaged: bool = False
    record_is_damaged: bool = False
    promised_scale: float | None = None
    """Of the learning rate, by the newest answer."""
    trainers: int = 0
    trainer: DryTrainer | None = None
    fork_step: int | None = None

    @property
    def shown_state(self) -> str:
        """As which a list of runs shows it."""
        if self.record_is_damaged:
            return "damaged"
        if self.trainer is not None:
            return "starting" if self.status_is_damaged else self.state or "starting"
        if self.status_is_damaged:
            return "interrupted"
        if self.state is None:
            return "new"
        return self.state if self.state in ENDED else "interrupted"

    @property
    def newest(self) -> int | None:
        """Step of the newest intact checkpoint."""
        return max(self.checkpoints.keys() - self.damaged, default=None)

    def history(self) -> list[tuple[str, int, dict[str, Value]]]:
        """The joined curve: a start takes back what came after its step."""
        told: list[tuple[str, int, dict[str, Value]]] = []
        for line in (line for lines in self.segments for line in lines if line.whole and line.record):
            assert line.record is not None
            if line.record[0] == "start":
                told = [record for record in told if record[1] <= line.record[1]]
            told.append(line.record)
        return told

    def wanted(self, keep_every: int = 0, keep: Collection[int] = ()) -> set[int]:
        """The steps that rotation leaves."""
        if self.pointers is None:
            return set(self.checkpoints)
        stay = {self.pointers.best, self.pointers.last, *self.pointers.kept, *keep, max(self.checkpoints, default=0)}
        return {step for step in self.checkpoints if step in stay or (keep_every and step % keep_every == 0)}

    def forget_others(self, steps: Collection[int]) -> None:
        """These checkpoints are left."""
        self.checkpoints = {step: state for step, state in self.checkpoints.items() if step in steps}
        self.damaged &= self.checkpoints.keys()

    def add_line(self, record: tuple[str, int, dict[str, Value]], grown: bytes) -> None:
        """A line was written, or a part of it."""
        lines, whole = self.segments[-1], grown.endswith(b"\n")
        if lines and not lines[-1].whole:  # somebody had cut this file; the two make one line of garbage
            lines[-1] = Line(None, lines[-1].length + len(grown), whole)
        elif grown:
            lines.append(Line(record, len(grown), whole))


def marked(pointers: Pointers | None, step: int, tags: Collection[Tag], there: Collection[int]) -> Pointers:
    """The pointers with tags moved to a step; where they were damaged, nothing that is there may go."""
    old = Pointers(kept=sorted(there)) if pointers is None else pointers
    return Pointers(
        best=step if "best" in tags else old.best,
        last=step if "last" in tags else old.last,
        kept=sorted({*old.kept, step}) if "kept" in tags else old.kept,
    )


def damage_file(path: Path, place: int, how: int) -> None:
    """Flip bit 0 to 7 of a byte, or (8) cut the file off; not only the line's end, which nobody would miss."""
    content = bytearray(path.read_bytes())
    place %= len(content) - 1
    if how == 8:
        del content[place:]
    else:
        content[place] ^= 1 << how
    with path.open("r+b") as handle:
        handle.truncate(len(content))
        handle.write(content)


def cut_lines(lines: list[Line], size: int) -> None:
    """Their file is now of that many bytes."""
    while lines and size < sum(line.length for line in lines):
        length = sum(line.length for line in lines[:-1])
        if length >= size:
            lines.pop()
        else:
            lines[-1].length, lines[-1].whole, lines[-1].record = size - length, False, None


def break_line(path: Path, lines: list[Line], place: int) -> None:
    """The first byte of a line, or its last, becomes one that no JSON has."""
    ends = [sum(line.length for line in lines[: index + 1]) for index in range(len(lines))]
    size = ends[-1]
    index = place % len(lines)
    at = ends[index] - 1 if place % 2 and lines[index].whole else ends[index] - lines[index].length
    if KNOWN_BY <= at < size - KNOWN_BY or lines[index].record is None:
        return  # the same bit twice would heal it
    content = bytearray(path.read_bytes())
    joined = content[at] == ord("\n")
    content[at] ^= 0x80
    with path.open("r+b") as handle:
        handle.write(content)
    lines[index].record = None
    if joined and index + 1 < len(lines):
        following = lines.pop(index + 1)
        lines[index].length += following.length
        lines[index].whole = following.whole
    elif joined:
        lines[index].whole = False


def key(kind: str, step: int, values: dict[str, Any]) -> str:
    """To compare records by; NaN is itself."""
    return repr((kind, step, sorted(values.items())))


def agree(history: RunHistory, told: list[tuple[str, int, dict[str, Any]]]) -> None:
    """The screen's columns hold the same as the account; a step that does not follow the one before is passed over."""
    losses: list[tuple[int, Any]] = []
    segments_begun: list[int] = []
    for kind, step, values in told:
        if kind == "train" and (not losses or step > losses[-1][0]):
            losses.append((step, values["loss"]))
        elif kind == "start":
            segments_begun.append(step)
    assert [(x, low) for x, low, _ in history.series("loss", 0, 1e9, 10**6)] == losses
    expected = [(step, repr(values["val_loss"])) for kind, step, values in told if kind == "eval"]
    assert [(each.step, repr(each.val_loss)) for each in history.evaluations] == expected
    texts = [(step, values["text"]) for kind, step, values in told if kind == "sample"]
    assert [(sample.step, sample.text) for sample in history.samples] == texts
    events = [(step, values["event"]) for kind, step, values in told if kind == "mark"]
    assert [(mark.step, mark.event) for mark in history.marks] == events
    assert list(history.segments) == segments_begun
