"""Real runs for tests of training: a small text, tiny models, and the real trainer as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from trainer_nursery import Fork, nursery

from tui_gpt.core.config import RunConfig
from tui_gpt.core.config_loading import build_config
from tui_gpt.core.runs.checkpoints import checkpoint_folder, read_pointers
from tui_gpt.core.runs.child_process import trainer_environment
from tui_gpt.core.runs.commands import Ack
from tui_gpt.core.runs.launch import TrainerProcess, launch_trainer, log_tail
from tui_gpt.core.runs.metrics import MetricRecord, read_all
from tui_gpt.core.runs.ownership import TrainerLock, signal_trainer
from tui_gpt.core.runs.records import Status
from tui_gpt.core.runs.store import Run
from tui_gpt.engine.training import worker
from tui_gpt.engine.training.begin import begin_run
from tui_gpt.engine.training.distributed import Ranks
from tui_gpt.engine.training.trainer import Interruption

HERE = Path(__file__).resolve().parent
DEADLINE = 60.0
CLOCK_VALUES = ("elapsed", "tokens_per_second", "memory")
"""What two runs of the same steps need not share."""

EVERYTHING: dict[str, Any] = {
    "max_steps": 12,
    "model": {"dropout": 0.2},
    "optimizer": "muon",
    "precision": "bf16",
    "weight_average": 0.9,
    "grad_accumulation_steps": 2,
    "checkpoint_interval": 3,
    "eval_interval": 4,
    "early_stopping_patience": 3,
    "eval_tokens": 128,
    "sample_tokens": 4,
}
"""All that has a state, in few steps. Checkpoints after 3, 4, 6, 8, 9 and 12, evaluations after 4, 8 and 12."""


def until(condition: Callable[[], Any], run: Run | None = None, seconds: float = DEADLINE) -> Any:
    """Wait for a condition; returns its value. Given a run, its trainer failing ends the wait, and its log is shown."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        status = None if run is None else run.status()
        over = time.monotonic() >= deadline or (status is not None and status.state in ("failed", "finished"))
        if over and not (value := condition()):
            pytest.fail(f"it did not come to pass; {last_words(run) if run else ''}")
        time.sleep(0.01)
    return value


def write_text(path: Path, megabytes: float = 0.06) -> Path:
    """Small children's stories, the same ones each time."""
    from tui_gpt.engine.text.stories import generate_stories

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(generate_stories(7, megabytes)), encoding="utf-8")
    return path


def tiny(corpus: Path, *, model: Mapping[str, Any] | None = None, **train: Any) -> RunConfig:
    """A configuration whose steps take milliseconds."""
    base = {
        "model": {"family": "qwen3", "n_layer": 1, "n_embd": 32, "n_head": 2, "n_positions": 32},
        "data": {"corpus": str(corpus), "tokenizer": "char"},
        "train": {
            "batch_size": 8,
            "warmup_steps": 4,
            "precision": "float32",
            "compile": "off",
            "device": "cpu",
            "threads": 1,
            "eval_interval": 10,
            "eval_tokens": 512,
            "sample_tokens": 8,
            "checkpoint_minutes": 0,
        },
    }
    if not {"max_epochs", "max_minutes"} & train.keys():
        train.setdefault("max_steps", 40)
    return build_config(("test", base), ("test", {"model": dict(model or {}), "train": train}))


class Scene:
    """A home of its own with a text, in which runs are begun and trainers started."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.text = write_text(folder / "text" / "stories.txt")
        self.started: list[TrainerProcess] = []
        self.forked: list[Fork] = []

    def begin(self, config: RunConfig, name: str = "bard", *, processes: int = 1) -> Run:
        """A run that no trainer has seen yet."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TUI_GPT_HOME", str(self.home))
            return begin_run(config, name, processes=processes)

    def start(self, run: Run, *faults: Mapping[str, Any], nproc: int = 1) -> TrainerProcess:
        """The trainer as a detached process; with faults, one that meets them (tests/faulty_trainer.py)."""
        search = trainer_environment().get("PYTHONPATH", "")
        environment = {
            "TUI_GPT_HOME": str(self.home),
            "PYTHONPATH": os.pathsep.join(filter(None, [search, str(HERE)])),
            "TRAINER_FAULTS": json.dumps(faults),
            "OMP_NUM_THREADS": "1",
        }
        chosen = {"module": "faulty_trainer"} if faults else {}
        process = launch_trainer(run.folder, extra_env=environment, nproc=nproc, **chosen)
        self.started.append(process)
        return process

    def train(self, run: Run, *faults: Mapping[str, Any], nproc: int = 1) -> int:
        """Start a trainer and wait for its end; returns its exit code."""
        return self.start(run, *faults, nproc=nproc).wait(DEADLINE)

    def fork(self, run: Run, *faults: Mapping[str, Any]) -> Fork:
        """As `start`, but within milliseconds: a fork of a process that has imported everything."""
        process = nursery().start(run.folder, self.home, faults)
        self.forked.append(process)
        return process

    def train_forked(self, run: Run, *faults: Mapping[str, Any]) -> int:
        """As `train`, with a fork."""
        return self.fork(run, *faults).wait(DEADLINE)

    def train_here(self, run: Run, ranks: Ranks | None = None) -> int:
        """What the trainer's process does, in this one: returns its exit code."""
        with pytest.MonkeyPatch.context() as patch, TrainerLock(run.folder):
            patch.setenv("TUI_GPT_HOME", str(self.home))
            return worker._lead(run, ranks or Ranks(), Interruption())

    def models(self) -> list[str]:
        """The names of the models in the library."""
        return sorted(path.name for path in (self.home / "models").glob("*") if not path.name.startswith("."))

    def end_all(self) -> None:
        """Nothing outlives its test."""
        for fork in self.forked:
            fork.kill()
        for process in self.started:
            if process.poll() is not None:
                continue
            # torchrun gives each worker a session of its own.
            for descendant in psutil.Process(process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    descendant.kill()
            process.send_signal(signal.SIGKILL)
            process.wait(DEADLINE)


def fault(at: str, do: str, call: int = 1, **more: Any) -> dict[str, Any]:
    """What happens at the given call of a point within the trainer: `kill`, `hold`, `nan`, ... (faulty_trainer)."""
    return {"at": at, "do": do, "call": call, **more}


def hold(step: int) -> dict[str, Any]:
    """The trainer waits inside step number `step` (0 is the first) until `release`."""
    return fault("train_step", "hold", step=step)


def wait_held(run: Run, step: int | str) -> None:
    """Until the trainer waits inside that step, or at that point."""
    until((run.folder / f"held-{step}").exists, run)


def release(run: Run, step: int | str) -> None:
    """Let a held trainer go on."""
    (run.folder / f"go-{step}").touch()


def last_words(run: Run) -> str:
    """The end of the newest log."""
    logs = run.log_files()
    return log_tail(logs[-1]) if logs else "no log"


def status_of(run: Run) -> Status:
    """The status, which must be there."""
    status = run.status()
    assert status is not None
    return status


def wait_state(run: Run, state: str) -> Status:
    """Until the status says so."""
    until(lambda: (s := run.status()) is not None and s.state == state, run)
    return status_of(run)


def obey(run: Run, kind: Any, **arguments: Any) -> Ack:
    """Send a command and wait for its acknowledgement."""
    ack = run.wait_for_ack(run.send(kind, arguments), DEADLINE)
    assert ack is not None, last_words(run)
    return ack


def signal_it(run: Run, signum: int) -> None:
    """Signal the trainer that holds the run."""
    until(lambda: run.owner() is not None, run)
    signal_trainer(run.folder, signum)


def records(run: Run, *kinds: str) -> list[MetricRecord]:
    """The joined history, of these kinds."""
    return [record for record in read_all(run.folder) if record.kind in kinds]


def learned(run: Run) -> list[tuple[str, int, dict[str, Any]]]:
    """What a run learned step by step: every training, evaluation and sample record without the clock's values."""
    found: list[tuple[str, int, dict[str, Any]]] = []
    for record in records(run, "train", "eval", "sample"):
        values = {name: value for name, value in record.values.items() if name not in CLOCK_VALUES}
        found.append((record.kind, record.step, values))
    return found


def final_weights(run: Run) -> bytes:
    """The newest checkpoint's model file, byte for byte."""
    last = read_pointers(run.folder).last
    assert last is not None
    return (checkpoint_folder(run.folder, last) / "model.safetensors").read_bytes()
