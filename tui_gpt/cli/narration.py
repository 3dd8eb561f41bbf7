"""stderr, which tells a person what happens: that nobody can hear it changes nothing about what a command does."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import Any


class _Unheard(io.FileIO):
    """A file that takes whatever it is given, also where it cannot be written (a closed pipe, a full disk)."""

    problem: OSError | None = None
    """Why nothing arrives any more."""
    owner: object = None
    """What would close the descriptor if nobody held it."""

    def write(self, data: Any, /) -> int:
        """Write, or do as if."""
        try:
            return super().write(data)
        except BlockingIOError:
            raise
        except OSError as error:
            self.problem = error
            return memoryview(data).nbytes


def guard_stderr() -> None:
    """From here on no writing to stderr fails. For the life of the process."""
    with contextlib.suppress(OSError, AttributeError):
        raw = _Unheard(sys.stderr.fileno(), "w", closefd=False)
        raw.owner = sys.stderr
        sys.stderr = io.TextIOWrapper(
            io.BufferedWriter(raw), encoding=sys.stderr.encoding, errors=sys.stderr.errors, line_buffering=True
        )


def nobody_hears() -> OSError | None:
    """Why what is told on stderr does not arrive; None while it does."""
    raw = getattr(getattr(sys.stderr, "buffer", None), "raw", None)
    return raw.problem if isinstance(raw, _Unheard) else None
