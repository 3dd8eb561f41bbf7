"""Commands as real processes, many of them: each is forked from one that has imported the command line.

    python forked_commands.py

reads one order per line, a JSON object with `arguments`, `environment` and what the three `streams` are: a path, or
`closed` (as after `>&-`), or `broken` (a pipe that nobody reads). It answers each with the exit code on a line. The
forked process ends as every Python process does, with the last writing of what is still in its buffers.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tui_gpt.core.runs.child_process import trainer_environment

DEADLINE = 120.0
LIGHT = (
    *("tui_gpt.core.model_handler", "tui_gpt.core.runs.store", "tui_gpt.core.presets", "tui_gpt.core.planning"),
    *("tui_gpt.cli.following", "tui_gpt.cli.planning", "tui_gpt.core.published", "tui_gpt.core.runs.steering"),
)
"""Without torch: a process that has it imported takes long to end. Commands that need it import it themselves."""
CLOSED, BROKEN = "closed", "broken"


class Done(NamedTuple):
    """How a command ended."""

    code: int
    """The exit code, negative for a signal."""
    out: str
    """What was written where stdout was a file."""
    err: str


class Commands:
    """The process from which commands are forked."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home, self._folder = home, folder
        folder.mkdir(parents=True, exist_ok=True)
        self._errors = (folder / "errors").open("w", encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=folder,
            env=trainer_environment({"TUI_GPT_HOME": str(home), "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}),
        )

    def run(
        self,
        *arguments: str | Path,
        stdin: str = os.devnull,
        stdout: str | None = None,
        stderr: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Done:
        """Run a command and wait for its end; streams that are not named are files, whose content is returned."""
        files = {number: self._folder / f"stream-{number}" for number in (1, 2)}
        for path in files.values():
            path.write_bytes(b"")
        streams = [stdin, stdout or str(files[1]), stderr or str(files[2])]
        order = {"arguments": [str(a) for a in arguments], "streams": streams, "environment": dict(environment or {})}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            pytest.fail(f"no process to fork from: {(self._folder / 'errors').read_text()}")
        out, err = (path.read_bytes().decode("utf-8", "backslashreplace") for path in files.values())
        return Done(int(answer), out, err)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(DEADLINE)
        self._errors.close()


def serve() -> None:
    """Fork until there are no more orders."""
    from tui_gpt import cli

    for module, _ in cli.COMMANDS.values():
        importlib.import_module(f"tui_gpt.cli.{module}")
    for module in LIGHT:
        importlib.import_module(module)
    gc.freeze()
    answers = os.dup(1)
    os.dup2(2, 1)
    while line := sys.stdin.readline():
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            os.close(answers)
            _become(order["streams"], order["environment"])
            cli.main(order["arguments"])
        _, status = os.waitpid(child, 0)
        os.write(answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _become(streams: Sequence[str], environment: Mapping[str, str]) -> None:
    """The streams and surroundings of the command, in the forked process."""
    os.environ.update(environment)
    opened = [_open(number, stream) for number, stream in enumerate(streams)]
    for number, descriptor in enumerate(opened):
        os.close(number)
        if descriptor is not None:
            os.dup2(descriptor, number)
            os.close(descriptor)
    # As the interpreter opens them: stderr by line, and able to show everything.
    settings: list[tuple[str, str, dict[str, Any]]] = [("stdin", "r", {}), ("stdout", "w", {})]
    settings.append(("stderr", "w", {"buffering": 1, "errors": "backslashreplace"}))
    for number, (name, mode, more) in enumerate(settings):
        given: Any = None
        if opened[number] is not None:
            given = open(number, mode, encoding="utf-8", closefd=False, **more)  # noqa: SIM115 - for its life
        setattr(sys, name, given)
        setattr(sys, f"__{name}__", given)


def _open(number: int, stream: str) -> int | None:
    """A descriptor of it that is none of the three."""
    if stream == CLOSED:
        return None
    if stream == BROKEN:
        reader, descriptor = os.pipe()
        os.close(reader)
    else:
        descriptor = os.open(stream, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_APPEND)
    high = fcntl.fcntl(descriptor, fcntl.F_DUPFD, 10)
    os.close(descriptor)
    return high


if __name__ == "__main__":
    serve()
