"""A file that is fetched from a server that fails: the right bytes or none, gone on with, in bounded time and space."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from web_imitation import Way, Web, web

from tui_gpt.core.corpora import RemoteFile
from tui_gpt.core.errors import CorpusError
from tui_gpt.core.fetched import PartState, part_of, read_part, write_part
from tui_gpt.engine.downloads import plain_file
from tui_gpt.engine.downloads.plain_file import fetch_file

CONTENT = random.Random(1).randbytes(300_000)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(plain_file, "_PAUSE_SECONDS", 0.0)
    with web(CONTENT) as server:
        yield server


def fetched(
    server: Web, path: Path, *ways: Way, content: bytes = CONTENT, documents: int = 0
) -> list[tuple[str, float]]:
    told: list[tuple[str, float]] = []
    file = RemoteFile(
        name=path.name,
        n_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        sources=tuple(server.address(way) for way in ways),
    )
    fetch_file("the text", file, path, lambda what, share: told.append((what, share)), documents=documents)
    return told


def refused(server: Web, path: Path, *ways: Way) -> str:
    with pytest.raises(CorpusError) as caught:
        fetched(server, path, *ways)
    sentence = str(caught.value)
    assert "\n" not in sentence and len(sentence) < 700
    assert "stories, python, python-docs and conversations or files of your own" in sentence
    assert not path.exists()
    return sentence


def test_a_file_comes_whole_with_its_bytes_told_and_once(server: Web, tmp_path: Path) -> None:
    path = tmp_path / "downloads" / "a.txt"
    told = fetched(server, path, "well")
    assert path.read_bytes() == CONTENT
    assert told[-2][0] == "fetching a.txt, 300 kB of 300 kB" and told[-2][1] == 1.0
    assert [share for _, share in told[:-1]] == sorted(share for _, share in told[:-1])
    fetched(server, path, "well")
    assert server.asked == [("well", None)]
    assert sorted(file.name for file in path.parent.iterdir()) == ["a.txt", "a.txt.lock"]


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("404", "answered 404"),
        ("500", "answered 500"),
        ("loop", "leads nowhere"),
        ("wrong", "sent another file"),
        ("short", "ended after 299,000 of 300,000 bytes"),
        ("endless", "sends more than the 300,000 bytes"),
    ],
)
def test_what_fails_is_a_sentence_and_the_next_source_is_asked(
    server: Web, tmp_path: Path, way: Way, reason: str
) -> None:
    assert reason in refused(server, tmp_path / "a.txt", way)
    fetched(server, tmp_path / "a.txt", way, "well")
    assert (tmp_path / "a.txt").read_bytes() == CONTENT


@pytest.mark.parametrize("way", ["breaks", "long"])
def test_what_breaks_off_is_gone_on_with(server: Web, tmp_path: Path, way: Way) -> None:
    fetched(server, tmp_path / "a.txt", way)
    assert (tmp_path / "a.txt").read_bytes() == CONTENT
    if way == "breaks":
        assert [part for _, part in server.asked] == [None, *(f"bytes={n}-" for n in range(50_000, 300_000, 50_000))]


def test_what_one_source_got_wrong_does_not_spoil_the_next(server: Web, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    part_of(path).write_bytes(bytes(1000))
    write_part(path, PartState(n_bytes=1000, documents=0))
    fetched(server, path, "404", "well")
    assert path.read_bytes() == CONTENT
    assert server.asked == [("404", "bytes=1000-"), ("well", "bytes=1000-"), ("well", None)]


def test_another_source_goes_on_where_the_first_one_broke_off(server: Web, tmp_path: Path) -> None:
    server.content = CONTENT[:100_000]
    assert "ended after 100,000 of 300,000 bytes" in refused(server, tmp_path / "a.txt", "well")
    server.content, server.asked = CONTENT, []
    fetched(server, tmp_path / "a.txt", "404", "well")
    assert (tmp_path / "a.txt").read_bytes() == CONTENT
    assert server.asked == [("404", "bytes=100000-"), ("well", "bytes=100000-")]


def test_a_server_that_never_comes_further_is_left(server: Web, tmp_path: Path) -> None:
    # It sends its beginning again each time, whatever part is asked for.
    assert "broke off" in refused(server, tmp_path / "a.txt", "no range")
    assert len(server.asked) <= 5


def test_another_part_than_was_asked_for_is_not_put_together(server: Web, tmp_path: Path) -> None:
    assert "another part of the file" in refused(server, tmp_path / "a.txt", "part")


def test_a_server_that_stalls_is_left(server: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_file, "SILENCE_SECONDS", 0.2)
    assert "did not answer in time" in refused(server, tmp_path / "a.txt", "stalls")
    fetched(server, tmp_path / "a.txt", "well")
    assert (tmp_path / "a.txt").read_bytes() == CONTENT
    assert server.asked[-1][1] is not None


def test_a_server_that_drips_is_left(server: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_file, "SLOW_SECONDS", 1e-9)
    monkeypatch.setattr(plain_file, "SLOW_BYTES", 1 << 30)
    assert "bytes a second" in refused(server, tmp_path / "a.txt", "well")


def test_whoever_cancels_finds_it_again(server: Web, tmp_path: Path) -> None:
    class EnoughError(Exception):
        pass

    def cancel(what: str, share: float) -> None:
        raise EnoughError

    path = tmp_path / "a.txt"
    file = RemoteFile(
        name="a.txt",
        n_bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        sources=(server.address("well"),),
    )
    with pytest.raises(EnoughError):
        fetch_file("the text", file, path, cancel)
    have = read_part(path).n_bytes
    assert 0 < have < len(CONTENT)
    fetched(server, path, "well")
    assert path.read_bytes() == CONTENT
    assert server.asked[-1] == ("well", f"bytes={have}-")


def test_what_a_power_loss_left_behind_the_remembered_end_is_cut_off(server: Web, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    part_of(path).write_bytes(CONTENT[:1000] + bytes(5000))
    write_part(path, PartState(n_bytes=1000, documents=0))
    fetched(server, path, "well")
    assert path.read_bytes() == CONTENT
    assert server.asked == [("well", "bytes=1000-")]


def test_no_server_and_no_network_are_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_file, "_PAUSE_SECONDS", 0.0)
    with web(CONTENT) as gone:
        pass
    assert "127.0.0.1 cannot be reached" in refused(gone, tmp_path / "a.txt", "well")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert "the network is switched off (HF_HUB_OFFLINE)" in refused(gone, tmp_path / "a.txt", "well")


def test_a_place_that_cannot_be_written_is_a_sentence(server: Web, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(CorpusError, match=r"a\.txt cannot be kept in .*taken.*free space there"):
        fetched(server, tmp_path / "taken" / "a.txt", "well")


def test_only_as_many_documents_are_fetched_as_are_wanted(tmp_path: Path) -> None:
    content = b"".join(b"story %d\n<|endoftext|>\n" % n * 40 for n in range(20_000))
    path = tmp_path / "a.txt"
    with web(content) as server:
        fetched(server, path, "well", content=content, documents=1000)
        state = read_part(path)
        assert 1000 <= state.documents < 100_000 and not path.exists()
        here = part_of(path).read_bytes()[: state.n_bytes]
        assert content.startswith(here) and here.count(b"<|endoftext|>") == state.documents
        fetched(server, path, "well", content=content, documents=900)
        assert len(server.asked) == 1
        fetched(server, path, "well", content=content)
        assert path.read_bytes() == content
