"""How fast this machine would train a configuration: real steps of the real learner on made-up text."""

from __future__ import annotations

import ctypes
import gc
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt
import psutil
import torch

from tui_gpt.core.config import RunConfig
from tui_gpt.core.runs.records import ExecutionRecord
from tui_gpt.core.sizes import DeviceKind, Precision, assumed_vocabulary, require_memory, training_memory
from tui_gpt.engine.text.batches import WindowBatches
from tui_gpt.engine.training.devices import available_memory, choose_execution
from tui_gpt.engine.training.learner import Learner
from tui_gpt.engine.training.length import is_long_run

FEWEST_STEPS = 2
MOST_STEPS = 200

_WARM_UP_STEPS = 2
_MOST_TOKENS = 1 << 22
# So small that random text cannot make a number infinite, which would cut the step short. The arithmetic is the same.
_RATE_FACTOR = 0.01


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured."""

    tokens_per_second: float
    step_seconds: float
    """The median of the steps that count."""
    steps: int
    """How many those were."""
    seconds: float
    """What the whole calibration took."""
    memory_bytes: int
    """Growth of the process, or the device's peak beyond what was taken before."""
    device: str
    device_name: str
    precision: str
    threads: int
    reasons: list[str]
    """Why it computes this way, and what was not measured; a sentence each."""


def calibrate(
    config: RunConfig, seconds: float, progress: Callable[[str, float], None], cancelled: Callable[[], bool]
) -> Calibration:
    """Train for `seconds`, at least two steps, at most 200, after one or two that do not count.

    Device, precision and threads are those that a run would choose; torch.compile, which takes longer to warm up than
    this lasts, stays off. Evaluations, samples and checkpoints are not part of it. `cancelled` is asked between steps,
    and ends it early with what there is by then. Raises MemoryLimitError before anything is allocated, ConfigError for
    a device that is not there, and what `progress` raises.
    """
    began = time.perf_counter()
    config = _with_vocabulary(config)
    progress("probing the device", 0.0)
    execution = choose_execution(msgspec.structs.replace(config.train, compile="off"), long_run=False)
    _require_memory(config, execution)
    release_memory()
    memory = _Memory(execution.device)
    threads_before = torch.get_num_threads()
    torch.set_num_threads(execution.threads)
    learner = None
    try:
        progress("building the network", 0.0)
        learner = Learner(config, execution, WindowBatches.of(_tokens(config), config))
        times, applied = _steps(learner, seconds, progress, cancelled, memory)
    finally:
        del learner
        torch.set_num_threads(threads_before)
        release_memory()
    median = statistics.median(times)
    return Calibration(
        tokens_per_second=config.train.batch_size * config.model.n_positions / median,
        step_seconds=median,
        steps=len(times),
        seconds=time.perf_counter() - began,
        memory_bytes=memory.peak,
        device=execution.device,
        device_name=execution.device_name,
        precision=execution.precision,
        threads=execution.threads,
        reasons=[*execution.reasons, *_not_measured(config, applied=applied)],
    )


def _steps(
    learner: Learner,
    seconds: float,
    progress: Callable[[str, float], None],
    cancelled: Callable[[], bool],
    memory: _Memory,
) -> tuple[list[float], bool]:
    """Seconds of each step that counts, and whether all of them were applied."""
    times: list[float] = []
    applied = True
    warm_up = _WARM_UP_STEPS
    ends = time.perf_counter() + seconds
    while (counted := len(times) - warm_up) < FEWEST_STEPS or (time.perf_counter() < ends and counted < MOST_STEPS):
        if times and cancelled():
            break
        left = max(0.0, ends - time.perf_counter())
        progress("measuring", 0.0 if counted < 0 else 1.0 - left / seconds)
        started = time.perf_counter()
        applied &= learner.train_step(len(times), _RATE_FACTOR).applied
        times.append(time.perf_counter() - started)
        memory.look()
        if len(times) > warm_up:
            continue
        if times[-1] > seconds / 4:
            # A second one would tell little for its time.
            warm_up = len(times)
        ends = time.perf_counter() + seconds
    return times[warm_up:] or times[-1:], applied


def _with_vocabulary(config: RunConfig) -> RunConfig:
    model = msgspec.structs.replace(config.model, vocab_size=assumed_vocabulary(config))
    return msgspec.structs.replace(config, model=model)


def _require_memory(config: RunConfig, execution: ExecutionRecord) -> None:
    kind: DeviceKind = "cuda" if execution.device.startswith("cuda") else "mps" if execution.device == "mps" else "cpu"
    precision: Precision = "bf16" if execution.precision == "bf16" else "float32"
    needed = training_memory(config.model, config.train, precision, device=kind)
    require_memory(needed, available_memory(execution.device), "train this model")


def _tokens(config: RunConfig) -> npt.NDArray[np.integer]:
    """Random token ids: how long a step takes does not depend on which they are."""
    vocabulary = config.model.vocabulary
    wanted = 4 * config.train.batch_size * config.model.n_positions
    n_tokens = max(config.model.n_positions + 1, min(wanted, _MOST_TOKENS))
    dtype = np.uint16 if vocabulary <= 1 << 16 else np.uint32
    return np.random.default_rng(0).integers(0, vocabulary, n_tokens, dtype=dtype)


def _not_measured(config: RunConfig, *, applied: bool) -> list[str]:
    train, found = config.train, []
    # How long a run by epochs is depends on a corpus that is not read here.
    may_compile = train.compile == "auto" and (train.max_epochs is not None or is_long_run(config, 0))
    if train.compile == "on" or may_compile:
        found.append("a run this long may be compiled, which is not calibrated: its steps may be faster than these")
    if not applied:
        found.append("some steps gave numbers that are not finite, so the speed may be overstated")
    return found


class _Memory:
    """The peak of memory beyond what was taken at the beginning, in bytes."""

    def __init__(self, device: str) -> None:
        self._device = device
        self.peak = 0
        if device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats(device)
        self._before = self._now()

    def look(self) -> None:
        """To be called after each step: freed memory is kept by the process, so that its peak is still there to see."""
        self.peak = max(self.peak, self._now() - self._before)

    def _now(self) -> int:
        if self._device.startswith("cuda"):
            return int(torch.cuda.max_memory_allocated(self._device))
        if self._device == "mps":
            return int(torch.mps.driver_allocated_memory())
        return int(psutil.Process().memory_info().rss)


def release_memory() -> None:
    """Give freed memory back to the machine: a session is started as a trainer is, and keeps what it frees."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
        if trim is not None:
            trim(0)
