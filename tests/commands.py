"""The command line as tests call it: a training whose steps take milliseconds, and what a command did."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
