"""`tui-gpt runs fork`: a real run is forked, its trainer trains by itself, and what cannot be is one sentence."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from commands import Call, environment
from training_runs import DEADLINE, Scene, last_words, status_of, tiny, until

from tui_gpt.core.errors import RunError
from tui_gpt.core.runs.ownership import signal_trainer
from tui_gpt.core.runs.store import Run, RunStore

STEPS = 12
ENDLESS = 10_000_000
"""Steps that no test waits for."""
LONGER = ("--set", f"train.max_steps={ENDLESS}")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A home with the finished run `bard`, which no test changes."""
    scene = Scene(tmp_path_factory.mktemp("source"))
    run = scene.begin(tiny(scene.text, max_steps=STEPS))
    assert scene.train_here(run) == 0, last_words(run)
    return scene


@pytest.fixture
def own(source: Scene, tmp_path: Path) -> Iterator[Path]:
    """A copy of that home, whose trainers end with the test."""
    home = tmp_path / "home"
    shutil.copytree(source.home, home)
    yield home
    for run in RunStore(home / "runs").list():
        if isinstance(run, Run):
            with suppress(RunError):
                signal_trainer(run.folder, signal.SIGKILL)
            until(lambda run=run: run.liveness() == "dead")


def run_of(home: Path, name: str) -> Run:
    return RunStore(home / "runs").open(name)


def trains_on(run: Run) -> bool:
    """Whether the run has learned more than what it has from its source."""
    return run.summary().step > STEPS


def names(home: Path) -> set[str]:
    return {path.name for path in (home / "runs").iterdir() if not path.name.startswith(".")}


def test_a_detached_fork_trains_after_the_command_that_made_it_has_returned(own: Path) -> None:
    arguments = ["runs", "fork", "bard", "--as", "gentle", "--detach", "--json", *LONGER]
    arguments += ["--set", "train.learning_rate=5e-4"]
    done = subprocess.run(
        [sys.executable, "-m", "tui_gpt", *arguments],
        env=environment(own),
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert (printed["name"], printed["state"], printed["total_steps"]) == ("gentle", "running", ENDLESS)
    assert printed["step"] >= STEPS
    assert done.stderr.splitlines() == [
        f"gentle: run bard step {STEPS}",
        "gentle trains by itself; `tui-gpt runs follow gentle` shows how it goes",
    ]

    fork = run_of(own, "gentle")
    until(lambda: trains_on(fork), fork)
    assert fork.record.config.train.learning_rate == 5e-4
    assert (fork.record.parent, fork.record.fork_step) == (f"run bard step {STEPS}", STEPS)
    bard = run_of(own, "bard")
    assert (bard.effective_state(), bard.summary().step) == ("finished", STEPS), "the source stays as it is"


def test_without_json_nothing_is_printed_on_stdout_and_the_fork_gets_a_name(own: Path, call: Call) -> None:
    done = call("runs", "fork", "bard", "--checkpoint", "last", "--detach", *LONGER, home=own)
    assert (done.code, done.out) == (0, ""), done.err
    assert "`tui-gpt runs follow bard-fork`" in done.err
    fork = run_of(own, "bard-fork")
    assert status_of(fork).state == "running", "it returns when the trainer trains, and not before"
    until(lambda: trains_on(fork), fork)


def test_a_fork_whose_trainer_fails_at_the_start_is_one_sentence_with_its_reason(
    source: Scene, own: Path, call: Call
) -> None:
    shutil.rmtree(own / "cache")
    away = source.text.rename(source.text.with_suffix(".away"))
    try:
        done = call("runs", "fork", "bard", "--detach", "--json", *LONGER, home=own)
    finally:
        away.rename(source.text)
    assert (done.code, done.out) == (4, "")
    begun, sentence = done.err.splitlines()
    assert begun == f"bard-fork: run bard step {STEPS}"
    assert re.fullmatch(
        r"error: the trainer of bard-fork failed: there is no corpus, file or folder '.*stories\.txt'; .*\(log: .*\)",
        sentence,
    )
    fork = run_of(own, "bard-fork")
    assert fork.effective_state() == "failed"
    until(lambda: fork.liveness() == "dead")

    again = call("runs", "resume", "bard-fork", "--detach")
    assert again.code == 0, "with its text back it can be trained"
    until(lambda: trains_on(fork))


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nobody", *LONGER], 4, "there is no run named nobody"),
        (["bard"], 2, f"train.max_steps: is {STEPS}, and the checkpoint of step {STEPS} of run bard has {STEPS} steps"),
        (["bard", "--as", "bard", *LONGER], 4, "there is a run named bard already; choose another name, e.g. bard-2"),
        (["bard", "--as", "../evil", *LONGER], 2, "run name"),
        (["bard", "--checkpoint", "7", *LONGER], 4, "run bard has no checkpoint 7; there are checkpoints of the steps"),
        (["bard", "--checkpoint", "worst", *LONGER], 2, "'worst' is neither best nor last nor the number of a step"),
        (["bard", "--set", "model.n_layer=2"], 2, "model.n_layer: cannot change in a fork"),
        (["bard", "--set", "train.seed=7", *LONGER], 2, "train.seed: cannot change in a fork"),
        (["bard", "--set", "train.learning_rate=much"], 2, "train.learning_rate: expected a number"),
        (["bard", "--set", "train.device=toaster", *LONGER], 2, "train.device"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else "",
)
def test_a_fork_that_cannot_be_leaves_nothing_but_a_sentence(
    source: Scene, call: Call, arguments: list[str], code: int, sentence: str
) -> None:
    before = names(source.home)
    done = call("runs", "fork", *arguments, "--detach", "--json", home=source.home)
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith("error: ")
    assert sentence in done.err
    assert done.err.count("\n") == 1
    assert names(source.home) == before
