"""Makes a run of a million steps in TUI_GPT_HOME: its curve is drawn by a generator, everything else is real.

python -m benchmarks.journey.long_run NAME [--live]

With --live its checkpoint is one of a real model at the last step, from which a real trainer goes on.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from pathlib import Path

import msgspec

from tui_gpt.core.config import RunConfig
from tui_gpt.core.config_loading import build_config
from tui_gpt.core.presets import PRESETS
from tui_gpt.core.runs.checkpoints import publish_checkpoint
from tui_gpt.core.runs.launch import launch_trainer, wait_until_started
from tui_gpt.core.runs.metrics import MetricRecord, Value
from tui_gpt.core.runs.records import EXECUTION_FILE, STATUS_FILE, Status, write_record
from tui_gpt.core.runs.store import Run

STEPS = 1_000_000
EVALUATIONS = 200
_STEPS_AFTER = 1_000_000
"""A live run has so many before it."""
_STEP_SECONDS = 0.08
_BLOCK = 10_000
_WORDS = ("the", "little", "fox", "found", "a", "red", "ball", "under", "old", "tree", "and", "was", "so", "happy")


def main() -> None:
    """Make it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--live", action="store_true")
    arguments = parser.parse_args()
    from tui_gpt.engine.training.begin import begin_run

    run = begin_run(_config(), arguments.name)
    best = write_metrics(run.folder / "metrics-0001.jsonl", run.record.config, ended=not arguments.live)
    if arguments.live:
        write_checkpoint(run, best)
        wait_until_started(run.folder, launch_trainer(run.folder), 600.0)
    else:
        _write_status(run, best)


def _config() -> RunConfig:
    """The default preset by steps, on a small text."""
    ending = {"max_minutes": None, "max_steps": STEPS + _STEPS_AFTER, "eval_interval": STEPS // EVALUATIONS}
    return build_config(
        ("preset", PRESETS["quick"].tree), ("journey", {"data": {"corpus_megabytes": 0.5}, "train": ending})
    )


def write_metrics(path: Path, config: RunConfig, *, ended: bool, steps: int = STEPS) -> float:
    """A curve as a trainer would have written it, line by line; returns its lowest validation loss."""
    draw = random.Random(0)
    encoder = msgspec.json.Encoder()
    tokens_per_step = config.train.batch_size * config.model.n_positions
    interval = max(1, steps // EVALUATIONS)
    best = math.inf
    lines: list[MetricRecord] = [MetricRecord("start", 0, {"elapsed": 0.0})]
    with path.open("wb") as file:
        for step in range(1, steps + 1):
            level = _level(step, steps)
            lines.append(
                MetricRecord(
                    "train",
                    step,
                    {
                        "loss": level + draw.gauss(0.0, 0.06),
                        "learning_rate": config.train.learning_rate * min(1.0, 1.4 * (1 - step / steps)),
                        "grad_norm": 0.4 + 0.2 * draw.random() + 2.0 / math.sqrt(step),
                        "tokens": step * tokens_per_step,
                        "elapsed": round(step * _STEP_SECONDS, 3),
                        "tokens_per_second": round(tokens_per_step / _STEP_SECONDS * (0.95 + 0.1 * draw.random()), 1),
                        "memory": 800_000_000 + step * 50,
                    },
                )
            )
            if step % interval == 0:
                loss = level + 0.05 + draw.gauss(0.0, 0.01)
                lines += _evaluation(step, loss, best, draw)
                best = min(best, loss)
            if len(lines) >= _BLOCK:
                file.write(encoder.encode_lines(lines))
                lines.clear()
        if ended:
            lines.append(MetricRecord("end", steps, {"reason": "finished"}))
        file.write(encoder.encode_lines(lines))
    return best


def _level(step: int, steps: int) -> float:
    """The noiseless loss: a power of the step, and a little less while the learning rate falls."""
    return 0.9 + 3.2 / math.pow(step, 0.3) - 0.1 * max(0.0, step / steps - 0.6)


def _evaluation(step: int, loss: float, best: float, draw: random.Random) -> list[MetricRecord]:
    values: dict[str, Value] = {
        "val_loss": loss,
        "bits_per_byte": loss / math.log(2) / 4,
        "tokens": 32_768,
        "whole": False,
        "best": loss < best,
        "elapsed": round(step * _STEP_SECONDS, 3),
    }
    text = " ".join(draw.choice(_WORDS) for _ in range(150))
    return [
        MetricRecord("eval", step, values),
        MetricRecord("sample", step, {"text": f" {text}", "prompt": "One day", "seed": 1337}),
    ]


def _write_status(run: Run, best: float) -> None:
    """As a trainer leaves it behind that has finished."""
    status = Status(
        state="finished",
        step=STEPS,
        total_steps=STEPS,
        progress=1.0,
        heartbeat=1,
        updated=time.time(),
        train_loss=_level(STEPS, STEPS),
        val_loss=best,
        best_val_loss=best,
        best_step=STEPS,
        elapsed_seconds=STEPS * _STEP_SECONDS,
        device="a processor",
    )
    write_record(run.folder / STATUS_FILE, status)


def write_checkpoint(run: Run, best: float, steps: int = STEPS) -> None:
    """The exact state of a new model, as if it had learned for all these steps."""
    from tui_gpt.engine.text.prepare import prepare
    from tui_gpt.engine.training.devices import choose_execution
    from tui_gpt.engine.training.keeping import Keeper
    from tui_gpt.engine.training.learner import Learner
    from tui_gpt.engine.training.state import Counters

    config = run.record.config
    corpus = prepare(config.data)
    # A run of so many steps would be compiled, for minutes.
    execution = choose_execution(config.train, long_run=False)
    write_record(run.folder / EXECUTION_FILE, execution)
    keeper = Keeper(run, Learner(config, execution, corpus.batches(config)), corpus)
    counters = Counters(
        step=steps,
        elapsed_seconds=steps * _STEP_SECONDS,
        tokens_seen=steps * config.train.batch_size * config.model.n_positions,
        evaluations=EVALUATIONS,
        best_val_loss=best,
        best_step=steps,
        train_loss=_level(steps, steps),
        val_loss=best,
    )
    publish_checkpoint(run.folder, steps, lambda folder: keeper.write_checkpoint(folder, counters))


if __name__ == "__main__":
    main()
