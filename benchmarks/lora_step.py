"""Milliseconds per training step with all weights and with LoRA adapters, interleaved in one process.

python -m benchmarks.lora_step --steps 8
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np
import torch

from tui_gpt.core.config_loading import build_config
from tui_gpt.core.presets import PRESETS
from tui_gpt.engine.text.batches import WindowBatches
from tui_gpt.engine.training.devices import choose_execution
from tui_gpt.engine.training.learner import Learner

WAYS: dict[str, dict[str, Any]] = {
    "all weights": {},
    "adapters": {"lora_rank": 8},
    "adapters in attention": {"lora_rank": 8, "lora_targets": "attention"},
}
SHAPES: dict[str, dict[str, Any]] = {
    "quick": {"model": {"vocab_size": 1024}, "train": {"batch_size": 16}},
    "gpt2": {"model": {"n_positions": 256}, "train": {"batch_size": 2, "grad_accumulation_steps": 1}},
}
"""Presets, and what is other than in them, so that a step fits a laptop."""
NOT_COUNTED = 2


def learner(preset: str, way: dict[str, Any]) -> Learner:
    """One on random tokens, by AdamW alone, which is what adapters are trained with."""
    train = {"max_steps": 100, "optimizer": "adamw", "compile": "off", **way}
    config = build_config(("preset", PRESETS[preset].tree), ("shape", SHAPES[preset]), ("way", {"train": train}))
    execution = choose_execution(config.train, long_run=False)
    torch.set_num_threads(execution.threads)
    tokens = np.random.default_rng(0).integers(0, config.model.vocabulary, 60_000).astype(np.uint16)
    return Learner(config, execution, WindowBatches.of(tokens, config))


def main() -> None:
    """Print the medians of every way for both shapes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=8)
    steps = parser.parse_args().steps
    for preset in SHAPES:
        learners = {name: learner(preset, way) for name, way in WAYS.items()}
        times: dict[str, list[float]] = {name: [] for name in WAYS}
        for step in range(NOT_COUNTED + steps):
            for name, one in learners.items():
                began = time.perf_counter()
                one.train_step(step, 0.01)
                times[name].append(1000 * (time.perf_counter() - began))
        medians = {name: statistics.median(found[NOT_COUNTED:]) for name, found in times.items()}
        print(preset, ", ".join(f"{name} {median:,.0f} ms" for name, median in medians.items()))


if __name__ == "__main__":
    main()
