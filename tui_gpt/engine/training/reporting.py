"""What a trainer tells the world: status.json once a second, metrics by the step, and a log for people."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil

from tui_gpt.core.errors import RunError
from tui_gpt.core.runs.records import State, Status, StatusWriter

_HEARTBEAT_SECONDS = 1.0


class Reporter:
    """Keeps the newest status and writes it from a thread of its own, so that long steps and saves still show life.

    `on_lost` is called, from that thread or another, when the run's folder is not where it was: before each status,
    because by then another run may have its name.
    """

    def __init__(self, run_folder: Path, status: Status, on_lost: Callable[[], None] | None = None) -> None:
        self._folder, self._on_lost = run_folder, on_lost
        found = run_folder.stat()
        self._known_as = (found.st_dev, found.st_ino)
        self._writer = StatusWriter(run_folder, interval=_HEARTBEAT_SECONDS)
        self._guard = threading.Lock()
        self._status = status
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self.degraded = ""
        self._silent = False
        self._standing: dict[str, str] = {}

    def start(self) -> None:
        """Write the first status and keep it fresh from now on."""
        self.update(force=True)
        self._thread.start()

    def silence(self) -> None:
        """Write no file from now on: another rank speaks for this process."""
        self._silent = True

    @property
    def status(self) -> Status:
        """The newest status."""
        return self._status

    def update(self, *, force: bool = False, **changes: Any) -> None:
        """Change fields of the status. A change of state or activity, or `force`, is written at once."""
        with self._guard:
            at_once = force or any(
                name in changes and changes[name] != getattr(self._status, name) for name in ("state", "activity")
            )
            self._status = msgspec.structs.replace(self._status, **changes)
            if at_once:
                self._write()

    def warn(self, sentence: str, *, about: str = "") -> None:
        """Add a warning, once, to the status and the log.

        Of warnings `about` the same thing the newest stands, as the last of all, until `withdraw`.
        """
        old = self._standing.get(about, "") if about else sentence
        if about:
            self._standing[about] = sentence
        if sentence not in self._status.warnings:
            say(f"warning: {sentence}")
        if about or sentence not in self._status.warnings:
            others = [warning for warning in self._status.warnings if warning not in (old, sentence)]
            self.update(warnings=[*others, sentence], force=sentence not in self._status.warnings)

    def withdraw(self, about: str) -> None:
        """What was warned of is over: the status says no more of it, the log keeps it."""
        sentence = self._standing.pop(about, None)
        if sentence is not None:
            say(f"no more: {sentence}")
            self.update(warnings=[warning for warning in self._status.warnings if warning != sentence], force=True)

    def end(self, state: State, error: str | None = None) -> None:
        """Write the last status and stop the heartbeat."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self.update(state=state, error=error, activity="", remaining_seconds=None, force=True)

    def _beat(self) -> None:
        while not self._ended.wait(_HEARTBEAT_SECONDS):
            with self._guard:
                self._write()

    def _write(self) -> None:
        if self._silent:
            return
        if self._on_lost is not None and self._is_lost():
            self._on_lost()
            return
        # A full disk must not end the training: the next beat tries again.
        try:
            self._writer.write(self._status, force=True)
        except RunError as error:
            if not self.degraded:
                say(f"warning: {error}")
            self.degraded = str(error)
        else:
            self.degraded = ""

    def _is_lost(self) -> bool:
        try:
            found = self._folder.stat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False  # a disk that does not answer now may do so later
        return (found.st_dev, found.st_ino) != self._known_as


class MemoryGauge:
    """What this process takes of the device that it computes on."""

    def __init__(self, device: str) -> None:
        self._cuda = device if device.startswith("cuda") else ""
        self._process = psutil.Process()
        self._bytes = 0

    def read(self) -> int:
        """Bytes: of a CUDA device the most that tensors took so far, else what of the machine's memory is in use now.

        Some microseconds; no waiting for the device.
        """
        if self._cuda:
            import torch

            return torch.cuda.max_memory_allocated(self._cuda)
        # Without a file handle left to ask with, it is what it was.
        with suppress(OSError, psutil.Error):
            self._bytes = int(self._process.memory_info().rss)
        return self._bytes


def say(text: str) -> None:
    """One line of the log for people, with the time. A log that cannot be written is no reason to stop."""
    if os.environ.get("RANK", "0") != "0":
        return  # the first rank speaks for all
    try:
        print(f"{datetime.now().astimezone():%H:%M:%S}  {text}", file=sys.stdout, flush=True)  # noqa: T201
    except (OSError, ValueError):
        return
