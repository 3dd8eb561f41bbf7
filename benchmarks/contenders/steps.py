"""`Learner.train_step` in a loop and nothing else, at a trainer's priority; a round gives its tokens per second."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.contenders.trainer import WARM_UP_STEPS, configuration
from benchmarks.interleaved import serve
from benchmarks.journey.home import Home
from tui_gpt.core.config_loading import with_vocabulary
from tui_gpt.engine.text.prepare import prepare
from tui_gpt.engine.training.devices import choose_execution
from tui_gpt.engine.training.learner import Learner
from tui_gpt.engine.training.priority import give_way


def _build(options: dict[str, Any]) -> Callable[[], float]:
    home = Home()
    atexit.register(home.close)
    os.environ.update(home.environment)
    config = configuration(options["shape"])
    corpus = prepare(config.data)
    config = with_vocabulary(config, corpus.tokenizer.vocab_size)
    give_way()
    execution = choose_execution(config.train, long_run=True)
    torch.set_num_threads(execution.threads)
    learner = Learner(config, execution, corpus.batches(config))
    tokens_per_step = config.train.batch_size * config.model.n_positions
    step = 0
    for step in range(WARM_UP_STEPS):
        learner.train_step(step, 1.0)

    def turn() -> float:
        nonlocal step
        made, began = 0, time.perf_counter()
        while (taken := time.perf_counter() - began) < options["seconds"]:
            step += 1
            made += 1
            learner.train_step(step, 1.0)
        return made * tokens_per_step / taken

    return turn


if __name__ == "__main__":
    serve(_build)
