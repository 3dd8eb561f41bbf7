"""RunStore: the folder of runs, and Run: one of them as a viewer sees it."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from tui_gpt.core import locations
from tui_gpt.core.errors import ConfigError, RunError
from tui_gpt.core.files import fsync_dir, make_folders
from tui_gpt.core.names import LONGEST, check_name
from tui_gpt.core.runs import commands, ownership
from tui_gpt.core.runs.checkpoints import CHECKPOINTS_FOLDER, CheckpointInfo, list_checkpoints, newest_intact
from tui_gpt.core.runs.metrics import MetricsReader
from tui_gpt.core.runs.plain_files import is_temporary, reason, temporary_sibling
from tui_gpt.core.runs.records import (
    ENDED,
    EXECUTION_FILE,
    RUN_FILE,
    STATUS_FILE,
    ExecutionRecord,
    Owner,
    RunRecord,
    Status,
    read_optional,
    read_record,
    write_record,
)

EffectiveState = Literal[
    "new",
    "starting",
    "preparing",
    "running",
    "paused",
    "stopped",
    "finished",
    "failed",
    "interrupted",
    "hung",
]

_STALE_SECONDS = 3600.0


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A run on one line. Losses in nats per token, times in seconds."""

    name: str
    state: EffectiveState
    """What status.json says, corrected by whether the trainer lives: `interrupted` when it died without an end, `hung`
    when it gives no sign of life, `new` when none was ever started."""
    created: str
    corpus: str
    step: int
    total_steps: int | None
    progress: float
    train_loss: float | None
    val_loss: float | None
    best_val_loss: float | None
    best_step: int | None
    tokens_per_second: float | None
    memory_bytes: int | None = None
    """See Status."""
    device: str = ""
    elapsed_seconds: float
    remaining_seconds: float | None
    last_checkpoint: int | None
    activity: str
    error: str | None
    problem: str | None
    """Why status.json tells nothing, if it is damaged."""


class DamagedRun(msgspec.Struct, frozen=True, kw_only=True):
    """What lies where a run should be and is none that can be read."""

    name: str
    folder: Path
    problem: str


class Run:
    """One run as its folder has it. Every method reads the disk anew, except `record`, which never changes."""

    def __init__(self, folder: Path, record: RunRecord) -> None:
        self.folder = folder
        self.record = record

    @property
    def name(self) -> str:
        """The name by which the store knows it: its folder's."""
        return self.folder.name

    def status(self) -> Status | None:
        """Where the trainer is, None before the first one. Raises RunError when the file is damaged or newer."""
        return read_optional(self.folder / STATUS_FILE, Status)

    def owner(self) -> Owner | None:
        """Who holds the trainer's lock, None when nobody does or it cannot be read."""
        return ownership.read_owner(self.folder)

    def execution(self) -> ExecutionRecord | None:
        """What the first trainer chose, None before it did. Raises RunError when the file is damaged or newer."""
        return read_optional(self.folder / EXECUTION_FILE, ExecutionRecord)

    def liveness(self) -> ownership.Liveness:
        """Whether the trainer is alive, hung or dead."""
        return ownership.liveness(self.folder)

    def reader(self) -> MetricsReader:
        """A new reader of the metrics, at their beginning."""
        return MetricsReader(self.folder)

    def send(
        self,
        kind: commands.CommandKind,
        arguments: Mapping[str, commands.Argument] | None = None,
        sender: str = "",
    ) -> str:
        """Send a command to the trainer; returns its id. Raises RunError when there is no trainer to obey."""
        if self.liveness() == "dead":
            raise RunError(f"{self.name} has no running trainer to obey `{kind}`; continue the run first")
        return commands.send(self.folder, kind, arguments, sender)

    def wait_for_ack(self, command_id: str, timeout: float) -> commands.Ack | None:
        """Wait for the trainer's answer for at most `timeout` seconds and only while there is a trainer."""
        return commands.wait_for_ack(self.folder, command_id, timeout, lambda: self.liveness() != "dead")

    def checkpoints(self) -> list[CheckpointInfo]:
        """The checkpoints, oldest first, unverified. Raises RunError."""
        return list_checkpoints(self.folder)

    def newest_intact(self) -> tuple[CheckpointInfo | None, list[str]]:
        """The newest checkpoint whose hashes verify, and what is wrong with the newer ones. Raises RunError."""
        return newest_intact(self.folder)

    def log_files(self) -> list[Path]:
        """The logs for people, oldest first. Raises RunError when the folder cannot be read."""
        try:
            return sorted(p for p in self.folder.glob("training_*.log") if p.is_file() and not p.is_symlink())
        except OSError as error:
            raise RunError(f"{self.folder} cannot be read: {reason(error)}; check the permissions there") from None

    def effective_state(self) -> EffectiveState:
        """The state as it is, not only as it was last written; see RunSummary. Raises RunError as `status` does."""
        return _effective_state(self.status(), self.liveness(), self.owner())

    def summary(self) -> RunSummary:
        """The run on one line; a damaged status is told as `problem`."""
        problem = None
        try:
            status = self.status()
        except RunError as error:
            status, problem = None, str(error)
        began = self.record.fork_step
        shown = status or Status(state="starting", updated=0.0, step=began or 0, last_checkpoint=began)
        state = _effective_state(status, self.liveness(), self.owner())
        if problem is not None and state == "new":
            state = "interrupted"
        return RunSummary(
            name=self.name,
            state=state,
            created=self.record.created,
            corpus=self.record.data.source,
            step=shown.step,
            total_steps=shown.total_steps,
            progress=shown.progress,
            train_loss=shown.train_loss,
            val_loss=shown.val_loss,
            best_val_loss=shown.best_val_loss,
            best_step=shown.best_step,
            tokens_per_second=shown.tokens_per_second,
            memory_bytes=shown.memory_bytes,
            device=shown.device,
            elapsed_seconds=shown.elapsed_seconds,
            remaining_seconds=shown.remaining_seconds,
            last_checkpoint=shown.last_checkpoint,
            activity=shown.activity,
            error=shown.error,
            problem=problem,
        )


Listing = list[Run | DamagedRun]


def _effective_state(status: Status | None, alive: ownership.Liveness, owner: Owner | None) -> EffectiveState:
    if alive == "hung":
        return "hung"
    if status is None:
        return "new" if alive == "dead" else "starting"
    if alive == "dead":
        return status.state if status.state in ENDED else "interrupted"
    # A trainer that resumes holds the lock before its first word: what is written is still its forerunner's.
    of_forerunner = owner is None or owner.started > status.updated or ownership.has_ended(owner)
    return "starting" if of_forerunner else status.state


class RunStore:
    """The runs below one folder. Names are confined to it: nothing here follows a link out of it."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = locations.runs_dir() if root is None else root

    def create(self, record: RunRecord, fill: Callable[[Path], None] | None = None) -> Run:
        """Make a run's folder, whole at once. Raises RunError when the name is taken, ConfigError when it is none.

        `fill` puts more into the folder before it gets its name, and makes that durable; what it raises leaves nothing.
        """
        final = self.root / check_name(record.name, "run name")
        temporary = temporary_sibling(final)
        try:
            make_folders(self.root)
            self._clean_stale()
            temporary.mkdir()
            for name in (commands.COMMANDS_FOLDER, CHECKPOINTS_FOLDER):
                (temporary / name).mkdir()
            if fill is not None:
                fill(temporary)
            write_record(temporary / RUN_FILE, record)
            if os.path.lexists(final):
                raise FileExistsError
            # Two at once: the second rename finds a folder that is not empty, and fails.
            temporary.rename(final)
            fsync_dir(self.root)
        except OSError as error:
            if os.path.lexists(final):
                raise RunError(
                    f"there is a run named {record.name} already in {self.root}; choose another name, e.g. "
                    f"{self.unique_name(record.name)}, or delete that run"
                ) from None
            raise RunError(f"{final} cannot be made: {reason(error)}; check space and permissions there") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return Run(final, record)

    def create_free(self, record: RunRecord, fill: Callable[[Path], None] | None = None) -> Run:
        """As `create`, under the record's name or the next one that is free, also when others take names meanwhile."""
        while True:
            named = msgspec.structs.replace(record, name=self.unique_name(record.name))
            try:
                return self.create(named, fill)
            except RunError:
                if self.unique_name(named.name) == named.name:
                    raise

    def unique_name(self, base: str) -> str:
        """`base` if it is free, else `base-2`, `base-3`, ... Raises ConfigError when `base` is no name."""
        check_name(base, "run name")
        name, number = base, 1
        while os.path.lexists(self.root / name):
            number += 1
            ending = f"-{number}"
            name = base[: LONGEST - len(ending)] + ending
        return name

    def open(self, name: str) -> Run:
        """The run of that name. Raises RunError when there is none or it is damaged, ConfigError when it is no name."""
        folder = self._existing(name)
        return Run(folder, read_record(folder / RUN_FILE, RunRecord))

    def list(self) -> Listing:
        """All runs, newest first, damaged ones after them by name. Raises RunError when the folder cannot be read."""
        runs: list[Run] = []
        damaged: list[DamagedRun] = []
        for name in self._names():
            try:
                runs.append(self.open(name))
            except (RunError, ConfigError) as error:
                damaged.append(DamagedRun(name=name, folder=self.root / name, problem=str(error)))
        runs.sort(key=lambda run: (run.record.created, run.name), reverse=True)
        return [*runs, *damaged]

    def delete(self, name: str) -> int:
        """Delete a run, damaged or not, for good; returns the bytes freed. Raises RunError while a trainer is in it."""
        folder = self._existing(name)
        doomed = temporary_sibling(folder)
        with self._without_trainer(folder, "delete"):
            folder.rename(doomed)
            fsync_dir(self.root)
            size = _size(doomed)
            shutil.rmtree(doomed)
        return size

    def rename(self, old: str, new: str) -> Run:
        """Give a run another name. Raises RunError while it is being trained, or when the new name is taken."""
        folder = self._existing(old)
        target = self.root / check_name(new, "new run name")
        with self._without_trainer(folder, "rename"):
            if os.path.lexists(target) and not (old != new and folder.samefile(target)):
                raise self._taken(new)
            try:
                folder.rename(target)
            except OSError as error:
                # Another one has taken it since, which a rename does not overwrite.
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    raise self._taken(new) from None
                raise
            fsync_dir(self.root)
        return self.open(new)

    def _taken(self, name: str) -> RunError:
        return RunError(f"there is a run named {name} already; choose another name, e.g. {self.unique_name(name)}")

    def _existing(self, name: str) -> Path:
        folder = self.root / check_name(name, "run name")
        try:
            mode = folder.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            raise RunError(f"there is no run named {name} in {self.root}; see `tui-gpt runs list`") from None
        except OSError as error:
            raise RunError(f"{folder} cannot be read: {reason(error)}; check the permissions there") from None
        if not stat.S_ISDIR(mode):
            kind = "a link" if stat.S_ISLNK(mode) else "no folder"
            raise RunError(f"{folder} is {kind}, and runs are folders of their own; nothing was touched")
        return folder

    def _names(self) -> Iterator[str]:
        try:
            entries = sorted(os.scandir(self.root), key=lambda entry: entry.name)
        except FileNotFoundError:
            return
        except OSError as error:
            raise RunError(f"{self.root} cannot be read: {reason(error)}; check what lies there") from None
        for entry in entries:
            if not entry.name.startswith(".") and (entry.is_dir() or entry.is_symlink()):
                yield entry.name

    @contextmanager
    def _without_trainer(self, folder: Path, what: str) -> Iterator[None]:
        try:
            with ownership.without_trainer(folder):
                yield
        except OSError as error:
            raise RunError(
                f"cannot {what} {folder.name} in {self.root}: {reason(error)}; check the permissions there"
            ) from error

    def _clean_stale(self) -> None:
        """Delete what processes that died while making or deleting a run left, once no living one can be at it."""
        with os.scandir(self.root) as entries:
            for entry in entries:
                # Another process may finish what it makes there, or clean up as well, at any moment.
                with suppress(FileNotFoundError):
                    if not is_temporary(entry.name) or not entry.is_dir(follow_symlinks=False):
                        continue
                    if time.time() - entry.stat(follow_symlinks=False).st_mtime > _STALE_SECONDS:
                        shutil.rmtree(entry.path, ignore_errors=True)


def _size(folder: Path) -> int:
    """Bytes of the files inside, links not followed."""
    return sum((Path(parent) / name).lstat().st_size for parent, _, names in os.walk(folder) for name in names)
