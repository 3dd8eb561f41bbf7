"""The detached trainer process: `python -m tui_gpt.engine.training.worker --run FOLDER`, alone or under torchrun.

Leaves with 0 when the run finished or was stopped on request, 130 and 143 after SIGINT and SIGTERM (with a checkpoint),
1 when it failed.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn

import msgspec
import torch

from tui_gpt.core.config import RunConfig, TrainConfig
from tui_gpt.core.errors import ConfigError, CorpusError, RunError, TuiGptError
from tui_gpt.core.runs.checkpoints import clean_leftovers
from tui_gpt.core.runs.commands import CommandQueue
from tui_gpt.core.runs.metrics import read_all
from tui_gpt.core.runs.ownership import TrainerLock
from tui_gpt.core.runs.records import EXECUTION_FILE, ExecutionRecord, State, Status, write_record
from tui_gpt.core.runs.store import Run, RunStore
from tui_gpt.core.sizes import DeviceKind, Precision, require_memory, training_memory
from tui_gpt.engine.interop.huggingface import read_model_folder
from tui_gpt.engine.text.dialogues.prepared_dialogues import PreparedDialogues
from tui_gpt.engine.text.prepared import PreparedCorpus
from tui_gpt.engine.text.streaming.corpus import StreamedCorpus
from tui_gpt.engine.training.arrival import Arrival
from tui_gpt.engine.training.closing import Outcome
from tui_gpt.engine.training.devices import available_memory, choose_execution
from tui_gpt.engine.training.distributed import Ranks
from tui_gpt.engine.training.learner import Learner
from tui_gpt.engine.training.length import is_long_run, total_steps
from tui_gpt.engine.training.opening import CalledAwayError, damage_to_tokens, open_corpus, tell_or_leave
from tui_gpt.engine.training.origins import start_folder
from tui_gpt.engine.training.priority import give_way
from tui_gpt.engine.training.reporting import Reporter, say
from tui_gpt.engine.training.state import Counters, read_state
from tui_gpt.engine.training.trainer import Interruption, Trainer

_EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
_ECHO_SECONDS = 2.0
_FIRST_RANK_SPEAKS_SECONDS = 30.0


def main(argv: Sequence[str] | None = None) -> int:
    """Train the run in the given folder to its end, or until told to stop."""
    parser = argparse.ArgumentParser(prog="tui_gpt.engine.training.worker")
    parser.add_argument("--run", type=Path, required=True, help="the run's folder")
    parser.add_argument("--lr-factor", type=float, default=1.0, help="multiply the learning rate from here on")
    arguments = parser.parse_args(argv)
    folder: Path = arguments.run
    ranks = Ranks.from_environment()
    interruption = Interruption()
    if ranks.leads:
        _listen(interruption, ranks)
    give_way()
    try:
        run = RunStore(folder.parent).open(folder.name)
        if not ranks.leads:
            _follow(run, ranks, interruption)
            return 0
        with TrainerLock(run.folder):
            return _lead(run, ranks, interruption, arguments.lr_factor)
    except TuiGptError as error:
        # Somebody else's status.json is not ours to write: what happened goes to the log and to whoever waits.
        with suppress(OSError):
            print(error, file=sys.stderr, flush=True)  # noqa: T201
        return error.exit_code
    finally:
        ranks.leave()


def _listen(interruption: Interruption, ranks: Ranks) -> None:
    """SIGINT and SIGTERM ask for a checkpoint and an end; a second one ends at once. A hang-up means nothing.

    Python runs a signal's handler in the main thread between two of its instructions, and within a step one of them can
    take minutes. So the interpreter also writes each signal into a pipe, and a thread reads there.
    """
    # Whoever signals a whole process group (a batch system, say) reaches the first rank twice: torchrun passes it on.
    echo = _ECHO_SECONDS if ranks.world_size > 1 else 0.0
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    # What is forked from here (a compiler's workers) has signals of its own.
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
    for signum in _EXIT_CODES:
        signal.signal(signum, _leave_to_the_thread)
    _ignore_hang_up()
    threading.Thread(target=_hear, args=(heard, interruption, echo), name="signals", daemon=True).start()


def _leave_to_the_thread(_signum: int, _frame: FrameType | None) -> None:
    """A handler that does nothing: without one, the interpreter would not write the signal down."""


def _hear(pipe: int, interruption: Interruption, echo: float) -> None:
    asked_at = 0.0
    while signals := os.read(pipe, 1):
        signum = signals[0]
        if signum not in _EXIT_CODES:
            continue
        if not interruption.signum:
            interruption.signum, asked_at = signum, time.monotonic()
        elif time.monotonic() - asked_at >= echo:
            os._exit(_EXIT_CODES[signal.Signals(signum)])


def _ignore_hang_up() -> None:
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _leave_signals_to_the_first_rank() -> None:
    for signum in _EXIT_CODES:
        signal.signal(signum, signal.SIG_IGN)
    _ignore_hang_up()


def _lead(run: Run, ranks: Ranks, interruption: Interruption, lr_factor: float = 1.0) -> int:
    """What the only, or the first, process does."""
    reporter = Reporter(run.folder, _first_status(run), on_lost=partial(_leave_nothing, run))
    try:
        commands = CommandQueue(run.folder)
        # Before the first status: who sees that can send, and means this trainer.
        commands.inherit()
        reporter.start()
        clean_leftovers(run.folder)
        outcome = _train(run, ranks, reporter, interruption, commands, lr_factor)
    except TuiGptError as error:
        say(f"error: {error}")
        reporter.end("failed", str(error))
        return error.exit_code
    except torch.OutOfMemoryError as error:
        message = (
            "the device ran out of memory; lower train.batch_size or model.n_positions, raise "
            f"train.grad_accumulation_steps, or switch on train.gradient_checkpointing ({_first_line(error)})"
        )
        say(f"error: {message}")
        reporter.end("failed", message)
        return 1
    except Exception as error:
        if damage := damage_to_tokens(run, error):
            say(f"error: {damage}")
            reporter.end("failed", damage)
            return CorpusError.exit_code
        where = ""
        # A log that cannot be written, or found, must not keep the status from saying it.
        with suppress(OSError, RunError):
            traceback.print_exc()
            log = next(iter(reversed(run.log_files())), None)
            where = f"; {log} has the details" if log else ""
        reporter.end("failed", f"an unexpected {type(error).__name__}: {_first_line(error)}{where}")
        return 1
    state: State = "stopped" if outcome.ending == "interrupted" else outcome.ending
    say(f"{outcome.ending}: {outcome.message}")
    reporter.end(state, outcome.message if outcome.ending == "failed" else None)
    if outcome.ending == "interrupted":
        return _EXIT_CODES[signal.Signals(interruption.signum)]
    return 1 if outcome.ending == "failed" else 0


def _leave_nothing(run: Run) -> None:
    """The end of a trainer that has lost its run: at once, from any thread, before it writes into what is there now."""
    say(
        f"error: the run's folder is no longer at {run.folder}, so nothing of it can be saved; it was "
        "deleted or moved, and the trainer ends"
    )
    os._exit(RunError.exit_code)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:300] or "no more is known"


def _first_status(run: Run) -> Status:
    """The status to begin with: what the last trainer knew, without its ending."""
    try:
        known = run.status()
    except RunError:
        known = None
    if known is None:
        return Status(state="starting")
    return msgspec.structs.replace(
        known,
        state="starting",
        error=None,
        activity="",
        warnings=[],
        tokens_per_second=None,
        remaining_seconds=None,
        memory_bytes=None,
    )


def _train(
    run: Run, ranks: Ranks, reporter: Reporter, interruption: Interruption, commands: CommandQueue, lr_factor: float
) -> Outcome:
    say(f"run {run.name}, process {os.getpid()}" + (f", {ranks.world_size} ranks" if ranks.world_size > 1 else ""))
    reporter.update(state="preparing", activity="opening the corpus")
    try:
        corpus = open_corpus(run, partial(tell_or_leave, reporter, interruption))
    except CalledAwayError:
        return Outcome("interrupted", "interrupted by a signal")
    arrival = Arrival(run.folder, corpus, reporter) if isinstance(corpus, StreamedCorpus) else None
    try:
        if arrival is not None:
            arrival.begin()
        execution = _execution(run, corpus, ranks)
        say(f"{execution.device_name}: {execution.precision}, {execution.threads} threads")
        reporter.update(device=execution.device_name)
        for reason in execution.reasons:
            say(reason)
        trainer = _build(run, ranks, corpus, execution, reporter, interruption, commands, arrival=arrival)
        trainer.lr_factor = lr_factor
        return trainer.loop()
    finally:
        if arrival is not None:
            arrival.end()


def _follow(run: Run, ranks: Ranks, interruption: Interruption) -> None:
    """What every rank but the first does: the same steps, and no files."""
    reporter = Reporter(run.folder, Status(state="starting"))
    reporter.silence()
    try:
        corpus = open_corpus(run)
    except TuiGptError:
        # The first rank meets the same, and is the one who says so; torchrun ends it as soon as this one has ended.
        time.sleep(_FIRST_RANK_SPEAKS_SECONDS)
        raise
    _join(ranks, run.record.config.train.device)
    # Not before: if the first rank fails before it joins, torchrun ends this one by a signal.
    _leave_signals_to_the_first_rank()
    execution = run.execution()
    assert execution is not None, "the first rank wrote it before it joined"
    _build(run, ranks, corpus, execution, reporter, interruption, None, joined=True).loop()


def _join(ranks: Ranks, wanted: str) -> None:
    device = "cuda" if wanted.startswith("cuda") or (wanted == "auto" and torch.cuda.is_available()) else "cpu"
    if device == "cuda":
        torch.cuda.set_device(ranks.local_rank)
    ranks.join(device)


def _execution(run: Run, corpus: PreparedCorpus, ranks: Ranks) -> ExecutionRecord:
    """How the run computes: as its first trainer chose, for only then is resuming exact."""
    known = run.execution()
    if known is None:
        config = run.record.config
        n_tokens = int(run.record.data.rows_per_epoch * config.model.n_positions) or corpus.train.n_tokens
        known = choose_execution(config.train, long_run=is_long_run(config, n_tokens), processes=ranks.world_size)
        write_record(run.folder / EXECUTION_FILE, known)
    return known


def _build(
    run: Run,
    ranks: Ranks,
    corpus: PreparedCorpus,
    execution: ExecutionRecord,
    reporter: Reporter,
    interruption: Interruption,
    commands: CommandQueue | None,
    *,
    joined: bool = False,
    arrival: Arrival | None = None,
) -> Trainer:
    """The trainer at the newest intact checkpoint, or at the beginning where there is none yet."""
    config = run.record.config
    _require_even_shares(config.train, ranks)
    torch.set_num_threads(execution.threads)
    if ranks.world_size > 1 and not joined:
        _join(ranks, config.train.device)
    if ranks.world_size > 1 and execution.device.startswith("cuda"):
        execution = msgspec.structs.replace(execution, device=f"cuda:{ranks.local_rank}")
    _require_memory(config, execution, ranks)
    batches = corpus.batches(config)
    if isinstance(corpus, PreparedDialogues) and (sentence := corpus.left_out(config.model.n_positions)):
        reporter.warn(sentence)
    learner = Learner(config, execution, batches, ranks)
    counters = _with_newest_learning_rate(run, _restore(run, learner))
    steps = total_steps(config, batches.steps_per_epoch)
    reporter.update(
        total_steps=steps,
        step=counters.step,
        train_loss=counters.train_loss,
        val_loss=counters.val_loss,
        best_val_loss=counters.best_val_loss,
        best_step=counters.best_step,
        last_checkpoint=counters.step or None,
        activity="",
    )
    return Trainer(
        run, learner, corpus, counters, reporter, interruption, total_steps=steps, commands=commands, arrival=arrival
    )


def _require_even_shares(train: TrainConfig, ranks: Ranks) -> None:
    if train.batch_size % (ranks.world_size * train.grad_accumulation_steps):
        raise ConfigError(
            "train.batch_size",
            f"{train.batch_size} cannot be shared out evenly among {ranks.world_size} processes times "
            f"{train.grad_accumulation_steps} accumulation steps; start another number of processes",
        )


def _require_memory(config: RunConfig, execution: ExecutionRecord, ranks: Ranks) -> None:
    """Raise MemoryLimitError, before anything is allocated, where the device has too little left."""
    free = available_memory(execution.device)
    say(f"{free / 1e9:.1f} GB of memory are free")
    kind: DeviceKind = "cuda" if execution.device.startswith("cuda") else "mps" if execution.device == "mps" else "cpu"
    precision: Precision = "bf16" if execution.precision == "bf16" else "float32"
    needed = training_memory(config.model, config.train, precision, world_size=ranks.world_size, device=kind)
    require_memory(needed, free, "train this model")


def _restore(run: Run, learner: Learner) -> Counters:
    checkpoint, damaged = run.newest_intact()
    for sentence in damaged:
        say(f"warning: {sentence}")
    if checkpoint is None:
        if damaged:
            raise RunError(
                f"no checkpoint of run {run.name} is intact ({damaged[0]}); nothing was started afresh, so what can be "
                "rescued is still there"
            )
        return _begin(run, learner)
    # What LoRA adapts is the model in start/; the checkpoint's has the adapters merged into it.
    weights = _read_weights(start_folder(run) if learner.adapters else checkpoint.folder, learner)
    tensors, counters = read_state(checkpoint.folder, learner.device)
    if counters.step != checkpoint.step:
        raise RunError(f"{checkpoint.folder} holds the state of step {counters.step}; resume from another checkpoint")
    try:
        if learner.adapters:
            learner.begin_from(weights)
        learner.load(weights, tensors)
    except (KeyError, RuntimeError) as error:
        raise RunError(f"{checkpoint.folder} does not fit its run: {_first_line(error)}; resume from another") from None
    say(f"resumed from step {counters.step}")
    return counters


def _begin(run: Run, learner: Learner) -> Counters:
    """The first step: from the weights of the model that the run continues, where there is one."""
    if run.record.fork_step is not None:
        raise RunError(
            f"run {run.name} was forked at step {run.record.fork_step}, and that checkpoint is gone; nothing was "
            "started afresh, so put it back, or fork again"
        )
    if run.record.from_model:
        try:
            learner.begin_from(_read_weights(start_folder(run), learner))
        except (KeyError, RuntimeError) as error:
            raise RunError(f"the model in {run.folder} does not fit its run: {_first_line(error)}") from None
        say(f"begins from the weights of {run.record.parent}")
    return Counters(step=0, elapsed_seconds=0.0, tokens_seen=0)


def _read_weights(folder: Path, learner: Learner) -> dict[str, torch.Tensor]:
    loaded = read_model_folder(folder, device=learner.device)
    return {name: parameter.detach() for name, parameter in loaded.network.named_parameters()}


def _with_newest_learning_rate(run: Run, counters: Counters) -> Counters:
    """A learning rate that was set after the checkpoint, but before the step that follows it, stands in the metrics."""
    for record in reversed(read_all(run.folder)):
        scale = record.values.get("lr_scale")
        if (
            record.kind == "mark"
            and record.step == counters.step
            and isinstance(scale, int | float)
            and math.isfinite(scale)
        ):
            return msgspec.structs.replace(counters, lr_scale=float(scale))
    return counters


def run_and_leave() -> NoReturn:
    """`main`, and the end of the process.

    One of several ranks skips what the interpreter does last: threads of its process group can outlive the group, and
    one that asks for the interpreter then takes the process down by an abort.
    """
    code = main()
    if Ranks.from_environment().world_size > 1:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    run_and_leave()
