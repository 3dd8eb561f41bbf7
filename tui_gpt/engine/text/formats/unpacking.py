"""The bytes of a file, unpacked on the way where it is compressed, never more at a time than asked for."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from tui_gpt.core.corpus_formats import Compression
from tui_gpt.core.errors import CorpusError

ZSTANDARD_MAGIC = rb"(\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18)"
"""How a file of Zstandard begins, as a regular expression: a frame, or one to be skipped (RFC 8878, 3.1)."""
GZIP_MAGIC = rb"\x1f\x8b"

_ZSTANDARD_STEP = 1024
"""Compressed bytes given to the library at once: a block of 4 bytes may stand for 128 KiB, so these make 32 MiB."""


class Reader(Protocol):
    """What is read from, from the beginning to the end."""

    def read(self, size: int, /) -> bytes:
        """The next `size` bytes, fewer only at the end. Raises CorpusError for a damaged file, and OSError."""
        ...


@contextmanager
def open_unpacked(path: Path, compression: Compression = "") -> Iterator[Reader]:
    """The content of a file. Raises CorpusError where a library is missing, and OSError."""
    with path.open("rb") as handle:
        match compression:
            case "":
                yield handle
            case "gzip":
                with gzip.GzipFile(fileobj=handle) as unpacked:
                    yield _Gzip(path, unpacked)
            case "zstd":
                yield _Zstandard(path, handle)


def _cut_short(path: Path, what: str) -> CorpusError:
    return CorpusError(f"{path} is cut short: it ends within its {what} data; copy or download it again")


def _damaged(path: Path, what: str, error: Exception) -> CorpusError:
    return CorpusError(f"{path} is damaged {what} data ({str(error).strip()[:200]}); copy or download it again")


class _Gzip:
    def __init__(self, path: Path, unpacked: gzip.GzipFile) -> None:
        self._path = path
        self._unpacked = unpacked

    def read(self, size: int, /) -> bytes:
        try:
            return self._unpacked.read(size)
        except EOFError:
            raise _cut_short(self._path, "gzip") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise _damaged(self._path, "gzip", error) from None


class _Zstandard:
    """The library's own reader takes a file that was cut short for a whole one, so frames are counted here."""

    def __init__(self, path: Path, handle: BinaryIO) -> None:
        self._library = _zstandard()
        self._path = path
        self._handle = handle
        self._frame: Any = None
        """What decompresses the present frame; None between two."""
        self._unpacked = bytearray()
        self._ended = False

    def read(self, size: int, /) -> bytes:
        while len(self._unpacked) < size and not self._ended:
            self._step()
        content = bytes(memoryview(self._unpacked)[:size])
        del self._unpacked[:size]
        return content

    def _step(self) -> None:
        packed = self._handle.read(_ZSTANDARD_STEP)
        if not packed:
            if self._frame is not None:
                raise _cut_short(self._path, "Zstandard")
            self._ended = True
        try:
            while packed:
                if self._frame is None:
                    self._frame = self._library.ZstdDecompressor().decompressobj()
                self._unpacked += self._frame.decompress(packed)
                if not self._frame.eof:
                    break
                packed, self._frame = self._frame.unused_data, None
        except self._library.ZstdError as error:
            raise _damaged(self._path, "Zstandard", error) from None


def _zstandard() -> Any:
    try:
        import zstandard
    except ImportError:
        raise CorpusError(
            "files compressed with Zstandard are read by the package zstandard, which is not installed; `pip install "
            "'tui-gpt[data]'` adds it"
        ) from None
    return zstandard
