"""The Train tab steers real trainers: every key does what it says, and what makes no sense is refused in a sentence."""

from __future__ import annotations

import itertools
import math
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from notifications import hears, hears_after
from screen import text_of, until
from textual.pilot import Pilot
from textual.widgets import Input, OptionList
from train_scene import opened, run_train
from training_runs import Scene, records, status_of, tiny, wait_state

from tui_gpt.core.errors import RunError
from tui_gpt.core.runs import ownership
from tui_gpt.core.runs.checkpoints import read_pointers
from tui_gpt.core.runs.ownership import signal_trainer
from tui_gpt.core.runs.store import Run
from tui_gpt.engine.training.learner import Learner
from tui_gpt.ui.app import TuiGpt
from tui_gpt.ui.dialogs.choice import ChoiceDialog
from tui_gpt.ui.train.fork_dialog import ForkDialog
from tui_gpt.ui.train.notices import Notices
from tui_gpt.ui.train.run_list import RunList

ENDLESS: dict[str, Any] = {"max_steps": 1_000_000, "eval_interval": 200}


@pytest.fixture
def trained(home: Path, scene: Scene) -> Iterator[Scene]:
    """A scene in the app's own home, where trainers that the app started end with the test."""
    assert scene.home == home
    yield scene
    for folder in (home / "runs").iterdir():
        try:
            signal_trainer(folder, signal.SIGKILL)
        except RunError:
            continue


def said(app: TuiGpt) -> str:
    """The lines above the plot as one."""
    assert app.tab is not None
    return " ".join(text_of(app.tab.query_one(Notices)).split())


async def in_state(app: TuiGpt, pilot: Pilot[Any], state: str) -> None:
    await until(pilot, lambda: (run := app.board.get(app.active_run)) is not None and run.state == state)


def test_a_run_is_paused_stepped_changed_saved_stopped_and_resumed_by_keys(trained: Scene) -> None:
    run = trained.begin(tiny(trained.text, **ENDLESS))
    trained.start(run)
    wait_state(run, "running")

    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        await opened(app, pilot)
        await in_state(app, pilot, "running")
        await hears_after(pilot, "d", "cannot be deleted meanwhile; x stops it")
        await hears_after(pilot, "full_stop", "space pauses it")
        await hears_after(pilot, "r", "is running already")

        await hears_after(pilot, "space", "bard paused at step")
        await in_state(app, pilot, "paused")
        step = status_of(run).step
        await hears_after(pilot, "full_stop", f"makes 1 step from step {step}")
        await until(pilot, lambda: status_of(run).step == step + 1)

        await hears_after(pilot, "left_square_bracket", "bard: peak learning rate is 0.0008")
        await hears_after(pilot, "right_square_bracket", "bard: peak learning rate is 0.001 ")
        await hears_after(pilot, "s", f"checkpoint of step {step + 1} is kept")
        assert read_pointers(run.folder).kept == [step + 1]
        await hears_after(pilot, "space", "bard goes on from step")
        await in_state(app, pilot, "running")

        await hears_after(pilot, "x", "bard stops at step")
        await in_state(app, pilot, "stopped")
        await hears_after(pilot, "space", "it is stopped, and r goes on with it")
        await hears_after(pilot, "x", "has no trainer that could be stopped")
        assert "r goes on from step" in said(app)

        await hears_after(pilot, "r", "goes on from its newest checkpoint")
        await in_state(app, pilot, "running")
        await hears_after(pilot, "x", "stops at step")
        await in_state(app, pilot, "stopped")

    run_train(body)
    events = [str(record.values["event"]) for record in records(run, "mark")]
    assert {"paused", "resumed", "peak learning rate set to 0.0008", "1 single step", "stopped"} <= set(events)


def test_a_trainer_that_was_killed_is_told_with_its_last_words_and_how_to_go_on(trained: Scene) -> None:
    run = trained.begin(tiny(trained.text, **ENDLESS))
    process = trained.start(run)
    wait_state(run, "running")
    os.kill(process.pid, signal.SIGKILL)
    process.wait(30)

    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        await opened(app, pilot)
        await until(pilot, lambda: "its last words:" in said(app))
        shown = said(app)
        assert "the trainer was killed or died after step" in shown
        assert "r goes on from the beginning" in shown
        assert "float32, 1 threads" in shown  # a line of its log

    run_train(body)


def test_a_key_pressed_while_the_trainer_is_still_coming_up_reaches_it(trained: Scene) -> None:
    run = trained.begin(tiny(trained.text, **ENDLESS))

    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        await opened(app, pilot)
        # No trainer waits: until it has torch and holds the run, the disk shows none.
        await app.runs.launch(run.name)
        await in_state(app, pilot, "starting")
        assert run.liveness() == "dead"
        await pilot.press("space")
        await hears(pilot, "paused at step")
        await in_state(app, pilot, "paused")
        first = run.owner()
        assert first is not None
        await pilot.press("x")
        await in_state(app, pilot, "stopped")
        await until(pilot, lambda: run.liveness() == "dead")
        await pilot.press("r")
        await in_state(app, pilot, "starting")
        await pilot.press("f5")
        await in_state(app, pilot, "paused")
        second = run.owner()
        assert second is not None and second.pid != first.pid
        assert len(run.log_files()) <= 2, "a second trainer was started for the same run"

    run_train(body)


@pytest.mark.slow
def test_a_trainer_without_a_sign_of_life_hears_nothing_and_is_ended_after_a_question(
    trained: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership.liveness, "__kwdefaults__", {"hung_after": 2.5})
    run = trained.begin(tiny(trained.text, **ENDLESS))
    process = trained.start(run)
    wait_state(run, "running")
    process.send_signal(signal.SIGSTOP)

    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        await opened(app, pilot)
        await in_state(app, pilot, "hung")
        await until(pilot, lambda: "gives no sign of life" in said(app) and "g shows its log" in said(app))
        await hears_after(pilot, "space", "gives no sign of life and would not hear it")
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        await pilot.press("right", "enter")
        await in_state(app, pilot, "interrupted")
        await hears(pilot, "the trainer of bard was ended")

    run_train(body)


@pytest.mark.slow
def test_a_run_that_met_no_number_is_resumed_with_half_the_learning_rate(
    trained: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained.begin(tiny(trained.text, **{**ENDLESS, "eval_interval": 10}))
    losses = itertools.count(1)
    forward_backward = Learner._forward_backward

    def spoiled(learner: Learner, *arguments: Any) -> Any:
        loss = forward_backward(learner, *arguments)
        return loss * math.nan if next(losses) == 13 else loss

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "_forward_backward", spoiled)
        assert trained.train_here(run) == 1

    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        await opened(app, pilot)
        wanted = "the loss is not a number at step 13: r goes on from the checkpoint of step 10 with half"
        await until(pilot, lambda: wanted in said(app))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        await pilot.press("enter")
        await in_state(app, pilot, "running")
        await hears_after(pilot, "x", "stops at step")
        await in_state(app, pilot, "stopped")

    run_train(body)
    [mark] = [record for record in records(run, "mark") if "learning rate" in str(record.values["event"])]
    assert mark.step == 10 and mark.values["lr_scale"] == 0.5


def finished(scene: Scene, name: str = "bard") -> Run:
    run = scene.begin(tiny(scene.text, checkpoint_interval=20), name)
    assert scene.train_here(run) == 0
    return run


def test_a_fork_asks_for_checkpoint_name_rate_and_length_and_says_what_is_wrong(
    trained: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(trained)
    forked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(TuiGpt, "fork_run", lambda app, *plan: forked.append(plan))

    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        await opened(app, pilot)
        await until(pilot, lambda: not app.tab.why_not("fork"))  # type: ignore[union-attr]
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, ForkDialog))
        dialog = app.screen
        checkpoints = dialog.query_one("#checkpoints", OptionList)
        assert [option.id for option in checkpoints.options] == ["40", "20"]
        length = dialog.query_one("#length", Input)
        assert length.value == "80"  # a finished run goes on for as long again
        length.value = "40"
        await until(pilot, lambda: "the checkpoint has 40 steps behind it already" in text_of(dialog))
        await pilot.press("down", "enter")
        assert isinstance(app.focused, Input) and app.focused.value == "bard-fork"
        app.focused.value = "bard"
        await until(pilot, lambda: "there is one named bard already" in text_of(dialog))
        app.focused.value = "second"
        dialog.query_one("#learning_rate", Input).value = "fast"
        await until(pilot, lambda: "is a number, e.g. 0.001, not 'fast'" in text_of(dialog))
        dialog.query_one("#learning_rate", Input).value = "0.0005"
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is not dialog)

    run_train(body)
    assert forked == [("bard", "second", "20", {"learning_rate": 0.0005})]


@pytest.mark.slow
def test_a_fork_trains_and_is_shown(trained: Scene) -> None:
    finished(trained)

    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        await opened(app, pilot)
        await until(pilot, lambda: not app.tab.why_not("fork"))  # type: ignore[union-attr]
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, ForkDialog))
        await pilot.press("enter", "enter")
        await until(pilot, lambda: app.active_run == "bard-fork")
        await in_state(app, pilot, "finished")
        assert status_of(app.store.open("bard-fork")).step == 80

    run_train(body)


def test_a_run_is_renamed_and_deleted_after_a_question_that_says_what_it_frees(trained: Scene) -> None:
    finished(trained)

    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await opened(app, pilot)
        await until(pilot, lambda: not tab.why_not("delete"))
        await pilot.press("n")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        app.screen.query_one(Input).value = "second"
        await pilot.press("enter")
        await until(pilot, lambda: app.active_run == "second")
        assert [run.name for run in app.board.runs] == ["second"]

        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        shown = text_of(app.screen)
        assert "Delete second?" in shown and "It frees" in shown and "2 checkpoints" in shown
        assert "Models in the library stay" in " ".join(shown.replace("│", " ").split())
        await pilot.press("enter")  # what Enter gives is to keep it
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert (trained.home / "runs" / "second").is_dir()
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        await pilot.press("right", "enter")
        await hears(pilot, "second is deleted")
        assert list((trained.home / "runs").iterdir()) == [] and trained.models() == ["bard"]
        await until(pilot, lambda: "no run yet" in text_of(tab))
        assert tab.query_one(RunList).option_count == 0
        await hears_after(pilot, "f", "there is no run yet; F5 starts one")

    run_train(body)
