"""Figures as people read them: times, counts, sizes in memory, losses. Without a unit where the context names it."""

from __future__ import annotations

import math


def duration(seconds: float | None) -> str:
    """Seconds as a person says them: `2 m 05 s`, `3 h 10 m`, `2 d 4 h`."""
    if seconds is None or not math.isfinite(seconds):
        return "?"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02d} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} m"
    if whole < 3 * 365 * 86400:
        return f"{whole // 86400} d {whole % 86400 // 3600} h"
    return f"{whole / (365.25 * 86400):.3g} years"


def amount(number: float) -> str:
    """A large number in three digits: `946`, `12.3 k`, `2.16 M`, `1.56 B`."""
    for limit, divisor, unit in ((1e3, 1.0, ""), (1e6, 1e3, " k"), (1e9, 1e6, " M"), (1e12, 1e9, " B")):
        if abs(number) < 0.9995 * limit:
            scaled = number / divisor
            if not unit:
                return f"{scaled:.0f}"
            return f"{scaled:.{2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0}f}{unit}"
    return f"{number / 1e12:.3g} T"


def memory(size: float) -> str:
    """Bytes in powers of ten: `512 kB`, `38 MB`, `1.2 GB`."""
    if size < 1e6:
        return f"{size / 1e3:.0f} kB"
    if size < 1e9:
        return f"{size / 1e6:.0f} MB"
    return f"{size / 1e9:.{1 if size < 1e11 else 0}f} GB"


def loss(value: float | None) -> str:
    """A loss in nats per token; a dash where there is none yet."""
    if value is None:
        return "-"
    return f"{value:.4f}" if math.isfinite(value) else "not a number"
