"""Every tokenizer gives back, whole or token by token, every text it can represent."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text import gpt2_tokenizer
from tui_gpt.engine.text.bpe_tokenizer import BpeTokenizer
from tui_gpt.engine.text.bpe_training import train_bpe
from tui_gpt.engine.text.char_tokenizer import CharTokenizer
from tui_gpt.engine.text.tokenizer import Tokenizer

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
TRAINING = "The cat's hat sat on the mat. 漢字 😀😀 naïve café 1234\n\n    indented, twice\n" * 20
BPE = train_bpe([TRAINING], 400)


def assert_streams_like_decode(tokenizer: Tokenizer, ids: list[int]) -> None:
    decoder = tokenizer.stream_decoder()
    pieces = [decoder.push(number) for number in ids]
    assert "".join(pieces) + decoder.flush() == tokenizer.decode(ids)


@given(ANY_TEXT)
def test_bpe_gives_back_any_text(text: str) -> None:
    ids = BPE.encode(text)
    assert BPE.decode(ids) == text
    assert BPE.encode_array(text).tolist() == ids
    assert_streams_like_decode(BPE, ids)


@given(st.lists(st.integers(-3, 500), max_size=60))
def test_streaming_equals_decoding_for_any_tokens(ids: list[int]) -> None:
    assert_streams_like_decode(BPE, ids)


@given(ANY_TEXT.filter(bool))
def test_char_gives_back_any_text_of_its_alphabet(text: str) -> None:
    tokenizer = CharTokenizer(text)
    ids = tokenizer.encode(text)
    assert len(ids) == len(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.characters == "".join(sorted(set(text)))
    assert_streams_like_decode(tokenizer, ids)


def test_an_emoji_never_arrives_in_halves() -> None:
    tokenizer = train_bpe(["abc"], 257)
    decoder = tokenizer.stream_decoder()
    assert [decoder.push(number) for number in tokenizer.encode("a😀")] == ["a", "", "", "", "😀"]
    assert [decoder.push(number) for number in tokenizer.encode("😀")[:2]] == ["", ""]
    assert decoder.flush() == "\ufffd"
    assert decoder.push(tokenizer.encode("b")[0]) == "b"


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [("catΩ", 3, "'Ω' (U+03A9, GREEK CAPITAL LETTER OMEGA)"), ("\x07", 0, "U+0007"), ("a\ud800", 1, "U+D800")],
)
def test_char_names_what_it_cannot_write_and_where(text: str, position: int, words: str) -> None:
    with pytest.raises(CorpusError) as refused:
        CharTokenizer("abct").encode(text)
    assert words in str(refused.value)
    assert f"position {position}" in str(refused.value)
    assert "bpe" in str(refused.value)


def test_char_uses_two_bytes_a_token_unless_its_alphabet_is_larger() -> None:
    assert CharTokenizer("ab").encode_array("ba").dtype == np.uint16
    wide = CharTokenizer(map(chr, range(0x20000, 0x20000 + 70_000)))
    assert wide.encode_array(chr(0x20000 + 69_999)).tolist() == [69_999]
    assert wide.encode_array("").dtype == np.uint32


def test_the_name_of_a_special_token_in_a_text_is_text() -> None:
    ids = BPE.encode("<|endoftext|>")
    assert BPE.eot_id not in ids
    assert BPE.eot_id == BPE.vocab_size - 1
    assert BPE.decode([*ids, BPE.eot_id]) == "<|endoftext|>" * 2


def test_lone_surrogates_become_replacement_characters_and_pairs_are_joined() -> None:
    assert BPE.decode(BPE.encode("a\ud83d\ude00\udfff")) == "a😀\ufffd"


def test_a_small_text_gives_a_small_bpe() -> None:
    assert train_bpe(["aa"], 5000).vocab_size == 258  # 256 bytes, one merge, one special token
    assert train_bpe([], 300).decode(train_bpe([], 300).encode("né")) == "né"


def test_bpe_training_is_deterministic(tmp_path: Path) -> None:
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        train_bpe([TRAINING[:500], TRAINING[500:]], 400).save(tmp_path / name)
        contents.append((tmp_path / name / "tokenizer.json").read_bytes())
    assert contents[0] == contents[1]


@settings(max_examples=200)
@given(
    st.text(
        st.one_of(st.sampled_from(" \n\t'sa1.é漢。 \r\u3000"), st.characters(exclude_categories=["Cs"])), max_size=60
    ),
    ANY_TEXT,
)
@example("foo  \n", " bar")
@example("it", "'s")
def test_a_text_cut_where_allowed_has_the_tokens_of_the_whole(text: str, more: str) -> None:
    cut = BPE.last_cut(text)
    assert BPE.encode(text[:cut]) + BPE.encode(text[cut:] + more) == BPE.encode(text + more)


def test_a_cut_is_found_in_any_long_text_with_words() -> None:
    assert BPE.last_cut("some words and then " + "x" * 100_000) == len("some words and then")
    assert BPE.last_cut("漢字。漢字。") == 5
    assert BPE.last_cut("x" * 100_000) == 0


@pytest.mark.parametrize(
    "run",
    ["a" * 1_000_000, " " * 1_000_000 + "a", "\n" * 1_000_000, "漢" * 300_000, " \n" * 500_000 + "x"],
    ids=["letters", "spaces", "line-ends", "ideographs", "blank-lines"],
)
def test_a_megabyte_without_a_word_end_is_encoded_in_seconds(run: str) -> None:
    started = time.monotonic()
    assert BPE.decode(BPE.encode(run)) == run
    assert time.monotonic() - started < 120


@pytest.fixture
def gpt2(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BpeTokenizer:
    shutil.copytree(shared_data / "tiktoken_cache", tmp_path / "tiktoken")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "tiktoken"))
    gpt2_tokenizer.gpt2_tokenizer.cache_clear()
    return gpt2_tokenizer.gpt2_tokenizer()


@pytest.mark.shared_data
def test_gpt2_has_the_published_ids(gpt2: BpeTokenizer) -> None:
    assert gpt2.encode("Hello world!") == [15496, 995, 0]
    assert (gpt2.kind, gpt2.vocab_size, gpt2.eot_id) == ("gpt2", 50_257, 50_256)


@pytest.mark.shared_data
def test_gpt2_gives_back_any_text(gpt2: BpeTokenizer) -> None:
    @given(ANY_TEXT)
    def gives_back(text: str) -> None:
        ids = gpt2.encode(text)
        assert gpt2.decode(ids) == text
        assert_streams_like_decode(gpt2, ids)

    gives_back()


def test_gpt2_without_its_files_and_without_a_network_is_a_sentence(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.delenv("no_proxy", raising=False)
    gpt2_tokenizer.gpt2_tokenizer.cache_clear()
    with pytest.raises(CorpusError, match="choose the tokenizer bpe") as refused:
        gpt2_tokenizer.gpt2_tokenizer()
    assert str(home / "cache" / "tiktoken") in str(refused.value)
    assert "TIKTOKEN_CACHE_DIR" not in os.environ
