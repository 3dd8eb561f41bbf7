"""Files to text: which files of a folder, in what encoding, block by block."""

from __future__ import annotations

import codecs
import contextlib
import io
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tui_gpt.core.corpus_formats import Compression
from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text.formats.unpacking import Reader, open_unpacked

BLOCK_BYTES = 1 << 20
HEAD_BYTES = 8192
"""By so many bytes a file is known for what it is."""

# The longer mark first: UTF-32's begins with UTF-16's.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Codecs of Python that turn bytes into text but are no encodings of text files, or can make halves of surrogate pairs.
_NOT_FOR_FILES = {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "utf-7"}

_SIGNATURES = (
    (rb"\x1f\x8b", "is compressed with gzip; let its name end in .gz, or unpack it with gunzip"),
    (rb"\x28\xb5\x2f\xfd", "is compressed with Zstandard; let its name end in .zst, or unpack it with unzstd"),
    (rb"\xfd7zXZ\x00", "is compressed with xz; unpack it first, e.g. with unxz"),
    (rb"BZh[1-9]1AY&SY", "is compressed with bzip2; unpack it first, e.g. with bunzip2"),
    (rb"7z\xbc\xaf\x27\x1c", "is a 7z archive; unpack it first"),
    (
        rb"PK(\x03\x04|\x05\x06)",
        "is a ZIP archive, or a document in one (docx, odt, epub); unpack it or save it as plain text first",
    ),
    (rb"PAR1[\x00-\x1f]", "is a Parquet table; let its name end in .parquet"),
    (rb"%PDF-", "is a PDF document; save it as plain text first, e.g. with pdftotext"),
    (rb"SQLite format 3\x00", "is an SQLite database; write its text to a text file first"),
    (rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a", "is an image; this program learns from text"),
    (rb"\x7fELF", "is a program; this program learns from text"),
)


@dataclass(frozen=True)
class TextFiles:
    """The text files behind a path, in the order in which they are read."""

    files: tuple[Path, ...]
    skipped: tuple[str, ...]
    """What was left out of a folder, each as `path: reason`."""
    n_bytes: int


def find_text_files(path: Path, encoding: str = "auto") -> TextFiles:
    """The file at `path`, or the text files in the folder there, recursively and sorted by path.

    Raises CorpusError when there is nothing to read, saying why.
    """
    return find_files(path, lambda each: text_problem(each, encoding), encoding)


def find_files(path: Path, problem: Callable[[Path], str | None], encoding: str = "auto") -> TextFiles:
    """As `find_text_files`, with `problem` to say why a file is not wanted, as the rest of a sentence, or None.

    Raises CorpusError, and what `problem` raises.
    """
    check_encoding(encoding)
    try:
        info = path.stat()
    except FileNotFoundError:
        raise CorpusError(f"{path} does not exist; check the path") from None
    except (OSError, ValueError) as error:
        raise CorpusError(f"{path} cannot be read: {_reason(error)}; check the path and its permissions") from None
    if stat.S_ISDIR(info.st_mode):
        return _find_in_folder(path, problem)
    reason = problem(path)
    if reason is not None:
        raise CorpusError(f"{path} {reason}")
    return TextFiles((path,), (), info.st_size)


def _find_in_folder(folder: Path, problem: Callable[[Path], str | None]) -> TextFiles:
    found: list[Path] = []
    skipped: list[str] = []
    for path in walk(folder, skipped):
        reason = problem(path)
        if reason is None:
            found.append(path)
        else:
            skipped.append(f"{path.relative_to(folder)}: {reason}")
    if not found:
        reasons = f" ({len(skipped)} left out, e.g. {skipped[0]})" if skipped else ""
        raise CorpusError(f"{folder} holds no text file{reasons}; choose a folder with text files, or one file")
    return TextFiles(tuple(found), tuple(skipped), sum(path.stat().st_size for path in found))


def walk(top: Path, skipped: list[str]) -> Iterator[Path]:
    """Everything in the folder that is neither hidden nor a folder, depth first, sorted; each folder only once."""
    visited: set[tuple[int, int]] = set()
    waiting = [top]
    while waiting:
        path = waiting.pop()
        if path != top and path.name.startswith("."):
            skipped.append(f"{path.relative_to(top)}: is hidden")
            continue
        try:
            info = path.stat()
            children = sorted(path.iterdir(), reverse=True) if stat.S_ISDIR(info.st_mode) else None
        except OSError as error:
            skipped.append(f"{path.relative_to(top)}: cannot be read: {_reason(error)}")
            continue
        if children is None:
            yield path
        elif (info.st_dev, info.st_ino) in visited:
            skipped.append(f"{path.relative_to(top)}: is a folder that was already read, reached by a link")
        else:
            visited.add((info.st_dev, info.st_ino))
            waiting += children


def no_plain_file(path: Path) -> str | None:
    """Why there is no file with something in it, as the rest of a sentence; None where there is. Raises OSError."""
    info = path.stat()
    if not stat.S_ISREG(info.st_mode):
        return "is a device, a pipe or a socket; save its text to a file first"
    return "is empty; choose a file with text in it" if info.st_size == 0 else None


def text_problem(path: Path, encoding: str = "auto", compression: Compression = "") -> str | None:
    """Why the file is no text file, as the rest of a sentence; None when it is one.

    Raises CorpusError for a compressed file that is damaged where it begins.
    """
    try:
        problem = no_plain_file(path)
        if problem is not None:
            return problem
        with open_unpacked(path, compression) as reader:
            head = reader.read(HEAD_BYTES)
    except OSError as error:
        return f"cannot be read: {_reason(error)}; check the file and its permissions"
    if not head:
        return "is empty within; choose a file with text in it"
    for signature, meaning in _SIGNATURES:
        if re.match(signature, head):
            return meaning
    if encoding == "auto" and _byte_order_mark(head, "auto") is None and b"\0" in head:
        first = head.index(0)
        return (
            f"does not look like text (byte 0 at offset {first}); if it is UTF-16 without a byte-order mark, "
            f"say so with --encoding utf-16-{'le' if first % 2 else 'be'}"
        )
    return None


def unreadable(path: Path, error: OSError) -> CorpusError:
    """What to raise where a file cannot be read any further."""
    return CorpusError(f"{path} cannot be read: {_reason(error)}; check the file and its permissions")


def _reason(error: OSError | ValueError) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def check_encoding(encoding: str) -> None:
    """Raises CorpusError when `encoding` is neither `auto` nor the name of an encoding of text files."""
    if encoding == "auto":
        return
    try:
        name = codecs.lookup(encoding).name.replace("_", "-")
        with contextlib.suppress(UnicodeError):
            b"ab".decode(encoding)  # a LookupError for what turns bytes into bytes, such as base64
    except (LookupError, ValueError):
        name = None
    if name is None or name in _NOT_FOR_FILES:
        raise CorpusError(
            f"{encoding!r} is not an encoding of text files; use auto, utf-8, utf-16, latin-1, cp1252 or another"
        )


def _byte_order_mark(head: bytes, encoding: str) -> tuple[bytes, str] | None:
    """The file's byte-order mark and the encoding it means, where that does not contradict the encoding asked for."""
    asked = "" if encoding == "auto" else codecs.lookup(encoding).name.replace("_", "-").removesuffix("-sig")
    return next(
        ((mark, name) for mark, name in _BYTE_ORDER_MARKS if head.startswith(mark) and name.startswith(asked)), None
    )


def read_blocks(
    path: Path,
    encoding: str = "auto",
    errors: Literal["strict", "replace"] = "strict",
    block_bytes: int = BLOCK_BYTES,
    compression: Compression = "",
) -> Iterator[str]:
    """The text of a file in blocks of about `block_bytes` bytes, line ends as `\\n`, without a byte-order mark.

    Raises CorpusError for bytes that do not decode (where, and what to do), and for a file that is damaged or cannot
    be read.
    """
    check_encoding(encoding)
    try:
        with open_unpacked(path, compression) as reader:
            mark = _byte_order_mark(reader.read(HEAD_BYTES), encoding)
        codec = mark[1] if mark else "utf-8" if encoding == "auto" else encoding
        with open_unpacked(path, compression) as reader:
            offset = len(reader.read(len(mark[0]))) if mark else 0
            where = f"{path} (unpacked)" if compression else str(path)
            yield from _decode(where, reader, offset, codec, errors, block_bytes)
    except OSError as error:
        raise unreadable(path, error) from None


def _decode(path: str, reader: Reader, offset: int, codec: str, errors: str, block_bytes: int) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(codec)(errors)
    # Holds back a carriage return at the end of a block until it knows whether a line feed follows.
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    lines = 1
    more = True
    while more:
        data = reader.read(block_bytes)
        more = bool(data)
        waiting = len(decoder.getstate()[0])
        try:
            text = newlines.decode(decoder.decode(data, final=not more), final=not more)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode(codec, "replace")
            lines += newlines.decode(before, final=True).count("\n")
            raise CorpusError(_undecodable(path, codec, error, offset - waiting + error.start, lines)) from None
        except UnicodeError as error:
            raise CorpusError(f"{path} is not text in {codec} ({error}); name its encoding with --encoding") from None
        offset += len(data)
        lines += text.count("\n")
        if text:
            yield text


def _undecodable(path: str, codec: str, error: UnicodeDecodeError, offset: int, line: int) -> str:
    return (
        f"{path} is not valid {codec} at byte {offset:,}, line {line:,} "
        f"(0x{error.object[error.start]:02X}: {error.reason}); "
        "name its encoding with --encoding (e.g. latin-1 or cp1252), or put U+FFFD in place of such bytes with "
        "--errors replace"
    )
