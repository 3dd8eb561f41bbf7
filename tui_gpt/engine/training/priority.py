"""The trainer's priority among the processes of the machine."""

from __future__ import annotations

import contextlib
import os

_NICENESS = 10


def give_way() -> None:
    """Let whoever uses this machine go first: a key press must not wait for a step that takes every core.

    With the cores to itself, a process of lower priority is as fast as any.
    """
    with contextlib.suppress(OSError):
        os.nice(max(0, _NICENESS - os.nice(0)))
