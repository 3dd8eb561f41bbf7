"""Under which circumstances figures were taken: without them they mean nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version

from benchmarks.journey.home import ROOT
from benchmarks.journey.replay import COLUMNS, ROWS


def conditions() -> dict[str, str]:
    """Machine, versions and how busy the machine is now; nothing that names it."""
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return {
        "cores": str(os.cpu_count()),
        "load average before": load,
        "terminal": f"{COLUMNS}x{ROWS}",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("textual", "torch")},
        "state": _state(),
    }


def _state() -> str:
    """The commit that was measured, and whether files differ from it."""
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        changed = "" if not _git("status", "--porcelain") else " with changes"
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + changed


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(ROOT), *arguments], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ).stdout.strip()
