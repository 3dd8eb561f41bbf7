"""Files that anybody may have put there, a model from elsewhere say: read without waiting, and within bounds."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

DEEPEST = 64
"""Tables and lists within each other. No file of a model or of ours comes near it, and Python takes some hundreds."""


def read_given(path: Path, limit: int) -> bytes:
    """The content of a file of at most `limit` bytes, through links as well: a download may consist of them.

    Raises OSError, with errno EINVAL for a folder, FIFO, socket or device, and EFBIG for a larger file.
    """
    # Without O_NONBLOCK, opening a FIFO would wait for somebody to write into it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as handle:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        content = handle.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"Larger than {limit:,} bytes", str(path))
    return content


def is_too_deep(tree: Any, most: int = DEEPEST) -> bool:
    """Whether tables and lists lie deeper within each other than `most`, so that writing or showing them might fail."""
    level = [tree] if isinstance(tree, dict | list) else []
    for _ in range(most):
        level = [
            child
            for part in level
            for child in (part.values() if isinstance(part, dict) else part)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True
