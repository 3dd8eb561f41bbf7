"""What the tests of the command line share: one really trained model, and a way to call commands in this process."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import SENTENCES, Call, Outcome, Trained, environment, tiny_training
from training_runs import Scene, tiny

from tui_gpt import cli


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Trained by the real command, once for all tests, which leave it as it is."""
    folder = tmp_path_factory.mktemp("trained")
    home, text = folder / "home", folder / "pets.txt"
    text.write_text("".join(SENTENCES[i % 3] for i in range(400)), encoding="utf-8")
    arguments = tiny_training(text, "toy", "--steps", "20", "--json")
    done = subprocess.run(
        [sys.executable, "-m", "tui_gpt", *arguments],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Trained(home, text, json.loads(done.stdout), done.stderr)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line in this process, as `python -m tui_gpt` would; stdin is a pipe with the bytes given."""

    def called(*arguments: str | Path, stdin: bytes = b"", home: Path | None = None) -> Outcome:
        if home is not None:
            monkeypatch.setenv("TUI_GPT_HOME", str(home))
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        capsys.readouterr()
        code = cli.run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return called


@pytest.fixture
def mother(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a trained model `bard` of the library, in the home of the scene."""
    monkeypatch.setenv("TUI_GPT_HOME", str(scene.home))
    run = scene.begin(tiny(scene.text, max_steps=12, model={"n_embd": 48}))
    assert scene.train_here(run) == 0
    return scene.home / "models" / "bard"
