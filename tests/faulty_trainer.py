"""The real trainer, which meets the faults that TRAINER_FAULTS names: `python -m faulty_trainer --run FOLDER`.

Each fault says at which point, at which call of it (1 is the first; for `train_step`, at which step), and what happens:
`kill` is SIGKILL before the point does its work, `kill-after` after it, `hold` waits for the file go-STEP in the run's
folder, `nan` spoils the step's loss or gradient, `huge` puts an infinity into the weights.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tui_gpt.core.runs import checkpoints
from tui_gpt.engine.training import keeping, learner, optimizer, orders, trainer, worker

POINTS: dict[str, tuple[Any, str]] = {
    "train_step": (learner.Learner, "train_step"),
    "gradients": (optimizer.Optimizer, "gradients"),
    "loss": (learner.Learner, "_forward_backward"),
    # The masters are new, the weights that compute are not yet.
    "weights": (optimizer.Optimizer, "publish"),
    # The model is written, its state is not.
    "state": (keeping, "write_state"),
    "seal": (checkpoints, "_seal"),
    "rename": (checkpoints, "_put_in_place"),
    "rotate": (trainer, "rotate"),
    "evaluation": (trainer.Trainer, "report_evaluation"),
    "whole_loss": (keeping.Keeper, "whole_loss"),
    "acknowledge": (orders.Orders, "acknowledge"),
}


def main() -> int:
    """Set the faults, then do what the worker does."""
    for number, fault in enumerate(json.loads(os.environ["TRAINER_FAULTS"])):
        _set(fault, number)
    return worker.main()


def _set(fault: dict[str, Any], number: int) -> None:
    owner, name = POINTS[fault["at"]]
    original: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def met(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        here = arguments[1] == fault["step"] if "step" in fault else calls == fault["call"]
        if not here:
            return original(*arguments, **named)
        return _happen(fault, lambda: original(*arguments, **named), arguments)

    setattr(owner, name, met)


def _happen(fault: dict[str, Any], work: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
    do = fault["do"]
    if do == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if do == "hold":
        _hold(fault["step"])
    result = work()
    if do == "kill-after":
        os.kill(os.getpid(), signal.SIGKILL)
    if do == "nan" and fault["at"] == "gradients":
        result[0].view(-1)[0] = torch.nan
    elif do == "nan":
        result = result * torch.nan
    elif do == "huge":
        arguments[0].optimizer.masters[0].view(-1)[0] = torch.inf
    return result


def _hold(step: int) -> None:
    folder = Path(sys.argv[sys.argv.index("--run") + 1])
    (folder / f"held-{step}").touch()
    while not (folder / f"go-{step}").exists():
        time.sleep(0.005)


if __name__ == "__main__":
    sys.exit(main())
