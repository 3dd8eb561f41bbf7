"""What this machine can do, found by trying it, and what a run makes of that."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import torch
import torch.nn.functional as F

from tui_gpt import __version__
from tui_gpt.core.config import TrainConfig
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.runs.records import ExecutionRecord
from tui_gpt.engine.cores import physical_threads

# Below this gain float32 is the better trade: bf16 costs copies between the two.
_BF16_WORTH_IT = 1.3


def compute_dtype(execution: ExecutionRecord) -> torch.dtype:
    """The weights' type while computing."""
    return torch.bfloat16 if execution.precision == "bf16" else torch.float32


def choose_device(wanted: str) -> str:
    """`auto`, or a device by name, as a device that is there. Raises ConfigError for one that is not."""
    cuda = torch.cuda.is_available()
    mps = torch.backends.mps.is_available()
    if wanted == "auto":
        return "cuda" if cuda else "mps" if mps else "cpu"
    kind, _, number = wanted.partition(":")
    if kind == "cuda" and not cuda:
        raise ConfigError("train.device", f"is {wanted}, but torch sees no CUDA device here; use cpu or auto")
    if kind == "cuda" and number and int(number) >= torch.cuda.device_count():
        raise ConfigError("train.device", f"is {wanted}, but there are {torch.cuda.device_count()} CUDA devices here")
    if kind == "mps" and not mps:
        raise ConfigError("train.device", "is mps, but torch sees no Apple GPU here; use cpu or auto")
    return wanted


def device_name(device: str) -> str:
    """The device's name as its maker writes it, or the processor's architecture."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    if device == "mps":
        return "Apple GPU"
    return _cpu_name()


def _cpu_name() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "CPU")
    except OSError:
        return platform.processor() or "CPU"


def available_memory(device: str) -> int:
    """Bytes that can still be allocated on the device."""
    if device.startswith("cuda"):
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    limit = int(psutil.virtual_memory().available)
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            limit = min(limit, int(text))
    return limit


def bf16_gain(device: str) -> float:
    """How many times faster a bf16 matrix product is than a float32 one on the device, the best of a few tries."""

    def best(dtype: torch.dtype) -> float:
        x = torch.randn(2048, 384, device=device, dtype=dtype)
        weight = torch.randn(1536, 384, device=device, dtype=dtype)
        return min(_seconds(lambda: F.linear(x, weight), device) for _ in range(4))

    try:
        return best(torch.float32) / best(torch.bfloat16)
    except RuntimeError:  # the device has no bf16 product
        return 0.0


def _seconds(work: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    elif device == "mps":
        torch.mps.synchronize()
    return time.perf_counter() - start


def attention_is_causal(device: str, dtype: torch.dtype) -> bool:
    """Whether the fused attention keeps the future hidden (some MPS versions do not in half precision)."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 2, 64, 32, generator=generator).to(device, dtype) for _ in range(3))
    before = F.scaled_dot_product_attention(q, k, v, is_causal=True)[:, :, :32]
    k[:, :, 32:], v[:, :, 32:] = 9.0, -9.0
    after = F.scaled_dot_product_attention(q, k, v, is_causal=True)[:, :, :32]
    return bool(torch.allclose(before.float(), after.float(), atol=1e-2))


def compiler_missing(device: str) -> str:
    """Why torch.compile cannot work for the device, or an empty string."""
    if device == "cpu":
        found = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
        return "" if found else "no C++ compiler is installed"
    if device.startswith("cuda"):
        try:
            import triton  # type: ignore[import-not-found]  # noqa: F401
        except ImportError:
            return "triton is not installed"
        return ""
    return "torch.compile is not mature on this device"


def choose_execution(train: TrainConfig, *, long_run: bool, processes: int = 1) -> ExecutionRecord:
    """Probe the device and decide how to compute. `long_run`: the run is long enough to earn back compiling.

    Raises ConfigError for a device that is not there.
    """
    device = choose_device(train.device)
    reasons: list[str] = []
    precision = train.precision
    if precision == "auto":
        if device == "mps":
            precision = "float32"
            reasons.append("float32: the safe choice on Apple GPUs")
        else:
            gain = bf16_gain(device)
            precision = "bf16" if gain >= _BF16_WORTH_IT else "float32"
            reasons.append(f"{precision}: a bf16 matrix product is {gain:.1f} times as fast as a float32 one here")
    if precision == "bf16" and not attention_is_causal(device, torch.bfloat16):
        precision = "float32"
        reasons.append("float32: this device's bf16 attention looks into the future")
    compiled = train.compile == "on" or (train.compile == "auto" and long_run and device != "mps")
    missing = compiler_missing(device) if compiled else ""
    if missing:
        compiled = False
        reasons.append(f"not compiled: {missing}")
    elif train.compile == "auto" and not compiled:
        reasons.append("not compiled: the run is too short to earn it back")
    threads = train.threads or max(1, physical_threads() // processes)
    return ExecutionRecord(
        device=device,
        device_name=device_name(device),
        precision=precision,
        compile=compiled,
        threads=threads,
        world_size=processes,
        reasons=reasons,
        versions=versions(),
    )


def versions() -> dict[str, str]:
    """What computed: the program, Python and torch. Bit-equality holds among equal ones."""
    return {"tui_gpt": __version__, "python": platform.python_version(), "torch": str(torch.__version__)}
