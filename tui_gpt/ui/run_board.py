"""Which runs there are and how they stand, looked at a few times a second without reading what has not changed."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from pathlib import Path

import msgspec

from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.runs.records import RUN_FILE, STATUS_FILE, Status
from tui_gpt.core.runs.states import ALIVE
from tui_gpt.core.runs.store import DamagedRun, Run, RunStore, RunSummary

_SETTLED_SECONDS = 2.0
"""How long a run without a trainer is believed to have none, if its files stay the same."""

_Stamp = tuple[tuple[int, int] | None, ...]


class RunBoard:
    """A snapshot of all runs. `refresh` blocks on the disk and belongs into a thread; the rest is for the screen.

    A refresh replaces `runs` as a whole, so that a reader always sees one moment.
    """

    def __init__(self, store: RunStore, starting: Collection[str] = ()) -> None:
        """`starting` names, at any time, the runs for which a trainer was started that does not hold them yet."""
        self.store = store
        self._starting = starting
        self.runs: list[RunSummary | DamagedRun] = []
        self.statuses: dict[str, Status] = {}
        """status.json of the runs that have a trainer."""
        self.problem = ""
        """Why the runs cannot be listed, in a sentence."""
        self._known: dict[str, tuple[_Stamp, float, RunSummary | DamagedRun]] = {}

    def refresh(self) -> None:
        """Look again."""
        starting = frozenset(self._starting)  # before the disk: what is no longer in it then has a trainer there
        try:
            names = self._names()
            self.problem = ""
        except OSError as error:
            names = []
            self.problem = f"{self.store.root} cannot be read: {error.strerror or error}; check its permissions"
        runs: list[RunSummary | DamagedRun] = []
        statuses: dict[str, Status] = {}
        for name in names:
            found = self._look(name)
            if isinstance(found, RunSummary) and found.state not in ALIVE and name in starting:
                found = msgspec.structs.replace(found, state="starting", error=None)
            if found is not None:
                runs.append(found)
                if isinstance(found, RunSummary) and found.state in ALIVE and (status := self._status(name)):
                    statuses[name] = status
        self._known = {name: known for name, known in self._known.items() if name in names}
        runs.sort(key=lambda run: run.created if isinstance(run, RunSummary) else "", reverse=True)
        self.runs, self.statuses = runs, statuses

    def get(self, name: str | None) -> RunSummary | None:
        """The run of that name, None where there is none that can be read."""
        return next((run for run in self.runs if run.name == name and isinstance(run, RunSummary)), None)

    def alive(self) -> list[RunSummary]:
        """The runs that have a trainer, newest first."""
        return [run for run in self.runs if isinstance(run, RunSummary) and run.state in ALIVE]

    def newest(self) -> RunSummary | None:
        """The newest run with a trainer, else the newest of all."""
        readable = [run for run in self.runs if isinstance(run, RunSummary)]
        return next(iter(self.alive() + readable), None)

    def _names(self) -> list[str]:
        try:
            with os.scandir(self.store.root) as entries:
                return [e.name for e in entries if not e.name.startswith(".") and (e.is_dir() or e.is_symlink())]
        except FileNotFoundError:
            return []

    def _look(self, name: str) -> RunSummary | DamagedRun | None:
        folder = self.store.root / name
        stamps = tuple(_stamp(folder / file) for file in (RUN_FILE, STATUS_FILE, "owner.json"))
        known = self._known.get(name)
        if known is not None and known[0] == stamps and time.monotonic() < known[1]:
            return known[2]
        found: RunSummary | DamagedRun
        try:
            found = self.store.open(name).summary()
        except TuiGptError as error:
            if not folder.exists():
                return None
            found = DamagedRun(name=name, folder=folder, problem=str(error))
        alive = isinstance(found, RunSummary) and found.state in ALIVE
        self._known[name] = (stamps, time.monotonic() + (0.0 if alive else _SETTLED_SECONDS), found)
        return found

    def _status(self, name: str) -> Status | None:
        try:
            return self.store.open(name).status()
        except TuiGptError:
            return None

    def open(self, name: str) -> Run:
        """The run itself. Raises RunError, ConfigError."""
        return self.store.open(name)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        facts = path.lstat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns
