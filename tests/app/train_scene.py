"""The Train tab over real runs, as its tests drive it."""

from __future__ import annotations

from typing import Any

from screen import Body, until
from textual.pilot import Pilot
from without_session import run_without_session

from tui_gpt.ui.app import TuiGpt
from tui_gpt.ui.tabs.train import TrainTab
from tui_gpt.ui.widgets.loss_plot import LossPlot


def run_train(body: Body, *, size: tuple[int, int] = (120, 40)) -> TuiGpt:
    """Run the app with the Train tab in front, as where the last start left it."""
    app = TuiGpt()
    # Not by a key from Configure, which would prepare a text first.
    app.memory.tab = "train"
    return run_without_session(body, size=size, app=app)


async def opened(app: TuiGpt, pilot: Pilot[Any]) -> TrainTab:
    """The tab with a run and the focus on its plot."""
    await until(pilot, lambda: app.active_run is not None)
    tab = app.tab
    assert isinstance(tab, TrainTab)
    tab.focus_first()
    await until(pilot, lambda: isinstance(app.focused, LossPlot))
    return tab


async def drawn(app: TuiGpt, pilot: Pilot[Any]) -> TrainTab:
    """The tab with the curve of a run, all of it read."""
    tab = await opened(app, pilot)
    await until(pilot, lambda: tab.query_one(LossPlot).view is not None)
    return tab
