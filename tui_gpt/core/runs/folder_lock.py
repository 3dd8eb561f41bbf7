"""A lock on a folder that is there: unlike filelock's, it makes no folder, and notices when its own was moved away.

Without both, whoever waits for a run that is deleted meanwhile would bring it back as an empty one, or hold the lock of
what no longer has its name. As filelock's, it is not held by processes that are forked from its holder.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import weakref
from pathlib import Path

_held: weakref.WeakSet[FolderLock] = weakref.WeakSet()


class FolderLock:
    """An exclusive lock on a file of a folder. The kernel lets go of it however the process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def acquire(self) -> bool:
        """Take the lock without waiting; False when somebody else has it.

        Raises OSError: FileNotFoundError when the folder is gone or has become another, else where no lock can be.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o644)
        try:
            mine = os.fstat(descriptor)
            if not stat.S_ISREG(mine.st_mode):
                raise OSError(errno.EINVAL, "Not a regular file", str(self._path))
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            there = self._path.stat(follow_symlinks=False)
            if (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino):
                raise FileNotFoundError(errno.ENOENT, "Moved away", str(self._path))
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        _held.add(self)
        return True

    def release(self) -> None:
        """Let go. Without the lock it does nothing."""
        if self._descriptor is not None:
            # Closing would leave it to any process that was forked meanwhile.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self._forget()

    def _forget(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            _held.discard(self)


def _forget_all() -> None:
    """In a forked process, which shares what is open: its copy would hold the lock after the holder was killed."""
    for lock in list(_held):
        lock._forget()


os.register_at_fork(after_in_child=_forget_all)
