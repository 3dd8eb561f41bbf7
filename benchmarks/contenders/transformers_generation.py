"""`generate` of transformers with its cache, and the number of threads that suits it best here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.generation.streamers import BaseStreamer

from benchmarks.interleaved import serve
from tui_gpt.core.locations import models_dir
from tui_gpt.engine.cores import physical_threads

_TRIAL_TOKENS = 16

NOTES: dict[str, Any] = {}


class Clock(BaseStreamer):  # type: ignore[misc]
    """When each token came."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, value: object) -> None:
        """A token; at first the prompt."""
        self.times.append(time.perf_counter())

    def end(self) -> None:
        """The last one came."""


def build(options: dict[str, Any]) -> Callable[[], float]:
    """The model from the library's folder, and a function that writes and returns tokens per second after the first."""
    dtype = torch.float32 if options["precision"] == "float32" else torch.bfloat16
    model = AutoModelForCausalLM.from_pretrained(models_dir() / options["model"], dtype=dtype).eval()
    if options["compiled"]:
        model.forward = torch.compile(model.forward)
    ids = torch.tensor([options["prompt"]])
    kept = {"cache_implementation": "static"} if options["cache"] == "static" else {}
    drawn = {"do_sample": False, "temperature": None, "top_k": None}
    if options["temperature"]:
        drawn = {"do_sample": True, "temperature": options["temperature"], "top_k": options["top_k"]}

    def turn(tokens: int = options["tokens"]) -> float:
        clock = Clock()
        model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=tokens,
            min_new_tokens=None,
            eos_token_id=None,
            pad_token_id=0,
            streamer=clock,
            **drawn,
            **kept,
        )
        times = clock.times[1:]  # the first is the prompt
        return (len(times) - 1) / (times[-1] - times[0])

    turn(_TRIAL_TOKENS)
    speeds = {}
    for threads in sorted({1, physical_threads()}):
        torch.set_num_threads(threads)
        turn(_TRIAL_TOKENS)
        speeds[threads] = max(turn(_TRIAL_TOKENS) for _ in range(2))
    NOTES["threads"] = max(speeds, key=speeds.__getitem__)
    torch.set_num_threads(NOTES["threads"])
    turn()
    return turn


if __name__ == "__main__":
    serve(build, lambda: NOTES)
