"""llama.cpp, through llama-cpp-python, with a GGUF file of ours and the number of threads that suits it best here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from llama_cpp import Llama

from benchmarks.interleaved import serve
from tui_gpt.engine.cores import physical_threads

_TRIAL_TOKENS = 16

NOTES: dict[str, Any] = {}


def build(options: dict[str, Any]) -> Callable[[], float]:
    """The model from its file, and a function that writes and returns tokens per second after the first one."""
    temperature, top_k = options["temperature"], options["top_k"]

    def writing(threads: int) -> Callable[..., float]:
        llama = Llama(options["file"], n_ctx=0, n_threads=threads, n_threads_batch=threads, verbose=False)

        def turn(tokens: int = options["tokens"]) -> float:
            llama.reset()
            times: list[float] = []
            kept = llama.generate(options["prompt"], temp=temperature, top_k=top_k, top_p=1.0, min_p=0.0)
            for _ in kept:
                times.append(time.perf_counter())
                if len(times) == tokens:
                    break
            return (len(times) - 1) / (times[-1] - times[0])

        return turn

    turns = {threads: writing(threads) for threads in sorted({1, physical_threads()})}
    speeds = {threads: max(turn(_TRIAL_TOKENS) for _ in range(2)) for threads, turn in turns.items()}
    NOTES["threads"] = max(speeds, key=speeds.__getitem__)
    return turns[NOTES["threads"]]


if __name__ == "__main__":
    serve(build, lambda: NOTES)
