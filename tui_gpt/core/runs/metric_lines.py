"""The lines of a run's metrics as blocks of bytes, followed across segments: what every reader of them builds on."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from tui_gpt.core.errors import RunError
from tui_gpt.core.runs.plain_files import open_regular, reason

_SEGMENT = re.compile(r"metrics-([0-9]{4,})\.jsonl")
_LONGEST_LINE = 64 << 20  # bytes; a sample has some thousand, and what is longer must not fill the memory
_KNOWN_BY = 4096  # bytes at either end of what was read
_Count = Annotated[int, Meta(ge=0, le=2**53)]


def segments(run_folder: Path) -> list[tuple[int, Path]]:
    """The segments of a run, numbered, oldest first; empty where there is no such folder."""
    try:
        names = [entry.name for entry in run_folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = [(int(match[1]), run_folder / name) for name in names if (match := _SEGMENT.fullmatch(name))]
    return sorted(found)


class Place(msgspec.Struct, frozen=True):
    """How far a segment was read, and what it is known by when it is read on later."""

    number: _Count
    offset: _Count
    """Bytes of whole lines."""
    unfinished: _Count
    """Bytes after them."""
    head: bytes
    """SHA-256 of the first 4 KiB of what was read."""
    tail: bytes
    """SHA-256 of the last 4 KiB of what was read."""


class _Segment:
    """How far a segment was read, with the ends of what was read."""

    def __init__(self, number: int, offset: int = 0, head: bytes = b"", tail: bytes = b"") -> None:
        self.number = number
        self.offset = offset
        self.unfinished = 0
        self._head = head
        self._tail = tail

    def go_on(self, lines: bytes) -> None:
        self.offset += len(lines)
        if len(self._head) < _KNOWN_BY:
            self._head += lines[: _KNOWN_BY - len(self._head)]
        self._tail = lines[-_KNOWN_BY:] if len(lines) >= _KNOWN_BY else (self._tail + lines)[-_KNOWN_BY:]

    def place(self) -> Place:
        head, tail = (hashlib.sha256(end).digest() for end in (self._head, self._tail))
        return Place(self.number, self.offset, self.unfinished, head, tail)


class LineFollower:
    """Hands out whole lines, each once, in the order of writing.

    `torn` counts the lines that a killed trainer left unfinished in an earlier segment. `bytes_read` and `bytes_known`
    say how far the last call of `blocks` came, over all segments that it found.
    """

    def __init__(self, run_folder: Path) -> None:
        self._run_folder = run_folder
        self._here = _Segment(-1)
        self._passed: list[Place] = []
        self._bytes_before = 0
        self.torn = 0
        self.bytes_known = 0

    @property
    def bytes_read(self) -> int:
        """Bytes of whole lines handed out so far."""
        return self._bytes_before + self._here.offset

    def places(self) -> tuple[Place, ...]:
        """How far every segment was read, for `go_on_from`; what they are known by is of the bytes handed out."""
        return (*self._passed, self._here.place()) if self._here.number >= 0 else ()

    def go_on_from(self, places: Sequence[Place]) -> bool:
        """Begin where another follower was, if the segments are still those that it read; else say False."""
        if not places:
            return False
        try:
            known = [(number, path) for number, path in segments(self._run_folder) if number <= places[-1].number]
            if [number for number, _ in known] != [place.number for place in places]:
                return False
            found = [_read_ends(path, place) for (_, path), place in zip(known, places, strict=True)]
        except OSError:
            return False
        last = len(places) - 1
        for index, ((size, here), place) in enumerate(zip(found, places, strict=True)):
            if here.place() != msgspec.structs.replace(place, unfinished=0):
                return False
            # An earlier segment is complete. Had it grown, whoever reads it from its beginning would find more.
            if index < last and size != place.offset + place.unfinished:
                return False
        self._here, self._passed = found[last][1], list(places[:last])
        self._bytes_before = sum(place.offset for place in self._passed)
        self.torn = sum(1 for place in self._passed if place.unfinished)
        self.bytes_known = self.bytes_read
        return True

    def blocks(self, size: int) -> Iterator[bytes]:
        """What was added since the last call, in blocks of whole lines, each of about `size` bytes.

        Whoever stops early goes on where it stopped with the next call. Raises RunError when a segment cannot be read.
        """
        # Listed before reading: once a later segment is there, the writer of an earlier one is gone for good.
        try:
            known = [(number, path) for number, path in segments(self._run_folder) if number >= self._here.number]
        except OSError as error:
            raise RunError(
                f"{self._run_folder} cannot be read: {reason(error)}; check what lies there and its permissions"
            ) from None
        self.bytes_known = self._bytes_before + sum(map(_size, (path for _, path in known)))
        for index, (number, path) in enumerate(known):
            if number > self._here.number:
                self._bytes_before += self._here.offset
                self._passed = list(self.places())
                self._here = _Segment(number)
            try:
                self._here.unfinished = yield from self._read_on(path, size)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise RunError(f"{path} cannot be read: {reason(error)}; check its permissions") from None
            if self._here.unfinished and index + 1 < len(known):
                self.torn += 1

    def _read_on(self, path: Path, size: int) -> Generator[bytes, None, int]:
        """Whole lines from the offset on; returns how many bytes of an unfinished one remain after them."""
        wanted = size
        with open_regular(path) as handle:
            while chunk := os.pread(handle.fileno(), wanted, self._here.offset):
                if end := chunk.rfind(b"\n") + 1:
                    lines = chunk[:end]
                    self._here.go_on(lines)
                    wanted = size
                    yield lines
                elif len(chunk) < wanted:
                    return len(chunk)
                elif wanted >= _LONGEST_LINE:
                    raise OSError(errno.EFBIG, f"A line of more than {_LONGEST_LINE >> 20} MB", str(path))
                else:
                    wanted *= 2
        return 0


def _read_ends(path: Path, place: Place) -> tuple[int, _Segment]:
    """The size of a segment, and what is now found of it up to a place. Raises OSError."""
    length = min(place.offset, _KNOWN_BY)
    with open_regular(path) as handle:
        head = os.pread(handle.fileno(), length, 0)
        tail = os.pread(handle.fileno(), length, place.offset - length)
        return os.fstat(handle.fileno()).st_size, _Segment(place.number, place.offset, head, tail)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
