"""A long text is encoded by the words that are known from before: to the ids that it has anyway."""

from __future__ import annotations

import random
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tui_gpt.engine.text import known_words
from tui_gpt.engine.text.bpe_tokenizer import BpeTokenizer
from tui_gpt.engine.text.bpe_training import train_bpe
from tui_gpt.engine.text.known_words import KnownWords
from tui_gpt.engine.text.tokenizer import END_OF_TEXT
from tui_gpt.engine.text.word_pieces import piece_starts

TRAINING = "The cat's hat sat on the mat; we'll see. 漢字 😀 naïve café 1234\n\n    indented, twice\n" * 20
BPE = train_bpe([TRAINING], 400)
SPACES = (
    "".join(chr(code) for code in range(sys.maxunicode) if unicodedata.category(chr(code))[0] == "Z") + "\t\n\v\f\r\x85"
)
KINDS = "aZst'vredlm09.!_-\x00\x1c\x1f\x7f é字²Ⅷ٣\u0301\u200b“”😀" + SPACES
TEXT = st.text(st.sampled_from(KINDS), max_size=60) | st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
SEGMENTS = st.lists(st.none() | TEXT, min_size=1, max_size=6)


def plainly(tokenizer: BpeTokenizer, segments: list[str | None]) -> list[int]:
    """Each segment by itself."""
    assert tokenizer.eot_id is not None
    found: list[int] = []
    for segment in segments:
        found += [tokenizer.eot_id] if segment is None else tokenizer.encode(segment)
    return found


@given(SEGMENTS)
@example(["it's", None, "'s  's 'll've'l", "l", None, None, ""])
@example(["two  ", " more ", None, " end \n\n", None, "\n a"])
@example(["don't“we'll” \u00a0 \u2003x  \u3000", "é"])
@example(["'", "s", None, "'l", None, "l'"])
def test_documents_have_the_ids_of_their_segments(segments: list[str | None]) -> None:
    assert BPE.encode_documents(segments).tolist() == plainly(BPE, segments)


@given(st.text(st.sampled_from(KINDS), max_size=80))
def test_pieces_lie_where_the_pattern_parts_a_text(text: str) -> None:
    """What is a piece by arithmetic has the ids by itself that `tokenizers` gives it within the text."""
    if not text:
        return
    data = text.encode("utf-8")
    starts = piece_starts(data).tolist()
    assert starts[0] == 0
    assert starts[-1] == len(data)
    pieces = [data[begin:end].decode("utf-8") for begin, end in pairwise(starts)]
    reference = BPE._reference
    assert [number for piece in pieces for number in reference.encode(piece).ids] == reference.encode(text).ids


def test_every_character_has_the_ids_it_has_between_words() -> None:
    codes = [*range(0xD800), *range(0xE000, 0x12000), *range(0x12000, sys.maxunicode, 251)]
    text = "".join(f"a{chr(code)} {chr(code)}b" for code in codes)
    assert np.array_equal(BPE.encode_documents([text]), BPE.encode_array(text))


def test_words_are_forgotten_and_learned_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_words, "MOST_WORDS", 50)
    monkeypatch.setattr(known_words, "MOST_BYTES", 400)
    monkeypatch.setattr(known_words, "_PLACES", 64)
    monkeypatch.setattr(known_words, "_PLACE_SHIFT", np.uint64(58))
    monkeypatch.setattr(known_words, "_BLOCK", 8)
    monkeypatch.setattr(known_words, "_LARGE_BLOCK", 16)
    draw = random.Random(0)
    words = KnownWords(BPE.encode_array, BPE._encoding.encode_ordinary, 399)
    for size in (5, 40, 60, 500) * 5:
        vocabulary = ["".join(draw.choices("abcdefgh'é\0", k=draw.randint(1, 20))) for _ in range(size)]
        text = " ".join(draw.choices(vocabulary, k=4 * size))
        assert words.encode([text, None]).tolist() == [*BPE.encode(text), 399]
        assert len(words._numbers) <= 50


def test_text_without_words_that_come_again_is_encoded_as_before() -> None:
    draw = random.Random(0)
    text = " ".join(f"{draw.random():.12f}" for _ in range(2000))
    words = KnownWords(BPE.encode_array, BPE._encoding.encode_ordinary, 399)
    assert words.encode([text]).tolist() == BPE.encode(text)
    known = len(words._numbers)
    assert words.encode([text[::-1], None]).tolist() == [*BPE.encode(text[::-1]), 399]
    assert len(words._numbers) == known


def test_pieces_longer_than_any_word_and_halves_of_characters() -> None:
    for text in ("x" * 100_000, " " * 300_000 + "y", "字" * 20_000, "a\ud83d\ude00b \ud800c", ""):
        assert BPE.encode_documents([text, None, text]).tolist() == plainly(BPE, [text, None, text])


def test_ids_in_another_order_and_normal_forms_are_kept() -> None:
    tokens = [BPE.token_bytes(number) for number in range(BPE.vocab_size - 1)]
    specials = {END_OF_TEXT: len(tokens)}
    turned = BpeTokenizer(tokens, merges=BPE.merges, ids=list(range(len(tokens)))[::-1], specials=specials, nfc=True)
    segments = ["cafe\u0301 and the cat's hat", None, "e\u0301"]
    assert turned.encode_documents(segments).tolist() == plainly(turned, segments)
    qwen = BpeTokenizer(tokens, merges=BPE.merges, specials=specials, pattern="qwen2")
    assert qwen.encode_documents(segments).tolist() == plainly(qwen, segments)


def test_threads_share_a_tokenizer() -> None:
    texts = [TRAINING[shift:] * 30 for shift in range(16)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: BPE.encode_documents([text]).tolist(), texts))
    assert found == [BPE.encode(text) for text in texts]
