"""Every token of a corpus with how often it occurs: counted right, kept, put in order, and made visible."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from commands import Call
from hypothesis import given
from hypothesis import strategies as st

from tui_gpt.core.config import DataConfig
from tui_gpt.core.errors import CorpusError
from tui_gpt.core.safe_text import safe_text
from tui_gpt.core.token_order import cumulative_shares, found, never_in_words, ordered
from tui_gpt.core.token_text import LONGEST_TEXT, character_name, token_text, visible
from tui_gpt.engine.text import token_counts as counting
from tui_gpt.engine.text.prepare import prepare
from tui_gpt.engine.text.prepared import PreparedCorpus
from tui_gpt.engine.text.token_counts import COUNTS_FILE, token_counts

TEXT = "The cat sat on the mat.\n\n漢字 and a naïve dog 🐕\n" * 40 + "ZZZ"


def prepared_in(folder: Path, tokenizer: str = "bpe", text: str = TEXT) -> PreparedCorpus:
    path = folder / "a.txt"
    path.write_text(text, encoding="utf-8")
    data = DataConfig(corpus=str(path), tokenizer=tokenizer, bpe_vocab_size=300)  # type: ignore[arg-type]
    return prepare(data, cache=folder / "cache")


@pytest.mark.parametrize("tokenizer", ["char", "bpe"])
def test_the_counts_are_those_of_the_training_part_alone(
    tokenizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "_CHUNK", 100)
    prepared = prepared_in(tmp_path, tokenizer)
    steps: list[tuple[str, float]] = []
    counts = token_counts(prepared, lambda step, done: steps.append((step, done)))
    ids = prepared.train.tokens.tolist()
    assert counts.tolist() == [ids.count(token) for token in range(prepared.tokenizer.vocab_size)]
    assert steps[0] == ("counting", 0.0) and len(steps) > 2
    if tokenizer == "char":
        z = prepared.tokenizer.encode("Z")[0]
        assert counts[z] == 0  # it stands at the end, which is validated on
        assert "1 of 21 tokens never occurs in the training part" in never_in_words(counts.tolist())


def test_the_counts_are_kept_and_made_anew_when_they_are_damaged_or_anothers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepared_in(tmp_path)
    counts = token_counts(prepared).tolist()
    kept = prepared.folder / COUNTS_FILE
    good = kept.read_bytes()

    def counted_again() -> bool:
        steps: list[str] = []
        assert token_counts(prepared, lambda step, done: steps.append(step)).tolist() == counts
        return bool(steps)

    assert not counted_again()
    flipped = bytearray(good)
    flipped[40] ^= 1
    for damage in (bytes(flipped), good[:-1], good + b"\0", b"", b"\0" * len(good)):
        kept.write_bytes(damage)
        assert counted_again()
        assert kept.read_bytes() == good
    other = prepared_in(tmp_path, text=TEXT.replace("cat", "act"))
    token_counts(other)
    assert (other.folder / COUNTS_FILE).stat().st_size == len(good)
    kept.write_bytes((other.folder / COUNTS_FILE).read_bytes())
    assert counted_again()
    kept.unlink()
    kept.mkdir()
    assert counted_again()  # and cannot be kept
    kept.rmdir()
    assert sorted(path.name for path in prepared.folder.iterdir() if path.name.startswith(".")) == []


def test_a_token_that_the_tokenizer_does_not_know_is_a_sentence(tmp_path: Path) -> None:
    prepared = prepared_in(tmp_path)
    content = np.fromfile(prepared.train.path, dtype=prepared.train.dtype)
    content[5] = 60_000
    content.tofile(prepared.train.path)
    with pytest.raises(CorpusError, match=r"has the token 60,000, and the tokenizer knows 292: the file is damaged"):
        token_counts(prepared)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30))
def test_the_orders_hold_every_token_once_and_the_shares_grow_to_all(counts: list[int]) -> None:
    by_count = ordered("count", counts, counts)
    assert sorted(by_count) == ordered("id", counts, counts) == list(range(len(counts)))
    assert by_count == sorted(range(len(counts)), key=lambda token: (-counts[token], token))
    shares = [cumulative_shares(counts)[token] for token in by_count]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1 if any(counts) else 0)
    lengths = counts[::-1]
    assert ordered("length", counts, lengths) == sorted(range(len(counts)), key=lambda token: (-lengths[token], token))


def test_tokens_are_found_by_text_and_by_id() -> None:
    texts = ["a", "b", "ab", "#1", "\n"]
    assert found([4, 3, 2, 1, 0], texts, "a") == [2, 0]
    assert found([0, 1, 2, 3, 4], texts, "") == [0, 1, 2, 3, 4]
    assert found([0, 1, 2, 3, 4], texts, "#1") == [1, 3]
    assert found([0, 1, 2, 3, 4], texts, "#" + "1" * 5000) == []


@given(st.binary(max_size=12) | st.text(max_size=6).map(lambda text: text.encode("utf-8", "replace")))
def test_a_token_is_shown_with_nothing_invisible_in_it(content: bytes) -> None:
    shown = visible(token_text(content))
    assert shown == safe_text(shown, newlines=False)
    assert not any(character.isspace() for character in shown)
    assert not shown or not unicodedata.category(shown[0]).startswith("M")
    assert bool(shown) == bool(content)


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b" the", "␣the"),
        (b"\n\n\t", "␊␊␉"),
        (b"\xe2\x80", r"\xe2\x80"),
        ("a\u00a0\u3000".encode(), r"a\xa0\u3000"),
        ("\u0301".encode(), "◌\u0301"),
        (b"\x1b[31m", "␛[31m"),
        ("\u202e".encode(), r"\u202e"),
        (b"x" * 10**6, "x" * LONGEST_TEXT + "…"),
        (("🐕" * 300).encode(), "🐕" * LONGEST_TEXT + "…"),
    ],
)
def test_tokens_look_like_this(content: bytes, shown: str) -> None:
    assert visible(token_text(content)) == shown


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A", "U+0041 LATIN CAPITAL LETTER A"),
        ("\n", "U+000A LINE FEED"),
        ("\x01", "U+0001 control character"),
        ("\ue000", "U+E000"),
        ("ab", ""),
        ("", ""),
    ],
)
def test_a_character_has_a_name(text: str, name: str) -> None:
    assert character_name(text) == name


def rows(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines()[1:]]


def test_the_command_lists_what_there_is_in_any_order(call: Call, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(TEXT, encoding="utf-8")
    told = call("corpora", "tokens", path, "--tokenizer", "char", "--limit", "3", home=home)
    assert told.code == 0
    first, *_ = table = rows(told.out)
    assert len(table) == 3
    assert first[4:] == ["␣", "U+0020", "SPACE"]
    assert "and 18 more; --limit 0 shows all" in told.err
    assert "1 of 21 tokens never occurs in the training part: a model cannot learn it from this text" in told.err
    last = rows(call("corpora", "tokens", path, "--tokenizer", "char", "--limit", "0").out)[-1]
    assert last[1:] == ["0", "0.000%", "100.00%", "Z", "U+005A", "LATIN", "CAPITAL", "LETTER", "Z"]
    by_id = rows(call("corpora", "tokens", path, "--tokenizer", "char", "--sort", "id").out)
    assert [row[0] for row in by_id] == [str(token) for token in range(21)]
    assert by_id[0][4:] == ["␊", "U+000A", "LINE", "FEED"]
    longest = rows(call("corpora", "tokens", path, "--tokenizer", "char", "--sort", "length", "--limit", "1").out)
    assert longest[0][4:] == ["🐕", "U+1F415", "DOG"]
    only = rows(call("corpora", "tokens", path, "--tokenizer", "char", "--find", "字").out)
    assert [row[4] for row in only] == ["字"]
    none = call("corpora", "tokens", path, "--tokenizer", "char", "--find", "qq")
    assert (none.code, none.out) == (0, "") and "no token is like that" in none.err


def test_as_json_lines_the_tokens_are_complete_and_their_counts_add_up(call: Call, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(TEXT, encoding="utf-8")
    arguments = ("corpora", "tokens", path, "--tokenizer", "bpe", "--bpe-vocab-size", "300", "--json")
    tokens = [json.loads(line) for line in call(*arguments, home=home).out.splitlines()]
    shown = call("corpora", "show", *arguments[2:]).json
    assert len(tokens) == shown["vocab_size"] == 292
    assert sum(token["count"] for token in tokens) == shown["train_tokens"]
    assert sum(token["share"] for token in tokens) == pytest.approx(1)
    assert sum(len(token["bytes"]) // 2 * token["count"] for token in tokens) == len(
        TEXT[: int(0.9 * len(TEXT))].encode()
    )
    assert {token["text"] for token in tokens} >= {" ", "\n", r"\xe6"}
    assert len(call(*arguments, "--limit", "7").out.splitlines()) == 7


def test_a_folder_and_a_table_tell_of_copies_and_of_a_leak(call: Call, home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(10):
        (folder / f"{number}.txt").write_text(f"The same text in every file but one. {number // 9}")
    (folder / "9.txt").write_text((folder / "0.txt").read_text())
    told = call("corpora", "show", folder, home=home)
    assert "documents    10, of 38 to 38 characters" in told.out
    assert "9 of 10 documents are copies of an earlier one, 90 % of the characters" in told.out
    assert "1 document of the validation part, 100 % of it, stands in the training part too" in told.out
    assert call("corpora", "show", folder, "--json").json["repeats"]["copies"] == 9


def test_how_often_a_text_is_read_is_told_with_the_speed(call: Call, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("The cat sat on the mat. " * 100, encoding="utf-8")
    fields = ("n_layer=1", "n_embd=32", "n_positions=16")
    small = [part for field in fields for part in ("--set", f"model.{field}")]
    small += ["--set", "train.batch_size=4", "--set", "train.threads=1", "--set", "train.max_epochs=2.25"]
    command = ("config", "speed", path, "--seconds", "0.2", "--preset", "tiny", *small, "--set", "train.max_steps=none")
    told = call(*command, "--json", home=home)
    assert told.code == 0, told.err
    assert told.json["text_read"] == pytest.approx(2.25)
    assert [part["times"] for part in told.json["exposure"]] == [2, 3]
    assert told.json["exposure"][0]["share"] == pytest.approx(0.75)
    assert "text read   2.25 times: 75 % twice, 25 % 3 times" in call(*command).out
