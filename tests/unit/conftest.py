"""What the tests of the command line share: one really trained model, and a way to call commands in this process."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from training_runs import Scene, tiny

from tui_gpt import cli

SENTENCES = ("The cat sat on the mat.\n", "A dog ran to the cat.\n", "The \x1b[31mred\x1b[0m hen sat.\n")
"""With control sequences, so that the model knows their characters."""


@dataclass(frozen=True)
class Trained:
    """A home with a finished run `toy`, its model, and the text of both."""

    home: Path
    text: Path
    summary: dict[str, Any]
    """What `train --json` printed."""
    narration: str


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as JSON."""
        return json.loads(self.out)


Call = Callable[..., Outcome]


def environment(home: Path) -> dict[str, str]:
    """For a real process that lives in `home`."""
    return {**os.environ, "TUI_GPT_HOME": str(home), "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}


def tiny_training(text: Path, name: str, *more: str) -> list[str]:
    """The arguments of a training whose steps take milliseconds."""
    settings = ["model.n_layer=1", "model.n_embd=32", "model.n_positions=32", "train.eval_interval=10"]
    settings += ["train.threads=1", "train.compile=off", "train.precision=float32", "train.sample_tokens=20"]
    sets = [part for setting in settings for part in ("--set", setting)]
    return ["train", str(text), "--name", name, "--preset", "tiny", "--device", "cpu", *sets, *more]


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
