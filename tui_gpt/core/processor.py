"""What the processor says of itself, for whoever may not import torch and measure."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_LARGEST = 1 << 20
_BF16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""What x86 and ARM call instructions for bf16 products."""


@cache
def has_bf16() -> bool:
    """Whether the processor multiplies bf16 by instructions of its own; without them that is slower than float32.

    True where the system does not tell, as on macOS.
    """
    try:
        with _CPUINFO.open("rb") as handle:
            words = handle.read(_LARGEST).decode("utf-8", "replace").split()
    except OSError:
        return True
    return not _BF16.isdisjoint(words)
