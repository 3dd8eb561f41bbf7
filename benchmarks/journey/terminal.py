"""A pseudo-terminal with a program in it: keys go in, and what it writes is kept with the time of its reading.

Parsing is left for later (replay.py), so that it takes no time from the program while that is measured.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import sys
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.journey.replay import COLUMNS, ROWS, Chunk, Emulator, Picture, Seen

_READ_BYTES = 1 << 16
_LOOK_SECONDS = 0.02
_END_SECONDS = 10.0
_SWITCH_SECONDS = 0.0005
"""How long parsing may keep the reader from the interpreter: the reader's clock must be right while one waits live."""

_ANSWERS = {b"\x1b[?2026$p": b"\x1b[?2026;2$y", b"\x1b[?2048$p": b"\x1b[?2048;0$y"}
"""Synchronised output is known, as most terminals know it today; resizing is told by signal."""

KEYS = {
    "enter": b"\r",
    "tab": b"\t",
    "backtab": b"\x1b[Z",
    "escape": b"\x1b",
    "up": b"\x1b[A",
    "down": b"\x1b[B",
    "right": b"\x1b[C",
    "left": b"\x1b[D",
    "home": b"\x1b[H",
    "end": b"\x1b[F",
    "backspace": b"\x7f",
    "f1": b"\x1bOP",
    "f2": b"\x1bOQ",
    "f3": b"\x1bOR",
    "f4": b"\x1bOS",
    "f5": b"\x1b[15~",
    "f6": b"\x1b[17~",
    "ctrl+q": b"\x11",
    "ctrl+s": b"\x13",
}


class NotSeenError(Exception):
    """What was waited for did not come; the message has the screen."""


class Terminal:
    """A program in a terminal of 120 x 40 that knows what most terminals of today know."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        """Starts `command`, whose first word is the path of an executable, in `folder`."""
        self.recording: list[Chunk] = []
        self._emulator = Emulator()
        self._parsed = 0
        self._exit_code: int | None = None
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.started = time.perf_counter()
        """Just before the process is made."""
        self.pid = os.fork()
        if not self.pid:
            _become(command, environment, folder, self._master, slave)
        os.close(slave)
        self._wake_reader, self._wake = os.pipe()
        self._reader = threading.Thread(target=self._read, name=f"reader of {self.pid}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        readable = select.poll()
        readable.register(self._master, select.POLLIN)
        readable.register(self._wake_reader, select.POLLIN)
        while True:
            if any(descriptor == self._wake_reader for descriptor, _ in readable.poll()):
                return
            try:
                data = os.read(self._master, _READ_BYTES)
            except OSError:
                return  # EIO: the program has gone
            self.recording.append(Chunk(time.perf_counter(), data))
            if not data:
                return
            for question, answer in _ANSWERS.items():
                if question in data:
                    os.write(self._master, answer)

    # ---- keys

    def press(self, key: str) -> float:
        """Press a key of KEYS, or type a text as it is; returns when. Raises NotSeenError when the program is gone."""
        data = KEYS.get(key, key.encode())
        now = time.perf_counter()
        try:
            os.write(self._master, data)
        except OSError as error:
            raise NotSeenError(f"the program was gone before {key!r} could be pressed: {error.strerror}") from None
        return now

    # ---- what it shows

    @property
    def picture(self) -> Picture:
        """The screen as far as it was parsed."""
        return self._emulator.picture

    def look(self) -> Picture:
        """The screen by now."""
        while self._parsed < len(self.recording):
            self._step()
        return self.picture

    def until(self, seen: Seen, what: str, *, seconds: float = 60.0) -> float:
        """Wait for something to be seen; returns when the chunk was read with which it was there.

        What was there before the call, at the point that parsing had come to, counts as seen then. Raises NotSeenError.
        """
        interval = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_SECONDS)
        try:
            deadline = time.perf_counter() + seconds
            if seen(self.picture):
                return self.recording[self._parsed - 1].time if self._parsed else self.started
            while True:
                while self._parsed < len(self.recording):
                    if seen(self._step()):
                        return self.recording[self._parsed - 1].time
                if time.perf_counter() > deadline or not self.alive:
                    raise NotSeenError(f"{what} was not seen within {seconds:g} s; the screen:\n{self.look().text}")
                time.sleep(_LOOK_SECONDS)
        finally:
            sys.setswitchinterval(interval)

    def _step(self) -> Picture:
        picture = self._emulator.feed(self.recording[self._parsed].data)
        self._parsed += 1
        return picture

    def rest(self, seconds: float) -> None:
        """Record without looking."""
        time.sleep(seconds)

    def quiet(self, seconds: float, *, at_most: float = 30.0) -> None:
        """Wait until nothing was written for so long."""
        deadline = time.perf_counter() + at_most
        while time.perf_counter() < deadline:
            last = self.recording[-1].time if self.recording else self.started
            if time.perf_counter() - last >= seconds:
                return
            time.sleep(_LOOK_SECONDS)

    # ---- its life

    @property
    def alive(self) -> bool:
        """Whether the program runs."""
        if self._exit_code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._exit_code = os.waitstatus_to_exitcode(status)
        return self._exit_code is None

    def wait(self, seconds: float = _END_SECONDS) -> int | None:
        """Wait for the end; returns the exit code, negative for a signal, or None after so many seconds."""
        deadline = time.perf_counter() + seconds
        while self.alive and time.perf_counter() < deadline:
            time.sleep(_LOOK_SECONDS)
        return self._exit_code

    def signal(self, signum: int) -> None:
        """Send a signal to the program alone."""
        if self.alive:
            os.kill(self.pid, signum)

    def hang_up(self) -> None:
        """Close the terminal under the program, as a closed window does."""
        if self._master < 0:
            return
        # A descriptor that is being read stays open behind its close.
        os.write(self._wake, b"!")
        self._reader.join()
        for descriptor in (self._master, self._wake, self._wake_reader):
            os.close(descriptor)
        self._master = -1

    def close(self) -> None:
        """End the program, if need be by force."""
        for signum in (signal.SIGTERM, signal.SIGKILL):
            self.signal(signum)
            if self.wait() is not None:
                break
        self.hang_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _become(command: Sequence[str], environment: Mapping[str, str], folder: Path, master: int, slave: int) -> None:
    """In the child: take the terminal and become the program."""
    with contextlib.suppress(OSError):
        os.close(master)
        os.login_tty(slave)
        os.chdir(folder)
        os.execve(command[0], list(command), dict(environment))
    os._exit(127)
