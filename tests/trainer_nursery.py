"""Trainers by the hundred: a process that has imported everything forks one whenever it is asked.

Each is a process of its own, in a session of its own, and does what the worker does, with the faults that it is to
meet (`faulty_trainer`). Starting one from nothing takes seconds, most of them for importing torch.

`python -m trainer_nursery` is the process: one JSON object per line on stdin, one per line on stdout. When stdin
closes it kills what it forked and ends.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from tui_gpt.core.runs.child_process import INTERPRETER, trainer_environment

HERE = Path(__file__).resolve().parent


class Fork:
    """A trainer that the nursery forked."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self._nursery, self.pid = nursery, pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self._code is None:
            self._code = self._nursery.ask({"poll": self.pid})["code"]
        return self._code

    def wait(self, seconds: float = 60.0) -> int:
        """Wait for its end; returns the exit code. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() >= deadline:
                raise TimeoutError(f"process {self.pid} did not end in {seconds:g} seconds")
            time.sleep(0.005)
        return code

    def send_signal(self, signum: int) -> None:
        """Signal it; nothing once it was waited for."""
        if self._code is None:
            os.kill(self.pid, signum)  # until it was waited for, nobody else gets its id

    def kill(self) -> int:
        """SIGKILL; returns the exit code, which is another one where it had ended before."""
        self.send_signal(signal.SIGKILL)
        return self.wait()


class Nursery:
    """The other end of the process that forks."""

    def __init__(self) -> None:
        search = trainer_environment().get("PYTHONPATH", "")
        path = os.pathsep.join(filter(None, [search, str(HERE)]))
        self._process = subprocess.Popen(
            [*INTERPRETER, "-m", "trainer_nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=trainer_environment({"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}),
        )
        self.ask({})  # answered when all is imported, so that tests can measure what comes after

    def start(self, folder: Path, home: Path, faults: Sequence[Mapping[str, Any]] = ()) -> Fork:
        """A trainer of the run in `folder`."""
        return Fork(self, self.ask({"run": str(folder), "home": str(home), "faults": list(faults)})["pid"])

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """One request, one answer."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        answer: dict[str, Any] = json.loads(process.stdout.readline())
        return answer

    def close(self) -> None:
        """End it and all that it forked."""
        self._process.communicate(timeout=60)


@cache
def nursery() -> Nursery:
    """The nursery of this process."""
    opened = Nursery()
    atexit.register(opened.close)
    return opened


def main() -> int:
    """Fork trainers until stdin closes."""
    import faulty_trainer

    running: set[int] = set()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        answer: dict[str, Any] = {}
        if "poll" in request:
            pid, status = os.waitpid(request["poll"], os.WNOHANG)
            running.discard(pid)
            answer = {"code": os.waitstatus_to_exitcode(status) if pid else None}
        elif "run" not in request:
            pass
        elif pid := os.fork():
            running.add(pid)
            answer = {"pid": pid}
        else:
            _be_trainer(request, faulty_trainer)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    for pid in running:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return 0


def _be_trainer(request: Mapping[str, Any], faulty_trainer: Any) -> None:
    code = 70
    try:
        folder = request["run"]
        os.setsid()
        log = os.open(
            f"{folder}/training_{datetime.now().astimezone():%Y%m%d_%H%M%S}.log",
            os.O_WRONLY | os.O_CREAT | os.O_APPEND,
            0o644,
        )
        nothing = os.open(os.devnull, os.O_RDONLY)
        for target, source in enumerate((nothing, log, log)):
            os.dup2(source, target)
        os.chdir(folder)
        os.environ["TUI_GPT_HOME"] = request["home"]
        # Tests wait for their trainers: no key press is to be faster.
        faulty_trainer.worker.give_way = lambda: None
        sys.argv = ["worker", "--run", folder]
        faulty_trainer.set_faults(request["faults"])
        code = faulty_trainer.worker.main()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
