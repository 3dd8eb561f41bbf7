"""Ids equal those of Hugging Face's `tokenizers` and of transformers' AutoTokenizer, for every kind."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tui_gpt.engine.text import gpt2_tokenizer
from tui_gpt.engine.text.bpe_tokenizer import QWEN2_REGEX
from tui_gpt.engine.text.bpe_training import train_bpe
from tui_gpt.engine.text.byte_alphabet import BYTES_IN_ORDER, CHARACTER_OF_BYTE
from tui_gpt.engine.text.char_tokenizer import CharTokenizer
from tui_gpt.engine.text.tokenizer import END_OF_TEXT, Tokenizer
from tui_gpt.engine.text.tokenizer_files import load_tokenizer

WORDS = st.sampled_from(
    [
        "the",
        " the",
        "'s",
        "'LL",
        " ",
        "  ",
        "\n",
        "\r\n",
        "\t",
        "12",
        "!!",
        "é",
        "e\u0301",
        "漢",
        "😀",
        "\x00",
        "\x85",
        "\u3000",
    ]
)
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=100),
    st.lists(WORDS, max_size=40).map("".join),
    st.tuples(st.sampled_from([" ", "a", "\n", "7", "!", "漢", "ab"]), st.integers(1, 3000), WORDS).map(
        lambda t: t[0] * t[1] + t[2]
    ),
)
TRAINING = "the cat's  hat, the mat; they'LL 12 1234!!\n\n\r\n\té e\u0301 naïve 漢字漢字 😀😀\x00  aaa aaaa abab\n" * 20


def assert_equal_ids(tokenizer: Tokenizer, folder: Path) -> None:
    tokenizer.save(folder)
    fast = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))

    @settings(max_examples=300)
    @given(TEXTS.filter(lambda text: END_OF_TEXT not in text))
    def equal(text: str) -> None:
        ids = tokenizer.encode(text)
        assert fast.encode(text).ids == ids
        assert fast.decode(ids, skip_special_tokens=False) == tokenizer.decode(ids)

    equal()


@pytest.mark.parametrize("vocab_size", [257, 300, 1024])
def test_bpe_has_the_ids_of_tokenizers(vocab_size: int, tmp_path: Path) -> None:
    assert_equal_ids(train_bpe([TRAINING], vocab_size), tmp_path)


@given(st.lists(st.text("ab c", min_size=1, max_size=40), min_size=1, max_size=30), st.text("ab c", max_size=80))
@example(["aaaa aaa aa"], "aaaaaaa")
def test_bpe_of_few_letters_has_the_ids_of_tokenizers(training: list[str], text: str) -> None:
    tokenizer = train_bpe(training, 300)
    assert tokenizer._reference.encode(text).ids == tokenizer.encode(text)


@pytest.mark.shared_data
def test_gpt2_has_the_ids_of_tokenizers(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(shared_data / "tiktoken_cache", tmp_path / "tiktoken")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "tiktoken"))
    gpt2_tokenizer.gpt2_tokenizer.cache_clear()
    assert_equal_ids(gpt2_tokenizer.gpt2_tokenizer(), tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert (loaded.kind, loaded.vocab_size, loaded.eot_id) == ("gpt2", 50_257, 50_256)
    text = (shared_data / "tinyshakespeare.txt").read_text()
    assert len(loaded.encode(text)) == 338_025
    fast = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert fast.encode(text[:100_000]).ids == loaded.encode(text[:100_000])


def foreign_bpe(folder: Path, *, qwen: bool, specials_first: bool) -> tokenizers.Tokenizer:
    """A byte-level BPE as others write it: Qwen2's pattern and NFC, or special tokens with the first ids."""
    from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers

    fast = tokenizers.Tokenizer(models.BPE())
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not qwen)
    split = pre_tokenizers.Split(Regex(QWEN2_REGEX), "isolated")
    fast.pre_tokenizer = pre_tokenizers.Sequence([split, level]) if qwen else level
    fast.normalizer = normalizers.NFC() if qwen else None
    fast.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=[END_OF_TEXT, "<pad>"] if specials_first else [],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    fast.train_from_iterator([TRAINING], trainer)
    if not specials_first:
        fast.add_special_tokens([END_OF_TEXT])
    fast.save(str(folder / "tokenizer.json"))
    return fast


@pytest.mark.parametrize(("qwen", "specials_first"), [(True, False), (True, True), (False, True)])
def test_foreign_byte_level_bpe_keeps_its_ids(qwen: bool, specials_first: bool, tmp_path: Path) -> None:
    fast = foreign_bpe(tmp_path, qwen=qwen, specials_first=specials_first)
    loaded = load_tokenizer(tmp_path)
    assert loaded.vocab_size == fast.get_vocab_size()
    assert loaded.eot_id == fast.token_to_id(END_OF_TEXT)

    @settings(max_examples=300)
    @given(TEXTS, st.integers(0, 60))
    def equal(text: str, at: int) -> None:
        ids = loaded.encode(text)
        assert fast.encode(text).ids == ids
        assert fast.decode(ids, skip_special_tokens=False) == loaded.decode(ids)
        if not qwen:  # NFC reaches across a cut
            cut = loaded.last_cut(text[:at])
            assert loaded.encode(text[:cut]) + loaded.encode(text[cut:]) == ids

    equal()


def test_a_run_of_spaces_that_overflows_tiktoken_has_the_ids_of_tokenizers(tmp_path: Path) -> None:
    tokenizer = train_bpe([TRAINING], 400)
    tokenizer.save(tmp_path)
    fast = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in (" " * 400_000 + "a", "\n" * 400_000 + "a b"):
        assert tokenizer.encode(text) == fast.encode(text).ids


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_auto_tokenizer_opens_what_is_saved_without_any_model(kind: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer: Tokenizer = CharTokenizer(TRAINING) if kind == "char" else train_bpe([TRAINING], 400)
    tokenizer.save(tmp_path, model_max_length=64)
    opened = AutoTokenizer.from_pretrained(tmp_path)
    text = TRAINING[:900]
    assert opened(text[:60])["input_ids"] == tokenizer.encode(text[:60])
    assert opened.decode(tokenizer.encode(text)) == text
    assert (len(opened), opened.model_max_length) == (tokenizer.vocab_size, 64)
    assert opened.eos_token_id == tokenizer.eot_id
    assert opened.unk_token is None


def test_the_byte_alphabet_is_that_of_tokenizers() -> None:
    from tokenizers import pre_tokenizers

    assert sorted(CHARACTER_OF_BYTE.values()) == sorted(pre_tokenizers.ByteLevel.alphabet())
    assert sorted(BYTES_IN_ORDER) == [bytes([byte]) for byte in range(256)]
