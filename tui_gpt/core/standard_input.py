"""Standard input as a corpus: kept in a file named by its SHA-256, so that a run on it can be resumed."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from tui_gpt.core import files, locations
from tui_gpt.core.corpus_formats import Content
from tui_gpt.core.errors import CorpusError

STANDARD_INPUT = "standard input"
"""What a corpus is called that came from there."""

_CHUNK = 1 << 20
_SUFFIXES: dict[Content, str] = {
    "text": ".txt",
    "jsonl": ".jsonl",
    "csv": ".csv",
    "tsv": ".tsv",
    "parquet": ".parquet",
}
_COMPRESSED = ((b"\x1f\x8b", ".gz"), (b"\x28\xb5\x2f\xfd", ".zst"))


def kept_folder() -> Path:
    """Where texts from standard input lie, in the cache."""
    return locations.cache_dir() / "standard-input"


def is_kept(path: Path) -> bool:
    """Whether the file at `path` is a text that came from standard input."""
    return path.absolute().parent == kept_folder().absolute()


def keep_standard_input(
    stream: BinaryIO | None, content: Content = "text", on_bytes: Callable[[int], None] | None = None
) -> Path:
    """Read `stream` to its end into a file of the cache, in bounded memory, and return its path.

    The name is the SHA-256 of the bytes and what tells the format: `content`, and gzip or Zstandard where the bytes
    begin like that. `on_bytes` hears how many bytes were read so far. Raises CorpusError for a terminal, for nothing,
    and where the cache cannot be written.
    """
    if stream is None or stream.closed:
        raise CorpusError("standard input is closed, so there is no text on it; name a file instead of -")
    if stream.isatty():
        raise CorpusError(
            "standard input is a terminal, and - means a text that comes through it; send one, e.g. with "
            "`tui-gpt train - < book.txt`, or name the file"
        )
    folder = kept_folder()
    try:
        files.make_folders(folder)
        return _kept(stream, folder, content, on_bytes or (lambda _n_bytes: None))
    except OSError as error:
        raise CorpusError(
            f"standard input cannot be kept in {folder}: {(error.strerror or str(error)).lower()}; free space there, "
            "or name a file instead of -"
        ) from None


def _kept(stream: BinaryIO, folder: Path, content: Content, on_bytes: Callable[[int], None]) -> Path:
    temporary = folder / f".{secrets.token_hex(6)}.tmp"
    digest = hashlib.sha256()
    n_bytes = 0
    head = b""
    try:
        with temporary.open("xb") as handle:
            while chunk := stream.read(_CHUNK):
                head = head or chunk[:16]
                digest.update(chunk)
                handle.write(chunk)
                n_bytes += len(chunk)
                on_bytes(n_bytes)
            if not n_bytes:
                raise CorpusError("nothing came on standard input; look at what was to write to it, or name a file")
            handle.flush()
            os.fsync(handle.fileno())
        packed = next((suffix for magic, suffix in _COMPRESSED if head.startswith(magic)), "")
        if content == "parquet":  # whose bytes are never compressed as a whole
            packed = ""
        path = folder / f"{digest.hexdigest()}{_SUFFIXES[content]}{packed}"
        # What is there already and whole keeps its times, by which its token files are found without reading it.
        if not (path.is_file() and path.stat().st_size == n_bytes and files.sha256_file(path) == digest.hexdigest()):
            temporary.replace(path)
            files.fsync_dir(folder)
        return path
    finally:
        temporary.unlink(missing_ok=True)
