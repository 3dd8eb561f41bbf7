"""What signals do to a trainer, and to the command line that watches one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from training_runs import (
    Scene,
    hold,
    last_words,
    records,
    release,
    signal_it,
    status_of,
    tiny,
    until,
    wait_held,
)

from tui_gpt.core.config_loading import to_toml
from tui_gpt.core.runs.checkpoints import verify_checkpoint
from tui_gpt.core.runs.child_process import trainer_environment
from tui_gpt.core.runs.ownership import liveness
from tui_gpt.core.runs.store import RunStore


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_a_checkpoint_after_the_step_and_leaves_with_its_code(
    scene: Scene, signum: int, code: int
) -> None:
    run = scene.begin(tiny(scene.text))
    process = scene.start(run, hold(5))
    wait_held(run, 5)
    signal_it(run, signum)
    release(run, 5)
    assert process.wait(60) == code, last_words(run)
    (checkpoint,) = run.checkpoints()
    # A thread hears the signal, and on a busy machine the next step may have begun by then.
    assert checkpoint.step in (6, 7) and not verify_checkpoint(checkpoint.folder)
    status = status_of(run)
    assert (status.state, status.step, status.last_checkpoint) == ("stopped", 6, 6)
    assert run.owner() is None and run.liveness() == "dead"
    assert records(run, "end")[-1].values["reason"] == "interrupted by a signal"
    assert scene.train_here(run) == 0
    assert [record.step for record in records(run, "train")] == list(range(1, 41))


def test_hang_up_is_ignored_a_stopped_process_shows_as_hung_and_a_second_signal_ends_at_once(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text))
    process = scene.start(run, hold(5))
    wait_held(run, 5)
    signal_it(run, signal.SIGHUP)
    beat = status_of(run).heartbeat
    until(lambda: status_of(run).heartbeat > beat + 1, run)  # it goes on beating
    assert process.poll() is None
    assert liveness(run.folder, hung_after=10.0) == "alive"
    signal_it(run, signal.SIGSTOP)
    until(lambda: liveness(run.folder, hung_after=1.5) == "hung", run)
    signal_it(run, signal.SIGCONT)
    until(lambda: liveness(run.folder, hung_after=1.5) == "alive", run)
    # The step is not over, so that the first signal cannot be obeyed yet.
    signal_it(run, signal.SIGTERM)
    began = time.monotonic()
    while process.poll() is None and time.monotonic() < began + 2.0:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
    assert process.wait(1) == 143
    assert run.effective_state() == "interrupted"


def test_the_watching_command_line_passes_an_interrupt_on_and_the_run_can_be_resumed(scene: Scene) -> None:
    config = scene.text.parent / "tiny.toml"
    config.write_text(to_toml(tiny(scene.text, max_steps=100_000)), encoding="utf-8")
    command = [sys.executable, "-m", "tui_gpt", "train", "--config", str(config), "--name", "bard"]
    environment = trainer_environment({"TUI_GPT_HOME": str(scene.home), "OMP_NUM_THREADS": "1"})
    watcher = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    folder = scene.home / "runs" / "bard"
    try:
        until((folder / "run.json").exists)
        run = RunStore(folder.parent).open("bard")
        until(lambda: records(run, "train"), run)
        os.kill(watcher.pid, signal.SIGINT)
        out, err = watcher.communicate(timeout=60)
    finally:
        if watcher.poll() is None:
            watcher.kill()
            if (owner := RunStore(folder.parent).open("bard").owner()) is not None:
                os.kill(owner.pid, signal.SIGKILL)
    assert watcher.returncode == 130, err.decode()
    assert out == b"" and b"Traceback" not in err
    assert b"runs resume bard" in err
    status = status_of(run)
    assert status.state == "stopped" and status.step > 0 and status.last_checkpoint == status.step
    assert run.newest_intact()[0] is not None
