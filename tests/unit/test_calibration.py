"""Calibration: real steps at the run's own settings, within the time that was given, and nothing is left behind."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
import torch
from training_runs import tiny

from tui_gpt.core.config import RunConfig
from tui_gpt.core.config_loading import build_config
from tui_gpt.core.errors import MemoryLimitError
from tui_gpt.core.sizes import training_memory
from tui_gpt.engine.training.calibration import MOST_STEPS, Calibration, calibrate


def measure(config: RunConfig, seconds: float = 0.2) -> Calibration:
    return calibrate(config, seconds, lambda what, share: None, lambda: False)


def changed(config: RunConfig, **sections: dict[str, object]) -> RunConfig:
    from tui_gpt.core.config import to_dict

    return build_config(("config", to_dict(config)), ("test", sections))


CONFIG = tiny(Path("text"))


def test_the_speed_is_that_of_the_steps() -> None:
    found = measure(CONFIG)
    assert 2 <= found.steps <= MOST_STEPS
    assert found.tokens_per_second == pytest.approx(8 * 32 / found.step_seconds)
    assert 0 < found.step_seconds < found.seconds < 60
    assert (found.device, found.precision, found.threads) == ("cpu", "float32", 1)


def test_even_without_time_there_are_two_steps() -> None:
    assert measure(CONFIG, 1e-9).steps == 2


def test_steps_end_at_their_number_however_much_time_there_is() -> None:
    assert measure(CONFIG, 600).steps == MOST_STEPS


def test_progress_grows_and_what_it_raises_ends_the_calibration() -> None:
    class Enough(Exception):  # noqa: N818
        pass

    told: list[tuple[str, float]] = []

    def tell(what: str, share: float) -> None:
        told.append((what, share))
        if len(told) == 20:
            raise Enough

    with pytest.raises(Enough):
        calibrate(CONFIG, 600, tell, lambda: False)
    shares = [share for what, share in told if what == "measuring"]
    assert shares == sorted(shares)
    assert all(0 <= share <= 1 for share in shares)


def test_cancelled_it_ends_with_what_there_is() -> None:
    assert calibrate(CONFIG, 600, lambda what, share: None, lambda: True).steps == 1


def test_what_cannot_fit_is_refused_before_anything_is_allocated() -> None:
    huge = changed(CONFIG, model={"n_embd": 8192, "n_layer": 200, "n_head": 64, "n_positions": 4096})
    before = psutil.Process().memory_info().rss
    with pytest.raises(MemoryLimitError, match="GB"):
        measure(huge)
    assert psutil.Process().memory_info().rss - before < 1 << 30


def test_memory_is_told_and_given_back_and_the_threads_are_as_before() -> None:
    config = changed(CONFIG, model={"n_embd": 192, "n_layer": 2, "n_positions": 128, "vocab_size": 512})
    config = changed(config, train={"batch_size": 24, "threads": 2})
    measure(CONFIG, 1e-9)
    before, threads = psutil.Process().memory_info().rss, torch.get_num_threads()
    found = measure(config, 1e-9)
    estimate = training_memory(config.model, config.train, "float32").total
    assert 0.3 * estimate < found.memory_bytes < 2 * estimate
    assert psutil.Process().memory_info().rss - before < 0.4 * found.memory_bytes
    assert torch.get_num_threads() == threads
    assert found.threads == 2


@pytest.mark.slow
def test_a_run_that_may_be_compiled_is_said_not_to_be_calibrated() -> None:
    def said(config: RunConfig) -> bool:
        return any("compiled" in reason for reason in measure(config, 1e-9).reasons)

    assert not said(CONFIG)
    assert said(changed(CONFIG, train={"compile": "on"}))
    assert said(changed(CONFIG, train={"compile": "auto", "max_minutes": 60}))
    assert not said(changed(CONFIG, train={"compile": "auto", "max_steps": 2}))
