"""Whether a full-screen program can be shown where this process runs."""

from __future__ import annotations

import os
import sys


def why_no_screen() -> str:
    """What keeps a full-screen program from running here, in words; empty when nothing does."""
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or not stream.isatty():
            return f"{name} is not a terminal"
    terminal = os.environ.get("TERM", "")
    if terminal in ("", "dumb", "unknown"):
        return f"TERM={terminal} names a terminal that can only print lines"
    return ""
