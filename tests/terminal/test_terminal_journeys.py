"""Journeys through a real terminal with real trainers: what a person does, and what may go wrong on the way."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import pytest
from terminal import CURVE, Open, Terminal, is_running, remember
from training_runs import Scene, tiny

from tui_gpt.core.runs.ownership import signal_trainer
from tui_gpt.core.runs.store import Run, RunStore

ENDLESS = 10_000_000
"""Steps that no test waits for."""


def store(home: Path) -> RunStore:
    return RunStore(home / "runs")


def step(run: Run) -> int:
    return run.summary().step


def state(run: Run) -> str:
    return run.summary().state


def trainer_pid(run: Run) -> int:
    owner = run.owner()
    assert owner is not None
    return owner.pid


def grows(terminal: Terminal, run: Run, beyond: int | None = None) -> int:
    """Wait until the run has made more steps; returns how many they are."""
    before = step(run) if beyond is None else beyond
    terminal.wait_until(lambda: step(run) > before)
    return step(run)


def a_form(home: Path, text: Path) -> None:
    """The Configure tab as it was left: a network whose steps take milliseconds, for `text`."""
    changed = {
        "model.n_layer": "1",
        "model.n_embd": "32",
        "model.n_head": "2",
        "model.n_positions": "32",
        "data.tokenizer": "char",
        "train.max_steps": str(ENDLESS),
        "train.max_minutes": "",
        "train.max_epochs": "",
        "train.precision": "float32",
        "train.compile": "off",
        "train.device": "cpu",
        "train.threads": "1",
        "train.eval_interval": "50",
        "train.eval_tokens": "512",
        "train.sample_tokens": "20",
        "train.checkpoint_minutes": "0",
    }
    form: dict[str, Any] = {"preset": "tiny", "changed": changed, "corpus": str(text), "name": "bard"}
    remember(home, tab="configure", tabs={"configure": form})


@pytest.fixture
def training(scene: Scene) -> Run:
    """A run in progress that nobody watches yet; it began outside of the app."""
    run = scene.begin(tiny(scene.text, max_steps=ENDLESS, eval_interval=50, sample_tokens=20))
    scene.start(run)
    return run


def test_from_the_first_start_to_a_saved_model_and_back_to_the_run_that_was_left(
    scene: Scene, open_terminal: Open
) -> None:
    a_form(scene.home, scene.text)
    terminal = open_terminal()
    terminal.wait_for("Start training")
    terminal.keys("F5")
    terminal.wait_for(CURVE)
    run = store(scene.home).open("bard")
    trainer = trainer_pid(run)

    terminal.keys("Space")
    terminal.wait_for(lambda shown: "paused" in shown.split("\n")[0])
    terminal.wait_until(lambda: state(run) == "paused")
    held = step(run)
    terminal.keys("Space")
    terminal.wait_for(lambda shown: "running" in shown.split("\n")[0])
    grows(terminal, run, held)

    terminal.keys("C-s")
    terminal.wait_for("Save a model of bard")
    # The suggestion is deleted once the field has the focus; what is typed earlier goes nowhere.
    terminal.wait_for(lambda shown: "is empty" in shown or terminal.keys("BSpace"))
    terminal.type("keeper")
    terminal.wait_for("keeper")
    terminal.keys("Enter")
    terminal.wait_until((scene.home / "models" / "keeper" / "tui_gpt.json").exists)
    terminal.keys("F4")
    terminal.wait_for("keeper")

    terminal.keys("C-q")
    terminal.wait_for("Leave it running")
    terminal.keys("Enter")
    terminal.assert_whole(0)
    left = grows(terminal, run)
    assert trainer_pid(run) == trainer

    again = open_terminal()
    shown = again.wait_for(re.compile(r"bard\s+running\s+step ([\d,]+)"))
    assert int(shown[1].replace(",", "")) >= left
    again.keys("F3")
    again.wait_for(CURVE)
    again.keys("C-q")
    again.wait_for("Stop and save")
    again.keys("Right", "Enter")
    again.assert_whole(0)
    assert state(run) == "stopped"
    again.wait_until(lambda: not is_running(trainer))


def test_a_killed_app_costs_the_run_nothing_and_the_next_start_finds_it(training: Run, open_terminal: Open) -> None:
    terminal = open_terminal()
    terminal.wait_for(re.compile(r"bard\s+running\s+step"))
    trainer, before = trainer_pid(training), step(training)
    terminal.kill(signal.SIGKILL)
    terminal.ending()
    grows(terminal, training, before)
    again = open_terminal()
    again.wait_for(re.compile(r"bard\s+running\s+step"))
    assert trainer_pid(training) == trainer
    again.kill(signal.SIGTERM)
    again.assert_whole(128 + signal.SIGTERM)
    grows(again, training)


def test_a_killed_trainer_is_told_and_one_key_goes_on_from_its_checkpoint(training: Run, open_terminal: Open) -> None:
    remember(training.folder.parent.parent, tab="train")
    terminal = open_terminal()
    terminal.wait_for(CURVE)
    terminal.wait_until(lambda: training.summary().last_checkpoint is not None)
    killed = trainer_pid(training)
    signal_trainer(training.folder, signal.SIGKILL)
    terminal.wait_for(re.compile(r"bard\s+interrupted"))
    terminal.keys("r")
    terminal.wait_for(re.compile(r"bard\s+running"))
    assert trainer_pid(training) != killed
    grows(terminal, training)


@pytest.mark.slow
def test_a_storm_of_sizes_while_training_does_the_app_no_harm(training: Run, open_terminal: Open) -> None:
    remember(training.folder.parent.parent, tab="train")
    terminal = open_terminal()
    terminal.wait_for(CURVE)
    for tab in ("F3", "F4", "F6", "F2"):
        terminal.keys(tab)
        for columns, lines in ((80, 24), (300, 100), (20, 5), (81, 100), (300, 24), (60, 20), (120, 40)) * 2:
            terminal.resize(columns, lines)
    terminal.resize(120, 40)
    terminal.keys("F3")
    terminal.wait_for(CURVE)
    assert not terminal.ended()
    assert not (terminal.home / "errors.log").exists()
    grows(terminal, training)


def test_f5_holds_and_continues_a_run_from_any_tab(training: Run, open_terminal: Open) -> None:
    remember(training.folder.parent.parent, tab="models")
    terminal = open_terminal()
    terminal.wait_for(re.compile(r"bard\s+running\s+step"))
    terminal.keys("F5")
    terminal.wait_for(re.compile(r"bard\s+paused"))
    terminal.wait_until(lambda: state(training) == "paused")
    terminal.keys("F5")
    terminal.wait_for(re.compile(r"bard\s+running"))
    grows(terminal, training)
