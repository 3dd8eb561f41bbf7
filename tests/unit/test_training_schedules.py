"""Learning rate, momentum, and when to evaluate, as functions of step and progress."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_gpt.core.config import RunConfig, TrainConfig
from tui_gpt.core.config_loading import build_config
from tui_gpt.engine.training.length import is_long_run
from tui_gpt.engine.training.milestones import EvaluationPlan
from tui_gpt.engine.training.run_clock import RunClock, Throughput
from tui_gpt.engine.training.schedules import learning_rate_factor, muon_momentum


def train(**fields: object) -> TrainConfig:
    return TrainConfig(**{"warmup_steps": 0, **fields})  # type: ignore[arg-type]


def test_the_rate_climbs_in_a_straight_line_from_the_first_step_on() -> None:
    config = train(warmup_steps=4, schedule="constant")
    assert [learning_rate_factor(config, step, 0.0) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_a_cosine_falls_from_the_peak_through_the_middle_to_its_floor() -> None:
    config = train(schedule="cosine", min_lr_fraction=0.1)
    assert learning_rate_factor(config, 0, 0.0) == 1.0
    assert learning_rate_factor(config, 0, 0.5) == pytest.approx(0.55)
    assert learning_rate_factor(config, 0, 0.25) == pytest.approx(0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi / 4)))
    assert learning_rate_factor(config, 0, 1.0) == pytest.approx(0.1)


def test_wsd_is_flat_and_then_a_straight_line_down() -> None:
    config = train(schedule="wsd", decay_fraction=0.4, min_lr_fraction=0.2)
    assert learning_rate_factor(config, 0, 0.6) == pytest.approx(1.0)
    assert learning_rate_factor(config, 0, 0.8) == pytest.approx(0.6)
    assert learning_rate_factor(config, 0, 1.0) == pytest.approx(0.2)
    never = train(schedule="wsd", decay_fraction=0.0)
    assert learning_rate_factor(never, 0, 1.0) == 1.0


def test_a_constant_rate_stays() -> None:
    assert {learning_rate_factor(train(schedule="constant"), 7, p / 10) for p in range(11)} == {1.0}


@given(
    schedule=st.sampled_from(["cosine", "wsd", "constant"]),
    progress=st.floats(-1, 2),
    step=st.integers(0, 10**6),
    warmup=st.integers(0, 1000),
    floor=st.floats(0, 1),
    decay=st.floats(0, 1),
)
def test_the_factor_is_between_zero_and_one_whatever_the_configuration(
    schedule: str, progress: float, step: int, warmup: int, floor: float, decay: float
) -> None:
    config = train(schedule=schedule, warmup_steps=warmup, min_lr_fraction=floor, decay_fraction=decay)
    assert 0.0 <= learning_rate_factor(config, step, progress) <= 1.0 + 1e-12


def test_momentum_warms_up_in_a_straight_line() -> None:
    config = train(muon_momentum=0.95, muon_momentum_start=0.85, muon_momentum_warmup_steps=100)
    assert muon_momentum(config, 0) == pytest.approx(0.85)
    assert muon_momentum(config, 50) == pytest.approx(0.90)
    assert muon_momentum(config, 100) == muon_momentum(config, 10_000) == pytest.approx(0.95)
    assert muon_momentum(train(muon_momentum=0.9, muon_momentum_warmup_steps=0), 0) == 0.9


def due_steps(config: TrainConfig, total: int) -> list[int]:
    plan = EvaluationPlan(config)
    return [step for step in range(1, total) if plan.due(step, step / total)]


def test_evaluations_come_every_so_many_steps_or_early_and_then_at_every_tenth() -> None:
    assert due_steps(train(eval_interval=30), 100) == [30, 60, 90]
    assert due_steps(train(eval_interval=0), 1000) == [10, 20, 50, *range(100, 1000, 100)]
    assert due_steps(train(eval_interval=0), 100_000)[:4] == [10, 1000, 2000, 5000]
    assert due_steps(train(eval_interval=0), 20)[0] == 10


@given(total=st.integers(2, 500), resumed_at=st.integers(1, 499))
def test_a_plan_that_knows_what_the_last_evaluation_passed_goes_on_as_if_never_interrupted(
    total: int, resumed_at: int
) -> None:
    config = train(eval_interval=0)
    whole = EvaluationPlan(config)
    passed, expected = 0, []
    for step in range(1, total):
        if whole.due(step, step / total):
            expected.append(step)
            passed = whole.passed if step <= resumed_at else passed
    later = EvaluationPlan(config, passed)
    assert [s for s in range(resumed_at + 1, total) if later.due(s, s / total)] == [
        s for s in expected if s > resumed_at
    ]


def config(**fields: object) -> RunConfig:
    return build_config(("test", {"model": {"vocab_size": 65}, "train": fields}))


def test_only_long_runs_are_worth_compiling_for() -> None:
    assert not is_long_run(config(max_minutes=3), 10**6) and is_long_run(config(max_minutes=30), 10**6)
    assert not is_long_run(config(max_steps=10), 10**6) and is_long_run(config(max_steps=10**6), 10**6)
    assert not is_long_run(config(max_epochs=1), 10**4) and is_long_run(config(max_epochs=10), 10**9)


def test_the_clock_goes_on_from_what_was_and_leaves_pauses_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("tui_gpt.engine.training.run_clock.time.monotonic", lambda: now)
    clock = RunClock(5.0)
    assert clock.elapsed == 5.0
    clock.start()
    now = 103.0
    clock.start()
    assert clock.elapsed == 8.0
    clock.stop()
    clock.stop()
    now = 200.0
    assert clock.elapsed == 8.0
    clock.start()
    now = 201.0
    assert clock.elapsed == 9.0


def test_throughput_is_unknown_before_the_first_step_and_follows_slowly() -> None:
    speed = Throughput()
    assert speed.tokens_per_second is None
    speed.add(100, 1.0)
    assert speed.tokens_per_second == pytest.approx(100.0)
    speed.add(100, 2.0)
    assert 50.0 < speed.tokens_per_second < 100.0  # type: ignore[operator]
