"""Milliseconds per training step, for several values of GOMP_SPINCOUNT, alone and beside a busy process, interleaved.

python -m benchmarks.step_time --preset quick --rounds 3
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

from tui_gpt.core.runs.child_process import trainer_environment

SPIN_COUNTS = ("default", "100000", "10000", "1000", "0")
BUSY = "while True: pass"
MEASURE = """
import sys, time
import numpy as np
import torch
from tui_gpt.core.config_loading import with_vocabulary
from tui_gpt.core.presets import preset_config
from tui_gpt.engine.text.batches import WindowBatches
from tui_gpt.engine.training.devices import choose_execution
from tui_gpt.engine.training.learner import Learner

config = with_vocabulary(preset_config(sys.argv[1]), 65)
execution = choose_execution(config.train, long_run=False)
torch.set_num_threads(execution.threads)
tokens = np.random.default_rng(0).integers(0, 65, 200_000).astype(np.uint16)
learner = Learner(config, execution, WindowBatches.of(tokens, config))
times = []
for step in range(int(sys.argv[2])):
    started = time.perf_counter()
    learner.train_step(step, 1.0)
    times.append(time.perf_counter() - started)
print(1000 * float(np.median(times[3:])))
"""


def step_milliseconds(preset: str, steps: int, spin_count: str, *, beside_busy: bool) -> float:
    """Median time of a step in a fresh process with the trainer's environment but for how its threads wait."""
    environment = trainer_environment()
    if spin_count == "default":
        environment.pop("GOMP_SPINCOUNT", None)
        # An empty value is none for libgomp, and keeps the engine from setting its own.
        environment["GOMP_SPINCOUNT"] = ""
    else:
        environment["GOMP_SPINCOUNT"] = spin_count
    busy = subprocess.Popen([sys.executable, "-c", BUSY]) if beside_busy else None
    try:
        output = subprocess.run(
            [sys.executable, "-c", MEASURE, preset, str(steps)],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    finally:
        if busy is not None:
            busy.kill()
            busy.wait()
    return float(output)


def main() -> None:
    """Print a table of medians over the rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    found: dict[tuple[str, bool], list[float]] = {}
    for _ in range(arguments.rounds):
        for spin_count in SPIN_COUNTS:
            for beside_busy in (False, True):
                time = step_milliseconds(arguments.preset, arguments.steps, spin_count, beside_busy=beside_busy)
                found.setdefault((spin_count, beside_busy), []).append(time)
    print(f"{os.cpu_count()} CPUs, preset {arguments.preset}, median of {arguments.rounds} rounds, ms per step")
    print(f"{'GOMP_SPINCOUNT':<16}{'alone':>10}{'beside busy':>14}")
    for spin_count in SPIN_COUNTS:
        alone, beside = (statistics.median(found[spin_count, busy]) for busy in (False, True))
        print(f"{spin_count:<16}{alone:>10.0f}{beside:>14.0f}")


if __name__ == "__main__":
    main()
