"""A process that opens model folders with little memory: `python -m bounded_loader`.

It takes the path of a folder on each line of stdin, and answers each with a line of JSON: what became of it, and what
it took. More than GIGABYTES beyond what the imports took is refused by the kernel, so that whoever asks for it fails.
"""

from __future__ import annotations

import json
import os
import resource
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from tui_gpt.core.runs.child_process import trainer_environment

GIGABYTES = 1.5
PATIENCE = 60.0
HERE = Path(__file__).resolve().parent


class Outcome(NamedTuple):
    """What became of a folder."""

    error: str
    """The kind of error, empty where the model was opened."""
    message: str
    seconds: float
    megabytes: float
    """By which the process grew."""


class Loader:
    """The other end: asks, and reads what is answered."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def open(self, folder: Path) -> Outcome:
        """Let the process open a folder. Fails if it died of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{folder}\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], PATIENCE)[0]:
            self._process.kill()
            raise AssertionError(f"no answer within {PATIENCE:g} s of {folder}")
        answer = self._process.stdout.readline()
        assert answer, f"the process died (exit code {self._process.wait(10)}) of {folder}"
        return Outcome(**json.loads(answer))


@contextmanager
def bounded_loader() -> Iterator[Loader]:
    """A process of that kind."""
    environment = trainer_environment()
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [environment.get("PYTHONPATH"), str(HERE)]))
    environment["OMP_NUM_THREADS"] = "1"
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "bounded_loader"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Loader(process)
    finally:
        process.communicate(timeout=30)


def main() -> None:
    """Answer until stdin ends."""
    from tui_gpt.engine.interop.huggingface import read_model_folder

    me = psutil.Process()
    limit = me.memory_info().vms + int(GIGABYTES * (1 << 30))
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for line in sys.stdin:
        before, began = me.memory_info().rss, time.monotonic()
        error, message = "", ""
        loaded: Any = None
        try:
            loaded = read_model_folder(Path(line.rstrip("\n")))
        except Exception as failure:
            error, message = type(failure).__name__, str(failure)
        seconds, grown = time.monotonic() - began, (me.memory_info().rss - before) / 1e6
        del loaded
        print(json.dumps(Outcome(error, message, seconds, grown)._asdict()), flush=True)


if __name__ == "__main__":
    main()
