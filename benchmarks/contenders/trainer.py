"""A real, detached trainer with its metrics, which stands still but for its turns; a round gives its tokens per second.

It is held by SIGSTOP, so that nothing of it runs meanwhile. What it made is counted by the lines that it wrote itself:
nobody looks at it while it works.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.interleaved import serve
from benchmarks.journey.home import Home
from benchmarks.journey.long_run import write_checkpoint, write_metrics
from tui_gpt.core.config import RunConfig
from tui_gpt.core.config_loading import build_config
from tui_gpt.core.presets import PRESETS
from tui_gpt.core.runs.launch import TrainerProcess, launch_trainer, wait_until_started
from tui_gpt.core.runs.metrics import MetricsReader, Value

NEVER = 10_000_000
WARM_UP_STEPS = 12
"""Before the first turn, so that whatever is made once has been made."""
_LEAST_STEPS = 4


def configuration(shape: dict[str, Any]) -> RunConfig:
    """The preset quick, perhaps of another shape, with nothing but steps in it."""
    alone = {"max_minutes": None, "max_steps": NEVER, "eval_interval": NEVER, "checkpoint_minutes": 0, "compile": "off"}
    train = {**alone, **shape.get("train", {})}
    return build_config(
        ("preset", PRESETS["quick"].tree),
        ("benchmark", {**shape, "data": {"corpus_megabytes": 2.0, **shape.get("data", {})}, "train": train}),
    )


class Held:
    """A run and its trainer, standing still."""

    def __init__(self, shape: dict[str, Any], steps_before: int, seconds: float) -> None:
        from tui_gpt.engine.training.begin import begin_run

        self._seconds = seconds
        self.run = begin_run(configuration(shape), "held")
        if steps_before:
            metrics = self.run.folder / "metrics-0001.jsonl"
            best = write_metrics(metrics, self.run.record.config, ended=False, steps=steps_before)
            write_checkpoint(self.run, best, steps_before)
        self._reader = MetricsReader(self.run.folder)
        self._reader.poll()
        self._trainer: TrainerProcess = launch_trainer(self.run.folder)
        wait_until_started(self.run.folder, self._trainer, 600.0)
        steps = 0
        while steps < WARM_UP_STEPS:
            time.sleep(0.1)
            steps += sum(record.kind == "train" for record in self._reader.poll())
        self._hold()

    def _hold(self) -> None:
        self._trainer.send_signal(signal.SIGSTOP)

    def round(self) -> float:
        """Tokens per second between the first and the last step of a turn."""
        self._reader.poll()
        self._trainer.send_signal(signal.SIGCONT)
        made: list[dict[str, Value]] = []
        while len(made) < _LEAST_STEPS:
            time.sleep(self._seconds)
            made += [record.values for record in self._reader.poll() if record.kind == "train"]
        self._hold()
        # The step in which it was held took as long as the others' turns.
        first, last = made[0], made[-1]
        tokens, seconds = (float(last[name]) - float(first[name]) for name in ("tokens", "elapsed"))  # type: ignore[arg-type]
        return tokens / seconds

    def close(self) -> None:
        """End it."""
        self._trainer.send_signal(signal.SIGKILL)
        self._trainer.wait()


def _build(options: dict[str, Any]) -> Callable[[], float]:
    home = Home()
    atexit.register(home.close)
    # A trainer outlives whoever started it, unless that one ends it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.environ.update(home.environment)
    held = Held(options["shape"], options["steps_before"], options["seconds"])
    atexit.register(held.close)
    return held.round


if __name__ == "__main__":
    serve(_build)
