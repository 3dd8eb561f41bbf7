"""Wherever a text lies, whatever it is called: it is found, or one sentence says why not; nothing waits or is run."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import call
from training_runs import Scene, tiny

from tui_gpt.core.config import DataConfig
from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text.formats import document_files
from tui_gpt.engine.text.prepare import prepare

PROSE = "The cat sat on the mat.\nA dog ran to the cat.\n" * 60

NAMES = [
    "two words.txt",
    " leading and trailing ",
    "-rf",
    "--help",
    "line\nend",
    "\x1b[31m\x1b]0;title\x07.txt",
    "\u202etxt.exe",
    "\u2028",
    "a" * 255,
    "😀" * 63,
    "$(touch owned)",
    "`touch owned`;touch owned",
    "*",
    "%s%n{0}",
    "[bold red]x[b]",
    "C:\\nul",
    "\\",
    "...",
    "~",
    "#",
    "é" + "\u0301" * 20,
    "stories.toml",
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder; the home is elsewhere."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("name", NAMES, ids=[ascii(name)[:30] for name in NAMES])
def test_a_file_of_any_name_is_a_corpus_and_its_name_commands_nothing(name: str, here: Path, tmp_path: Path) -> None:
    (here / name).write_text(PROSE, encoding="utf-8")
    home = tmp_path / "home"
    shown = call("corpora", "show", f"./{name}", "--json", home=home)
    assert shown.code == 0, shown.err
    assert json.loads(shown.out)["source"] == name
    told = call("corpora", "show", "--", f"./{name}", home=home)
    assert told.code == 0 and not set(told.out) & {"\x1b", "\x07", "\u202e", "\u2028"}, ascii(told.out)
    assert [entry.name for entry in here.iterdir()] == [name]


@pytest.mark.parametrize("name", ["line\nend", "\x1b[31m", "-rf", "😀"])
def test_a_run_on_a_file_of_any_name_has_a_plain_name_and_finds_its_text_again(name: str, scene: Scene) -> None:
    path = scene.text.rename(scene.text.with_name(name))
    config = tiny(path, max_steps=2, sample_tokens=4)
    run = scene.begin(config, "bard")
    assert run.record.config.data.corpus == str(path) and run.record.data.source == name
    assert scene.train_here(run) == 0 and scene.models() == ["bard"]


def test_a_name_that_is_no_unicode_is_a_sentence(here: Path, tmp_path: Path) -> None:
    try:
        Path(os.fsdecode(b"caf\xe9.txt")).write_text(PROSE, encoding="utf-8")
    except OSError:
        pytest.skip("this file system has no such names")
    sentence = call("corpora", "show", os.fsdecode(b"caf\xe9.txt"), home=tmp_path / "home").refused(3)
    assert "not valid Unicode" in sentence and "caf\\udce9.txt" in sentence


def special_places(folder: Path) -> Iterator[tuple[str, str]]:
    """Paths that hold no text, with what must be said of them."""
    os.mkfifo(folder / "fifo")
    yield "fifo", "a pipe"
    (folder / "to-fifo").symlink_to("fifo")
    yield "to-fifo", "a pipe"
    (folder / "self").symlink_to("self")
    yield "self", "leads back to itself"
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("one")
    yield "one", "leads back to itself"
    yield "one/inside.txt", "leads back to itself"
    (folder / "dangling").symlink_to("nowhere")
    yield "dangling", "a link to something that does not exist"
    (folder / "file").write_text("x")
    yield "file/inside", "no corpus, file or folder"
    yield "x" * 300, "no corpus, file or folder"
    yield "x/" * 2000, "no corpus, file or folder"
    yield "nul\0l", "no corpus, file or folder"
    yield " ", "no corpus, file or folder"
    (folder / "empty").mkdir()
    yield "empty", "holds no text file"
    (folder / "only-links").mkdir()
    (folder / "only-links" / "up").symlink_to("..", target_is_directory=True)
    (folder / "only-links" / "self").symlink_to("self")
    (folder / "only-links" / "zero").symlink_to("/dev/zero")
    for device in ("/dev/zero", "/dev/null", "/dev/urandom", "/dev/full", "/dev/stdin", "/dev/tty"):
        if Path(device).exists():
            yield device, "is a device"
    for name in ("/proc/self/mem", "/proc/self/environ"):
        if Path(name).exists():
            yield name, "is empty"


def test_what_is_no_file_is_refused_at_once_by_every_command_that_takes_a_text(here: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    tried = 0
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        for place, words in [("socket", "a socket"), *special_places(here)]:
            for command in (["corpora", "show", place], ["config", "plan", place, "--minutes", "1"]):
                sentence = call(*command, home=home).refused(3)
                assert words in sentence, (place[:40], sentence)
                tried += 1
    assert tried >= 30
    assert not (home / "runs").exists()


def test_training_on_a_device_or_a_loop_makes_no_run(here: Path, tmp_path: Path) -> None:
    (here / "self").symlink_to("self")
    for place in ("/dev/zero", "self"):
        call("train", place, "--name", "bard", "--steps", "1", home=tmp_path / "home").refused(3)
    assert not (tmp_path / "home" / "runs").exists()


@pytest.mark.parametrize("word", ["x" * 300, "x/" * 200, "nul\0l", "\udcff", "", " ", "\x1b[2J", "/dev/zero", "😀"])
def test_a_first_word_that_is_neither_command_nor_text_is_refused_in_one_sentence(word: str, tmp_path: Path) -> None:
    call(word, home=tmp_path / "home").refused(2, 3, 1)
    assert not (tmp_path / "home").exists()


def refuse(monkeypatch: pytest.MonkeyPatch, method: str, *names: str, after: int = 0) -> None:
    """From now on the system refuses that method of paths with these names (root is refused nothing by modes)."""
    original = getattr(Path, method)
    seen = 0

    def refusing(path: Path, *arguments: Any, **named: Any) -> Any:
        nonlocal seen
        if path.name in names:
            seen += 1
            if seen > after:
                raise PermissionError(13, "Permission denied", str(path))
        return original(path, *arguments, **named)

    monkeypatch.setattr(Path, method, refusing)


@pytest.mark.parametrize("method", ["stat", "open"])
def test_a_file_that_may_not_be_read_is_a_sentence_and_not_said_to_be_missing(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret.txt"
    path.write_text(PROSE, encoding="utf-8")
    refuse(monkeypatch, method, "secret.txt")
    sentence = call("corpora", "show", path, home=tmp_path / "home").refused(3)
    assert "cannot be read: permission denied" in sentence and "secret.txt" in sentence


def test_a_file_that_fails_while_it_is_read_is_a_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    path.write_text(PROSE, encoding="utf-8")
    for after in (1, 2):  # the look at its beginning, the first reading, the second one
        with monkeypatch.context() as patch:
            refuse(patch, "open", "a.txt", after=after)
            with pytest.raises(CorpusError, match="permission denied"):
                prepare(DataConfig(corpus=str(path), tokenizer="char"), cache=tmp_path / "cache")
        assert not list((tmp_path / "cache").rglob("*.bin"))


def test_unreadable_files_and_folders_within_a_folder_are_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "texts"
    (folder / "closed").mkdir(parents=True)
    for name in ("a.txt", "secret.txt", "closed/b.txt"):
        (folder / name).write_text(PROSE, encoding="utf-8")
    refuse(monkeypatch, "open", "secret.txt")
    refuse(monkeypatch, "iterdir", "closed")
    shown = call("corpora", "show", folder, "--json", home=tmp_path / "home")
    assert shown.code == 0, shown.err
    skipped = json.loads(shown.out)["skipped"]
    assert json.loads(shown.out)["documents"] == 1
    assert [entry.split(":")[0] for entry in skipped] == ["closed", "secret.txt"]
    assert all("permission denied" in entry for entry in skipped)


def test_a_folder_of_ten_thousand_files_with_loops_pipes_and_binaries_is_read_once_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "texts"
    for shelf in range(100):
        (folder / f"{shelf:02}").mkdir(parents=True)
        for number in range(100):
            (folder / f"{shelf:02}" / f"{number:02}.txt").write_bytes(b"%04d\n" % (100 * shelf + number))
        (folder / f"{shelf:02}" / "loop").symlink_to(folder, target_is_directory=True)
    os.mkfifo(folder / "fifo")
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    opened: list[Path] = []
    monkeypatch.setattr(
        document_files,
        "text_problem",
        lambda path, *more, look=document_files.text_problem: (opened.append(path), look(path, *more))[1],
    )
    prepared = prepare(DataConfig(corpus=str(folder), tokenizer="char"), cache=tmp_path / "cache")
    assert prepared.facts.documents == 10_000
    assert len(opened) == 10_002 and len(set(opened)) == 10_002
    assert len(prepared.facts.skipped) == 102
    text = prepared.tokenizer.decode(prepared.train.tokens)
    assert text.startswith("0000\n\n\n0001\n")
    joined = text + "\n\n" + prepared.tokenizer.decode(prepared.validation.tokens)
    assert joined == "\n\n".join(f"{number:04}\n" for number in range(10_000))
