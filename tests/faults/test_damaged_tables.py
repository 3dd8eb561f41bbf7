"""Tables and compressed files that are damaged, hostile or huge: one sentence, or every document, in bounded memory."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import random
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from command_line import call
from hostile_files import within
from peak_memory import PEAK_BYTES

from tui_gpt.core.config import DataConfig
from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text.prepare import prepare
from tui_gpt.engine.text.sources import open_source

TEXTS = [f"Story {number}: the cat sat on mat {number * number}. " * 3 for number in range(12)]
MEASURED = f"""{PEAK_BYTES}
import sys
from tui_gpt.core.config import DataConfig
from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text.sources import open_source
characters, error = 0, ""
try:
    for document in open_source(DataConfig(corpus=sys.argv[1])).documents():
        characters += sum(map(len, document))
except CorpusError as refused:
    error = str(refused)
print(peak_bytes(), characters, error)
"""


def jsonl() -> bytes:
    return b"".join(json.dumps({"text": text}).encode() + b"\n" for text in TEXTS)


def parquet(compression: str = "zstd") -> bytes:
    out = io.BytesIO()
    table = pa.table({"text": TEXTS, "n": range(len(TEXTS))})
    pq.write_table(table, out, row_group_size=5, compression=compression, write_page_checksum=True)
    return out.getvalue()


def with_checksum(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(content)


FILES: dict[str, Callable[[], bytes]] = {
    "a.jsonl.gz": lambda: gzip.compress(jsonl()),
    "a.jsonl.zst": lambda: with_checksum(jsonl()),
    "a.parquet": parquet,
    "plain.parquet": lambda: parquet("none"),
}


def read(path: Path) -> list[str]:
    return ["".join(document) for document in open_source(DataConfig(corpus=str(path))).documents()]


def outcome(path: Path) -> list[str] | str:
    """The documents, or the sentence of the refusal."""
    try:
        return read(path)
    except CorpusError as error:
        sentence = str(error)
    assert sentence.startswith(str(path)) and "\n" not in sentence and len(sentence) < 900, sentence
    return sentence


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_cut_short_anywhere_is_refused(name: str, tmp_path: Path) -> None:
    content, path = FILES[name](), tmp_path / name
    path.write_bytes(content)
    assert read(path) == TEXTS
    with within(240):
        for length in range(len(content)):
            path.write_bytes(content[:length])
            assert isinstance(outcome(path), str), length


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_refused_or_harmless(name: str, tmp_path: Path) -> None:
    content, path = FILES[name](), tmp_path / name
    draw = random.Random(7)
    checked = not name.endswith("parquet")
    refused = 0
    with within(240):
        for place in range(len(content)):
            damaged = bytearray(content)
            damaged[place] ^= 1 << draw.randrange(8)
            path.write_bytes(damaged)
            found = outcome(path)
            refused += isinstance(found, str)
            # A checksum covers the whole of the text; of Parquet, its pages and not what the footer says of them.
            assert isinstance(found, str) or not checked or found == TEXTS, place
    assert refused > len(content) // 5


@pytest.mark.parametrize("name", FILES)
def test_noise_behind_a_file_or_in_its_place_is_a_sentence(name: str, tmp_path: Path) -> None:
    content, path = FILES[name](), tmp_path / name
    noise = random.Random(7).randbytes(3000)
    for damaged in (content + noise, content[:6] + noise, noise + content, content[:4], content[:4] + content[-8:]):
        path.write_bytes(damaged)
        assert isinstance(outcome(path), str)


def test_members_and_frames_may_follow_each_other_many_times(tmp_path: Path) -> None:
    line = b'{"text": "The cat sat on the mat."}\n'
    for name, pack in (("a.jsonl.gz", gzip.compress), ("a.jsonl.zst", zstandard.compress)):
        (tmp_path / name).write_bytes(pack(line) * 3000 + pack(b"") * 3000)
        assert len(read(tmp_path / name)) == 3000


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet", "a.gz", "a.txt.zst"])
def test_pipes_devices_and_lost_files_are_sentences(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with within(20):
        os.mkfifo(path)
        assert "is a device, a pipe or a socket" in call("corpora", "show", path, home=tmp_path / "home").refused(3)
        path.unlink()
        path.symlink_to("/dev/zero")
        assert "is a device, a pipe or a socket" in call("corpora", "show", path, home=tmp_path / "home").refused(3)
        path.unlink()
        path.touch()
        assert "is empty" in call("corpora", "show", path, home=tmp_path / "home").refused(3)


def test_a_hostile_column_name_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    names = ["\x1b[2J" * 50, "a\nb", "\u202e", *(f"column {number}" for number in range(5000))]
    (tmp_path / "a.jsonl").write_text(json.dumps(dict.fromkeys(names, "x")))
    pq.write_table(pa.table({name: ["x"] for name in names}), tmp_path / "a.parquet")
    for path in (tmp_path / "a.jsonl", tmp_path / "a.parquet"):
        assert "and 4,991 more" in call("corpora", "show", path, home=tmp_path / "home").refused(3)


def test_the_limit_of_csv_fields_is_given_back(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    path = tmp_path / "a.csv"
    path.write_text(f'text\n{"x" * (before + 1)}\n"broken\n')
    documents = open_source(DataConfig(corpus=str(path))).documents()
    assert len("".join(next(documents))) == before + 1
    assert csv.field_size_limit() == before
    with pytest.raises(CorpusError, match="not valid CSV in the row at line 3"):
        list(documents)
    assert csv.field_size_limit() == before


def test_a_table_that_changes_between_two_readings_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(jsonl())
    changed = jsonl().replace(b"cat", b"act")

    def change(step: str, _done: float) -> None:
        if step == "reading":
            path.write_bytes(changed)

    data = DataConfig(corpus=str(path), tokenizer="char")
    with pytest.raises(CorpusError, match="changed while it was being read"):
        prepare(data, cache=tmp_path / "cache", progress=change)
    assert not list((tmp_path / "cache").rglob("*.bin"))


# ---- memory


@dataclass(frozen=True)
class Reading:
    """What a process of its own made of a file."""

    peak: int
    """Bytes of resident memory."""
    characters: int
    error: str


def measured(path: Path, seconds: float = 200) -> Reading:
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(path)], capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, done.stderr
    peak, characters, *error = done.stdout.strip().split(" ", 2)
    return Reading(int(peak), int(characters), "".join(error))


def write(path: Path, pieces: Iterator[bytes]) -> Path:
    with path.open("wb") as handle:
        handle.writelines(pieces)
    return path


def gzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


def zstandard_of_one_byte(n_bytes: int) -> bytes:
    """A frame of blocks of four bytes, each of which stands for 128 KiB of spaces (RFC 8878, 3.1.1.2)."""
    size = 128 << 10
    blocks = n_bytes // size
    header = b"\x28\xb5\x2f\xfd\x00\x38"  # a window of 128 KiB, no checksum
    return header + b"".join(
        (size << 3 | 1 << 1 | (number == blocks - 1)).to_bytes(3, "little") + b" " for number in range(blocks)
    )


GIGABYTE = 1 << 30


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.txt.gz", "a.txt.zst"])
def test_a_text_that_unpacks_to_a_gigabyte_is_read_in_the_memory_of_a_short_one(name: str, tmp_path: Path) -> None:
    small = tmp_path / f"small-{name}"
    small.write_bytes((gzip.compress if name.endswith("gz") else zstandard.compress)(b"short"))
    path = tmp_path / name
    if name.endswith("gz"):
        write(path, gzipped(b" " * (1 << 20) for _ in range(1024)))
    else:
        path.write_bytes(zstandard_of_one_byte(GIGABYTE))
    assert path.stat().st_size < 2 << 20
    bomb = measured(path)
    assert (bomb.characters, bomb.error) == (GIGABYTE, "")
    assert bomb.peak - measured(small).peak < 120_000_000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv.gz", "quoted.csv.gz"])
def test_a_row_without_an_end_is_refused_in_bounded_memory(name: str, tmp_path: Path) -> None:
    begin, unit = {
        "a.jsonl.gz": (b'{"text": "', b"x" * (1 << 20)),
        "a.csv.gz": (b"id,text\n1,", b"x" * (1 << 20)),
        "quoted.csv.gz": (b'id,text\n1,"', b"many lines\n" * 100_000),
    }[name]
    path = write(tmp_path / name, gzipped(iter([begin, *[unit] * 400])))
    reading = measured(path)
    assert "a row of more than 128 MiB" in reading.error
    assert reading.peak < 1_800_000_000


@pytest.mark.slow
def test_a_parquet_row_of_a_quarter_of_a_gigabyte_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    program = (
        "import sys, pyarrow as pa, pyarrow.parquet as pq\n"
        "table = pa.table({'text': ['x' * (1 << 28)]})\n"
        "pq.write_table(table, sys.argv[1], compression='zstd', use_dictionary=False)"
    )
    made = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert made.returncode == 0
    reading = measured(path)
    assert "more than 128 MiB of text in row 1" in reading.error
    assert reading.peak < 1_800_000_000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_a_long_table_is_read_in_the_memory_of_a_short_one(name: str, tmp_path: Path) -> None:
    text = "The cat sat on the mat. " * 40

    def make(path: Path, rows: int) -> Path:
        if name == "a.parquet":
            with pq.ParquetWriter(path, pa.schema({"text": pa.string()})) as writer:
                for start in range(0, rows, 50_000):
                    part = [f"{number} {text}" for number in range(start, min(start + 50_000, rows))]
                    writer.write_table(pa.table({"text": part}))
            return path
        if name == "a.csv":
            lines = (f'{number},"{number} {text}"\n'.encode() for number in range(rows))
            return write(path, iter([b"id,text\n", *lines]))
        return write(path, (json.dumps({"text": f"{number} {text}"}).encode() + b"\n" for number in range(rows)))

    short = measured(make(tmp_path / f"short-{name}", 2000))
    long = measured(make(tmp_path / name, 200_000))
    assert long.characters > 190_000_000
    assert long.peak - short.peak < 100_000_000, (short.peak, long.peak)


@pytest.mark.slow
@pytest.mark.parametrize("letter", ["x", "漢"])
def test_a_line_of_a_hundred_megabytes_is_read_in_bounded_memory(letter: str, tmp_path: Path) -> None:
    n = 100_000_000 // len(letter.encode())
    unit = letter.encode() * (n // 100)
    path = write(tmp_path / "a.jsonl", iter([b'{"text": "', *[unit] * 100, b'"}\n{"text": "short"}\n']))
    reading = measured(path)
    assert (reading.characters, reading.error) == (n // 100 * 100 + 5, "")
    assert reading.peak < 900_000_000, reading.peak
