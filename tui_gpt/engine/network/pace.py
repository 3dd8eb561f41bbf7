"""How many threads write, found by writing: a second one that finds its core busy costs more than it brings."""

from __future__ import annotations

import functools

_TRIES = 3
"""Tokens with each number of threads, of which the fastest counts."""
_AGAIN_AFTER = 256
"""Tokens, because a machine that was busy may be so no longer."""
_HOPELESS = 1.5
"""Times as slow at the first try as the fastest so far: more of them would be felt."""
_RARER = 8
"""Times as long until the next try then."""


class Pace:
    """One thread and `most` threads are tried in turn, and the faster number is kept for a while."""

    def __init__(self, most: int) -> None:
        self._choices = (1,) if most <= 1 else (1, most)
        self._pause = _AGAIN_AFTER
        self._begin()

    def _begin(self) -> None:
        self._untried = [number for number in self._choices for _ in range(_TRIES)]
        self._seconds: dict[int, float] = {}
        self._tokens = 0

    def threads(self) -> int:
        """For the next token."""
        if self._tokens >= self._pause and len(self._choices) > 1:
            self._begin()
        self._tokens += 1
        return self._untried[0] if self._untried else min(self._seconds, key=self._seconds.__getitem__)

    def took(self, threads: int, seconds: float) -> None:
        """What that token took with so many threads."""
        if not self._untried:
            return
        self._untried.pop(0)
        self._pause = _AGAIN_AFTER
        fastest = min(self._seconds.values(), default=seconds)
        self._seconds[threads] = min(seconds, self._seconds.get(threads, seconds))
        if seconds > _HOPELESS * fastest and threads != self._choices[0]:
            self._untried.clear()
            self._pause = _RARER * _AGAIN_AFTER


@functools.cache
def pace_of(n_bytes: int, most: int) -> Pace:
    """What is known in this process about writing that reads so many bytes for a token."""
    return Pace(most)
