"""Token ids in a file, of which only what is being read is in memory."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class MappedTokens(np.memmap[Any, np.dtype[Any]]):
    """The ids in a file, shape (n_tokens,), read-only. What is picked from it by an array of places is a copy.

    The system counts what was touched of a mapped file as the process' own: a run that reads here and there would seem
    to grow until it had all of its text. So after each pick the pages are let go; they stay in the system's cache, from
    which the next pick has them.
    """

    @classmethod
    def of(cls, path: Path, dtype: str, n_tokens: int) -> MappedTokens:
        """So many ids (at least one: an empty file cannot be mapped) of a little-endian type. Raises OSError."""
        return cls(path, dtype=f"<{np.dtype(dtype).str[1:]}", mode="r", shape=(n_tokens,))

    def __getitem__(self, index: Any) -> Any:
        """As of every array."""
        found = super().__getitem__(index)
        if not isinstance(index, np.ndarray):
            return found
        let_go(self)
        return found.view(np.ndarray)


def let_go(tokens: NDArray[Any]) -> None:
    """Of ids that are mapped from a file, count none as this process' memory until they are read again."""
    mapping = getattr(tokens, "_mmap", None)
    if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)
