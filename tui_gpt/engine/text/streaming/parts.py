"""The parts of a text that arrives: a file of tokens each, and beside it what is known of it, written last."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from numpy.typing import NDArray

from tui_gpt.core.corpora import END_OF_STORY
from tui_gpt.core.errors import CorpusError
from tui_gpt.core.given_files import read_given
from tui_gpt.core.streams import StreamPlan
from tui_gpt.engine.text.formats.tables import LONGEST_ROW
from tui_gpt.engine.text.token_files import DtypeName, FileRecord, open_token_file

_LARGEST_RECORD_BYTES = 16 << 20
_CHUNK = 1 << 20
_LINE_ENDS = b"\r\n"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class TextFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a reading of some documents told."""

    sha256: str
    """Of the text, as `TextHash` makes it."""
    documents: int
    """That are learned from."""
    characters: int
    bytes: int
    """UTF-8 bytes of the text."""
    alphabet: str
    """Every distinct character, sorted."""
    shortest: int
    """Characters of the shortest document; 0 without any."""
    longest: int
    empty: int
    """Documents without any text, which are left out."""
    counts: dict[str, int]
    """What was cleaned up or left out, and in how many documents."""
    sample: str


class PartRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`part-00000.json`."""

    number: int
    tokens: FileRecord
    text: TextFacts
    begin: int
    """Where it begins in the file of the text, in bytes."""
    end: int
    source_sha256: str
    """Of those bytes."""
    is_last: bool


@dataclass(frozen=True)
class Part:
    """A part that is here, every byte compared with its hash."""

    record: PartRecord
    tokens: NDArray[Any]
    """(n_tokens,), mapped from the file."""


def part_file(folder: Path, number: int) -> Path:
    """Where the tokens of a part lie."""
    return folder / f"part-{number:05d}.bin"


def record_file(folder: Path, number: int) -> Path:
    """Where the record of a part lies."""
    return part_file(folder, number).with_suffix(".json")


def read_record(folder: Path, number: int) -> PartRecord | None:
    """What is known of a part; None where it was not made yet, or where that cannot be read."""
    try:
        return msgspec.json.decode(read_given(record_file(folder, number), _LARGEST_RECORD_BYTES), type=PartRecord)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def open_part(folder: Path, number: int, dtype: DtypeName) -> Part | None:
    """The part, verified; None where it is not here, or damaged, and has to be made (again)."""
    record = read_record(folder, number)
    if record is None or record.number != number:
        return None
    try:
        file = open_token_file(part_file(folder, number), record.tokens, dtype, verify=True)
        return Part(record, file.tokens)
    except (CorpusError, OSError):
        return None


def bytes_expected(plan: StreamPlan, folder: Path) -> int:
    """About how many bytes of the text's file will have to come, judged by the parts that are here."""
    last = number = 0
    while (record := read_record(folder, number)) is not None:
        last, number = record.end, number + 1
    total = plan.train.n_bytes
    if plan.documents and number:
        total = min(total, round(plan.documents * last / (number * plan.part_documents)))
    return max(last, total)


@dataclass(frozen=True)
class Stretch:
    """Documents that follow each other in a file."""

    texts: list[str]
    """Those that are not empty, without the line ends around them."""
    empty: int
    found: int
    """How many were ended by a separator, or by the end of the file."""
    begin: int
    end: int
    """In bytes."""
    sha256: str
    """Of the bytes."""
    ends_file: bool
    """Whether nothing comes behind it, in a file that is whole."""


def read_stretch(path: Path, begin: int, most: int, *, whole: bool) -> Stretch:
    """The next `most` documents of a file from byte `begin` on, or (0) all; only what is `whole` may end with fewer.

    As `parted` has them. Raises CorpusError where fewer are there, for what is no UTF-8, and for a document that no
    memory should have to hold; OSError where it cannot be read.
    """
    separator = END_OF_STORY.encode()
    content = bytearray()
    found = searched = end = 0
    with path.open("rb") as handle:
        handle.seek(begin)
        while not most or found < most:
            chunk = handle.read(_CHUNK)
            if not chunk:
                break
            content += chunk
            while (not most or found < most) and (at := content.find(separator, searched)) >= 0:
                end = searched = at + len(separator)
                found += 1
            searched = max(end, len(content) - len(separator) + 1)
            if len(content) - end > LONGEST_ROW:
                raise CorpusError(f"{path} has more than {LONGEST_ROW >> 20} MiB of text without {END_OF_STORY}")
        complete = bool(most) and found == most
        if complete:
            rest = bytes(content[end:]).strip(_LINE_ENDS)
            del content[end:]
            while whole and not rest and (chunk := handle.read(_CHUNK)):
                rest = chunk.strip(_LINE_ENDS)
        elif not whole:
            raise CorpusError(f"{path} was taken away while it was read; try again")
        else:
            rest = b""
    texts, empty, ended = _texts(path, content, begin)
    return Stretch(
        texts=texts,
        empty=empty,
        found=ended,
        begin=begin,
        end=begin + len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        ends_file=whole and not rest,
    )


def _texts(path: Path, content: bytearray, begin: int) -> tuple[list[str], int, int]:
    """The documents with text, how many have none, and how many there are with those."""
    start = len(_BYTE_ORDER_MARK) if begin == 0 and content.startswith(_BYTE_ORDER_MARK) else 0
    try:
        text = content[start:].decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path} is not valid utf-8 at byte {begin + start + error.start:,} ({error.reason}); delete it, so that "
            "it is fetched again"
        ) from None
    *ended, rest = text.replace("\r\n", "\n").replace("\r", "\n").split(END_OF_STORY)
    texts = [stripped for piece in ended if (stripped := piece.strip("\n"))]
    empty = len(ended) - len(texts)
    if stripped := rest.strip("\n"):
        texts.append(stripped)
    return texts, empty, len(texts) + empty
