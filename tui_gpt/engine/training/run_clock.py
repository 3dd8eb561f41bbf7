"""The time a run has spent training: pauses left out, carried over from one process to the next."""

from __future__ import annotations

import time


class RunClock:
    """Counts seconds from `elapsed` on while it runs."""

    def __init__(self, elapsed: float = 0.0) -> None:
        self._before = elapsed
        self._since: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds of training so far."""
        return self._before + (time.monotonic() - self._since if self._since is not None else 0.0)

    def start(self) -> None:
        """Begin or go on counting."""
        if self._since is None:
            self._since = time.monotonic()

    def stop(self) -> None:
        """Hold the count."""
        self._before, self._since = self.elapsed, None


class Throughput:
    """Tokens per second over the last few seconds of steps."""

    _WEIGHT_OF_NEW = 0.1

    def __init__(self) -> None:
        self._seconds_per_token: float | None = None

    def add(self, tokens: int, seconds: float) -> None:
        """Count one step."""
        new = seconds / tokens
        old = self._seconds_per_token
        self._seconds_per_token = new if old is None else old + self._WEIGHT_OF_NEW * (new - old)

    @property
    def tokens_per_second(self) -> float | None:
        """None before the first step."""
        return None if not self._seconds_per_token else 1.0 / self._seconds_per_token
