"""What happens on a curve now and then: evaluations, samples, marks; and what is known at one step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tui_gpt.core.runs.metrics import Value

Axis = Literal["step", "elapsed", "tokens"]
"""What runs along x: optimizer steps, seconds of training, or tokens seen."""
AXES: tuple[Axis, ...] = ("step", "elapsed", "tokens")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Validation loss in nats per token; `bits_per_byte` and `elapsed` (seconds) are NaN where unknown."""

    step: int
    val_loss: float
    bits_per_byte: float
    whole: bool
    """Over the whole validation text, not a part of it."""
    best: bool
    elapsed: float


@dataclass(frozen=True, slots=True)
class SampleText:
    """What the model wrote after `prompt` at this step. Foreign text."""

    step: int
    prompt: str
    text: str
    seed: int


@dataclass(frozen=True, slots=True)
class Mark:
    """What a person or the trainer did between two steps, in the trainer's words."""

    step: int
    event: str
    values: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Point:
    """What is known at a step. NaN where it is not; `memory` is in bytes, `elapsed` in seconds."""

    step: int
    loss: float
    smoothed: float
    val_loss: float
    """Of the last evaluation at or before the step."""
    val_step: int | None
    learning_rate: float
    grad_norm: float
    tokens_per_second: float
    elapsed: float
    memory: float
    tokens: float


@dataclass(frozen=True, slots=True)
class View:
    """A stretch of the x axis, in its unit: steps, seconds or tokens."""

    axis: Axis
    first: float
    last: float
