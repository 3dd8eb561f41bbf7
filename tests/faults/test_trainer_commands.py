"""A trainer in a process of its own obeys the commands of viewers between two steps."""

from __future__ import annotations

import pytest
from training_runs import (
    Scene,
    fault,
    final_weights,
    hold,
    last_words,
    learned,
    obey,
    records,
    release,
    status_of,
    tiny,
    until,
    wait_held,
    wait_state,
)

from tui_gpt.core.errors import RunError
from tui_gpt.core.runs import commands
from tui_gpt.core.runs.checkpoints import read_pointers


@pytest.mark.slow
def test_a_run_that_is_steered_in_every_way_and_stopped_learns_what_one_left_alone_does(scene: Scene) -> None:
    config = tiny(scene.text, weight_average=0.9)
    reference = scene.begin(config, "reference")
    assert scene.train_here(reference) == 0

    run = scene.begin(config, "steered")
    process = scene.start(run, hold(4))
    wait_held(run, 4)
    asked = run.send("pause")
    release(run, 4)
    ack = run.wait_for_ack(asked, 60)
    assert ack is not None and (ack.outcome, ack.step) == ("done", 5), last_words(run)
    assert wait_state(run, "paused").step == 5
    assert process.poll() is None and run.liveness() == "alive"

    # Single steps are counted, and time stands still between them.
    assert obey(run, "step", count=3).outcome == "done"
    until(lambda: status_of(run).step == 8, run)
    before = status_of(run)
    until(lambda: status_of(run).heartbeat >= before.heartbeat + 3, run)
    assert obey(run, "step").outcome == "done"
    until(lambda: status_of(run).step == 9, run)
    assert status_of(run).elapsed_seconds - before.elapsed_seconds < 2.9  # three heartbeats went by
    assert obey(run, "pause").message == "was paused already, at step 9"

    # A checkpoint is kept, and a model saved under a name that is free, once.
    assert obey(run, "save").outcome == "done"
    assert read_pointers(run.folder).kept == [9]
    saved = obey(run, "save", name="early")
    assert (saved.outcome, saved.step) == ("done", 9) and "early" in saved.message
    taken = obey(run, "save", name="early")
    assert taken.outcome == "refused" and "early" in taken.message and "another name" in taken.message
    assert scene.models() == ["early", "reference"]

    # There and back again: a rate of twice and half is the same rate.
    assert "0.002" in obey(run, "set_lr", value=0.002).message
    assert "0.001" in obey(run, "set_lr", factor=0.5).message

    assert obey(run, "stop").outcome == "done"
    assert process.wait(60) == 0, last_words(run)
    assert status_of(run).state == "stopped"

    # What is sent to a dead trainer is refused, or expires when the next one starts.
    with pytest.raises(RunError, match="no running trainer"):
        run.send("pause")
    stale = commands.send(run.folder, "pause")
    assert scene.train(run) == 0, last_words(run)
    ack = run.wait_for_ack(stale, 5)
    assert ack is not None and ack.outcome == "refused" and "send it again" in ack.message
    assert list((run.folder / "commands").iterdir()) == []
    assert learned(run) == learned(reference)
    assert final_weights(run) == final_weights(reference)
    events = [record.values["event"] for record in records(run, "mark")]
    assert "paused" in events and "saved as model early" in events


def test_what_is_asked_while_a_trainer_starts_is_obeyed_before_its_first_step(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=100_000))
    stale = commands.send(run.folder, "stop")
    process = scene.start(run, fault("clean", "hold"))
    wait_held(run, "clean")
    sent = [run.send("set_lr", {"factor": 0.5}), run.send("pause"), run.send("step", {"count": 2})]
    release(run, "clean")
    answers = [run.wait_for_ack(each, 60) for each in (stale, *sent)]
    assert [ack and ack.outcome for ack in answers] == ["refused", "done", "done", "done"], answers
    until(lambda: status_of(run).step == 2, run)
    wait_state(run, "paused")
    assert [record.step for record in records(run, "mark")][:2] == [0, 0]
    assert obey(run, "stop").outcome == "done"
    assert process.wait(60) == 0, last_words(run)


def test_a_run_resumed_after_a_pause_goes_on_and_later_pauses_hold_at_once(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=100_000, eval_interval=100_000))
    process = scene.start(run, hold(2))
    wait_held(run, 2)
    asked = run.send("pause")
    release(run, 2)
    assert run.wait_for_ack(asked, 60) is not None
    assert obey(run, "step", count=50_000).outcome == "done"
    assert obey(run, "resume").outcome == "done"
    assert obey(run, "pause").outcome == "done"
    # The steps that were asked for before are forgotten: it stays where it is.
    where = wait_state(run, "paused").step
    beat = status_of(run).heartbeat
    until(lambda: status_of(run).heartbeat > beat, run)
    assert status_of(run).step == where
    assert obey(run, "stop").outcome == "done"
    assert process.wait(60) == 0
