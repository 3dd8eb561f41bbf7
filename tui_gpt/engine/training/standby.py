"""`python -m tui_gpt.engine.training.standby`: a trainer that imports first, and is told its run on stdin afterwards.

`core.runs.standby` has the other end. Leaves with 0 when stdin closes without an order, otherwise as the worker does.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

import msgspec

from tui_gpt.core.runs.standby import Order
from tui_gpt.engine.training.priority import give_way


def main() -> int:
    """Import, wait, train."""
    give_way()
    failure = _prepare()
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        return 0
    order = msgspec.json.decode(line, type=Order)
    _write_to(order.log)
    if failure:
        print(failure, file=sys.stderr, flush=True)  # noqa: T201
        return 1
    from tui_gpt.engine.training.worker import main as train

    return train(order.arguments)


def _prepare() -> str:
    """Import what a trainer needs; returns what went wrong, for the log of the run that will want to know."""
    try:
        from tui_gpt.engine.training import worker  # noqa: F401

        _make_a_step()
    except BaseException:
        return traceback.format_exc()
    return ""


def _make_a_step() -> None:
    """One step of a tiny model on the CPU: a process' first imports some more of torch and sets up its kernels.

    It leaves nothing behind that a run could notice: what a run draws depends on its seed and its steps.
    """
    import numpy as np

    from tui_gpt.core.config import ModelConfig, RunConfig, TrainConfig
    from tui_gpt.core.runs.records import ExecutionRecord
    from tui_gpt.engine.cores import physical_threads
    from tui_gpt.engine.text.batches import WindowBatches
    from tui_gpt.engine.training.learner import Learner

    model = ModelConfig(vocab_size=64, n_positions=32, n_embd=64, n_layer=1, n_head=2)
    execution = ExecutionRecord(
        device="cpu", device_name="", precision="bf16", compile=False, threads=physical_threads()
    )
    tokens = np.arange(1024, dtype=np.uint16) % 64
    config = RunConfig(model=model, train=TrainConfig(batch_size=4))
    Learner(config, execution, WindowBatches.of(tokens, config)).train_step(0, 1.0)


def _write_to(log: str) -> None:
    """Send stdout and stderr to the run's log, work in the run's folder, and let go of stdin."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    # What a crash dumps into the working folder belongs to the run.
    os.chdir(Path(log).parent)


if __name__ == "__main__":
    sys.exit(main())
