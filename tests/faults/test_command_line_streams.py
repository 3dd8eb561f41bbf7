"""Every command with streams that fail: stdout is data, whose loss is told, and stderr is narration."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from forked_commands import BROKEN, CLOSED, Commands, Done
from training_runs import Scene, last_words, tiny

from tui_gpt.core.runs.child_process import trainer_environment

FULL = "/dev/full"
NEEDED = "error: the output cannot be written: no space left on device; free space or write elsewhere\n"

COMMANDS = (
    *("--help", "--version", "", "nothing", "train --help", "runs", "runs --help", "models", "corpora", "config"),
    *("runs list", "runs list --json", "runs show toy", "runs show toy --json", "runs follow toy --json"),
    *("runs log toy", "runs metrics toy", "runs pause toy", "runs step toy", "runs stop toy", "runs resume toy"),
    *("runs set-lr toy --factor 2", "runs rename nobody other", "runs delete nobody", "runs delete nobody --yes"),
    *("models list", "models list --json", "models show toy", "models show toy --json", "models verify toy"),
    *("models verify toy --json", "models note toy hello", "models rename nobody x", "models fork toy toy-{n}"),
    *("models rename toy-{n} moved-{n}", "models delete moved-{n} --yes", "models delete toy", "models fork nobody x"),
    *("corpora list", "corpora list --json", "config show", "config show --toml", "config show --json"),
    *("config presets", "config presets --json", "config fields", "config fields --json", "config check"),
    *("config check --json", "config sizes", "config sizes --json", "train missing.txt", "no-such-book.txt"),
)
"""Those that do without torch; `{n}` is a new number each time. Nobody confirms anything, because stdin is empty."""

FAST = "--preset tiny --set train.compile=off --set train.device=cpu --set train.threads=1"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A home with a finished run and its model."""
    scene = Scene(tmp_path_factory.mktemp("streams"))
    run = scene.begin(tiny(scene.text, max_steps=12), "toy")
    assert scene.train(run) == 0, last_words(run)
    yield scene
    scene.end_all()


@pytest.fixture(scope="module")
def commands(home: Scene) -> Iterator[Commands]:
    process = Commands(home.home, home.text.parent)
    yield process
    process.close()


@pytest.fixture(scope="module")
def whole(commands: Commands, home: Scene) -> dict[str, Done]:
    """What each command does where nothing fails."""
    return {line: call(commands, home, line, "whole") for line in COMMANDS}


def call(commands: Commands, home: Scene, line: str, number: str, **streams: str) -> Done:
    return commands.run(*line.format(n=number, text=home.text, fast=FAST).split(), **streams)


def assert_no_fright(line: str, done: Done) -> None:
    """Nothing of Python's own, and one sentence at most."""
    assert done.code >= 0 and done.code != 120, (line, done)
    for word in ("Traceback", "Exception ignored", "an unexpected", "BrokenPipe"):
        assert word not in done.out + done.err, (line, done)
    assert done.err.count("error: ") <= 1, (line, done)


def test_where_nothing_fails_commands_do_what_they_say(whole: dict[str, Done]) -> None:
    for line, done in whole.items():
        assert_no_fright(line, done)
    codes = {line: done.code for line, done in whole.items() if done.code}
    assert codes == {
        **dict.fromkeys(("runs pause toy", "runs step toy", "runs stop toy", "runs resume toy"), 4),
        **dict.fromkeys(("runs set-lr toy --factor 2", "runs rename nobody other", "runs delete nobody --yes"), 4),
        **dict.fromkeys(("models rename nobody x", "models fork nobody x"), 5),
        **dict.fromkeys(("runs delete nobody", "models delete toy", "config check", "config check --json"), 1),
        **dict.fromkeys(("train missing.txt",), 3),
        **dict.fromkeys(("nothing",), 2),
        "no-such-book.txt": 1,
    }


def test_a_reader_that_has_left_is_no_failure(commands: Commands, home: Scene, whole: dict[str, Done]) -> None:
    for line, good in whole.items():
        done = call(commands, home, line, "left", stdout=BROKEN)
        assert_no_fright(line, done)
        assert done.code == (0 if good.out else good.code), (line, done)


@pytest.mark.skipif(not Path(FULL).exists(), reason="no /dev/full here")
def test_data_that_cannot_be_written_is_one_sentence_and_1(
    commands: Commands, home: Scene, whole: dict[str, Done]
) -> None:
    for line, good in whole.items():
        done = call(commands, home, line, "full", stdout=FULL)
        assert_no_fright(line, done)
        assert done.code == (1 if good.out else good.code), (line, done)
        assert not good.out or done.err.endswith(NEEDED), (line, done)


def test_with_every_stream_closed_commands_do_the_same(commands: Commands, home: Scene, whole: dict[str, Done]) -> None:
    for line, good in whole.items():
        done = call(commands, home, line, "closed", stdin=CLOSED, stdout=CLOSED, stderr=CLOSED)
        assert done.code == good.code, (line, done)
    assert "hello" in commands.run("models", "show", "toy").out


@contextmanager
def told(scene: Scene, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command whose stderr is a pipe that somebody reads; it ends with the block."""
    environment = trainer_environment({"TUI_GPT_HOME": str(scene.home), "OMP_NUM_THREADS": "1"})
    with subprocess.Popen(
        [sys.executable, "-m", "tui_gpt", *arguments],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


LOCALES = {
    "C": {"LC_ALL": "C", "LANG": "C"},
    "POSIX": {"LC_ALL": "POSIX"},
    "C.UTF-8": {"LC_ALL": "C.UTF-8"},
    "missing": {"LC_ALL": "xx_YY.UTF-8", "LANG": "xx_YY.UTF-8"},
    "ascii": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
}


@pytest.mark.parametrize("locale", LOCALES)
def test_no_locale_keeps_a_command_from_showing_any_text(locale: str, tmp_path: Path) -> None:
    text = tmp_path / "geschichte-ü-日.txt"
    text.write_text("Ж 日本 ü é ✓ 👩‍👩‍👧\n", encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "PYTHON"))}
    environment |= {"TUI_GPT_HOME": str(tmp_path / "home"), **LOCALES[locale]}
    for arguments in (["train", str(text)], ["config", "check"]):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "tui_gpt", *arguments],
            env=environment | {"PYTHONPATH": trainer_environment()["PYTHONPATH"]},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        # Where a file name cannot be read as text, that is said.
        train = 2 if locale == "ascii" else 3
        assert done.returncode == (train if arguments[0] == "train" else 1), done.stderr
        assert b"Traceback" not in done.stderr and b"Encode" not in done.stderr
