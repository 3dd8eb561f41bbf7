"""Several corpora become one: a tokenizer that knows them all, each prepared once, and facts that tell of each."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tui_gpt.core.config import DataConfig
from tui_gpt.core.config_loading import build_config
from tui_gpt.core.errors import ConfigError, CorpusError
from tui_gpt.engine.text import sources
from tui_gpt.engine.text.char_tokenizer import CharTokenizer
from tui_gpt.engine.text.mixing import MIX_FILE, MixedCorpus, require_intact
from tui_gpt.engine.text.prepare import Preparation, prepare
from tui_gpt.engine.text.prepared import PreparedCorpus

CATS = "The cat sat on the mat. " * 300
FIGURES = "0123456789 + 98 = ?\n" * 200


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def texts(tmp_path: Path) -> tuple[Path, Path]:
    return write(tmp_path / "cats.txt", CATS), write(tmp_path / "figures.txt", FIGURES)


def mix_of(texts: tuple[Path, Path], share: float = 0.25, **more: object) -> DataConfig:
    return DataConfig(corpus=str(texts[0]), mix=(f"{texts[1]}={share}",), **more)  # type: ignore[arg-type]


def mixed(data: DataConfig, cache: Path, **more: object) -> MixedCorpus:
    found = prepare(data, cache=cache, **more)  # type: ignore[arg-type]
    assert isinstance(found, MixedCorpus)
    return found


def written(part: PreparedCorpus) -> str:
    return part.tokenizer.decode([*part.train.tokens, *part.validation.tokens])


@pytest.mark.parametrize("tokenizer", ["char", "bpe", "auto"])
def test_one_tokenizer_writes_all_of_them(texts: tuple[Path, Path], cache: Path, tokenizer: str) -> None:
    corpus = mixed(mix_of(texts, tokenizer=tokenizer, bpe_vocab_size=300), cache)
    assert [written(part) for part in corpus.corpora] == [CATS, FIGURES]
    for part in corpus.corpora:
        assert part.tokenizer.vocab_size == corpus.tokenizer.vocab_size == corpus.facts.vocab_size
        assert (part.folder / "tokenizer.json").read_bytes() == (corpus.folder / "tokenizer.json").read_bytes()
    if tokenizer == "bpe":
        assert len(corpus.tokenizer.encode(" cat")) == 1 and len(corpus.tokenizer.encode("0123456789")) < 10
    else:
        assert corpus.tokenizer.kind == "char" and corpus.tokenizer.vocab_size == len(set(CATS + FIGURES))


def test_a_large_alphabet_or_a_corpus_that_suits_bpe_makes_it_bpe_for_all(tmp_path: Path, cache: Path) -> None:
    small = write(tmp_path / "cats.txt", CATS)
    large = write(tmp_path / "large.txt", "".join(map(chr, range(0x4E00, 0x4E00 + 400))) * 3)
    assert mixed(mix_of((small, large), bpe_vocab_size=300), cache).tokenizer.kind == "bpe"


def test_the_facts_tell_of_all_together_and_of_each(texts: tuple[Path, Path], cache: Path) -> None:
    corpus = mixed(mix_of(texts, 0.125, tokenizer="char"), cache)
    facts = corpus.facts
    assert corpus.source == "cats.txt with 12.5 % figures.txt"
    assert (facts.characters, facts.tokens) == (len(CATS + FIGURES), len(CATS + FIGURES))
    assert facts.distinct_characters == len(set(CATS + FIGURES)) and facts.documents == 2
    assert (corpus.train.n_tokens, corpus.validation.n_tokens) == (6480 + 3600, 720 + 400)
    main, other = facts.parts
    assert (main.source, main.share, main.readings) == ("cats.txt", 0.875, 1.0)
    assert (other.source, other.share, other.train_tokens, other.validation_tokens) == ("figures.txt", 0.125, 3600, 400)
    # While 6480 tokens of cats are read, a seventh of that is read of the figures.
    assert other.readings == pytest.approx(6480 / 7 / 3600)
    alone = prepare(DataConfig(corpus=str(texts[1])), cache=cache)
    assert other.sha256 == alone.sha256 != corpus.sha256
    with pytest.raises(TypeError, match="lie in those of its parts"):
        _ = corpus.train.tokens


def test_the_hash_stands_for_the_texts_and_their_shares(texts: tuple[Path, Path], cache: Path) -> None:
    first = mixed(mix_of(texts), cache)
    assert mixed(mix_of(texts), cache).sha256 == first.sha256
    assert mixed(mix_of(texts, 0.26), cache).sha256 != first.sha256
    assert mixed(mix_of((texts[1], texts[0])), cache).sha256 != first.sha256
    write(texts[1], FIGURES + "9")
    assert mixed(mix_of(texts), cache).sha256 != first.sha256


def test_a_second_preparation_reads_nothing(
    texts: tuple[Path, Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_SETTLED_NS", 0)  # as if the texts were written long ago
    data = mix_of(texts, tokenizer="bpe", bpe_vocab_size=300)
    first = mixed(data, cache)
    monkeypatch.setattr(Preparation, "survey", lambda self: pytest.fail("it was read again"))
    again = mixed(data, cache, verify=True)
    assert [part.folder for part in again.corpora] == [part.folder for part in first.corpora]
    assert again.facts == first.facts and again.folder == first.folder


def test_a_tokenizer_that_is_given_is_taken_and_another_share_uses_the_same_token_files(
    texts: tuple[Path, Path], cache: Path
) -> None:
    given = CharTokenizer(CATS + FIGURES + "é")
    first = mixed(mix_of(texts), cache, tokenizer=given)
    other = mixed(mix_of(texts, 0.5), cache, tokenizer=given)
    assert first.tokenizer.vocab_size == given.vocab_size
    assert first.folder != other.folder
    assert [part.folder for part in first.corpora] == [part.folder for part in other.corpora]
    with pytest.raises(CorpusError, match=r"figures\.txt needs the character"):
        prepare(mix_of(texts), cache=cache, tokenizer=CharTokenizer(CATS))


def test_what_is_damaged_is_made_again_to_the_bit(texts: tuple[Path, Path], cache: Path) -> None:
    data = mix_of(texts, tokenizer="bpe", bpe_vocab_size=300)
    first = mixed(data, cache)
    tokens = first.corpora[1].train.tokens.tolist()
    require_intact(first.folder)
    train = first.corpora[1].train.path
    content = bytearray(train.read_bytes())
    content[10] ^= 1
    train.write_bytes(content)
    with pytest.raises(CorpusError, match=r"train\.bin has changed"):
        require_intact(first.folder)
    for damage in ("", "tokenizer", "record", "everything"):
        if damage == "tokenizer":
            (first.folder / "tokenizer.json").write_bytes(b"{}")
        elif damage == "record":
            (first.folder / MIX_FILE).write_bytes(b"{")
        elif damage == "everything":
            shutil.rmtree(cache)
        again = mixed(data, cache, verify=True)
        require_intact(again.folder)
        assert (again.folder, again.sha256) == (first.folder, first.sha256)
        assert again.corpora[1].train.tokens.tolist() == tokens


def test_two_files_of_one_name_are_told_apart_and_two_with_one_text_are_refused(tmp_path: Path, cache: Path) -> None:
    one, two = write(tmp_path / "a" / "text.txt", CATS), write(tmp_path / "b" / "text.txt", FIGURES)
    corpus = mixed(mix_of((one, two)), cache)
    assert [part.source for part in corpus.corpora] == ["text.txt", "text.txt (2)"]
    write(two, CATS)
    with pytest.raises(CorpusError, match=r"text\.txt and text\.txt have the same text; leave one of them out"):
        prepare(mix_of((one, two)), cache=cache)


def test_a_corpus_that_is_not_there_is_named_and_so_is_one_that_is_too_short(
    texts: tuple[Path, Path], cache: Path, tmp_path: Path
) -> None:
    with pytest.raises(CorpusError, match="there is no corpus, file or folder"):
        prepare(DataConfig(corpus=str(texts[0]), mix=("nothing=0.5",)), cache=cache)
    with pytest.raises(ConfigError, match="is not of the form"):
        prepare(DataConfig(corpus=str(texts[0]), mix=("nothing",)), cache=cache)
    short = mixed(mix_of((texts[0], write(tmp_path / "short.txt", "The cat, the mat, the cat."))), cache)
    with pytest.raises(CorpusError, match=r"the validation part of short\.txt has 3 tokens"):
        short.require_length(8)


def test_a_part_of_conversations_is_refused_unless_it_is_to_be_read_as_text(
    texts: tuple[Path, Path], cache: Path, tmp_path: Path
) -> None:
    row = '{"question": "What is red?", "answer": "A hen."}\n'
    talks = write(tmp_path / "talks.jsonl", row * 50)
    says = r"^a mix is made of plain texts, and talks\.jsonl has questions and answers; .*, or set data\.form to text$"
    for pair in ((texts[0], talks), (talks, texts[0])):
        with pytest.raises(CorpusError, match=says):
            prepare(mix_of(pair), cache=cache)
    as_text = mixed(mix_of((talks, texts[0]), form="text", column="answer"), cache)
    assert "A hen." in written(as_text.corpora[0])
    with pytest.raises(CorpusError, match=r"and conversations has questions and .*, or leave it out of the mix$"):
        prepare(DataConfig(corpus=str(texts[0]), mix=("conversations=0.5",)), cache=cache)


def test_what_is_said_of_documents_is_said_of_the_main_corpus(tmp_path: Path, cache: Path) -> None:
    main, other = (write(tmp_path / name, "One cat. || Two cats. || Three. || " * 9) for name in ("a.txt", "b.txt"))
    write(other, "One dog. || Two dogs. || " * 9)
    data = mix_of((main, other), separator="||", max_documents=20, shuffle_seed=1)
    corpus = mixed(data, cache)
    assert [part.facts.documents for part in corpus.corpora] == [20, 1]


def test_a_column_is_the_main_corpus_s_and_the_others_find_their_own(tmp_path: Path, cache: Path) -> None:
    main = write(tmp_path / "a.jsonl", '{"body": "The cat sat.", "text": "no"}\n' * 50)
    other = write(tmp_path / "b.jsonl", '{"text": "A dog ran."}\n' * 50)
    corpus = mixed(mix_of((main, other), column="body"), cache)
    assert corpus.facts.columns == ("body",)
    assert "cat" in written(corpus.corpora[0]) and "dog" in written(corpus.corpora[1])


def test_bytes_are_counted_by_shares(tmp_path: Path, cache: Path) -> None:
    one, two = write(tmp_path / "ascii.txt", "abcdefgh" * 100), write(tmp_path / "kana.txt", "あいう" * 100)
    corpus = mixed(mix_of((one, two), tokenizer="char"), cache)
    assert 1 / corpus.tokens_per_byte == pytest.approx(0.75 * 1 + 0.25 * 3)
    assert corpus.corpora[0].tokens_per_byte == 1


def test_the_batches_hold_the_shares(texts: tuple[Path, Path], cache: Path) -> None:
    corpus = mixed(mix_of(texts, tokenizer="char"), cache)
    config = build_config(("", {"model": {"n_positions": 16}, "train": {"batch_size": 8, "max_steps": 1}}))
    batches = corpus.batches(config)
    assert batches.rows_per_epoch == pytest.approx(403 / 0.75)
    for step in range(5):
        rows = [corpus.tokenizer.decode(row) for row in batches.batch(step).ids]
        assert sum(row[0] in FIGURES.replace(" ", "") or "=" in row for row in rows) == 2
