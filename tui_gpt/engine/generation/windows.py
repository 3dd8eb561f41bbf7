"""Which tokens the model looks at once the text is longer than its context: crop, refill, go on.

Sliding by one token each time would move every position and so empty the cache at every token. The window therefore
starts at a multiple of half a context, and stays there until it is full: cached and uncached generation see the same.
"""

from __future__ import annotations


def window_start(n_tokens: int, n_positions: int) -> int:
    """Index of the first of `n_tokens` tokens that the model sees; what it sees is at most `n_positions` tokens.

    0 while all fit; then the smallest multiple of half a context that leaves no more than a context.
    """
    if n_tokens <= n_positions:
        return 0
    step = n_positions // 2
    return -(-(n_tokens - n_positions) // step) * step
