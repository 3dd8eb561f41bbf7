"""Sampling means what transformers' logits processors mean, and draws what its seed says."""

from __future__ import annotations

import math

import pytest
import torch
from transformers.generation import logits_process as theirs

from tui_gpt.core.config import SampleConfig
from tui_gpt.engine.generation.sampling import (
    choose,
    draw,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    penalize_repetition,
    sample_generator,
    shape_logits,
)

SEEDS = range(8)


def drawn_logits(seed: int, width: int = 97) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, width, generator=generator) * 3
    return logits.round() if seed % 2 else logits  # rounded ones have ties


@pytest.mark.parametrize("seed", SEEDS)
def test_each_processor_equals_that_of_transformers(seed: int) -> None:
    logits = drawn_logits(seed)
    seen = torch.randint(97, (3, 20), generator=torch.Generator().manual_seed(seed))
    ids = seen.long()
    for penalty in (0.5, 1.3, 4.0):
        expected = theirs.RepetitionPenaltyLogitsProcessor(penalty)(ids, logits.clone())
        assert torch.equal(penalize_repetition(logits, seen, penalty), expected)
    for k in (1, 5, 97, 500):
        assert torch.equal(keep_top_k(logits, k), theirs.TopKLogitsWarper(k)(ids, logits))
    for p in (1e-6, 0.3, 0.9, 0.999):
        assert torch.equal(keep_top_p(logits, p), theirs.TopPLogitsWarper(p)(ids, logits))
    for share in (0.01, 0.3, 1.0):
        kept, expected = keep_min_p(logits, share), theirs.MinPLogitsWarper(share)(ids, logits)
        assert torch.equal(kept, expected)


@pytest.mark.parametrize("sharpness", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_nucleus_of_a_large_vocabulary_is_that_of_transformers(seed: int, sharpness: float) -> None:
    logits = torch.randn(2, 20_000, generator=torch.Generator().manual_seed(seed)) * sharpness
    for p in (1e-6, 0.3, 0.9):
        expected = theirs.TopPLogitsWarper(p)(torch.zeros(2, 1), logits)
        assert torch.equal(keep_top_p(logits, p), expected)
    assert (keep_top_p(logits, 1e-6) > -math.inf).sum(-1).tolist() == [1, 1]


@pytest.mark.parametrize("seed", SEEDS)
def test_all_together_equal_transformers_in_its_order(seed: int) -> None:
    logits = drawn_logits(seed)
    config = SampleConfig(temperature=1.7, top_k=30, top_p=0.8, min_p=0.05)
    expected = logits
    for processor in (
        theirs.TemperatureLogitsWarper(1.7),
        theirs.TopKLogitsWarper(30),
        theirs.TopPLogitsWarper(0.8),
        theirs.MinPLogitsWarper(0.05),
    ):
        expected = processor(torch.zeros(3, 1, dtype=torch.long), expected)
    assert torch.equal(shape_logits(logits, config), expected)


def test_what_is_switched_off_changes_nothing() -> None:
    logits = drawn_logits(0)
    assert torch.equal(shape_logits(logits, SampleConfig(temperature=1.0)), logits)


def test_temperature_zero_takes_the_likeliest_after_the_repetition_penalty() -> None:
    logits = torch.tensor([[1.0, 3.0, 2.9]])
    assert choose(logits, None, SampleConfig(temperature=0, top_p=0.1), []) == [1]
    config = SampleConfig(temperature=0, repetition_penalty=1.1)
    assert choose(logits, torch.tensor([[1, 1, 1]]), config, []) == [2]


def test_draws_follow_the_probabilities_and_never_take_what_is_left_out() -> None:
    logits = torch.tensor([[-math.inf, 1.0, 0.0, -math.inf, 2.0, -math.inf]])
    generator = sample_generator(3, 0)
    n = 8000
    counts = torch.bincount(torch.tensor(draw(logits.expand(n, -1), [generator] * n)), minlength=6)
    expected = logits.softmax(-1)[0]
    assert torch.equal(counts > 0, expected > 0)
    deviation = (counts - n * expected).abs() / (n * expected * (1 - expected)).sqrt().clamp(min=1)
    assert deviation.max() < 5


def test_a_tiny_temperature_is_greedy_and_a_huge_one_even() -> None:
    logits = drawn_logits(2)
    generators = [sample_generator(1, n) for n in range(3)]
    assert choose(logits, None, SampleConfig(temperature=1e-30), generators) == logits.argmax(-1).tolist()
    even = shape_logits(logits, SampleConfig(temperature=100.0)).softmax(-1)
    assert even.max() < 0.05


@pytest.mark.parametrize("setting", [{"temperature": 1e-300}, {"repetition_penalty": 1e-300, "temperature": 1e-300}])
def test_the_smallest_divisors_still_give_a_token(setting: dict[str, float]) -> None:
    logits = torch.tensor([[5.0, -3.0, 80.0, 0.0]])
    config = SampleConfig(**setting)
    assert choose(logits, torch.tensor([[2]]), config, [sample_generator(1, 0)]) == [2]


def test_samples_have_chances_of_their_own() -> None:
    def numbers(seed: int, sample: int) -> list[float]:
        return torch.rand(4, generator=sample_generator(seed, sample)).tolist()

    drawn = [numbers(seed, sample) for seed in (0, 1, 7, 2**63 - 1) for sample in range(4)]
    assert len({tuple(d) for d in drawn}) == 16
    assert numbers(7, 2) == numbers(7, 2)
