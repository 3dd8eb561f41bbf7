"""Several processes under torchrun learn what one does from the same batches, and end as one."""

from __future__ import annotations

import os
import signal

import pytest
from training_runs import (
    Scene,
    hold,
    last_words,
    obey,
    records,
    release,
    status_of,
    tiny,
    until,
    wait_held,
    wait_state,
    write_text,
)

from tui_gpt.core.runs.checkpoints import verify_checkpoint
from tui_gpt.engine.training.distributed import Ranks


def values(run: object, name: str, kind: str = "train") -> list[float]:
    return [float(record.values[name]) for record in records(run, kind)]  # type: ignore[arg-type]


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one_through_a_pause_a_stop_and_a_resume(scene: Scene) -> None:
    config = tiny(scene.text, optimizer="muon", weight_average=0.9, grad_accumulation_steps=2)
    alone = scene.begin(config, "alone")
    assert scene.train_here(alone) == 0
    run = scene.begin(config, "together", processes=2)
    process = scene.start(run, hold(14), nproc=2)
    wait_held(run, 14)
    paused = run.send("pause")
    release(run, 14)
    ack = run.wait_for_ack(paused, 60)
    assert ack is not None and ack.step == 15, last_words(run)
    assert obey(run, "step", count=2).outcome == "done"
    until(lambda: status_of(run).step == 17, run)
    assert wait_state(run, "paused").step == 17
    assert obey(run, "stop").outcome == "done"
    assert process.wait(60) == 0, last_words(run)
    assert status_of(run).state == "stopped"
    execution = run.execution()
    assert execution is not None and execution.world_size == 2
    assert scene.train(run, nproc=2) == 0, last_words(run)
    assert status_of(run).state == "finished"
    for name in ("loss", "learning_rate", "tokens"):
        assert values(run, name) == pytest.approx(values(alone, name), rel=1e-5)
    # Sums of squares of gradients that were added in another order.
    assert values(run, "grad_norm") == pytest.approx(values(alone, "grad_norm"), rel=1e-3)
    assert values(run, "val_loss", "eval") == pytest.approx(values(alone, "val_loss", "eval"), rel=1e-5)
    assert scene.models() == ["alone", "together"]


@pytest.mark.slow
def test_a_signal_to_launcher_and_first_process_saves_a_checkpoint_and_ends_all_processes(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=100_000), processes=2)
    process = scene.start(run, nproc=2)
    until(lambda: records(run, "train"), run)
    owner = run.owner()
    assert owner is not None and owner.pid != process.pid
    # As a batch system does that signals every process: the first one hears it again from the launcher.
    os.kill(owner.pid, signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) != 0
    status = status_of(run)
    assert status.state == "stopped" and status.step > 0 and status.last_checkpoint == status.step
    assert run.liveness() == "dead"
    newest, damaged = run.newest_intact()
    assert newest is not None and newest.step == status.step and not damaged
    assert not verify_checkpoint(newest.folder)


def test_a_first_process_that_fails_takes_the_others_along_at_once(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text), processes=2)
    write_text(scene.text, 0.05)
    assert scene.start(run, nproc=2).wait(20) != 0
    status = status_of(run)
    assert status.state == "failed" and "is not the text" in str(status.error)


def test_a_number_of_processes_that_does_not_divide_the_batch_is_refused(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUI_GPT_HOME", str(scene.home))
        assert scene.train_here(run, Ranks(0, 0, 3)) == 2
    assert "8 cannot be shared out evenly among 3 processes" in str(status_of(run).error)


def test_a_lone_process_agrees_with_itself() -> None:
    ranks = Ranks()
    assert ranks.leads and ranks.agree([1.0, 2.0], "cpu") == [1.0, 2.0]
    assert not Ranks(1, 1, 2).leads


def test_ranks_are_what_torchrun_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8"}.items():
        monkeypatch.setenv(name, value)
    assert Ranks.from_environment() == Ranks(5, 1, 8)
