"""A plan for so many minutes: never smaller for a longer time, always valid, always within the memory."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_gpt.core.config import ModelConfig
from tui_gpt.core.config_loading import all_problems, build_config
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.planning import (
    LADDER,
    MEMORY_SHARE,
    Measurement,
    Plan,
    TokensPerSecond,
    plan,
    speed_from,
    tokens_wanted,
)
from tui_gpt.core.presets import PRESETS, preset_config
from tui_gpt.core.sizes import flops_per_token, parameters, training_memory

GB = 1_000_000_000
VOCABULARIES = st.sampled_from([65, 1024, 50_257])


def laptop(vocab_size: int = 1024, tokens_per_second: float = 23_000.0) -> TokensPerSecond:
    """As fast at the preset `quick` as the machine of docs/experiments.md."""
    quick: ModelConfig = msgspec.structs.replace(preset_config("quick").model, vocab_size=vocab_size)
    return speed_from([Measurement(flops_per_token(quick).training, tokens_per_second)])


def planned(
    minutes: float, *, tokens: int | None = 2_500_000, vocab_size: int = 1024, available: int = 16 * GB
) -> Plan:
    return plan(minutes, tokens, laptop(vocab_size), available, vocab_size=vocab_size)


@settings(max_examples=30)
@given(
    minutes=st.lists(st.floats(0.05, 100_000), min_size=2, max_size=4),
    tokens=st.none() | st.integers(100, 10**10),
    vocab_size=VOCABULARIES,
    available=st.integers(GB, 80 * GB),
)
def test_more_minutes_never_give_a_smaller_model(
    minutes: list[float], tokens: int | None, vocab_size: int, available: int
) -> None:
    sizes = [
        planned(m, tokens=tokens, vocab_size=vocab_size, available=available).n_parameters for m in sorted(minutes)
    ]
    assert sizes == sorted(sizes)


@settings(max_examples=30)
@given(
    minutes=st.floats(0.05, 500_000),
    tokens=st.none() | st.integers(100, 10**10),
    vocab_size=VOCABULARIES,
    available=st.integers(GB, 80 * GB),
)
def test_every_plan_is_valid_and_fits(minutes: float, tokens: int | None, vocab_size: int, available: int) -> None:
    tree = planned(minutes, tokens=tokens, vocab_size=vocab_size, available=available).tree
    assert all_problems(tree) == []
    config = build_config(
        ("preset", PRESETS["quick"].tree), ("plan", tree), ("", {"model": {"vocab_size": vocab_size}})
    )
    assert training_memory(config.model, config.train, "bf16").total <= MEMORY_SHARE * available
    assert config.train.max_minutes == minutes
    if tokens is not None:
        assert config.model.n_positions <= max(2, tokens // 40)


def test_three_minutes_on_two_cores_give_the_width_that_was_best_there() -> None:
    tree = planned(3).tree
    assert (tree["model"]["n_layer"], tree["model"]["n_embd"]) == (4, 192)
    quick = PRESETS["quick"].tree
    assert tree["model"] == {**quick["model"], "dropout": 0.0}
    assert tree["train"] == {**quick["train"], "grad_accumulation_steps": 1}


def test_a_faster_machine_gets_a_larger_model() -> None:
    slow = plan(10, 10**9, laptop(), 64 * GB, vocab_size=1024)
    fast = plan(10, 10**9, laptop(tokens_per_second=3_000_000), 64 * GB, vocab_size=1024)
    assert fast.n_parameters > 4 * slow.n_parameters


def test_a_short_text_limits_the_size_and_adds_dropout() -> None:
    short, long = planned(240, tokens=300_000), planned(240, tokens=10**9)
    assert short.n_parameters <= 10 * 300_000 < long.n_parameters
    assert short.tree["model"]["dropout"] == 0.2
    assert long.tree["model"]["dropout"] == 0.0
    assert "by heart" in short.reason


def test_little_memory_limits_the_size_and_divides_the_batch() -> None:
    small = planned(100_000, tokens=10**10, available=2 * GB)
    assert small.n_parameters < planned(100_000, tokens=10**10, available=64 * GB).n_parameters
    assert small.tree["train"]["grad_accumulation_steps"] > 1
    assert "memory" in small.reason


def test_the_reason_says_size_time_and_tokens() -> None:
    reason = planned(10).reason
    assert "10 minutes" in reason and "parameters" in reason and "tokens" in reason
    assert reason.endswith(".")


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_a_time_that_is_none_is_refused(minutes: float) -> None:
    with pytest.raises(ConfigError, match="not a time to train in"):
        planned(minutes)


def test_without_memory_there_is_no_plan() -> None:
    with pytest.raises(ConfigError, match="not even the smallest model fits"):
        planned(10, available=10_000_000)


def test_without_a_measurement_there_is_no_speed() -> None:
    with pytest.raises(ConfigError, match="calibrate first"):
        speed_from([])


def test_the_speed_of_a_measured_shape_is_the_measured_one_and_others_follow_their_flops() -> None:
    small = ModelConfig(vocab_size=65)
    large = ModelConfig(vocab_size=65, n_layer=8)
    flops = {model: flops_per_token(model).training for model in (small, large)}
    speed = speed_from([Measurement(flops[small], 1000.0), Measurement(flops[large], 900.0)])
    assert speed(small) == pytest.approx(1000.0)
    assert speed(large) == pytest.approx(900.0)
    larger = ModelConfig(vocab_size=65, n_layer=16)
    assert speed(larger) == pytest.approx(900.0 * flops[large] / flops_per_token(larger).training)


def test_each_rung_is_larger_than_the_one_before_at_every_vocabulary() -> None:
    for vocab_size in (65, 1024, 8192, 50_257, 200_000):
        counts = [
            parameters(
                ModelConfig(
                    family="qwen3",
                    vocab_size=vocab_size,
                    n_layer=rung.n_layer,
                    n_embd=rung.n_embd,
                    n_head=rung.n_head,
                    tie_word_embeddings=vocab_size > 8192,
                )
            ).total
            for rung in LADDER
        ]
        assert counts == sorted(set(counts))
        wanted = [tokens_wanted(count) for count in counts]
        assert wanted == sorted(wanted)
