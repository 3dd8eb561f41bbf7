"""A real session process at the other end of two pipes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tui_gpt.core.messages import Ending, Reply, Request, decode_reply, encode
from tui_gpt.core.runs.child_process import trainer_environment

DEADLINE = 60.0

# Runs the session with something in it replaced: what a library might do one day.
_MEDDLE = """
import os, runpy, sys
import tui_gpt.engine.text.prepare as prepare
real = prepare.prepare
def meddled(*arguments, **named):
    {deed}
    return real(*arguments, **named)
prepare.prepare = meddled
del sys.argv[0:1]
runpy.run_module("tui_gpt.engine.session", run_name="__main__")
"""


class Talk:
    """A session process, spoken to line by line."""

    def __init__(self, home: Path, folder: Path, *, deed: str | None = None) -> None:
        """Lives in `home` and logs into `folder`; `deed` is Python that runs whenever it prepares a text."""
        self.log = folder / "session.log"
        how = ["-m", "tui_gpt.engine.session"] if deed is None else ["-c", _MEDDLE.format(deed=deed), "session"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", *how, "--log", str(self.log)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=trainer_environment({"TUI_GPT_HOME": str(home), "OMP_NUM_THREADS": "1"}),
            )
        self.first = self.read()

    def write(self, line: bytes) -> None:
        """Send bytes as they are."""
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def send(self, *requests: Request) -> None:
        """Send requests at once, without waiting for what becomes of them."""
        self.write(b"".join(encode(request) for request in requests))

    def read(self) -> Reply:
        """The next reply; the end of the process in its place fails the test with its log."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.log.read_text()
        return decode_reply(line)

    def until(self, *kinds: type[Reply]) -> list[Reply]:
        """The replies up to the first of these kinds."""
        replies = [self.read()]
        while not isinstance(replies[-1], kinds):
            replies.append(self.read())
        return replies

    def ask(self, request: Request) -> Ending:
        """The answer, or how else it ended."""
        self.send(request)
        while not isinstance(reply := self.read(), Ending):
            pass
        return reply

    def end(self) -> int:
        """Close stdin and wait; returns the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(DEADLINE)

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(DEADLINE)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
