"""Conversations to be learned by heart within seconds, and the settings for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ANSWERS = {
    "Who are you?": "A small fox.",
    "Where do you live?": "In the wood.",
    "What do you eat?": "Red berries!",
    "Are you well?": "Yes, I am.",
}
SYSTEM = "Be kind."


def talk(*questions: str, system: str = "") -> dict[str, Any]:
    """A line of the file: these questions with their answers."""
    messages = [{"role": "system", "content": system}] if system else []
    for question in questions:
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": ANSWERS[question]})
    return {"messages": messages}


def write_talks(path: Path, rounds: int = 40) -> Path:
    """Every question alone, two of them together and under a system message, again and again."""
    asked = list(ANSWERS)
    rows = [talk(question) for question in asked]
    rows += [talk(a, b) for a in asked for b in asked if a != b]
    rows += [talk(question, system=SYSTEM) for question in asked]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows * rounds), encoding="utf-8")
    return path


MODEL: dict[str, Any] = {"family": "qwen3", "n_layer": 2, "n_embd": 48, "n_head": 2, "n_positions": 96}
LEARNING: dict[str, Any] = {"optimizer": "muon", "learning_rate": 0.02, "max_steps": 120, "batch_size": 16}
"""Enough to answer by heart, and to stop."""


def training(text: Path, name: str, *more: str) -> list[str]:
    """The arguments of the command that learns them by heart."""
    quick = {"threads": 1, "compile": "off", "precision": "float32", "eval_interval": 60, "sample_tokens": 20}
    settings = [f"model.{field}={value}" for field, value in MODEL.items()]
    settings += [f"train.{field}={value}" for field, value in (LEARNING | quick).items()]
    sets = [
        part for setting in [*settings, "data.tokenizer=char", "sample.temperature=0"] for part in ("--set", setting)
    ]
    return ["train", str(text), "--name", name, "--preset", "tiny", "--device", "cpu", *sets, *more]
