"""The real trainer, which meets the faults that TRAINER_FAULTS names: `python -m faulty_trainer --run FOLDER`.

Each fault says at which point, at which call of it (1 is the first; for `train_step`, at which step), and what happens:

    kill, kill-after   SIGKILL before the point does its work, or after it
    torn               SIGKILL in the middle: half of what is written is written
    hold               waits for the file go-LABEL in the run's folder, having made held-LABEL
    long               spends many seconds in one native call, having made held-LABEL
    nan, huge          spoils the step's loss or gradient; puts an infinity into the weights
    forget             loses the `part` of the state that is read back

LABEL is the fault's step, or its point. With `name`, only calls count of which an argument is a path of such a name (a
pattern); with `has`, only those of which an argument is bytes that hold this text.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import torch

from tui_gpt.core import model_handler, model_library
from tui_gpt.core.runs import checkpoints, commands, metrics, ownership
from tui_gpt.engine.generation import evaluation
from tui_gpt.engine.interop import huggingface
from tui_gpt.engine.text import batches
from tui_gpt.engine.training import (
    adamw,
    keeping,
    learner,
    muon,
    optimizer,
    orders,
    reporting,
    state,
    trainer,
    worker,
)

POINTS: dict[str, tuple[Any, str]] = {
    # Taking a run up.
    "clean": (worker, "clean_leftovers"),
    "load": (learner.Learner, "load"),
    "read_state": (worker, "read_state"),
    "restore": (worker, "_restore"),
    "segment": (metrics, "_new_segment"),
    # A step.
    "factor": (trainer, "learning_rate_factor"),
    "train_step": (learner.Learner, "train_step"),
    "batch": (batches.WindowBatches, "batch"),
    "loss": (learner.Learner, "_forward_backward"),
    "gradients": (optimizer.Optimizer, "gradients"),
    "adamw": (adamw.AdamW, "step"),
    "muon": (muon.Muon, "step"),
    # The masters are new, the weights that compute are not yet.
    "weights": (optimizer.Optimizer, "publish"),
    "average": (learner.Learner, "_update_average"),
    "count": (trainer.Trainer, "_count"),
    "report": (trainer.Trainer, "_report_step"),
    "evaluation": (trainer.Trainer, "write_evaluation"),
    "sample": (trainer.Trainer, "write_sample"),
    # What is appended: metrics, acknowledgements, the diary.
    "append": (os, "write"),
    # A checkpoint.
    "checkpoint": (trainer.Trainer, "checkpoint"),
    "sync": (metrics.MetricsWriter, "sync"),
    "model_tensors": (huggingface, "save_file"),
    "model_json": (huggingface, "_write_json"),
    # The model is written, its state is not.
    "state": (keeping, "write_state"),
    "state_tensors": (state, "save_file"),
    "seal": (checkpoints, "_seal"),
    "fsync": (checkpoints, "fsync_file"),
    "record": (checkpoints, "write_record"),
    "replace": (pathlib.Path, "replace"),
    "rename": (checkpoints, "_put_in_place"),
    "fsync_folder": (checkpoints, "fsync_dir"),
    "tag": (checkpoints, "mark_checkpoint"),
    "rotate": (trainer, "rotate"),
    "remove": (checkpoints, "remove_folder"),
    "unlink": (os, "unlink"),
    # A command.
    "read_command": (commands, "_read_command"),
    "carry_out": (orders.Orders, "carry_out"),
    "set_lr": (trainer.Trainer, "scale_learning_rate"),
    "acknowledge": (orders.Orders, "acknowledge"),
    "remove_command": (commands.CommandQueue, "_remove"),
    # The end.
    "batch_loss": (evaluation, "_batch_loss"),
    "whole_loss": (keeping.Keeper, "evaluate_whole"),
    "publish": (keeping.Keeper, "publish_checkpoint"),
    "note_publication": (keeping, "note_publication"),
    "put": (model_library.ModelLibrary, "put"),
    "diary": (model_handler, "append_entry"),
    "end": (reporting.Reporter, "end"),
    "unlock": (ownership.TrainerLock, "release"),
}


def main() -> NoReturn:
    """Set the faults, then do what the worker does."""
    set_faults(json.loads(os.environ["TRAINER_FAULTS"]))
    worker.run_and_leave()


def set_faults(faults: Sequence[Mapping[str, Any]]) -> None:
    """Let this process meet these faults."""
    for fault in faults:
        _set(fault)


def _set(fault: Mapping[str, Any]) -> None:
    owner, name = POINTS[fault["at"]]
    original: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def met(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += _is_meant(fault, arguments)
        here = arguments[1] == fault["step"] if "step" in fault else calls == fault["call"]
        if fault["do"] == "forget":
            return _forget(fault["part"], original, arguments)
        if not here or not _is_meant(fault, arguments):
            return original(*arguments, **named)
        return _happen(fault, lambda: original(*arguments, **named), arguments)

    setattr(owner, name, met)


def _is_meant(fault: Mapping[str, Any], arguments: tuple[Any, ...]) -> bool:
    if "name" in fault:
        paths = [Path(argument).name for argument in arguments if isinstance(argument, str | Path)]
        return any(fnmatch(path, fault["name"]) for path in paths)
    if "has" in fault:
        return any(fault["has"].encode() in argument for argument in arguments if isinstance(argument, bytes))
    return True


def _happen(fault: Mapping[str, Any], work: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
    do, label = fault["do"], fault.get("step", fault["at"])
    if do == "torn":
        _tear(fault["at"], work, arguments)
    if do in ("kill", "torn"):
        os.kill(os.getpid(), signal.SIGKILL)
    if do == "hold":
        _hold(label)
    if do == "long":
        _take_long(label)
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


def _tear(at: str, work: Callable[[], Any], arguments: tuple[Any, ...]) -> None:
    if at == "append":
        descriptor, content = arguments
        os.write(descriptor, content[: len(content) // 2])
        return
    work()
    path = next(argument for argument in arguments if isinstance(argument, Path))
    os.truncate(path, path.stat().st_size // 2)


def _run_folder() -> Path:
    return Path(sys.argv[sys.argv.index("--run") + 1])


def _hold(label: int | str) -> None:
    (_run_folder() / f"held-{label}").touch()
    while not (_run_folder() / f"go-{label}").exists():
        time.sleep(0.005)


def _take_long(label: int | str) -> None:
    # As a step of a large model does: nothing of Python runs in this thread until it is over.
    matrix = torch.eye(2000)
    (_run_folder() / f"held-{label}").touch()
    torch.linalg.matrix_power(matrix, 2**62)


_first_progress: list[float] = []


def _forget(part: str, original: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """What `original` gives, without one part of the state."""
    if part == "progress":
        train, step, progress = arguments
        _first_progress.append(progress)
        return original(train, step, progress - _first_progress[0])
    result = original(*arguments)
    if isinstance(result, state.Counters):
        fresh = state.Counters(step=0, elapsed_seconds=0.0, tokens_seen=0)
        return msgspec.structs.replace(result, **{part: getattr(fresh, part)})
    with torch.no_grad():
        _forget_tensors(part, arguments[0])
    return result


def _forget_tensors(part: str, learner: learner.Learner) -> None:
    optimizer = learner.optimizer
    match part:
        case "exp_avg" | "exp_avg_sq" | "step":
            for moments in optimizer.adamw.state:
                moments[part].zero_()
        case "momentum":
            for momentum in optimizer.muon.momentum:
                momentum.zero_()
        case "masters":
            # Only what the network computes with is left.
            for master in optimizer.masters:
                master.copy_(master.bfloat16())
        case "average":
            assert learner.average is not None
            for average, master in zip(learner.average, optimizer.masters, strict=True):
                average.copy_(master)
        case _:
            raise ValueError(part)


if __name__ == "__main__":
    main()
