"""None of the places that show foreign text lets it act: what reaches the terminal, from the app and from the commands.

Each text names the place that it was put into, so that these tests also see that it was shown.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from forked_commands import Commands, Done
from hostile_home import HostileHome, assert_harmless, evil, shown
from terminal import CURVE, Open, Terminal, remember


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileHome]:
    home = HostileHome(tmp_path_factory.mktemp("hostile"))
    yield home
    home.scene.end_all()


FRAME = re.compile(r"[\s│]+")
BROKEN_LAST = re.compile(r"! folder(.*\n)+.*! broken")


def sees(terminal: Terminal, *places: str) -> None:
    """Wait until the texts of these places are on the screen at once."""
    for place in places:
        # As it is, or quoted as Python writes it; in one line, or broken anywhere within a dialog.
        pattern = re.compile(rf"{place}(␛|\\x1b)\]")
        terminal.wait_for(lambda text, pattern=pattern: pattern.search(FRAME.sub("", text)), seconds=20)  # type: ignore[misc]


def asks(terminal: Terminal, key: str, question: str | re.Pattern[str], *places: str) -> None:
    """A key opens a dialog with these words and places; Escape leaves it."""
    terminal.keys(key)
    terminal.wait_for(question, seconds=20)
    sees(terminal, *places)
    terminal.keys("Escape")
    pattern = re.compile(re.escape(question)) if isinstance(question, str) else question
    terminal.wait_for(lambda text: not pattern.search(text), seconds=20)


def memory(hostile: HostileHome, tab: str) -> dict[str, object]:
    """What an app.json holds into which somebody else has written."""
    configure = {
        "preset": "tiny",
        "changed": {"model.n_layer": evil("remembered"), "model.family": evil("choice")},
        "corpus": evil("form"),
        "name": evil("name"),
        "files": [str(hostile.corpus)],
        "minutes": evil("9"),
    }
    chat = {
        "conversation": hostile.conversation,
        "prompt": evil("draft"),
        "model": {"kind": "model", "name": evil("partner")},
        "sampling": {"preset": "edited", "fields": {"stop": evil("stop")}},
        "panel": True,
    }
    tabs = {"configure": configure, "chat": chat, "models": {"model": "evil"}, "train": {"overlays": [evil("over")]}}
    return {"tab": tab, "theme": evil("theme"), "run": evil("run"), "tabs": tabs}


def quit_whole(terminal: Terminal) -> None:
    terminal.keys("C-q")
    terminal.assert_whole(0)
    assert_harmless(terminal.raw())


@pytest.mark.slow
def test_models_and_runs_cannot_command_the_terminal(hostile: HostileHome, open_terminal: Open) -> None:
    remember(hostile.home, **{**memory(hostile, "models"), "run": "odd"})
    terminal = open_terminal(home=hostile.home, size=(200, 60))
    sees(terminal, "theme", "note", "model", "family", "kind", "source", "created", "parent", "licence", "device")
    sees(terminal, "hash", "asked", "written", "home", "file", "type")
    asks(terminal, "m", "Notes of evil", "note")
    asks(terminal, "v", "evil: 1 difference", "file")
    asks(terminal, "d", "Delete evil?", "home")
    terminal.keys("Down")
    sees(terminal, "key", "type")
    terminal.keys("Down")
    terminal.wait_for("What is wrong")
    asks(terminal, "d", f"Delete {shown('model')}")
    asks(terminal, "n", f"Rename {shown('model')}")

    terminal.keys("F3")
    sees(terminal, "folder", "device", "later", "prompt", "sample")
    terminal.wait_for(CURVE)
    terminal.keys("c")
    sees(terminal, "mark")
    terminal.keys("g")
    sees(terminal, "log")
    asks(terminal, "f", "Fork odd")
    terminal.keys("b")
    with hostile.alive():
        terminal.wait_for(re.compile(r"live *│?.*\n +running"))
        terminal.keys("Home", "Enter")
        sees(terminal, "activity", "warning", "pause")
        asks(terminal, "F1", "All runs, newest first", "pause")
        # The damaged ones stand at the end, in the order of the disk.
        terminal.keys("End", "Enter")
        terminal.wait_for(re.compile("is damaged"))
        terminal.keys(*(["Up"] if BROKEN_LAST.search(terminal.text()) else []))
        asks(terminal, "d", f"Delete {shown('folder')}")
        asks(terminal, "n", f"Rename {shown('folder')}")
        terminal.keys("x")
    terminal.wait_for(re.compile("live +interrupted"))
    quit_whole(terminal)


def test_conversations_cannot_command_the_terminal(hostile: HostileHome, open_terminal: Open) -> None:
    remember(hostile.home, **memory(hostile, "chat"))
    terminal = open_terminal(home=hostile.home, size=(200, 60))
    sees(terminal, "partner", "said", "reply", "title", "why", "draft", "stop")
    terminal.keys("C-a", "C-k", "C-a", "C-k", "Up")
    sees(terminal, "earlier")
    asks(terminal, "C-o", "Talk to", "model", "folder", "type", "family", "source")
    asks(terminal, "C-f", "Earlier conversations", "said", "partner")
    quit_whole(terminal)


def test_a_form_its_files_and_its_corpus_cannot_command_the_terminal(hostile: HostileHome, open_terminal: Open) -> None:
    remember(hostile.home, **memory(hostile, "configure"))
    terminal = open_terminal(str(hostile.corpus), home=hostile.home, size=(200, 60))
    for path in hostile.tables.iterdir():
        (terminal.folder / path.name).write_bytes(path.read_bytes())
    sees(terminal, "corpus", "text", "name", "remembered", "choice")
    asks(terminal, "C-o", "A text file, or a folder", "corpus", "home")
    for name in ("field", "value", "syntax", "good"):
        terminal.keys("C-l")
        terminal.wait_for("Load a configuration")
        terminal.keys("C-u")
        terminal.wait_for("a path is needed")
        terminal.type(f"{name}.toml")
        terminal.wait_for(f"{name}.toml")
        terminal.keys("Enter")
        sees(terminal, {"good": "table", "syntax": "home"}.get(name, name))
    quit_whole(terminal)


# ---- the command line


class Paper:
    """A terminal that only takes what is written into it."""

    def __init__(self) -> None:
        self._ours, self._theirs = os.openpty()
        self.path = os.ttyname(self._theirs)
        self.written = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):
            while block := os.read(self._ours, 1 << 16):
                self.written += block

    def close(self) -> bytes:
        """Everything that was written."""
        os.close(self._theirs)
        self._reader.join(20)
        os.close(self._ours)
        return self.written


@contextmanager
def printing(hostile: HostileHome) -> Iterator[Callable[..., tuple[Done, bytes]]]:
    """Calls commands whose three streams are a terminal; returns what they wrote there, too."""
    commands = Commands(hostile.home, hostile.scene.text.parent / "streams")

    def call(*arguments: str | Path) -> tuple[Done, bytes]:
        paper = Paper()
        try:
            done = commands.run(*arguments, stdin=paper.path, stdout=paper.path, stderr=paper.path)
        finally:
            written = paper.close()
        return done, written

    yield call
    commands.close()


OWN = re.compile(rb"\r\n|\r\x1b\[K")
"""A line feed as a terminal gets it, and the line that renews itself."""


def assert_printable(line: str, written: bytes) -> str:
    """No control character but those of our own is in it; returns it as text."""
    assert_harmless(written)
    text = OWN.sub(b"\n", written).decode("utf-8")
    assert not [c for c in text if not c.isprintable() and c not in "\n\t"], (line, ascii(text))
    return text


LINES = (
    *("runs list", "runs show odd", "runs show live", "runs show broken", "runs follow odd", "runs log odd"),
    *("runs metrics odd", "runs list --json", "runs show odd --json", "runs resume live --lr-factor nan"),
    *("models list", "models show evil", "models show foreign", "models verify", "models verify evil"),
    *("models list --json", "models show evil --json", "models show {evil}", "models fork evil {evil}"),
    *("models rename {evil} x", "models delete {evil} --yes", "runs show {evil}", "runs rename odd {evil}"),
    *("runs delete {evil} --yes", "runs stop live", "runs save live --as {evil}", "{evil}", "./{evil}"),
    *("config show --config {good}", "config show --config {good} --toml", "config show --config {good} --json"),
    *("config show --config {field}", "config show --config {value}", "config show --config {syntax}"),
    *("config show --set {evil}", "config show --set data.corpus={evil}", "config show --preset {evil}"),
    *("config check --against {evil}", "config fields {evil}", "train ./{evil}", "train {corpus} --device {evil}"),
    *(
        "train {corpus} --name {evil}",
        "train {corpus} --tokenizer {evil}",
        "train --from {evil}",
        "corpora show {evil}",
    ),
)

HEAVY = (
    *(
        "corpora show {corpus}",
        "corpora show {corpus} --json",
        "corpora tokens {corpus}",
        "sample odd --prompt {evil} --max-new-tokens 40",
    ),
    *("sample evil --max-new-tokens 40", "sample {folder} --max-new-tokens 4 --json", "eval evil", "eval odd {corpus}"),
    *("eval {folder} {corpus}", "doctor --quick", "config plan {corpus} --minutes 1 --preset tiny {fast}"),
    *("train {corpus} --name odder --steps 2 --preset tiny {fast}", "runs fork odd --as {evil}"),
)
FAST = "--set train.compile=off --set train.device=cpu --set train.threads=1"


def printed(hostile: HostileHome, call: Callable[..., tuple[Done, bytes]], lines: Sequence[str]) -> str:
    """All that these commands write, each looked at by itself."""
    values = {path.stem: str(path) for path in hostile.tables.iterdir()}
    values |= {"evil": evil("typed"), "corpus": str(hostile.corpus)}
    values |= {"folder": str(hostile.home / "models" / "foreign")}
    everything = ""
    for line in lines:
        words = [word.format(**values) for word in line.replace("{fast}", FAST).split()]
        done, written = call(*words)
        assert 0 <= done.code < 100, (line, done, written)
        text = assert_printable(line, written)
        assert "Traceback" not in text and "an unexpected" not in text, (line, text)
        everything += text
    return everything


def missing(text: str, places: str) -> list[str]:
    """The places whose texts were not told: as they are shown, or written as Python, JSON or TOML would."""
    told = {place for place, _ in re.findall(r"([a-z]+)(␛|\\x1b|\\u001b)\]52", text)}
    return [place for place in places.split() if place not in told]


def test_no_command_passes_on_what_would_command_a_terminal(hostile: HostileHome) -> None:
    with printing(hostile) as call, hostile.alive():
        text = printed(hostile, call, LINES)
    places = "corpus error warning gpu prompt sample mark log home model family kind source parent licence note asked"
    assert not missing(text, f"{places} answer type file typed table field value activity folder hash created device")


@pytest.mark.slow
def test_no_command_that_computes_passes_on_what_would_command_a_terminal(hostile: HostileHome) -> None:
    with printing(hostile) as call:
        text = printed(hostile, call, HEAVY)
    assert not missing(text, "corpus text typed home")


@pytest.mark.parametrize("words", ["runs show ", "models show ", "sample ", "train --from "])
def test_the_shell_is_offered_no_name_that_would_command_it(hostile: HostileHome, words: str) -> None:
    surroundings = {"_TUI_GPT_COMPLETE": "bash_complete", "COMP_WORDS": f"tui-gpt {words}"}
    surroundings["COMP_CWORD"] = str(len(words.split()) + 1)
    commands = Commands(hostile.home, hostile.scene.text.parent / "completion")
    try:
        done = commands.run(environment=surroundings)
    finally:
        commands.close()
    assert "odd" in done.out
    assert_harmless(done.out.encode())
    assert done.out.replace("\n", "").isprintable()
