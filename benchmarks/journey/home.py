"""An empty home for each measurement, the app in it, and the trainers that it leaves behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from benchmarks.journey.terminal import NotSeenError, Terminal
from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.runs.metrics import MetricRecord
from tui_gpt.core.runs.ownership import signal_trainer
from tui_gpt.core.runs.store import Run, RunStore
from tui_gpt.ui.memory import FILE_NAME, Memory, encode_memory

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent.parent
_FOREIGN = ("TUI_GPT", "TEXTUAL", "NO_COLOR", "OMP_", "MKL_", "GOMP_", "MALLOC_", "PYTEST", "TMUX", "TERM_PROGRAM")
"""Beginnings of variables that would make the app another one than a person starts."""

_TOLD = 2000
"""Characters of a failed program's last words."""


class Home:
    """A temporary TUI_GPT_HOME. At its end its trainers are killed, and it is deleted."""

    def __init__(self) -> None:
        self.outside = Path(tempfile.mkdtemp(prefix="tui-gpt-journey-"))
        """A folder beside the home, for texts and for working in."""
        self.folder = self.outside / "home"
        self.store = RunStore(self.folder / "runs")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        self.environment = kept | {
            "TUI_GPT_HOME": str(self.folder),
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": search,
        }

    # ---- programs

    def app(self, *arguments: str) -> Terminal:
        """`tui-gpt` in a terminal."""
        return self.program("-m", "tui_gpt", *arguments)

    def program(self, *arguments: str) -> Terminal:
        """A Python program in a terminal."""
        return Terminal([sys.executable, *arguments], self.environment, self.outside)

    def run(self, *arguments: str) -> str:
        """A Python program without a terminal, to its end; returns what it printed. Raises NotSeenError."""
        done = subprocess.run(
            [sys.executable, *arguments],
            env=self.environment,
            cwd=self.outside,
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise NotSeenError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr[-_TOLD:].strip()}")
        return done.stdout

    def command(self, *arguments: str) -> str:
        """`tui-gpt COMMAND ...` to its end; returns its stdout."""
        return self.run("-m", "tui_gpt", *arguments)

    def remember(self, **fields: Any) -> None:
        """Write app.json as an earlier start of the app would have left it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / FILE_NAME).write_bytes(encode_memory(Memory(**fields)))

    # ---- runs

    def runs(self) -> list[Run]:
        """Those that can be read, newest first."""
        return [run for run in self.store.list() if isinstance(run, Run)]

    def await_run(self, *, state: str = "running", seconds: float = 120.0) -> Run:
        """The newest run, once it is in that state."""

        def found() -> Run | None:
            for run in self.runs()[:1]:
                if run.effective_state() == state:
                    return run
            return None

        return until(found, f"a run that is {state}", seconds)

    def kill_trainers(self) -> None:
        """End what trains here."""
        for run in self.runs():
            try:
                if run.liveness() != "dead":
                    signal_trainer(run.folder, signal.SIGKILL)
                    until(partial(_is_dead, run), f"the end of the trainer of {run.name}", 20.0)
            except TuiGptError:
                continue

    def close(self) -> None:
        """Leave nothing behind."""
        self.kill_trainers()
        shutil.rmtree(self.outside, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def until(condition: Callable[[], T | None], what: str, seconds: float, *, pace: float = 0.02) -> T:
    """The first value of `condition` that means yes. Raises NotSeenError."""
    deadline = time.perf_counter() + seconds
    while not (value := condition()):
        if time.perf_counter() > deadline:
            raise NotSeenError(f"{what} did not come within {seconds:g} s")
        time.sleep(pace)
    return value


def _is_dead(run: Run) -> bool:
    return run.liveness() == "dead"


def records(run: Run, *kinds: str) -> list[MetricRecord]:
    """The lines of these kinds, all segments one after the other, superseded ones too."""
    return [record for record in run.reader().poll() if record.kind in kinds]


def train_steps(run: Run) -> list[int]:
    """The steps of the training lines, in the order of writing."""
    return [record.step for record in records(run, "train")]


def settings(**sections: dict[str, Any]) -> Sequence[str]:
    """Fields as arguments of the command line: `train={"seed": 3}` is `--set train.seed=3`."""
    return [
        word
        for section, fields in sections.items()
        for name, value in fields.items()
        for word in ("--set", f"{section}.{name}={value}")
    ]
