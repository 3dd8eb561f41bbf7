"""The Train tab shows what is there: curves, samples back and forth, the log, overlays; and foreign text as text."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from notifications import hears
from rich.segment import Segment
from screen import text_of, until
from textual.pilot import Pilot
from train_scene import drawn, run_train
from training_runs import Scene, tiny
from without_session import run_without_session

from tui_gpt.core.runs.metrics import MetricsWriter
from tui_gpt.core.runs.records import Status, StatusWriter
from tui_gpt.core.runs.store import Run
from tui_gpt.ui.app import TuiGpt
from tui_gpt.ui.dialogs.choice import ChoiceDialog
from tui_gpt.ui.memory import memory_file
from tui_gpt.ui.tabs.train import TrainTab
from tui_gpt.ui.train.log_pane import LogPane
from tui_gpt.ui.train.notices import Notices
from tui_gpt.ui.train.run_list import RunList
from tui_gpt.ui.train.sample_pane import SamplePane
from tui_gpt.ui.widgets.loss_plot import LossPlot

EVIL = "\x1b]52;c;ZXZpbA==\x07\x1b[31m[bold]red[/b] [@click=app.quit]x[/] \u202etxet\x9b2J"


def trained(scene: Scene, name: str = "bard", texts: Sequence[str] = ("xq zzt", "the cta", "the cat sat")) -> Run:
    """A stopped run of thirty steps with three evaluations, written without a trainer."""
    run = scene.begin(tiny(scene.text), name)
    with MetricsWriter(run.folder, 0, {"elapsed": 0.0}) as metrics:
        for step in range(1, 31):
            metrics.write("train", step, {"loss": 4 - step / 20, "learning_rate": 1e-3, "grad_norm": 1.0})
            if step % 10 == 0:
                metrics.write("eval", step, {"val_loss": 4 - step / 20, "best": True})
                metrics.write("sample", step, {"prompt": "Once", "text": f" {texts[step // 10 - 1]}", "seed": 1})
        metrics.write("end", 30, {"reason": "stopped on request"})
    StatusWriter(run.folder).write(Status(state="stopped", step=30, total_steps=40, val_loss=2.5), force=True)
    return run


async def highlight(app: TuiGpt, pilot: Pilot[Any], name: str) -> RunList:
    runs = app.query_one(RunList)
    runs.focus()
    await until(pilot, lambda: app.focused is runs)
    runs.highlight(name)
    await until(pilot, lambda: runs.highlighted_name == name)
    return runs


def test_without_a_run_a_line_says_how_to_begin(home: Path) -> None:
    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "F5 starts one" in text_of(app.screen))

    run_train(body)


def test_samples_are_scrubbed_back_and_forth_and_follow_the_crosshair(home: Path, scene: Scene) -> None:
    trained(scene)

    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        await drawn(app, pilot)
        pane, plot = app.query_one(SamplePane), app.query_one(LossPlot)
        await until(pilot, lambda: "Once the cat sat" in text_of(pane))
        assert "at step 30 (3 of 3, newest), val loss 2.5000" in text_of(pane)
        await pilot.press("comma")
        await until(pilot, lambda: "Once the cta" in text_of(pane) and plot.crosshair == 20)
        await pilot.press("comma", "comma", "comma")
        await until(pilot, lambda: "Once xq zzt" in text_of(pane) and plot.crosshair == 10)
        await pilot.press("semicolon")
        await until(pilot, lambda: pane.step == 20)
        plot.crosshair = 12
        await until(pilot, lambda: pane.step == 10)
        plot.crosshair = None
        await until(pilot, lambda: pane.step == 30 and pane.follows)

    run_train(body)


def test_the_log_is_tailed_and_a_newer_one_takes_its_place(home: Path, scene: Scene) -> None:
    run = trained(scene)
    log = run.folder / "training_20260101_000000.log"
    log.write_text("first line\nhalf a li", encoding="utf-8")

    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await drawn(app, pilot)
        pane = app.query_one(LogPane)
        await pilot.press("g")
        await until(pilot, lambda: "first line" in text_of(pane))
        assert "half" not in text_of(pane) and not app.query_one(SamplePane).display
        with log.open("a", encoding="utf-8") as file:
            file.write("ne\nthird\n")
        await until(pilot, lambda: "half a line" in text_of(pane) and "third" in text_of(pane))
        (run.folder / "training_20260101_000001.log").write_text("resumed\n", encoding="utf-8")
        await until(pilot, lambda: "resumed" in text_of(pane) and "third" not in text_of(pane))
        assert "training_20260101_000001.log" in text_of(pane)
        await pilot.press("g")
        await until(pilot, lambda: not pane.display)
        assert tab.remember()["log"] is False

    run_train(body)


def test_enter_on_another_run_shows_it_and_a_damaged_one_says_what_is_wrong(home: Path, scene: Scene) -> None:
    trained(scene, "older")
    trained(scene, "newer", ("a", "b", "c"))
    broken = scene.begin(tiny(scene.text), "broken")
    (broken.folder / "run.json").write_text("{", encoding="utf-8")

    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await drawn(app, pilot)
        assert app.active_run == "newer"
        runs = await highlight(app, pilot, "older")
        await pilot.press("enter")
        await until(pilot, lambda: app.active_run == "older" and "Once the cat" in text_of(app.query_one(SamplePane)))
        assert "! broken" in text_of(runs) and "damaged" in text_of(runs)
        await highlight(app, pilot, "broken")
        await pilot.press("enter")
        await hears(pilot, "run.json is damaged")
        assert app.active_run == "older"
        await pilot.press("o")
        await hears(pilot, "broken is damaged and cannot be used")
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        await pilot.press("right", "enter")
        await until(pilot, lambda: not broken.folder.exists())
        await until(pilot, lambda: tab.query_one(RunList).option_count == 2)

    run_train(body)


def test_runs_are_overlaid_with_letters_and_the_next_start_draws_them_again(home: Path, scene: Scene) -> None:
    trained(scene, "older")
    trained(scene, "newer")

    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await drawn(app, pilot)
        await pilot.press("o")
        await hears(pilot, "put the cursor of the list on another one")
        await highlight(app, pilot, "older")
        await pilot.press("o")
        await until(pilot, lambda: "A newer" in text_of(tab.query_one(LossPlot)))
        assert "B older" in text_of(tab.query_one(LossPlot))
        assert "newer A" in text_of(tab.query_one(RunList)) and "older B" in text_of(tab.query_one(RunList))
        tab.query_one(LossPlot).focus()
        await pilot.press("l", "t", "g")
        await until(pilot, lambda: tab.query_one(LossPlot).x_axis == "elapsed")

    async def again(app: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await drawn(app, pilot)
        await until(pilot, lambda: "B older" in text_of(tab.query_one(LossPlot)))
        plot = tab.query_one(LossPlot)
        assert plot.log_scale and plot.x_axis == "elapsed" and tab.query_one(LogPane).display
        await highlight(app, pilot, "older")
        await pilot.press("o")
        await until(pilot, lambda: "B older" not in text_of(plot))

    async def leave(app: TuiGpt, pilot: Pilot[Any]) -> None:
        await body(app, pilot)
        app.end()

    run_train(leave)
    run_train(again)


@pytest.mark.parametrize(
    "remembered", [{"overlays": 5, "log": "yes", "smooth": "much", "x_axis": 7, "list": []}, {"overlays": [1, "gone"]}]
)
def test_whatever_was_remembered_the_tab_opens(home: Path, scene: Scene, remembered: dict[str, Any]) -> None:
    trained(scene)
    memory_file().write_text(json.dumps({"tab": "train", "tabs": {"train": remembered}}), encoding="utf-8")

    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: isinstance(app.tab, TrainTab) and app.query_one(LossPlot).view is not None)

    run_without_session(body)


def test_foreign_text_in_samples_logs_errors_and_names_reaches_no_rendered_line_raw(home: Path, scene: Scene) -> None:
    run = trained(scene, texts=(EVIL, EVIL, EVIL))
    (run.folder / "training_20260101_000000.log").write_text(EVIL + "\n", encoding="utf-8")
    evil_name = "\x1b[31m\u202ename"
    shutil.copytree(run.folder, run.folder.parent / evil_name)
    status = Status(state="failed", step=30, error=f"an unexpected {EVIL}", warnings=[EVIL])
    StatusWriter(run.folder).write(status, force=True)

    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await drawn(app, pilot)
        app.active_run = "bard"
        await until(pilot, lambda: "last words" in text_of(tab.query_one(Notices)))
        await until(pilot, lambda: "␛" in text_of(tab.query_one(SamplePane)))
        check(app)
        await pilot.press("g")
        await until(pilot, lambda: "␛" in text_of(tab.query_one(LogPane)))
        await highlight(app, pilot, evil_name)
        await pilot.press("enter")
        await hears(pilot, "damaged")
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        check(app)
        await pilot.press("escape")
        assert "[bold]red[/b] [@click=app.quit]x[/]" in text_of(tab.query_one(LogPane))

    run_train(body, size=(160, 50))


def check(app: TuiGpt) -> None:
    segments: list[Segment] = [segment for strip in app.screen._compositor.render_strips() for segment in strip]
    text = "".join(segment.text for segment in segments)
    assert not set(text) & set("\x1b\x07\x9b\u202e")


def test_the_state_of_everything_is_told_at_80_by_24_and_the_list_comes_by_a_key(home: Path, scene: Scene) -> None:
    trained(scene)

    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await drawn(app, pilot)
        runs = tab.query_one(RunList)
        await until(pilot, lambda: "Once the cat sat" in text_of(app.screen))
        assert not runs.is_on_screen and tab.query_one(LossPlot).size.width > 70
        assert "■ stopped" in text_of(tab.query_one(Notices))
        await pilot.press("b")
        await until(pilot, lambda: app.focused is runs and "bard" in text_of(runs))
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.focused, LossPlot) and not runs.is_on_screen)

    run_train(body, size=(80, 24))


def test_five_hundred_runs_are_listed_and_only_what_changed_is_made_anew(
    home: Path, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(scene, "run-000")
    record = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    for number in range(1, 500):
        folder = run.folder.parent / f"run-{number:03d}"
        folder.mkdir()
        record["created"] = f"2020-01-01T00:{number // 60:02d}:{number % 60:02d}.000Z"
        (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")

    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await drawn(app, pilot)
        runs = tab.query_one(RunList)
        await until(pilot, lambda: runs.option_count == 500)
        changed: list[int] = []
        replace = RunList.replace_option_prompt_at_index

        def note(self: RunList, index: int, prompt: Any) -> RunList:
            changed.append(index)
            return replace(self, index, prompt)

        monkeypatch.setattr(RunList, "replace_option_prompt_at_index", note)
        StatusWriter(run.folder).write(Status(state="stopped", step=31, val_loss=2.5), force=True)
        await until(pilot, lambda: "stopped 31" in text_of(runs))
        assert changed == [0]

    run_train(body)
