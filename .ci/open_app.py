"""Paste a line that opens the app into a terminal, press F5, see a run train, leave it running, and end it.

    python3 .ci/open_app.py FOLDER LINE

Needs only the standard library. Leaves with 1 and the last bytes of the screen when something does not come to pass.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time

F5, CTRL_Q, ENTER = b"\x1b[15~", b"\x11", b"\r"
LEFT_ALTERNATE_SCREEN = b"\x1b[?1049l"


class Terminal:
    """A shell's terminal of 120 x 40, read as bytes."""

    def __init__(self, folder: str, line: str) -> None:
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            os.execvp("bash", ["bash", "-euo", "pipefail", "-c", line])
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.seen = b""

    def read(self, seconds: float) -> bool:
        """Read what is there, waiting at most so long; False at the end of the program."""
        ready, _, _ = select.select([self.descriptor], [], [], seconds)
        if ready:
            try:
                chunk = os.read(self.descriptor, 1 << 16)
            except OSError:
                return False
            self.seen += chunk
            return bool(chunk)
        return True

    def wait_for(self, wanted: bytes, seconds: float) -> None:
        """Wait until `wanted` was written since the last key."""
        deadline = time.monotonic() + seconds
        while wanted not in self.seen:
            if time.monotonic() > deadline or not self.read(0.2):
                sys.exit(f"error: {wanted!r} did not appear; the end of what did:\n{self.seen[-3000:]!r}")

    def press(self, key: bytes) -> None:
        """Press a key, and look from here on."""
        self.seen = b""
        os.write(self.descriptor, key)

    def end(self, seconds: float) -> int:
        """Wait for the end of the program; returns its exit code."""
        deadline = time.monotonic() + seconds
        while self.read(0.2) and time.monotonic() < deadline:
            pass
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


def main(folder: str, line: str) -> None:
    """The shortest way from nothing to a run that goes on by itself."""
    terminal = Terminal(folder, line)
    terminal.wait_for(b"Start training", 600)
    terminal.press(F5)
    terminal.wait_for(b"running", 120)
    terminal.press(CTRL_Q)
    terminal.wait_for(b"Leave it running", 30)
    terminal.press(ENTER)
    code = terminal.end(30)
    if code or LEFT_ALTERNATE_SCREEN not in terminal.seen:
        sys.exit(f"error: the app ended with {code}; the end of what it wrote:\n{terminal.seen[-3000:]!r}")


if __name__ == "__main__":
    main(*sys.argv[1:])
