"""Advice about a run's course: it comes where something is wrong, and a healthy run is left alone."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from tui_gpt.core.advice import Course, Evaluated, advise, failed_at_a_number
from tui_gpt.core.config import RunConfig
from tui_gpt.core.config_loading import build_config

Curve = Callable[[int], float]
WINDOW = 1000


def config(**train: Any) -> RunConfig:
    base: dict[str, Any] = {"max_steps": 5000, "batch_size": 16, "warmup_steps": 100, "learning_rate": 1e-3}
    return build_config(("test", {"model": {"n_positions": 64}, "train": {**base, **train}}))


def course(
    curve: Curve,
    step: int,
    *,
    seed: int = 0,
    noise: float = 0.08,
    grad: Curve = lambda step: 1.0,
    val: Curve | None = None,
    every: int = 100,
    **more: Any,
) -> Course:
    """A run at `step` whose losses lie around `curve`, with Gaussian noise from batch to batch."""
    dice = random.Random(seed)
    losses = [curve(s) + dice.gauss(0, noise) for s in range(1, step + 1)]
    norms = [grad(s) * math.exp(dice.gauss(0, 0.4)) for s in range(1, step + 1)]
    measured = val or (lambda s: curve(s) + 0.05)
    evals = [Evaluated(s, measured(s), curve(s)) for s in range(every, step + 1, every)]
    run = {"config": config(), "state": "running", "progress": step / 5000, "n_train_tokens": 10_000_000, **more}
    return Course(
        step=step, first_losses=losses[:10], losses=losses[-WINDOW:], grad_norms=norms[-WINDOW:], evals=evals, **run
    )


def healthy(step: float) -> float:
    return 1.2 + 3.0 / math.sqrt(1 + step / 60)


def kinds(run: Course) -> list[str]:
    return [advice.kind for advice in advise(run)]


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.3])
def test_a_healthy_run_is_left_alone_at_every_step_whatever_its_noise(noise: float) -> None:
    for seed in range(4):
        for step in [1, 5, 40, 99, 101, 130, 200, 300, 500, 1000, 2500, 5000]:
            assert kinds(course(healthy, step, seed=seed, noise=noise)) == []


def test_the_end_of_a_cosine_whose_loss_no_longer_falls_is_healthy() -> None:
    def settled(step: float) -> float:
        return healthy(min(step, 4300))

    assert kinds(course(settled, 4900, val=lambda s: settled(s) + 0.001 * math.sin(s))) == []


def test_a_spike_from_which_the_loss_recovers_is_no_reason_to_speak() -> None:
    def spiky(step: int) -> float:
        return healthy(step) + (2.0 * math.exp(-(step - 600) / 15) if step >= 600 else 0)

    assert kinds(course(spiky, 700)) == []


def test_gradients_that_grow_at_the_first_steps_and_settle_are_healthy() -> None:
    assert kinds(course(healthy, 400, grad=lambda s: 0.5 + 40 * math.exp(-s / 20))) == []


def test_a_loss_that_climbs_after_warm_up_is_told_with_the_step_and_a_lower_rate() -> None:
    def climbing(step: int) -> float:
        return healthy(step) if step < 150 else healthy(150) + 0.004 * (step - 150)

    [advice] = advise(course(climbing, 500))
    assert (advice.kind, advice.remedy) == ("rate too high", "lower_rate")
    assert "learning rate is too high" in advice.sentence
    at = int(advice.sentence.split("step ")[1].split(",")[0])
    assert 100 <= at <= 220


def test_exploding_gradients_are_told_with_both_norms() -> None:
    [advice] = advise(course(healthy, 600, grad=lambda s: 1.0 if s < 570 else 60.0))
    assert (advice.kind, advice.remedy) == ("exploding", "lower_rate")
    assert "explode" in advice.sentence


def test_a_large_but_steady_gradient_norm_is_no_explosion() -> None:
    assert kinds(course(healthy, 600, grad=lambda s: 60.0)) == []


def test_overfitting_is_told_with_the_best_step_and_stopping() -> None:
    run = course(healthy, 3000, val=lambda s: healthy(s) + 0.1 + max(0, s - 1500) * 0.0004)
    [advice] = advise(run)
    assert (advice.kind, advice.remedy) == ("overfitting", "stop")
    assert "best" in advice.effect and "1,500" in advice.sentence


def test_a_validation_loss_that_only_trembles_is_no_overfitting() -> None:
    assert kinds(course(healthy, 3000, val=lambda s: healthy(s) + 0.05 + 0.008 * math.sin(s))) == []


def test_a_loss_that_never_moves_is_told() -> None:
    [advice] = advise(course(lambda s: 4.15, 600))
    assert (advice.kind, advice.remedy) == ("flat", "lower_rate")
    [advice] = advise(course(lambda s: 4.15, 600, config=config(learning_rate=1e-6)))
    assert (advice.kind, advice.remedy) == ("flat", "raise_rate")


def test_a_run_that_goes_on_from_trained_weights_may_begin_low_and_stay_there() -> None:
    assert kinds(course(lambda s: 1.5 - s * 1e-5, 450, from_weights=True)) == []


def test_no_progress_in_either_loss_is_told_before_the_end_of_the_run() -> None:
    def stuck(step: float) -> float:
        return healthy(min(step, 900))

    run = course(stuck, 3000, val=lambda s: stuck(s) + 0.05 + (0.0004 if s > 900 else 0))
    [advice] = advise(run)
    assert (advice.kind, advice.remedy) == ("flat", "stop") and "no progress" in advice.sentence


def test_text_seen_many_times_is_told_once_the_validation_loss_stands_still() -> None:
    run = course(healthy, 2000, n_train_tokens=40_000, val=lambda s: 2.0 if s <= 1500 else 2.005)
    [advice] = advise(run)
    assert (advice.kind, advice.remedy) == ("repeated", "stop") and "51 times" in advice.sentence
    assert kinds(course(healthy, 2000, n_train_tokens=40_000)) == []  # still better with every evaluation


def test_too_little_text_for_the_context_is_told_from_the_first_step_on() -> None:
    [advice] = advise(course(healthy, 1, n_train_tokens=300))
    assert advice.kind == "little text" and "300 tokens" in advice.sentence


@pytest.mark.parametrize("what", ["the loss is nan", "the loss is inf", "the gradient norm is -inf"])
def test_a_run_that_met_no_number_is_offered_half_the_learning_rate_from_its_checkpoint(what: str) -> None:
    error = f"at step 812 {what}, so the step was not applied; resume from the checkpoint of step 800 with ..."
    assert failed_at_a_number(error) == 812
    [advice] = advise(course(healthy, 811, state="failed", error=error, last_checkpoint=800))
    assert (advice.kind, advice.remedy) == ("not a number", "resume")
    assert "812" in advice.sentence
    assert advice.effect == "goes on from the checkpoint of step 800 with half the learning rate"


def test_other_ends_are_told_with_what_can_be_done() -> None:
    [failed] = advise(course(healthy, 100, state="failed", error="the disk is full"))
    assert (failed.kind, failed.sentence, failed.remedy) == ("failed", "the disk is full", "resume")
    [died] = advise(course(healthy, 100, state="interrupted", last_checkpoint=90))
    assert died.kind == "died" and "step 100" in died.sentence and "step 90" in died.effect
    [hung] = advise(course(healthy, 100, state="hung"))
    assert (hung.kind, hung.remedy) == ("hung", "log")


@pytest.mark.parametrize("state", ["finished", "stopped", "new", "starting", "preparing"])
def test_a_run_that_does_not_train_gets_no_advice_about_its_curve(state: str) -> None:
    assert kinds(course(lambda s: 4.15, 600, state=state)) == []


def test_values_that_are_no_numbers_do_not_disturb_the_rules() -> None:
    run = course(healthy, 600)
    holes = [math.nan if i % 7 == 0 else loss for i, loss in enumerate(run.losses)]
    evals = [*run.evals, Evaluated(600, math.nan)]
    assert kinds(Course(config=run.config, state="running", step=600, losses=holes, evals=evals)) == []
