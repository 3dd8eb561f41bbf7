"""What was read of a long run, kept in the cache: the next opening loads it and parses only what was added since.

A file is the length of its facts, the facts as MessagePack, a checksum, the arrays as they lie in memory, and another
checksum. Where anything is odd about a file, it counts as none: the run's own lines are the truth.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import sys
import time
from array import array
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, BinaryIO, NamedTuple, TypeVar
from weakref import WeakSet
from zlib import crc32

import msgspec
from msgspec import Meta

from tui_gpt.core import locations
from tui_gpt.core.files import atomic_file
from tui_gpt.core.runs.metric_lines import Place
from tui_gpt.core.runs.plain_files import is_temporary, open_regular
from tui_gpt.ui.curves.columns import Part, full_blocks
from tui_gpt.ui.curves.moments import Evaluation, Mark, SampleText
from tui_gpt.ui.curves.readings import MEASURED

SCHEMA = 1
_WORD = 8  # bytes of an entry, and of the length in front of the facts
_CHECKSUM = 4
_PIECE = 4 << 20  # less often, and the thread that draws would keep this one waiting for the interpreter each time
_SPARE = 1 << 28  # bytes left free: a trainer whose checkpoint finds no room would pay for it
_MOST_FILES = 32
_MOST_BYTES = 2 << 30
_LEFTOVER_SECONDS = 60.0
_LAST_SECONDS = 0.3  # how long the end of the program may wait for a file that is nearly written
_SUFFIX = ".curves"

Array = TypeVar("Array", "array[int]", "array[float]")
Count = Annotated[int, Meta(ge=0, le=2**53)]


class Facts(msgspec.Struct, frozen=True):
    """All that is known of a run but its columns, and how long these are."""

    schema: int
    byteorder: str
    places: tuple[Place, ...]
    garbage: Count
    out_of_order: Count
    newest_step: Count
    n_steps: Count
    n_evaluations: Count
    has_gaps: tuple[bool, ...]
    """Of each column in the order of `MEASURED`, then of the validation losses."""
    smoothing: Annotated[float, Meta(ge=0, lt=1)]
    smoothing_state: tuple[float, Annotated[float, Meta(ge=0, le=1)]]
    evaluations: tuple[Evaluation, ...]
    samples: tuple[SampleText, ...]
    marks: tuple[Mark, ...]
    segments: tuple[int, ...]
    gaps: tuple[int, ...]
    ended: bool
    end_reason: str


class Axes(NamedTuple):
    """A timeline."""

    steps: array[int]
    elapsed: array[float]
    tokens: array[float]


class Kept(NamedTuple):
    """A run as it was kept: `parts` are those of `Column`, the columns are in the order of `MEASURED`."""

    facts: Facts
    timeline: Axes
    columns: list[list[array[float]]]
    smoothed: array[float]
    val_timeline: Axes
    val_loss: list[array[float]]


def kept_file(run_folder: Path) -> Path:
    """Where what is known of the run in a folder is kept."""
    name = hashlib.sha256(os.fsencode(run_folder.absolute())).hexdigest()[:32]
    return locations.cache_dir() / "curves" / f"{name}{_SUFFIX}"


# ---- reading


def load(path: Path) -> Kept | None:
    """What was kept, in arrays of the caller's own; None where nothing was, or where anything is wrong with it."""
    try:
        with open_regular(path) as file:
            found = _read(_Checked(file))
    except (OSError, ValueError, RecursionError, MemoryError, msgspec.DecodeError):
        return None
    with suppress(OSError):
        os.utime(path)  # the longest unused goes first
    return found


def _read(file: _Checked) -> Kept:
    content = file.read(int.from_bytes(file.read(_WORD), "little"))
    file.check()  # before anything in there is believed
    facts = msgspec.msgpack.decode(content, type=Facts)
    if (facts.schema, facts.byteorder, len(facts.has_gaps)) != (SCHEMA, sys.byteorder, len(MEASURED) + 1):
        raise ValueError("made by another version, or on another machine")
    kept = Kept(
        facts,
        file.axes(facts.n_steps),
        [file.column(facts.n_steps) for _ in MEASURED],
        file.floats(facts.n_steps),
        file.axes(facts.n_evaluations),
        file.column(facts.n_evaluations),
    )
    file.check()
    if file.rest:
        raise ValueError("longer than it says")
    return kept


class _Checked:
    """Reads a file piece by piece. Raises ValueError where it is shorter than it says, or not as it was written."""

    def __init__(self, file: BinaryIO) -> None:
        self._descriptor = file.fileno()
        self._checksum = 0
        self.rest = os.fstat(self._descriptor).st_size
        """Bytes from here to the end."""

    def read(self, length: int) -> bytes:
        self._take(length)
        content = bytearray(length)
        self._fill(memoryview(content))
        return bytes(content)

    def floats(self, count: int) -> array[float]:
        return self._entries(array("d", (0.0,)), count)

    def axes(self, count: int) -> Axes:
        return Axes(self._entries(array("q", (0,)), count), self.floats(count), self.floats(count))

    def column(self, count: int) -> list[array[float]]:
        return [self.floats(count), *(self.floats(full) for full in full_blocks(count) for _ in ("lows", "highs"))]

    def check(self) -> None:
        expected = self._checksum.to_bytes(_CHECKSUM, "little")
        if self.read(_CHECKSUM) != expected:
            raise ValueError("damaged")

    def _entries(self, zero: Array, count: int) -> Array:
        self._take(count * _WORD)
        entries = zero * count
        if count:
            self._fill(memoryview(entries).cast("B"))
        return entries

    def _fill(self, memory: memoryview) -> None:
        for begin in range(0, len(memory), _PIECE):
            piece = memory[begin : begin + _PIECE]
            if os.readv(self._descriptor, [piece]) != len(piece):
                raise ValueError("cut off while it was read")
            self._checksum = crc32(piece, self._checksum)

    def _take(self, length: int) -> None:
        self.rest -= length
        if self.rest < 0:
            raise ValueError("shorter than it says")


# ---- writing


Writing = Generator[None, None, None]
_unfinished: WeakSet[Writing] = WeakSet()


def keep(path: Path, facts: Facts, parts: Sequence[Part]) -> Writing:
    """Write it, a little with each step of the iteration; the file is there when that has ended.

    `parts` are in the order of `Kept`. They may grow meanwhile; the entries that are meant must stay. The iteration
    raises OSError, and OverflowError or ValueError for facts that cannot be written. One that is closed, or let go,
    leaves nothing behind; one that is under way when the program ends is finished then if it is soon done.
    """
    writing = _write(path, facts, parts)
    _unfinished.add(writing)
    return writing


@atexit.register
def _finish() -> None:
    deadline = time.monotonic() + _LAST_SECONDS
    for writing in list(_unfinished):
        with suppress(OSError, OverflowError, ValueError):
            for _ in writing:
                if time.monotonic() > deadline:
                    break
            writing.close()


def _write(path: Path, facts: Facts, parts: Sequence[Part]) -> Writing:
    content = msgspec.msgpack.encode(facts)
    path.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(path.parent).free < _SPARE + len(content) + _WORD * sum(length for _, length in parts):
        return
    # Not durable: what a power loss takes is parsed again.
    with atomic_file(path, durable=False) as file:
        start = len(content).to_bytes(_WORD, "little") + content
        checksum = crc32(start)
        file.write(start + checksum.to_bytes(_CHECKSUM, "little"))
        checksum = crc32(checksum.to_bytes(_CHECKSUM, "little"), checksum)
        for entries, length in parts:
            for begin in range(0, length, _PIECE // _WORD):
                # A copy: an array that lends its memory could not grow.
                piece = entries[begin : min(length, begin + _PIECE // _WORD)]
                checksum = crc32(piece, checksum)
                file.write(piece)
                yield
        file.write(checksum.to_bytes(_CHECKSUM, "little"))
    _tidy(path.parent)


def _tidy(folder: Path) -> None:
    """Let the longest unused go where there are too many, and what a killed program left half written."""
    files = []
    for path in folder.iterdir():
        found = path.stat()
        if path.name.endswith(_SUFFIX):
            files.append((found.st_mtime, found.st_size, path))
        elif is_temporary(path.name) and found.st_mtime < time.time() - _LEFTOVER_SECONDS:
            path.unlink(missing_ok=True)
    room = _MOST_BYTES
    for place, (_, size, path) in enumerate(sorted(files, reverse=True)):
        room -= size
        if place >= _MOST_FILES or (room < 0 and place):
            path.unlink(missing_ok=True)
