"""The loss plot and its small companions under Textual: sizes, keys, the mouse, foreign text."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.color import Color
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.pilot import Pilot

from tui_gpt.core.runs.metrics import MetricsWriter
from tui_gpt.ui.curves.history import RunHistory
from tui_gpt.ui.widgets.loss_plot import LossPlot
from tui_gpt.ui.widgets.small_plot import SmallPlot

SIZES = [(30, 12), (24, 8), (80, 24), (280, 90)]
BRAILLE = range(0x2801, 0x2900)

Runs = Sequence[tuple[str, RunHistory]]
Body = Callable[["Plots", Pilot[Any]], Awaitable[None]]


class Plots(App[None]):
    CSS = "SmallPlot { height: 4; }"

    def __init__(self, runs: Runs, braille: bool) -> None:
        super().__init__()
        self.runs = runs
        self.told: list[int | None] = []
        self._braille = braille

    def compose(self) -> ComposeResult:
        yield LossPlot(braille=self._braille)
        yield SmallPlot(braille=self._braille)

    def on_mount(self) -> None:
        self.plot.show(self.runs)
        self.plot.focus()

    def on_loss_plot_view_changed(self, event: LossPlot.ViewChanged) -> None:
        for small in self.query(SmallPlot):
            small.show(self.runs[0][1], "grad_norm", event.view)

    def on_loss_plot_crosshair_moved(self, event: LossPlot.CrosshairMoved) -> None:
        self.told.append(event.step)

    @property
    def plot(self) -> LossPlot:
        return self.query_one(LossPlot)

    def shown(self) -> str:
        """The plot as it is on the screen."""
        return "\n".join(self.plot.render_line(y).text for y in range(self.plot.size.height))


def run_plots(runs: Runs, body: Body, *, size: tuple[int, int] = (120, 40), braille: bool = True) -> None:
    async def run() -> None:
        app = Plots(runs, braille)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await body(app, pilot)

    asyncio.run(run())


async def until(pilot: Pilot[Any], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        await pilot.pause()


def history_of(folder: Path, losses: Sequence[float], **more: float) -> RunHistory:
    folder.mkdir(exist_ok=True)
    with MetricsWriter(folder, 0) as writer:
        for step, loss in enumerate(losses, 1):
            values = {"loss": loss, "learning_rate": 1e-3, "grad_norm": 1.0 + step, "tokens": 64 * step}
            writer.write("train", step, {**values, "elapsed": 0.5 * step, **more})
            if step % 50 == 0:
                writer.write("eval", step, {"val_loss": loss + 0.1, "elapsed": 0.5 * step})
    history = RunHistory(folder)
    history.poll()
    return history


def falling(count: int, floor: float = 1.5) -> list[float]:
    return [floor + 3 * math.exp(-step / 80) + 0.05 * math.sin(step * 12.9898) for step in range(count)]


def test_a_line_that_is_painted_while_the_run_is_being_read_keeps_no_other_from_being_painted(tmp_path: Path) -> None:
    history_of(tmp_path / "run", falling(300))
    history = RunHistory(tmp_path / "run")

    def painted(app: Plots) -> str:
        region = app.plot.content_region
        strips = app.screen._compositor.render_strips()
        return "\n".join(strip.crop(region.x, region.right).text for strip in strips[region.y : region.bottom])

    async def body(app: Plots, pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "bard" not in painted(app))
        history.poll()  # as the reading thread does, between two pictures
        app.plot.refresh(Region(0, app.plot.size.height // 2, app.plot.size.width, 1))
        await pilot.pause()
        app.plot.refresh_data()
        await until(pilot, lambda: painted(app) == app.shown() and "step" in painted(app))

    run_plots([("bard", history)], body)


CASES: dict[str, list[float]] = {
    "nothing": [],
    "one point": [4.2],
    "two points": [4.2, 4.1],
    "all the same": [2.0] * 300,
    "no number at all": [math.nan, math.inf, -math.inf] * 40,
    "numbers and gaps": [math.nan if step % 7 == 0 else 3.0 - step / 400 for step in range(400)],
    "huge": [1e300, 1e308, -1e308, 3.0] * 60,
    "tiny": [1e-300 * step for step in range(200)],
    "below zero": [-5.0 + step / 10 for step in range(100)],
    "a real one": falling(700),
}


@pytest.mark.parametrize("case", CASES)
def test_whatever_the_losses_every_size_and_scale_is_drawn(case: str, tmp_path: Path) -> None:
    history = history_of(tmp_path / "run", CASES[case])

    async def body(app: Plots, pilot: Pilot[Any]) -> None:
        plot = app.plot
        for width, height in SIZES:
            await pilot.resize_terminal(width, height)
            await until(pilot, lambda width=width: plot.size.width == width)
            for change in (
                plot.action_toggle_log,
                plot.action_toggle_crosshair,
                plot.action_next_axis,
                plot.action_next_smoothing,
                plot.action_zoom_in,
                lambda: plot.action_move(-1),
                plot.action_toggle_crosshair,
                plot.action_next_axis,
                plot.action_toggle_log,
                plot.action_whole,
                plot.action_next_axis,
            ):
                change()
                assert {len(line) for line in app.shown().split("\n")} == {width}

    run_plots([(case, history)], body)


def test_an_empty_run_says_what_is_awaited_and_then_shows_it(tmp_path: Path) -> None:
    history = RunHistory(tmp_path)
    history.poll()

    async def body(app: Plots, pilot: Pilot[Any]) -> None:
        assert "the first loss comes with the first step" in app.shown()
        history_of(tmp_path, falling(60))
        assert history.poll()
        app.plot.refresh_data()
        await until(pilot, lambda: any(ord(character) in BRAILLE for character in app.shown()))

    run_plots([("bard", history)], body)


def test_a_run_that_is_being_read_says_how_far_and_does_not_hold_the_others_up(tmp_path: Path) -> None:
    line = (
        '{{"kind":"train","step":{0},"values":{{"loss":{0}.25,"learning_rate":1e-3,"grad_norm":0.5,"tokens":{0}}}}}\n'
    )
    (tmp_path / "long").mkdir()
    with (tmp_path / "long" / "metrics-0001.jsonl").open("w", encoding="utf-8") as handle:
        handle.writelines(line.format(step) for step in range(1, 60_001))
    long, short = RunHistory(tmp_path / "long"), history_of(tmp_path / "short", falling(100))
    long.poll(0.0)
    assert 0 < long.progress < 1

    async def body(app: Plots, pilot: Pilot[Any]) -> None:
        assert f"reading the metrics: {100 * long.progress:.0f} %" in app.shown()
        await pilot.press("c", "plus", "left", "end", "t")
        assert app.plot.view is None
        app.plot.x_axis = "step"
        app.plot.show([("short", short), ("long", long)])
        assert f"reading long: {100 * long.progress:.0f} %" in app.shown()
        while not long.opened:
            long.poll(0.0)
        app.plot.refresh_data()
        await until(pilot, lambda: "B long" in app.shown() and "reading" not in app.shown())

    run_plots([("long", long), ("short", short)], body)


def test_no_run_says_so() -> None:
    async def body(app: Plots, pilot: Pilot[Any]) -> None:
        assert "no run is shown" in app.shown()
        await pilot.press("c", "plus", "left", "end", "l", "m", "t", "0")

    run_plots([], body)


def test_the_crosshair_reads_the_curve_and_tells_where_it_is(tmp_path: Path) -> None:
    history = history_of(tmp_path / "run", falling(700))

    async def body(app: Plots, pilot: Pilot[Any]) -> None:
        await pilot.press("c")
        assert app.plot.crosshair == 700
        await pilot.press("home")
        assert app.plot.crosshair == 1
        await pilot.press("right")
        second = app.plot.crosshair
        assert second is not None
        assert 1 < second < 20
        point = history.at(second)
        assert point is not None
        assert f"step {second}" in app.shown()
        assert f"train {point.loss:.4f}" in app.shown()
        await pilot.press("c")
        await pilot.pause()
        assert app.told == [700, 1, second, None]
        assert "train 1" not in app.shown().split("\n")[-1]

    run_plots([("bard", history)], body)


def test_zoomed_in_arrows_reach_each_step_and_the_view_comes_along(tmp_path: Path) -> None:
    history = history_of(tmp_path / "run", falling(700))

    async def body(app: Plots, pilot: Pilot[Any]) -> None:
        await pilot.press("c", *["plus"] * 12)
        assert app.plot.view is not None
        assert app.plot.view.last - app.plot.view.first < 20
        for expected in range(699, 670, -1):
            await pilot.press("left")
            assert app.plot.crosshair == expected
            assert app.plot.view.first <= expected <= app.plot.view.last
        assert not app.plot.following
        await pilot.press("0")
        assert app.plot.following
        assert (app.plot.view.first, app.plot.view.last) == (1, 700)

    run_plots([("bard", history)], body)


def test_the_mouse_sets_the_crosshair_and_the_wheel_zooms_around_it(tmp_path: Path) -> None:
    history = history_of(tmp_path / "run", falling(700))

    async def body(app: Plots, pilot: Pilot[Any]) -> None:
        await pilot.click(LossPlot, offset=(64, 10))
        step = app.plot.crosshair
        assert step is not None
        assert 300 < step < 400
        assert "│" in {line[64] for line in app.shown().split("\n")}
        await pilot._post_mouse_events([_scroll_up()], LossPlot, offset=(64, 10))
        assert app.plot.view is not None
        assert app.plot.view.last - app.plot.view.first < 500
        assert app.plot.view.first < step < app.plot.view.last
        await pilot.hover(LossPlot, offset=(80, 10))
        assert (app.plot.crosshair or 0) > step

    run_plots([("bard", history)], body)


def _scroll_up() -> Any:
    from textual.events import MouseScrollUp

    return MouseScrollUp


def test_it_follows_a_growing_run_and_rests_when_nothing_changes(tmp_path: Path) -> None:
    history = history_of(tmp_path / "run", falling(100))

    async def body(app: Plots, pilot: Pilot[Any]) -> None:
        picture = app.shown()
        strips = app.plot._strips
        app.plot.refresh_data()
        await pilot.pause()
        app.shown()
        assert app.plot._strips is strips
        with MetricsWriter(tmp_path / "run", 100) as writer:
            for step in range(101, 201):
                writer.write("train", step, {"loss": 1.5, "elapsed": 0.5 * step})
        assert history.poll()
        app.plot.refresh_data()
        app.plot.refresh_data()
        await until(pilot, lambda: app.shown() != picture)
        assert app.plot.view is not None
        assert app.plot.view.last == 200

    run_plots([("bard", history)], body)


def test_runs_laid_over_each_other_are_told_apart_without_colour(tmp_path: Path) -> None:
    runs = [(name, history_of(tmp_path / name, falling(400, floor))) for name, floor in (("bard", 1.5), ("tiny", 2.5))]

    async def body(app: Plots, pilot: Pilot[Any]) -> None:
        assert "A bard" in app.shown()
        assert "B tiny" in app.shown()
        plot = "\n".join(line[7:] for line in app.shown().split("\n")[1:-3])
        assert "A" in plot
        assert "B" in plot
        await pilot.press("c")
        assert " B 2.5" in app.shown().split("\n")[-1]

    run_plots(runs, body)
    run_plots(runs, body, braille=False)


def test_without_braille_only_plain_characters_draw_the_curves(tmp_path: Path) -> None:
    history = history_of(tmp_path / "run", falling(400))

    async def body(app: Plots, pilot: Pilot[Any]) -> None:
        shown = app.shown()
        assert not any(ord(character) in BRAILLE for character in shown)
        assert "*" in shown
        assert "o" in "\n".join(shown.split("\n")[1:-3])

    run_plots([("bard", history)], body, braille=False)


def test_marks_stand_on_the_axis_and_are_read_out_under_the_crosshair(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with MetricsWriter(folder, 0) as writer:
        for step in range(1, 201):
            writer.write("train", step, {"loss": 3.0 - step / 100})
            if step == 100:
                writer.write("mark", step, {"event": "saved as model \x1b]52;c;x\x07bard"})
    history = RunHistory(folder)
    history.poll()

    async def body(app: Plots, pilot: Pilot[Any]) -> None:
        axis = app.shown().split("\n")[-3]
        place = axis.index("S")
        await pilot.click(LossPlot, offset=(place, 5))
        readout = app.shown().split("\n")[-1]
        assert "S saved as model ␛]52;c;x␇bard" in readout

    run_plots([("bard", history)], body)


def test_a_name_that_commands_a_terminal_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    name = "bard\x1b[31m\x9b2J\u202e[bold]x[/bold]\n"
    runs = [(name, history_of(tmp_path / "a", falling(100))), (name, history_of(tmp_path / "b", falling(90)))]

    async def body(app: Plots, pilot: Pilot[Any]) -> None:
        for shown in (runs, runs[:1]):
            app.plot.show(shown)
            await pilot.pause()
            text = app.shown()
            assert "bard␛[31m" in text
            assert "[bold]" in text
            assert not {"\x1b", "\x9b", "\u202e", "\r"} & set(text)

    run_plots(runs, body)


def test_colours_follow_the_theme(tmp_path: Path) -> None:
    history = history_of(tmp_path / "run", falling(200))

    def colours(app: Plots) -> set[Color | None]:
        strips = [app.plot.render_line(y) for y in range(app.plot.size.height)]
        return {segment.style.color for strip in strips for segment in strip if segment.style}

    async def body(app: Plots, pilot: Pilot[Any]) -> None:
        dark = colours(app)
        app.theme = "textual-light"
        await pilot.pause()
        assert not dark & colours(app)

    run_plots([("bard", history)], body)


def test_the_small_plot_shows_newest_value_and_range_over_the_same_view(tmp_path: Path) -> None:
    history = history_of(tmp_path / "run", falling(99))

    async def body(app: Plots, pilot: Pilot[Any]) -> None:
        small = app.query_one(SmallPlot)
        text = "\n".join(small.render_line(y).text for y in range(small.size.height))
        assert "gradient norm" in text
        assert "100" in text.split("\n")[0]
        assert "2 to 100" in text
        for column in ("memory", "tokens_per_second", "learning_rate"):
            small.show(history, column, app.plot.view)  # type: ignore[arg-type]
            await pilot.pause()
            lines = [small.render_line(y).text for y in range(small.size.height)]
            assert {len(line) for line in lines} == {small.size.width}
        small.show(None, "memory", None)
        await pilot.pause()
        assert "memory" in small.render_line(0).text

    run_plots([("bard", history)], body)


@pytest.mark.slow
def test_a_million_steps_are_drawn_whole(tmp_path: Path) -> None:
    line = '{{"kind":"train","step":{0},"values":{{"loss":{1},"grad_norm":1.5,"elapsed":{0}.5,"tokens":{0}}}}}\n'
    with (tmp_path / "metrics-0001.jsonl").open("w", encoding="utf-8") as handle:
        for step in range(1, 1_000_001):
            handle.write(line.format(step, 9.0 if step == 700_000 else 2.0 + step % 100 / 100))
    history = RunHistory(tmp_path)
    history.poll()
    assert len(history) == 1_000_000

    async def body(app: Plots, pilot: Pilot[Any]) -> None:
        assert "1.0M" in app.shown()
        assert "▲" in app.shown() or "9" in app.shown()
        await pilot.press("c", *["plus"] * 20, "left", "home")
        assert app.plot.crosshair == 1

    run_plots([("long", history)], body)
