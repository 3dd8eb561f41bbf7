"""Reading and removing what lies in a run directory without ever following a link or hanging on a FIFO."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from pathlib import Path
from typing import BinaryIO

from tui_gpt.core.files import fsync_dir

TEMPORARY_SUFFIX = ".tmp"


def open_regular(path: Path) -> BinaryIO:
    """The regular file at `path`, opened for reading.

    Raises OSError, with errno ELOOP for a symbolic link and EINVAL for a folder, FIFO, socket or device.
    """
    # Without O_NONBLOCK, opening a FIFO would wait for somebody to write into it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path, limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes. Raises OSError, with errno EFBIG for a larger one."""
    with open_regular(path) as handle:
        content = handle.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"Larger than {limit} bytes", str(path))
    return content


def temporary_sibling(path: Path) -> Path:
    """A new hidden name beside `path`, for what is renamed into place when complete or out of place when deleted."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}{TEMPORARY_SUFFIX}")


def is_temporary(name: str) -> bool:
    """Whether `name` could come from `temporary_sibling` or from `core.files.atomic_file`."""
    return name.startswith(".") and name.endswith(TEMPORARY_SUFFIX)


def remove_folder(folder: Path) -> None:
    """Delete a folder; whoever looks meanwhile, or after a crash, sees all of it under its name, or nothing.

    Symbolic links inside are removed, never followed. Raises OSError.
    """
    doomed = temporary_sibling(folder)
    folder.rename(doomed)
    fsync_dir(folder.parent)
    shutil.rmtree(doomed)


def reason(error: BaseException) -> str:
    """What went wrong in a few words, without the path that the sentence around it names already."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return " ".join(str(error).split()) or type(error).__name__
