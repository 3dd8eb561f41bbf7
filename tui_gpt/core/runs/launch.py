"""Starting the trainer as a process of its own, which outlives whoever started it."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from tui_gpt.core.errors import RunError
from tui_gpt.core.runs.child_process import TRAINER_MODULE, trainer_arguments, trainer_command, trainer_environment
from tui_gpt.core.runs.ownership import liveness
from tui_gpt.core.runs.plain_files import open_regular, reason
from tui_gpt.core.runs.records import STATUS_FILE, Status, read_optional
from tui_gpt.core.runs.standby import StandbyTrainer
from tui_gpt.core.safe_text import safe_text

_POLL_SECONDS = 0.05
_TAIL_BYTES = 8 << 10
_TAIL_LINES = 15
_EMPTY = "(it is empty)"
_LOG_NAME = re.compile(r"training_[0-9]{8}_[0-9]{6}\.log")


class TrainerProcess:
    """The process that `launch_trainer` started, as long as its parent cares.

    A thread waits for it, so that a long-lived parent is left with no zombie and still learns the exit code; a parent
    that ends before leaves the waiting to init. Forking twice would lose the exit code, which says why a start failed.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path, status_before: tuple[int, int] | None) -> None:
        self._process = process
        self._status_before = status_before
        self.log = log
        """What it writes to stdout and stderr, after the log of its own."""
        threading.Thread(target=process.wait, name=f"reaper of {process.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process id; with several devices, that of the launcher above the workers."""
        return self._process.pid

    def send_signal(self, signum: int) -> None:
        """Send a signal to the process itself; nothing where it has ended."""
        self._process.send_signal(signum)

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; returns the exit code. Raises subprocess.TimeoutExpired after `timeout` seconds."""
        return self._process.wait(timeout)

    def has_reported(self, run_folder: Path) -> bool:
        """Whether status.json is newer than the start of this process."""
        return _stamp(run_folder / STATUS_FILE) != self._status_before


def launch_trainer(
    run_folder: Path,
    *,
    extra_env: Mapping[str, str] | None = None,
    nproc: int = 1,
    module: str = TRAINER_MODULE,
    arguments: Sequence[str] = (),
    standby: StandbyTrainer | None = None,
) -> TrainerProcess:
    """Start the trainer of a run in a session of its own, with stdout and stderr in a log in the run's folder.

    `arguments` go to the worker beside the run's folder. With `nproc` above 1 it runs that many workers under
    torch.distributed.run. One worker can be a `standby` that waits already; where that one has died, a new one is
    started. Returns at once; `wait_until_started` tells how it went.

    Raises RunError when the run has a trainer already, or the system starts none.
    """
    run_folder = run_folder.absolute()
    if liveness(run_folder) != "dead":
        raise RunError(f"{run_folder.name} is being trained already; follow it, or stop it first")
    log = run_folder / _log_name(run_folder)
    status_before = _stamp(run_folder / STATUS_FILE)
    if standby is not None and nproc == 1 and not extra_env and module == TRAINER_MODULE:
        waiting = standby.take(log, [*trainer_arguments(run_folder), *arguments])
        if waiting is not None:
            return TrainerProcess(waiting, log, status_before)
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
        try:
            process = subprocess.Popen(
                [*trainer_command(run_folder, nproc=nproc, module=module), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # What a crash dumps into the working folder belongs to the run.
                cwd=run_folder,
                env=trainer_environment(extra_env),
                start_new_session=True,
            )
        finally:
            os.close(output)
    except OSError as error:
        raise RunError(
            f"no trainer of {run_folder.name} can be started: {reason(error)}; look at {run_folder}"
        ) from error
    return TrainerProcess(process, log, status_before)


def _log_name(run_folder: Path) -> str:
    """By the time of day. Where the clock was set back, the newest log goes on: the last by name is the newest."""
    logs = (path for path in run_folder.glob("training_*.log") if _LOG_NAME.fullmatch(path.name))
    known = [path.name for path in logs if path.is_file() and not path.is_symlink()]
    return max([f"training_{datetime.now().astimezone():%Y%m%d_%H%M%S}.log", *known])


def start_outcome(run_folder: Path, process: TrainerProcess) -> Status | None:
    """One look at a trainer that was started: its status once it trains or has ended well, None while it prepares.

    Raises RunError when it failed or died, with the last lines of its log.
    """
    # Asked before the status: the last words of a process that has ended are read after it ended.
    code = process.poll()
    status = read_optional(run_folder / STATUS_FILE, Status) if process.has_reported(run_folder) else None
    if status is not None and status.state == "failed":
        raise RunError(
            f"the trainer of {run_folder.name} failed: {status.error or 'it gave no reason'} (log: {process.log})"
        )
    if status is not None and status.state not in ("starting", "preparing"):
        return status
    if code is not None:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        tail = log_tail(process.log)
        if code > 0 and tail == _EMPTY:
            tail = f"{_EMPTY[:-1]}, as it stays where the disk is full)"
        raise RunError(
            f"the trainer of {run_folder.name} {how} before the first step; the end of {process.log}:\n{tail}"
        )
    return None


def wait_until_started(run_folder: Path, process: TrainerProcess, timeout: float) -> Status:
    """Wait until the trainer trains, or has ended well; returns its status.

    Raises RunError when it failed or died (with the last lines of its log), or still prepares after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while (status := start_outcome(run_folder, process)) is None:
        if time.monotonic() >= deadline:
            raise RunError(
                f"the trainer of {run_folder.name} still prepares after {timeout:g} seconds and goes on doing so; "
                f"`tui-gpt runs show {run_folder.name}` tells when it trains, {process.log} what it does"
            )
        time.sleep(_POLL_SECONDS)
    return status


def log_tail(log: Path, lines: int = _TAIL_LINES) -> str:
    """The last lines of a log, fit for a terminal; a sentence where there are none."""
    try:
        with open_regular(log) as handle:
            handle.seek(max(0, os.fstat(handle.fileno()).st_size - _TAIL_BYTES))
            text = handle.read().decode("utf-8", "replace").strip()
    except OSError as error:
        return f"(it cannot be read: {reason(error)})"
    return safe_text("\n".join(text.splitlines()[-lines:])) or _EMPTY


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        facts = path.lstat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns
