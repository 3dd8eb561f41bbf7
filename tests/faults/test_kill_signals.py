"""Signals at bad moments: in a save, in a step or an evaluation that takes long, and a process that is stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import msgspec
import psutil
import pytest
from run_invariants import Witness, differences, ended_in_good_order
from trainer_nursery import Fork
from training_runs import EVERYTHING, Scene, fault, last_words, records, release, status_of, tiny, until, wait_held

from tui_gpt.core.runs.child_process import trainer_environment
from tui_gpt.core.runs.ownership import HUNG_AFTER_SECONDS
from tui_gpt.core.runs.records import OWNER_FILE, STATUS_FILE, write_record
from tui_gpt.core.runs.store import Run, RunStore

PATIENCE = 2.0
"""Seconds within which a second signal ends a trainer, whatever it does."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A home that all of this module share, with the run that nobody disturbed."""
    scene = Scene(tmp_path_factory.mktemp("stage"))
    reference = scene.begin(tiny(scene.text, **EVERYTHING), "reference")
    assert scene.train_forked(reference) == 0, last_words(reference)
    yield scene
    scene.end_all()


def insist(process: Fork, signum: int) -> float:
    """Signal until the process is gone; returns the seconds that it took."""
    began = time.monotonic()
    while process.poll() is None and time.monotonic() < began + 60.0:
        process.send_signal(signum)
        time.sleep(0.02)
    return time.monotonic() - began


def resume_to_the_end(stage: Scene, run: Run) -> None:
    assert stage.train_forked(run) == 0, last_words(run)
    Witness(run, stage.home).look()
    ended_in_good_order(run, stage.home)
    reference = RunStore(stage.home / "runs").open("reference")
    assert differences(run, reference, stage.home) == []


def test_a_signal_during_a_save_waits_for_it_and_a_second_one_does_not(stage: Scene) -> None:
    run = stage.begin(tiny(stage.text, **EVERYTHING), "saving")
    witness = Witness(run, stage.home)
    process = stage.fork(run, fault("seal", "hold", 2))
    wait_held(run, "seal")
    process.send_signal(signal.SIGTERM)
    release(run, "seal")
    assert process.wait() == 128 + signal.SIGTERM, last_words(run)
    witness.look()
    status = status_of(run)
    assert (status.state, status.step, status.last_checkpoint) == ("stopped", 4, 4)
    assert [checkpoint.step for checkpoint in run.checkpoints()] == [3, 4]

    process = stage.fork(run, fault("state_tensors", "hold", 1))
    wait_held(run, "state_tensors")
    assert insist(process, signal.SIGTERM) < PATIENCE
    assert process.wait() == 128 + signal.SIGTERM
    witness.look()
    assert run.effective_state() == "interrupted" and [checkpoint.step for checkpoint in run.checkpoints()] == [3, 4]
    resume_to_the_end(stage, run)


@pytest.mark.parametrize(
    ("place", "call", "signum"),
    [("loss", 8, signal.SIGTERM), ("batch_loss", 2, signal.SIGINT)],
    ids=["a step", "an evaluation"],
)
def test_two_signals_end_a_trainer_within_two_seconds_during(
    stage: Scene, place: str, call: int, signum: signal.Signals
) -> None:
    """Even while nothing of Python runs in its main thread."""
    run = stage.begin(tiny(stage.text, **EVERYTHING), f"long-{place.replace('_', '-')}")
    witness = Witness(run, stage.home)
    process = stage.fork(run, fault(place, "long", call))
    wait_held(run, place)
    assert insist(process, signum) < PATIENCE
    assert process.wait() == 128 + signum
    witness.look()
    resume_to_the_end(stage, run)


def test_a_signal_during_the_final_evaluation_breaks_it_off_and_resuming_tells_it_once(stage: Scene) -> None:
    run = stage.begin(tiny(stage.text, **EVERYTHING), "closing")
    process = stage.fork(run, fault("whole_loss", "hold"))
    wait_held(run, "whole_loss")
    process.send_signal(signal.SIGTERM)
    release(run, "whole_loss")
    assert process.wait() == 128 + signal.SIGTERM, last_words(run)
    Witness(run, stage.home).look()
    assert status_of(run).state == "stopped"
    assert not [record for record in records(run, "eval") if record.values["whole"]]
    resume_to_the_end(stage, run)


def listed_state(scene: Scene, name: str) -> str:
    """What `tui-gpt runs list` says of a run."""
    result = subprocess.run(
        [sys.executable, "-m", "tui_gpt", "runs", "list", "--json"],
        env=trainer_environment({"TUI_GPT_HOME": str(scene.home)}),
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    (state,) = (run["state"] for run in json.loads(result.stdout) if run["name"] == name)
    return str(state)


def test_a_stopped_process_is_listed_as_hung_and_not_as_dead_until_it_goes_on(stage: Scene) -> None:
    run = stage.begin(tiny(stage.text, **EVERYTHING), "stopped")
    process = stage.fork(run, fault("train_step", "hold", step=5))
    wait_held(run, 5)
    process.send_signal(signal.SIGSTOP)
    until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
    assert listed_state(stage, run.name) == "running"
    # Nothing of it writes now: let its last sign of life be longer ago, instead of waiting so long.
    owner = run.owner()
    assert owner is not None
    ago = 2 * HUNG_AFTER_SECONDS
    write_record(run.folder / OWNER_FILE, msgspec.structs.replace(owner, started=owner.started - ago))
    status = status_of(run)
    write_record(run.folder / STATUS_FILE, msgspec.structs.replace(status, updated=status.updated - ago))
    assert listed_state(stage, run.name) == "hung"
    process.send_signal(signal.SIGCONT)
    until(lambda: run.effective_state() == "running", run)
    process.send_signal(signal.SIGSTOP)
    assert process.kill() == -signal.SIGKILL
    assert listed_state(stage, run.name) == "interrupted"
    resume_to_the_end(stage, run)
