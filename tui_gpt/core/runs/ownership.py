"""Whose run it is: the trainer's lock, and whether the trainer is alive, hung or dead."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import psutil

from tui_gpt.core.errors import RunError
from tui_gpt.core.runs.folder_lock import FolderLock
from tui_gpt.core.runs.plain_files import open_regular, reason
from tui_gpt.core.runs.records import OWNER_FILE, STATUS_FILE, Owner, Status, read_optional, write_record

LOCK_FILE = "trainer.lock"
HUNG_AFTER_SECONDS = 30.0

Liveness = Literal["alive", "hung", "dead"]

_RETRY_SECONDS = 0.02
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """The name of the machine's present boot; empty where the system gives it none."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def start_token(pid: int) -> str | None:
    """When the process `pid` started, as text to compare; None when there is none, or only its remains (a zombie)."""
    try:
        # On Linux the kernel's own count of clock ticks since boot: psutil's time of day moves when the clock is set.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else fields[19].decode("ascii")
    except (OSError, IndexError):
        pass
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return None


def this_process() -> Owner:
    """This process as an owner, from now on."""
    pid = os.getpid()
    return Owner(
        pid=pid,
        start_token=start_token(pid) or "",
        boot_id=boot_id(),
        host=platform.node(),
        started=time.time(),
    )


def is_running(owner: Owner) -> bool:
    """Whether exactly this process still runs on this machine: a reused process id does not count."""
    return owner.host == platform.node() and owner.boot_id == boot_id() and start_token(owner.pid) == owner.start_token


def has_ended(owner: Owner) -> bool:
    """Whether this process is known to run no more; of one on another machine nothing is known."""
    return owner.host == platform.node() and not is_running(owner)


class TrainerLock:
    """Held for the trainer's life; the kernel lets go of it however the process ends.

    Entering it writes owner.json, leaving it removes that. Raises RunError when another process holds the lock, saying
    which. Viewers probe the lock for an instant; acquiring outlasts them, for up to `patience` seconds.
    """

    def __init__(self, run_folder: Path, *, patience: float = 5.0) -> None:
        self._run_folder = run_folder
        self._patience = patience
        self._lock = FolderLock(run_folder / LOCK_FILE)

    def acquire(self) -> Owner:
        """Take the lock and say in owner.json who holds it. Raises RunError."""
        _take(self._lock, self._run_folder, self._patience)
        try:
            owner = this_process()
            write_record(self._run_folder / OWNER_FILE, owner)
        except BaseException:
            self._lock.release()
            raise
        return owner

    def release(self) -> None:
        """Let go. Without the lock it does nothing."""
        if self._lock.is_held:
            try:
                (self._run_folder / OWNER_FILE).unlink(missing_ok=True)
            except OSError:
                pass  # it names a process that soon does not run any more, which liveness notices
            finally:
                self._lock.release()

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


@contextmanager
def without_trainer(run_folder: Path, *, patience: float = 0.5) -> Iterator[None]:
    """Keep every trainer out while the block changes the run's folder as a whole. Raises RunError when one is in."""
    lock = FolderLock(run_folder / LOCK_FILE)
    _take(lock, run_folder, patience)
    try:
        yield
    finally:
        lock.release()


def _take(lock: FolderLock, run_folder: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    try:
        while not lock.acquire():
            owner = read_owner(run_folder)
            if (owner is not None and is_running(owner)) or time.monotonic() >= deadline:
                raise RunError(
                    f"{run_folder.name} is being trained by {describe(owner)}; stop that trainer first "
                    f"(`tui-gpt runs stop {run_folder.name}`)"
                )
            time.sleep(_RETRY_SECONDS)
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"there is no run in {run_folder}; it may have been deleted or renamed") from None
    except OSError as error:
        raise RunError(
            f"{run_folder / LOCK_FILE} cannot be locked: {reason(error)}; check what lies there and its permissions"
        ) from error


def read_owner(run_folder: Path) -> Owner | None:
    """Who owner.json names; None where nobody is named, or not readably."""
    try:
        return read_optional(run_folder / OWNER_FILE, Owner)
    except RunError:
        return None


def describe(owner: Owner | None) -> str:
    """The owner in words: process, host, and since when (UTC)."""
    if owner is None:
        return "another process"
    try:
        since = datetime.fromtimestamp(owner.started, UTC).isoformat(sep=" ", timespec="seconds")
    except (OverflowError, OSError, ValueError):
        since = "an unknown time"
    return f"process {owner.pid} on {owner.host} since {since}"


def liveness(run_folder: Path, *, hung_after: float = HUNG_AFTER_SECONDS) -> Liveness:
    """`dead` without a trainer, `hung` when it gave no sign of life for `hung_after` seconds, `alive` otherwise."""
    owner = read_owner(run_folder)
    held = _lock_is_held(run_folder / LOCK_FILE)
    if held is None:
        held = owner is not None and is_running(owner)
    if not held:
        return "dead"
    signs = [time.time()] if owner is None else [owner.started]
    try:
        status = read_optional(run_folder / STATUS_FILE, Status)
    except RunError:
        status = None
    if status is not None:
        signs.append(status.updated)
    now = time.time()
    # A sign from far in the future is from before the clock was set back: it would hide a hang until then.
    signs = [sign for sign in signs if sign <= now + hung_after]
    return "hung" if now - max(signs, default=now) > hung_after else "alive"


def _lock_is_held(path: Path) -> bool | None:
    """Whether a process holds the lock at `path`; None where that cannot be told.

    The probe is a shared lock for an instant: probes do not see each other, and reading permission is enough for it.
    """
    try:
        with open_regular(path) as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except FileNotFoundError:
        return False
    except OSError as error:
        return True if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK) else None


def signal_trainer(run_folder: Path, signum: int) -> Owner:
    """Send a signal to the trainer of a run, having made sure that the process is still the one that owner.json names.

    Raises RunError when no such process runs on this machine, or it may not be signalled.
    """
    owner = read_optional(run_folder / OWNER_FILE, Owner)
    if owner is None:
        raise RunError(f"{run_folder.name} has no trainer; start one to go on training")
    try:
        handle = _process_handle(owner.pid)
        try:
            if not is_running(owner):
                raise ProcessLookupError
            _deliver(owner.pid, handle, signum)
        finally:
            if handle is not None:
                os.close(handle)
    except ProcessLookupError:
        raise RunError(
            f"the trainer of {run_folder.name} ({describe(owner)}) does not run on this machine; nothing was signalled"
        ) from None
    except OSError as error:
        raise RunError(f"{run_folder.name}: {describe(owner)} cannot be signalled: {reason(error)}") from None
    return owner


def _process_handle(pid: int) -> int | None:
    """The kernel's handle of a process, which means this process even once its id is reused; None without any."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except OSError:
        return None  # an older kernel, or a sandbox that does not know the call


def _deliver(pid: int, handle: int | None, signum: int) -> None:
    if handle is not None and hasattr(signal, "pidfd_send_signal"):
        signal.pidfd_send_signal(handle, signum)
    else:
        os.kill(pid, signum)
