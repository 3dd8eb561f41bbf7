"""Corpora that are fetched, and what can be done with documents: parting, counting, cleaning up, shuffling."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from commands import Call
from hypothesis import given
from hypothesis import strategies as st
from web_imitation import Web, web

from tui_gpt.core.config import DataConfig
from tui_gpt.core.corpora import CATALOGUE, END_OF_STORY, RemoteFile, with_own_choices
from tui_gpt.core.errors import CorpusError
from tui_gpt.core.fetched import PartState, downloads_folder, missing, part_of, write_part
from tui_gpt.core.hub_corpus import HubCorpus, parse_hub_corpus
from tui_gpt.engine.downloads import plain_file
from tui_gpt.engine.text import arranging
from tui_gpt.engine.text.cleaning import BROKEN, EMPTY, UNENDED, cleaned
from tui_gpt.engine.text.formats.parting import parted
from tui_gpt.engine.text.formats.tables import RowCount
from tui_gpt.engine.text.prepare import prepare
from tui_gpt.engine.text.sources import open_source

STORIES = [f"Once there was a fox. It had {n} friends." for n in range(3000)]
STORIES[2001] = "A café — at the end of what has come, perhaps. " * 3
STORIES[3] = "â€œHello,â€\x9d said Tom. â€œItâ€™s  me.â€"
STORIES[5] = "A story that stops in the"
STORIES[7] = ""


def story_file(stories: list[str]) -> bytes:
    return "".join(f"{story}\n{END_OF_STORY}\n" for story in stories).encode()


def remote(server: Web, name: str, content: bytes) -> RemoteFile:
    sources = (server.address("404"), server.address("well"))
    return RemoteFile(name=name, n_bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), sources=sources)


@pytest.fixture
def tinystories(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """The corpus, with two thirds of its stories to train on by default, on a server of the test."""
    train, validation = story_file(STORIES * 20), story_file(STORIES[:50])
    with web(train) as server, web(validation) as other:
        info = msgspec.structs.replace(
            CATALOGUE["tinystories"],
            train=remote(server, "TinyStories-train.txt", train),
            validation=remote(other, "TinyStories-valid.txt", validation),
            documents=2000,
        )
        monkeypatch.setitem(CATALOGUE, "tinystories", info)
        yield server


@pytest.fixture
def shakespeare(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(plain_file, "_PAUSE_SECONDS", 0.0)
    text = b"First Citizen:\nBefore we proceed any further, hear me speak.\n\n" * 100
    with web(text) as server:
        info = msgspec.structs.replace(CATALOGUE["shakespeare"], train=remote(server, "tinyshakespeare.txt", text))
        monkeypatch.setitem(CATALOGUE, "shakespeare", info)
        yield server


def texts(**settings: Any) -> list[str]:
    return ["".join(document) for document in open_source(DataConfig(**settings)).documents()]


# ---- names


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("hub:squad", HubCorpus("squad")),
        ("hub:a/b:train", HubCorpus("a/b", split="train")),
        ("hub:a/b:train:body", HubCorpus("a/b", split="train", column="body")),
        ("hub:a/b@v1:de/test:a:b", HubCorpus("a/b", "v1", "de", "test", "a:b")),
        ("hub:a/b@refs/convert/parquet:x/y/train", HubCorpus("a/b", "refs/convert/parquet", "x/y", "train")),
    ],
)
def test_a_data_set_is_named_with_revision_configuration_split_and_column(text: str, meant: HubCorpus) -> None:
    assert parse_hub_corpus(text) == meant
    assert str(meant) == text


@pytest.mark.parametrize(
    "text", ["hub:", "hub:a/b/c", "hub:../x", "hub:a/b@", "hub:a/b@a b", "hub:a/b:../x", "hub:a:\0"]
)
def test_what_names_no_data_set_is_a_sentence(text: str) -> None:
    with pytest.raises(CorpusError, match=r"names no data set|is no revision|is no split"):
        parse_hub_corpus(text)


# ---- Tiny Shakespeare


def test_shakespeare_comes_once_from_the_second_source_where_the_first_one_has_nothing(
    shakespeare: Web, call: Call
) -> None:
    lack = missing(DataConfig(corpus="shakespeare"))
    assert lack is not None and lack.n_bytes == len(shakespeare.content)
    done = call("corpora", "show", "shakespeare", "--json")
    assert done.code == 0, done
    assert (done.json["tokenizer"], done.json["bytes"], done.json["documents"]) == ("char", 6200, 1)
    assert [way for way, _ in shakespeare.asked] == ["404", "well"]
    assert missing(DataConfig(corpus="shakespeare")) is None
    assert call("corpora", "show", "shakespeare").code == 0
    assert len(shakespeare.asked) == 2


def test_only_who_may_fetch_does(shakespeare: Web) -> None:
    with pytest.raises(
        CorpusError, match="Tiny Shakespeare is not on this machine yet; `tui-gpt corpora fetch shakesp"
    ):
        prepare(DataConfig(corpus="shakespeare"), fetch=False)
    assert shakespeare.asked == []


def test_the_list_says_what_is_here(shakespeare: Web, call: Call) -> None:
    listed = call("corpora", "list").out
    assert "stories" in listed and "comes with the program" in listed
    assert "Tiny Shakespeare" in listed and "to be fetched, 6.2 kB" in listed and "1.9 GB" not in listed
    assert call("corpora", "fetch", "shakespeare").code == 0
    assert {c["name"]: c["here"] for c in call("corpora", "list", "--json").json}["shakespeare"]
    assert "shakespeare" in call("doctor", "--quick").out
    refused = call("corpora", "fetch", "stories")
    assert refused.code == 3 and "is on this machine already" in refused.err


# ---- TinyStories


def test_tinystories_are_fetched_as_far_as_asked_for_cleaned_and_shuffled(tinystories: Web, home: Path) -> None:
    prepared = prepare(DataConfig(corpus="tinystories", bpe_vocab_size=300))
    facts = prepared.facts
    assert facts.documents == 2000 - 2 + 48
    assert facts.own_validation == "TinyStories-valid.txt"
    assert facts.changes[0] == "the first 2,000 documents of TinyStories-train.txt"
    assert "2 documents broken characters mended" in facts.changes
    assert "2 documents left out: break off within a sentence" in facts.changes
    train = downloads_folder("tinystories") / "TinyStories-train.txt"
    assert not train.exists() and part_of(train).stat().st_size < len(tinystories.content)
    eot = prepared.tokenizer.eot_id
    assert eot is not None
    read = prepared.tokenizer.decode(prepared.train.tokens).split(END_OF_STORY)
    assert len(read) == 1998 and sorted(read) == sorted(
        cleaned(s, Counter()) for s in STORIES[:2000] if s and s != STORIES[5]
    )
    assert read != sorted(read)
    assert '"Hello," said Tom. "It\'s me."' in read
    assert prepared.tokenizer.decode(prepared.validation.tokens).startswith(STORIES[0])
    prepared.require_length(64)
    again = prepare(DataConfig(corpus="tinystories", bpe_vocab_size=300, validation_fraction=0.3), fetch=False)
    assert again.folder == prepared.folder and again.facts == facts


def test_it_is_the_same_text_whether_the_rest_is_here_or_not(tinystories: Web) -> None:
    settings = {"corpus": "tinystories", "max_documents": 700}
    some = texts(**settings)
    assert len(texts(corpus="tinystories", max_documents=0)) > 50_000
    assert (downloads_folder("tinystories") / "TinyStories-train.txt").is_file()
    assert texts(**settings) == some
    assert texts(**settings, shuffle_seed=2) != some
    assert sorted(texts(**settings, shuffle_seed=2)[:690]) != some[:690]
    plain = texts(**settings, clean="off", min_characters=30)
    assert len(plain) < len(some) + 2 and STORIES[3] in plain
    assert with_own_choices(DataConfig(**settings)).clean == "on"  # type: ignore[arg-type]


def test_a_run_on_it_says_what_it_left_to_the_corpus(tinystories: Web, call: Call, home: Path) -> None:
    from training_runs import tiny

    from tui_gpt.engine.training.begin import begin_run

    config = tiny(home, max_steps=2)
    data = msgspec.structs.replace(config.data, corpus="tinystories", max_documents=None, tokenizer="auto")
    run = begin_run(msgspec.structs.replace(config, data=data), "stories")
    kept = json.loads((run.folder / "run.json").read_text())["config"]["data"]
    assert (kept["corpus"], kept["max_documents"], kept["clean"], kept["shuffle_seed"]) == (
        "tinystories",
        2000,
        "on",
        1337,
    )


def test_nothing_left_is_a_sentence(tinystories: Web) -> None:
    with pytest.raises(CorpusError, match=r"nothing is left of tinystories|the text has no characters"):
        prepare(DataConfig(corpus="tinystories", min_characters=1000))


# ---- any text


def test_what_has_come_in_halves_behind_the_documents_asked_for_is_not_read(tinystories: Web) -> None:
    train = downloads_folder("tinystories") / "TinyStories-train.txt"
    content = story_file(STORIES[:8])
    train.parent.mkdir(parents=True)
    part_of(train).write_bytes(content + b"caf\xc3")
    write_part(train, PartState(n_bytes=len(content) + 4, documents=8))
    settings = {"corpus": "tinystories", "max_documents": 8, "clean": "off", "shuffle_seed": 1}
    found = texts(**settings)
    assert sorted(found[:7]) == sorted(STORIES[:7])
    assert tinystories.asked == []


@given(st.lists(st.text("ab\n|<", max_size=12), max_size=8), st.integers(1, 7))
def test_a_text_parts_at_its_separator_wherever_its_blocks_end(pieces: list[str], size: int) -> None:
    text = "<|>".join(pieces)
    blocks = (text[at : at + size] for at in range(0, len(text), size))
    count = RowCount()
    found = list(parted(Path("a.txt"), blocks, "<|>", count))
    assert found == [stripped for part in text.split("<|>") if (stripped := part.strip("\n"))]


def test_a_file_of_stories_is_documents_with_a_separator(tmp_path: Path) -> None:
    path = tmp_path / "stories.txt"
    path.write_bytes(story_file(STORIES[:20]))
    assert len(texts(corpus=str(path))) == 1
    assert texts(corpus=str(path), separator=END_OF_STORY) == [story for story in STORIES[:20] if story]
    assert texts(corpus=str(path), separator=END_OF_STORY, max_documents=4) == STORIES[:4]
    facts = prepare(DataConfig(corpus=str(path), separator=END_OF_STORY, min_characters=30)).facts
    assert (facts.documents, facts.empty_rows, facts.own_validation) == (18, 1, "")
    assert facts.changes == ("1 document left out: shorter than data.min_characters",)


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("â€œHi,â€\x9d he said.", '"Hi," he said.'),
        ("Itâ€™s â€“ well â€” so.", "It's - well - so."),
        ('A â€ lost one."', 'A " lost one."'),
        ("CafÃ© is cafÃ©.", "Café is café."),
        ("Ã§a, NÃO é.", "ça, NÃO é."),
        ("ð\x9f\x98\x80 fun.", "😀 fun."),
        ("“Curly” – ‘it’s’…", "\"Curly\" - 'it's'..."),
        ("  two   spaces \n\n\n\n and\tlines. \n", "two spaces\n\nand lines."),
        ("un\ufeffseen\u200b \ufffdhere.", "unseen here."),
        ("français, Zürich, 漢字 stay.", "français, Zürich, 漢字 stay."),
    ],
)
def test_cleaning_up_mends_what_is_broken_and_leaves_the_rest(text: str, mended: str) -> None:
    assert cleaned(text, Counter()) == mended
    assert cleaned(mended, Counter()) == mended


@given(st.text(max_size=200))
def test_cleaning_up_twice_changes_nothing_more_of_what_it_keeps(text: str) -> None:
    counts: Counter[str] = Counter()
    once = cleaned(text, counts)
    assert once == "" or once == once.strip()
    assert (once == "") == bool(counts[UNENDED] + counts[EMPTY])
    assert all(ord(character) >= 32 or character == "\n" for character in once)


def test_what_was_done_is_counted() -> None:
    counts: Counter[str] = Counter()
    for text in ["â€œA.â€\x9d", "B.", "and then", "  "]:
        cleaned(text, counts)
    assert (counts[BROKEN], counts[UNENDED], counts[EMPTY]) == (1, 1, 1)


def test_the_order_is_of_the_seed_and_of_each_part_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arranging, "PART_DOCUMENTS", 10)

    def arranged(number: int, seed: int) -> list[str]:
        documents = (iter([str(n)]) for n in range(number))
        found = arranging.Arrangement(shuffle_seed=seed).to_train_on(documents, Counter())
        return ["".join(document) for document in found]

    assert arranged(25, 1) != arranged(25, 2)
    # What comes first does not wait for the rest: a longer text begins as a shorter one does.
    assert arranged(40, 1)[:20] == arranged(25, 1)[:20]
    assert sorted(map(int, arranged(25, 1)[:10])) == list(range(10))
    assert sorted(map(int, arranged(25, 1))) == list(range(25))
