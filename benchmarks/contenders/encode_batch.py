"""`tokenizers`' own encoding of the same documents; a round gives its megabytes (1e6 bytes) per second."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.contenders import texts
from benchmarks.interleaved import serve


def _build(options: dict[str, Any]) -> Callable[[], float]:
    os.sched_setaffinity(0, range(options["cores"]))
    # Read when `tokenizers` starts its threads.
    os.environ |= {"RAYON_NUM_THREADS": str(options["cores"]), "TOKENIZERS_PARALLELISM": "true"}
    from tokenizers import Tokenizer

    documents = texts.documents(options["text"])
    n_bytes = texts.size(documents)

    def turn() -> float:
        tokenizer = Tokenizer.from_file(str(Path(options["tokenizer"]) / "tokenizer.json"))
        encode = getattr(tokenizer, options["method"])
        began = time.perf_counter()
        encode(documents)
        return n_bytes / (time.perf_counter() - began) / 1e6

    return turn


if __name__ == "__main__":
    serve(_build)
