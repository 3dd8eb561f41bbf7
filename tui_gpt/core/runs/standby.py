"""A trainer process that is started before there is a run for it: importing torch takes longer than most first steps.

It waits, with everything imported, for one line on stdin: a JSON object with `log`, the file that stdout and stderr
go to from then on, and `arguments`, those of the worker. When stdin closes without it, because whoever started it has
changed their mind or died, it leaves.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgspec

from tui_gpt.core.runs.child_process import INTERPRETER, STANDBY_MODULE, trainer_environment


class Order(msgspec.Struct, frozen=True):
    """What a standby is told: its one line."""

    log: str
    arguments: list[str]


class StandbyTrainer:
    """A process that becomes the trainer of one run, or of none. For use from one thread at a time."""

    def __init__(self, extra_env: Mapping[str, str] | None = None) -> None:
        """Start it. Where the system starts none, `alive` is False and `take` gives none: nobody depends on it."""
        self._process: subprocess.Popen[bytes] | None = None
        with suppress(OSError):
            self._process = subprocess.Popen(
                [*INTERPRETER, "-m", STANDBY_MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=os.sep,
                env=trainer_environment(extra_env),
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.dismiss()

    @property
    def alive(self) -> bool:
        """Whether it still waits."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The process id; None once it was taken or dismissed."""
        return self._process.pid if self._process else None

    def take(self, log: Path, arguments: Sequence[str]) -> subprocess.Popen[bytes] | None:
        """Let it be the trainer that `arguments` describe; None where it waits no more. It can be taken once."""
        process, self._process = self._process, None
        if process is None:
            return None
        if process.poll() is not None:
            _reap(process)
            return None
        assert process.stdin is not None
        try:
            process.stdin.write(msgspec.json.encode(Order(str(log), list(arguments))) + b"\n")
            process.stdin.close()
        except OSError:
            _reap(process)
            return None
        return process

    def dismiss(self) -> None:
        """Let it go; it leaves by itself."""
        process, self._process = self._process, None
        if process is not None:
            _reap(process)


def _reap(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()
    # It may be in the middle of an import, and nobody waits for that.
    process.terminate()
    threading.Thread(target=process.wait, name=f"reaper of {process.pid}", daemon=True).start()
