"""Every starting point is a valid configuration of the size that it says, and says why."""

from __future__ import annotations

import msgspec
import pytest

from tui_gpt.core.config import ModelConfig
from tui_gpt.core.config_loading import all_problems, build_config, with_vocabulary
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.presets import PRESETS, preset_config
from tui_gpt.core.published import PUBLISHED, compare, nearest
from tui_gpt.core.sizes import assumed_vocabulary, parameters

MILLIONS = {"qwen3-10m": 10, "qwen3-120m": 120, "qwen3-350m": 350, "nanogpt-shakespeare": 10.65}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_builds_a_valid_configuration_and_says_why(name: str) -> None:
    preset = PRESETS[name]
    assert preset.name == name
    assert all_problems(preset.tree) == []
    config = preset_config(name)
    assert with_vocabulary(config, assumed_vocabulary(config)).model.vocabulary > 0
    assert preset.reason.endswith(".") and len(preset.reason) > 40
    assert preset.title


@pytest.mark.parametrize(("name", "millions"), MILLIONS.items())
def test_a_preset_has_about_the_parameters_of_its_name(name: str, millions: float) -> None:
    config = preset_config(name)
    total = parameters(msgspec.structs.replace(config.model, vocab_size=assumed_vocabulary(config))).total
    assert total == pytest.approx(millions * 1e6, rel=0.15)


def test_a_preset_is_a_layer_that_later_ones_override() -> None:
    config = build_config(("preset", PRESETS["quick"].tree), ("--set", {"train": {"max_steps": 5}}))
    assert config.train.max_steps == 5 and config.train.max_minutes is None
    assert config.model.family == "qwen3"


def test_an_unknown_preset_is_a_sentence_that_lists_the_known() -> None:
    with pytest.raises(ConfigError, match=r"none named 'gpt3'; there are quick, tiny"):
        preset_config("gpt3")


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_presets_equal_the_published_sizes_field_by_field(name: str) -> None:
    model = preset_config(name).model
    assert nearest(model).name == name
    assert [c for c in compare(model) if not c.equal] == []
    assert [c for c in compare(model, name) if not c.equal] == []


def test_what_differs_from_a_published_size_is_named() -> None:
    model = ModelConfig(n_embd=768, n_layer=12, n_head=8, n_positions=512)
    differing = {c.field: (c.actual, c.published) for c in compare(model) if not c.equal}
    assert differing == {
        "vocab_size": (None, 50257),
        "n_positions": (512, 1024),
        "n_head": (8, 12),
        "parameters": (None, 124_439_808),
    }
    with pytest.raises(ConfigError, match="not a published GPT-2 size"):
        compare(model, "gpt3")
