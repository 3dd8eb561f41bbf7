"""This program's writing, as `tui-gpt sample` does it: the pieces of a stream as they come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.interleaved import serve
from tui_gpt.core.config import SampleConfig
from tui_gpt.engine.generation.model_source import load_source
from tui_gpt.engine.generation.stream import Generator
from tui_gpt.engine.session.threads import use_threads

NOTES: dict[str, Any] = {}


def build(options: dict[str, Any]) -> Callable[[], float]:
    """The model from the library, and a function that writes and returns tokens per second after the first one."""
    _, loaded = load_source(options["model"], device="cpu")
    use_threads(loaded.network)
    NOTES["threads"] = "own"
    generator = Generator.of(loaded, options["precision"])
    settings = SampleConfig(
        max_new_tokens=options["tokens"], temperature=options["temperature"], top_k=options["top_k"], seed=1
    )

    def turn() -> float:
        times = []
        for _ in generator.stream(options["prompt"], settings):
            times.append(time.perf_counter())
        return (len(times) - 1) / (times[-1] - times[0])

    turn()
    return turn


if __name__ == "__main__":
    serve(build, lambda: NOTES)
