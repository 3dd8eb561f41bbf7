"""Named ways of drawing text, each with the reason for its numbers."""

from __future__ import annotations

from typing import Any

import msgspec

from tui_gpt.core.config import SampleConfig
from tui_gpt.core.errors import ConfigError

SHAPING = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
"""The fields of SampleConfig that a preset sets: not how much is written, nor where it stops, nor the seed."""


class SamplingPreset(msgspec.Struct, frozen=True, kw_only=True):
    """A starting point for SampleConfig."""

    name: str
    reason: str
    """Why these numbers, and what for."""
    sample: dict[str, Any]
    """The fields that differ from `NEUTRAL`."""

    def applied(self, settings: SampleConfig) -> SampleConfig:
        """`settings` drawn this way; everything that a preset does not speak of stays."""
        fields: dict[str, Any] = {**NEUTRAL, **self.sample}
        return msgspec.structs.replace(settings, **fields)


NEUTRAL: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0}
"""Nothing left out and nothing shifted: the model's own probabilities."""

PRESETS: tuple[SamplingPreset, ...] = (
    SamplingPreset(
        name="greedy",
        reason="Always the likeliest token: the same text each time, and what the model is surest of. It soon repeats "
        "itself.",
        sample={"temperature": 0.0},
    ),
    SamplingPreset(
        name="precise",
        reason="Close to the likeliest text, with enough chance to leave a loop; for code, names and facts.",
        sample={"temperature": 0.4, "top_p": 0.9},
    ),
    SamplingPreset(
        name="balanced",
        reason="The probabilities a little sharpened, and the tail of unlikely tokens cut off; for prose.",
        sample={"temperature": 0.8, "top_p": 0.95},
    ),
    SamplingPreset(
        name="creative",
        reason="Flatter probabilities, with a floor relative to the likeliest token in place of a fixed nucleus: "
        "surprising words where many fit, none where only one does.",
        sample={"temperature": 1.2, "min_p": 0.05},
    ),
    SamplingPreset(
        name="raw",
        reason="The model's own probabilities, nothing left out: what it learned, mistakes included.",
        sample={},
    ),
)


def sampling_preset(name: str) -> SamplingPreset:
    """The preset of that name. Raises ConfigError that lists those there are."""
    found = next((preset for preset in PRESETS if preset.name == name), None)
    if found is None:
        known = ", ".join(preset.name for preset in PRESETS)
        raise ConfigError("preset", f"{name!r} is no way of sampling; there are {known}")
    return found


def preset_of(settings: SampleConfig) -> SamplingPreset | None:
    """The preset that draws as `settings` do, None where there is none."""
    return next((preset for preset in PRESETS if preset.applied(settings) == settings), None)
