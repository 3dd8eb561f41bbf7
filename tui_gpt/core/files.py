"""Writing files so that a reader, now or after a power loss, sees the old content or the new, never a mix."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_CHUNK = 1 << 20
_NOT_FOR_FOLDERS = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)


def fsync_dir(folder: Path) -> None:
    """Make renames and new names inside `folder` durable, as far as its file system knows how to. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems sync files only.
        if error.errno not in _NOT_FOR_FOLDERS:
            raise
    finally:
        os.close(descriptor)


def make_folders(folder: Path, *, parents: bool = True) -> None:
    """Make `folder`, and with `parents` what is missing above it, durably, where it is not there. Raises OSError."""
    if folder.is_dir():
        return
    folder.mkdir(parents=parents, exist_ok=True)
    # Up to the root: what was there already may have been made a moment ago, by somebody who did not wait for the disk.
    for parent in folder.absolute().parents:
        with suppress(PermissionError):
            fsync_dir(parent)


def fsync_file(path: Path) -> None:
    """Make the content of an already written file durable. Raises OSError when the disk reports an error."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link_or_copy(source: Path, target: Path) -> None:
    """The same file under a second name, or a durable copy where the file system has no hard links. Raises OSError."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV):
            raise
        shutil.copyfile(source, target, follow_symlinks=False)
        fsync_file(target)


@contextmanager
def atomic_file(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A binary file that replaces `path` when the block ends without an error, and leaves no trace otherwise.

    With `durable` the content and the name are on disk when the block ends.
    """
    temporary = path.with_name(f".{path.name[:64]}.{os.urandom(6).hex()}.tmp")
    try:
        with temporary.open("xb") as handle:
            yield handle
            handle.flush()
            if durable:
                os.fsync(handle.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        fsync_dir(path.parent)


def write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replace `path` by `content`, atomically."""
    with atomic_file(path, durable=durable) as handle:
        handle.write(content)


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Replace `path` by `text` in UTF-8, atomically, with line ends as given."""
    write_bytes(path, text.encode("utf-8"), durable=durable)


def sha256_file(path: Path) -> str:
    """The file's SHA-256 in hexadecimal, read in bounded memory."""
    import hashlib  # the app's first frame does without

    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
