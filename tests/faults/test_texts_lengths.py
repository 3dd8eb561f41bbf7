"""However long a line, a word or a run of one character is: memory is bounded, and so is the time."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from peak_memory import PEAK_BYTES

from tui_gpt.engine.text.char_tokenizer import CharTokenizer
from tui_gpt.engine.text.token_files import LONGEST_RUN, TokenFileWriter
from tui_gpt.engine.text.tokenizer import TokenArray

MEASURED = f"""{PEAK_BYTES}
import sys
from tui_gpt import cli
code = cli.run(sys.argv[1:])
print("peak", peak_bytes(), file=sys.stderr)
sys.exit(code)
"""
WORKERS = min(os.cpu_count() or 1, 8)


@dataclass(frozen=True)
class Shown:
    """What `corpora show` took."""

    out: str
    peak: int
    """Bytes of resident memory."""


def show(path: Path, tokenizer: str, seconds: float, home: Path) -> Shown:
    """`corpora show` as a process of its own, within so many seconds."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "corpora", "show", str(path), "--tokenizer", tokenizer],
        env={**os.environ, "TUI_GPT_HOME": str(home), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Shown(done.stdout, int(done.stderr.split("peak ")[1]))


def write(path: Path, unit: bytes, size: int) -> Path:
    """A file of that many bytes made of one unit, written in pieces."""
    piece = unit * (1_000_000 // len(unit))
    with path.open("wb") as handle:
        while handle.tell() < size:
            handle.write(piece)
    return path


class Uncuttable(CharTokenizer):
    """Sees no place to cut anywhere, as a BPE in a text without spaces, and notes what it is given at once."""

    longest = 0

    def last_cut(self, text: str) -> int:
        return 0

    def encode_array(self, text: str) -> TokenArray:
        self.longest = max(self.longest, len(text))
        return super().encode_array(text)


@pytest.mark.parametrize("block", [1 << 20, LONGEST_RUN - 1, 3 * LONGEST_RUN])
def test_a_text_that_can_be_cut_nowhere_is_encoded_in_bounded_pieces_and_whole(block: int, tmp_path: Path) -> None:
    text = ("ab" * (1 + block // 2))[:block]
    tokenizer = Uncuttable("ab")
    with ThreadPoolExecutor(1) as pool:
        writer = TokenFileWriter(tmp_path / "a.bin", tokenizer, pool, 1)
        blocks = 1 + 3 * LONGEST_RUN // block
        for _ in range(blocks):
            writer.write(text)
        record = writer.close()
    assert tokenizer.longest <= LONGEST_RUN
    tokens = np.fromfile(tmp_path / "a.bin", dtype="<u2")
    assert record.n_tokens == len(tokens) == blocks * block
    expected = CharTokenizer("ab").encode_array(text)
    assert all(np.array_equal(part, expected) for part in tokens.reshape(blocks, block))


def test_a_run_within_the_limit_is_encoded_in_one_piece(tmp_path: Path) -> None:
    tokenizer = Uncuttable("ab")
    with ThreadPoolExecutor(1) as pool:
        writer = TokenFileWriter(tmp_path / "a.bin", tokenizer, pool, 1)
        for _ in range(4):
            writer.write("a" * (LONGEST_RUN // 4))
        writer.close()
    assert tokenizer.longest == LONGEST_RUN


@pytest.mark.slow
@pytest.mark.parametrize("unit", [b"the cat sat on a mat, ", b"x", "漢".encode()], ids=["words", "letter", "ideograph"])
def test_one_line_of_a_hundred_megabytes_takes_the_memory_of_a_short_text(unit: bytes, tmp_path: Path) -> None:
    short = show(write(tmp_path / "short.txt", unit, 1_000_000), "char", 60, tmp_path / "home")
    path = write(tmp_path / "long.txt", unit, 100_000_000)
    assert b"\n" not in unit
    long = show(path, "char", 200, tmp_path / "home")
    path.unlink()
    assert long.peak - short.peak < 40_000_000 + 30_000_000 * WORKERS, (short.peak, long.peak)


@pytest.mark.slow
def test_twelve_megabytes_without_a_space_are_encoded_by_bpe_in_bounded_memory(tmp_path: Path) -> None:
    short = show(write(tmp_path / "short.txt", b"a", 1_000_000), "bpe", 60, tmp_path / "home")
    long = show(write(tmp_path / "long.txt", b"a", 12_000_000), "bpe", 200, tmp_path / "home")
    # A piece of two million characters takes 44 bytes for each while it is encoded.
    assert long.peak - short.peak < 60_000_000 + 110_000_000 * WORKERS, (short.peak, long.peak)


@pytest.mark.slow
@pytest.mark.parametrize("unit", [b" ", b"\t\n", b"x1y2z", b"\xf0\x9f\x98\x80", b"!?"])
def test_a_megabyte_without_a_word_takes_bpe_seconds(unit: bytes, tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", unit, 1_000_000)
    assert "bpe" in show(path, "bpe", 60, tmp_path / "home").out
