"""What every contender of the training benchmark learns from and how a round of it is timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt


def tokens(options: dict[str, Any]) -> npt.NDArray[np.uint16]:
    """Random ids: how long a step takes does not depend on which they are."""
    wanted = 64 * options["batch"] * options["context"]
    return np.random.default_rng(0).integers(0, options["vocabulary"], wanted).astype(np.uint16)


def turn(step: Callable[[], object], options: dict[str, Any]) -> Callable[[], float]:
    """A round: steps for so many seconds, at least two; gives tokens per second. The first steps do not count."""
    for _ in range(2):
        step()

    def steps_for_a_while() -> float:
        done, began = 0, time.perf_counter()
        while done < 2 or time.perf_counter() - began < options["seconds"]:
            step()
            done += 1
        return done * options["batch"] * options["context"] / (time.perf_counter() - began)

    return steps_for_a_while
