"""A corpus becomes token files once: exact splits, equal ids, safe against damage and against other processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from peak_memory import PEAK_BYTES

from tui_gpt.core.config import DataConfig
from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text.prepare import explore, prepare
from tui_gpt.engine.text.prepared import open_prepared
from tui_gpt.engine.text.survey import evenly_spread, train_characters

WORDS = ["the", "cat", "sat", "on", "a", "mat,", "and", "it's", "9", "o'clock;", "naïve", "漢字。\n"]


def prose(n_characters: int, seed: int = 0) -> str:
    choice = np.random.default_rng(seed).integers(0, len(WORDS), n_characters // 2)
    return " ".join(WORDS[number] for number in choice)[:n_characters]


def data(path: Path, **settings: object) -> DataConfig:
    return DataConfig(corpus=str(path), **settings)  # type: ignore[arg-type]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (1e9, 1e9))
    return path


def test_one_file_is_split_at_the_exact_character(tmp_path: Path, cache: Path) -> None:
    text = prose(12_345)
    prepared = prepare(data(write(tmp_path / "a.txt", text), tokenizer="char"), cache=cache)
    cut = int(0.9 * len(text))
    assert prepared.tokenizer.decode(prepared.train.tokens) == text[:cut]
    assert prepared.tokenizer.decode(prepared.validation.tokens) == text[cut:]
    assert (prepared.train.n_bytes, prepared.validation.n_bytes) == (len(text[:cut].encode()), len(text[cut:].encode()))
    assert prepared.tokenizer.vocab_size == len(set(text))
    assert prepared.train.tokens.dtype == np.uint16
    assert not prepared.train.tokens.flags.writeable


@pytest.mark.shared_data
def test_tiny_shakespeare_is_what_nanogpt_makes_of_it(shared_data: Path, cache: Path) -> None:
    prepared = prepare(data(shared_data / "tinyshakespeare.txt", tokenizer="char"), cache=cache)
    assert prepared.tokenizer.vocab_size == 65
    assert (prepared.train.n_tokens, prepared.validation.n_tokens) == (1_003_854, 111_540)
    assert prepared.train.tokens[:5].tolist() == [18, 47, 56, 57, 58]
    assert prepared.facts.sample.startswith("First Citizen:\nBefore we proceed")
    assert prepared.sha256.startswith("86c4e6aa9db7")


@pytest.mark.parametrize("tokenizer", ["char", "bpe"])
def test_blocks_give_the_tokens_of_the_whole_text(tokenizer: str, tmp_path: Path, cache: Path) -> None:
    text = prose(2_500_000) + "x" * 1_200_000 + "\n\n\n  y"
    prepared = prepare(data(write(tmp_path / "a.txt", text), tokenizer=tokenizer, bpe_vocab_size=300), cache=cache)
    cut = int(0.9 * len(text))
    assert np.array_equal(prepared.train.tokens, prepared.tokenizer.encode_array(text[:cut]))
    assert np.array_equal(prepared.validation.tokens, prepared.tokenizer.encode_array(text[cut:]))


def test_documents_are_separated_and_split_at_the_nearest_boundary(tmp_path: Path, cache: Path) -> None:
    texts = [prose(1000 + 7 * number, seed=number) for number in range(20)]
    for number, text in enumerate(texts):
        write(tmp_path / "folder" / f"{number:02}.txt", text)
    for kind, separator in (("bpe", "<|endoftext|>"), ("char", "\n\n")):
        prepared = prepare(data(tmp_path / "folder", tokenizer=kind), cache=cache)
        assert prepared.tokenizer.decode(prepared.train.tokens) == separator.join(texts[:18])
        assert prepared.tokenizer.decode(prepared.validation.tokens) == separator.join(texts[18:])
        assert prepared.facts.documents == 20
        separators = 18 if kind == "bpe" else 0
        assert np.count_nonzero(prepared.train.tokens == prepared.tokenizer.eot_id) == max(separators - 1, 0)
    assert prepared.source == "folder"


@pytest.mark.parametrize(
    ("lengths", "fraction", "expected"),
    [
        ([10], 0.1, 9),
        ([2], 0.001, 1),
        ([2], 0.5, 1),
        ([50, 45, 5], 0.1, 95),  # the boundary is near enough
        ([10, 990], 0.1, 900),  # no boundary is: cut inside a document
        ([1_115_394], 0.1, 1_003_854),
    ],
)
def test_the_training_part_ends_at_a_boundary_only_when_one_is_near(
    lengths: list[int], fraction: float, expected: int
) -> None:
    assert train_characters(lengths, fraction) == expected


def test_auto_means_characters_for_a_small_alphabet_and_bpe_for_a_large_one(tmp_path: Path, cache: Path) -> None:
    assert prepare(data(write(tmp_path / "small.txt", prose(5000))), cache=cache).tokenizer.kind == "char"
    large = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    assert prepare(data(write(tmp_path / "large.txt", large)), cache=cache).tokenizer.kind == "bpe"


def test_a_prepared_corpus_is_reused_without_reading_the_text(tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path / "a.txt", prose(5000))
    steps: list[str] = []
    first = prepare(data(path), cache=cache, progress=lambda step, done: steps.append(step))
    assert {"reading", "encoding"} <= set(steps)
    written = (first.folder / "train.bin").stat().st_mtime_ns
    # Just written files are not trusted by their times; a second reading only finds the entry.
    again = prepare(data(path), cache=cache, progress=lambda step, done: steps.append(step))
    assert again.folder == first.folder
    assert (again.folder / "train.bin").stat().st_mtime_ns == written
    path.write_text(prose(5001, seed=9))
    assert prepare(data(path), cache=cache).sha256 != first.sha256


def test_an_old_text_is_recognised_by_its_times(tmp_path: Path, cache: Path) -> None:
    source = Path(os.__file__)  # as old as this Python
    first = prepare(data(source), cache=cache)
    steps: list[str] = []
    assert prepare(data(source), cache=cache, progress=lambda step, done: steps.append(step)).folder == first.folder
    assert steps == []


def test_the_same_text_under_another_name_shares_the_entry_but_keeps_its_name(tmp_path: Path, cache: Path) -> None:
    text = prose(5000)
    one = prepare(data(write(tmp_path / "one.txt", text)), cache=cache)
    two = prepare(data(write(tmp_path / "two.txt", text)), cache=cache)
    assert (one.folder, one.source, two.source) == (two.folder, "one.txt", "two.txt")


@pytest.mark.parametrize("name", ["train.bin", "validation.bin", "manifest.json", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_a_damaged_entry_is_made_again(name: str, damage: str, tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path / "a.txt", prose(5000))
    first = prepare(data(path), cache=cache)
    expected = first.train.tokens.tolist()
    victim = first.folder / name
    content = victim.read_bytes()
    victim.unlink()
    if damage == "truncated":
        victim.write_bytes(content[: len(content) // 2])
    with pytest.raises(CorpusError, match="prepare the corpus again"):
        open_prepared(first.folder)
    assert prepare(data(path), cache=cache).train.tokens.tolist() == expected


def test_a_flipped_byte_is_found_when_asked_to_verify(tmp_path: Path, cache: Path) -> None:
    folder = prepare(data(write(tmp_path / "a.txt", prose(5000))), cache=cache).folder
    assert open_prepared(folder, verify=True).train.n_tokens == 4500
    content = bytearray((folder / "train.bin").read_bytes())
    content[100] ^= 1
    (folder / "train.bin").write_bytes(content)
    with pytest.raises(CorpusError, match="has changed"):
        open_prepared(folder, verify=True)


def test_two_processes_that_prepare_the_same_corpus_get_the_same_one(tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path / "a.txt", prose(1_000_000))
    program = (
        "import sys; from pathlib import Path; from tui_gpt.core.config import DataConfig\n"
        "from tui_gpt.engine.text.prepare import prepare\n"
        "p = prepare(DataConfig(corpus=sys.argv[1], tokenizer='bpe'), cache=Path(sys.argv[2]))\n"
        "print(p.folder, p.train.n_tokens, int(p.train.tokens[-1]))"
    )
    command = [sys.executable, "-c", program, str(path), str(cache)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert outputs[0] == outputs[1]
    assert outputs[0][1] == ""
    assert [entry.name for entry in cache.iterdir() if entry.name.endswith(".tmp")] == []


def test_what_stops_a_preparation_leaves_nothing_half_done(tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path / "a.txt", prose(50_000))

    def stop(step: str, done: float) -> None:
        if step == "encoding":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(data(path), cache=cache, progress=stop)
    assert [entry for entry in cache.iterdir() if entry.is_dir()] == []
    assert prepare(data(path), cache=cache).facts.characters == 50_000


def test_progress_runs_from_the_beginning_to_the_end_of_each_step(tmp_path: Path, cache: Path) -> None:
    seen: dict[str, list[float]] = {}
    path = write(tmp_path / "a.txt", prose(2_500_000))
    prepare(
        data(path, tokenizer="bpe"), cache=cache, progress=lambda step, done: seen.setdefault(step, []).append(done)
    )
    assert list(seen) == ["reading", "training the tokenizer", "encoding"]
    for shares in seen.values():
        assert all(0 <= a <= b <= 1 for a, b in pairwise(shares))
        assert shares[-1] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("text", ["", "x"])
def test_a_text_that_cannot_be_split_is_a_sentence(text: str, tmp_path: Path, cache: Path) -> None:
    with pytest.raises(CorpusError, match=r"is empty|choose a longer text"):
        prepare(data(write(tmp_path / "a.txt", text)), cache=cache)


def test_a_text_too_short_for_the_context_says_what_is_needed(tmp_path: Path, cache: Path) -> None:
    prepared = prepare(data(write(tmp_path / "a.txt", prose(1000)), tokenizer="char"), cache=cache)
    prepared.require_length(99)
    with pytest.raises(CorpusError, match=r"validation part of a\.txt has 100 tokens.* 101;.*at most 99"):
        prepared.require_length(100)
    with pytest.raises(CorpusError, match=r"training part of a\.txt has 900 tokens"):
        prepared.require_length(1024)


def test_the_advice_for_a_short_text_is_possible(tmp_path: Path, cache: Path) -> None:
    prepared = prepare(data(write(tmp_path / "a.txt", "ab"), tokenizer="char"), cache=cache)
    with pytest.raises(CorpusError, match=r"choose a longer text$"):
        prepared.require_length(16)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_folder_may_hold_names_that_are_no_text(tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, content in ((b"a\xff.txt", b"The cat sat on the mat. " * 50), (b"b\xff.bin", b"\0")):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(content)
    prepared = prepare(data(folder, tokenizer="char"), cache=cache)
    assert prepared.train.n_tokens == 1080
    with pytest.raises(CorpusError, match="not valid Unicode"):
        prepare(data(next(path for path in folder.iterdir() if path.suffix == ".txt")), cache=cache)


def test_a_cache_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", prose(1000))
    with pytest.raises(CorpusError, match="cannot be written"):
        prepare(data(path), cache=path / "below-a-file")


def test_an_invalid_byte_in_a_folder_names_its_file(tmp_path: Path, cache: Path) -> None:
    write(tmp_path / "folder" / "good.txt", "good")
    (tmp_path / "folder" / "bad.txt").write_bytes(b"ok\n\xe9t\xe9\n")
    with pytest.raises(CorpusError, match=r"bad\.txt is not valid utf-8 at byte 3, line 2"):
        prepare(data(tmp_path / "folder"), cache=cache)
    replaced = prepare(data(tmp_path / "folder", errors="replace", tokenizer="char"), cache=cache)
    assert replaced.tokenizer.decode(replaced.train.tokens).startswith("ok\n\ufffdt\ufffd\n")


def test_built_in_stories_become_documents_and_facts(home: Path) -> None:
    facts = explore(DataConfig(corpus="stories", corpus_megabytes=0.3))
    assert facts.tokenizer == "bpe"
    assert facts.bytes >= 300_000
    assert facts.documents > 100
    assert facts.bytes_per_token > 2
    assert len(facts.sample) == 300
    steps: list[str] = []
    config = DataConfig(corpus="stories", corpus_megabytes=0.3)
    prepared = prepare(config, progress=lambda step, done: steps.append(step))
    assert steps == []  # known by the generator's version: nothing is made again
    eot = np.count_nonzero(prepared.train.tokens == prepared.tokenizer.eot_id)
    assert eot + np.count_nonzero(prepared.validation.tokens == prepared.tokenizer.eot_id) == facts.documents - 2
    assert prepared.folder.is_relative_to(home / "cache")
    assert json.loads((prepared.folder / "manifest.json").read_text())["source"] == "stories"


def test_a_spread_sample_comes_from_everywhere_and_is_as_large_as_asked() -> None:
    blocks = [f"{number:03}" for number in range(300)]
    assert list(evenly_spread(blocks, 900, 5000)) == blocks
    sample = list(evenly_spread(blocks, 900, 90))
    assert sample[0] == "000"
    assert 28 <= len(sample) <= 32
    assert int(sample[-1]) > 285


MEASURE = f"""{PEAK_BYTES}
import sys
from pathlib import Path
from tui_gpt.core.config import DataConfig
from tui_gpt.engine.text.prepare import prepare
p = prepare(DataConfig(corpus=sys.argv[1], tokenizer=sys.argv[2]), cache=Path(sys.argv[3]))
print(peak_bytes(), p.facts.bytes)
"""


@pytest.mark.slow
@pytest.mark.parametrize("tokenizer", ["char", "bpe"])
def test_a_long_text_is_prepared_in_the_memory_of_a_short_one(tokenizer: str, tmp_path: Path, cache: Path) -> None:
    piece = prose(1_000_000)
    peaks = []
    for megabytes in (2, 200):
        path = tmp_path / f"{megabytes}.txt"
        with path.open("w") as handle:
            while handle.tell() < megabytes * 1_000_000:
                handle.write(piece)
        command = [sys.executable, "-c", MEASURE, str(path), tokenizer, str(cache)]
        peak, n_bytes = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert int(n_bytes) >= megabytes * 1_000_000
        peaks.append(int(peak))
        path.unlink()
        shutil.rmtree(cache)
    assert peaks[1] - peaks[0] < 150_000_000, peaks
