"""How many threads are worth starting on this machine's processor."""

from __future__ import annotations

import os

import psutil


def physical_threads() -> int:
    """CPU threads worth starting: physical cores that this process may use."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(psutil.cpu_count(logical=False) or allowed, allowed))
