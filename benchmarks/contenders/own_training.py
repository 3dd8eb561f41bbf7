"""The step of this program: what its trainer repeats."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.contenders.training_text import tokens, turn
from benchmarks.interleaved import peak_bytes, serve
from tui_gpt.core.config_loading import build_config
from tui_gpt.engine.text.batches import WindowBatches
from tui_gpt.engine.training.devices import choose_execution
from tui_gpt.engine.training.learner import Learner


def build(options: dict[str, Any]) -> Callable[[], float]:
    """A GPT-2 of the given shape, learned by AdamW."""
    model = {
        "family": "gpt2",
        "n_layer": options["layers"],
        "n_embd": options["width"],
        "n_head": options["heads"],
        "n_positions": options["context"],
        "vocab_size": options["vocabulary"],
    }
    train = {
        "batch_size": options["batch"],
        "max_steps": 1_000_000,
        "optimizer": "adamw",
        "precision": options["precision"],
        "compile": "on" if options["compiled"] else "off",
    }
    config = build_config(("shape", {"model": model, "train": train}))
    execution = choose_execution(config.train, long_run=False)
    torch.set_num_threads(execution.threads)
    learner = Learner(config, execution, WindowBatches.of(tokens(options), config))
    steps = itertools.count()

    def step() -> None:
        assert learner.train_step(next(steps), 0.01).applied
        assert not learner.compile_failure, learner.compile_failure

    return turn(step, options)


if __name__ == "__main__":
    serve(build, lambda: {"peak": peak_bytes()})
