"""Presets of sampling are valid, differ, and leave alone what is none of their business."""

from __future__ import annotations

import pytest

from tui_gpt.core.config import SampleConfig, to_dict
from tui_gpt.core.config_loading import convert
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.sampling_presets import NEUTRAL, PRESETS, SHAPING, SamplingPreset, preset_of, sampling_preset


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_a_preset_is_a_valid_way_of_sampling_and_is_recognised(preset: SamplingPreset) -> None:
    settings = SampleConfig(max_new_tokens=7, stop=("x",), seed=3, n_samples=2, top_k=9)
    applied = preset.applied(settings)
    assert convert(to_dict(applied), SampleConfig) == applied
    assert set(preset.sample) <= set(SHAPING)
    assert (applied.max_new_tokens, applied.stop, applied.seed, applied.n_samples) == (7, ("x",), 3, 2)
    assert preset_of(applied) is preset
    assert preset.reason.endswith(".")


def test_presets_set_every_shaping_field() -> None:
    assert set(NEUTRAL) == set(SHAPING)


def test_settings_of_nobody_have_no_preset() -> None:
    assert preset_of(SampleConfig(temperature=0.77)) is None


def test_an_unknown_preset_lists_those_there_are() -> None:
    assert sampling_preset("greedy").sample == {"temperature": 0.0}
    with pytest.raises(ConfigError, match="greedy, precise, balanced, creative, raw"):
        sampling_preset("wild")
