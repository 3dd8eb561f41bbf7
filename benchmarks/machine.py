"""The machine that figures come from, in one line, and the two limits that arithmetic on it runs into.

python -m benchmarks machine
"""

from __future__ import annotations

import os
import platform
import time

import torch
import torch.nn.functional as F

from tui_gpt.engine.cores import physical_threads
from tui_gpt.engine.training.devices import device_name


def described() -> str:
    """Processor, cores, system, Python and torch."""
    return (
        f"{device_name('cpu')}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )


def matrix_peak(dtype: torch.dtype, tries: int = 5) -> float:
    """Floating-point operations per second of the fastest of several large matrix products."""
    best = 0.0
    for rows, inner, columns in ((4096, 1024, 4096), (4096, 768, 3072), (8192, 2048, 2048)):
        x, weight = torch.randn(rows, inner).to(dtype), torch.randn(columns, inner).to(dtype)
        F.linear(x, weight)
        for _ in range(tries):
            began = time.perf_counter()
            F.linear(x, weight)
            best = max(best, 2 * rows * inner * columns / (time.perf_counter() - began))
    return best


def memory_bandwidth(n_bytes: int = 1 << 30, tries: int = 5) -> float:
    """Bytes per second that summing a gigabyte reads at best, which is what a model's weights are read with."""
    numbers = torch.ones(n_bytes // 4, dtype=torch.float32)
    best = 0.0
    for _ in range(tries):
        began = time.perf_counter()
        numbers.sum()
        best = max(best, n_bytes / (time.perf_counter() - began))
    return best


def main() -> None:
    """Print all of it."""
    torch.set_num_threads(physical_threads())
    print(described())
    for name, dtype in (("float32", torch.float32), ("bf16", torch.bfloat16)):
        print(f"matrix peak {name}: {matrix_peak(dtype) / 1e9:,.0f} GFLOP/s")
    print(f"memory bandwidth: {memory_bandwidth() / 1e9:.1f} GB/s")


if __name__ == "__main__":
    main()
