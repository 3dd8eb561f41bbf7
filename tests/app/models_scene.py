"""The Models tab over a library of this test's own, as its tests drive it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from saved_models import RECORD, writer
from screen import until
from textual.pilot import Pilot
from without_session import run_without_session

from tui_gpt.core.model_handler import ModelEntry, ModelHandler
from tui_gpt.ui.app import TuiGpt
from tui_gpt.ui.models.details import ModelDetails
from tui_gpt.ui.models.table import ModelTable
from tui_gpt.ui.tabs.models import ModelsTab

Look = Callable[[ModelsTab, Pilot[Any]], Awaitable[None]]


def add(name: str, **facts: Any) -> ModelEntry:
    """Save a model whose record says so."""
    return ModelHandler().save(name, writer(), msgspec.structs.replace(RECORD, **facts))


def run_models(body: Look, *, size: tuple[int, int] = (120, 40)) -> TuiGpt:
    """Run the app with the Models tab in front, once the library has been read."""

    async def at_models(app: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = app.tab
        assert isinstance(tab, ModelsTab)
        if not isinstance(app.focused, ModelTable):
            tab.focus_first()
        await until(pilot, lambda: tab.query_one(ModelTable).row_count or tab.has_class("-none"))
        await until(pilot, lambda: isinstance(app.focused, ModelTable) or tab.has_class("-none"))
        await body(tab, pilot)

    app = TuiGpt()
    app.memory.tab = "models"
    return run_without_session(at_models, size=size, app=app)


def names(tab: ModelsTab) -> list[str]:
    """Of the models in the table, from top to bottom."""
    return [str(key.value) for key in tab.query_one(ModelTable).rows]


def chosen(tab: ModelsTab) -> str | None:
    """The name of the model under the cursor."""
    row = tab.query_one(ModelTable).chosen
    return row.name if row else None


def details(tab: ModelsTab) -> str:
    """All of them, those out of sight too."""
    return str(tab.query_one(ModelDetails).query_one("Static").render())


def unwrapped(tab: ModelsTab) -> str:
    """The details with each fact on one line."""
    return re.sub(r"\n {15}", " ", details(tab))


async def choose(tab: ModelsTab, pilot: Pilot[Any], name: str) -> None:
    """Walk to a model with the arrow keys."""
    await pilot.press("home")
    while chosen(tab) != name:
        await pilot.press("down")
    await until(pilot, lambda: details(tab).startswith(name))


async def asked(tab: ModelsTab, pilot: Pilot[Any], kind: type[Any]) -> Any:
    """Wait for a dialog of this kind."""
    await until(pilot, lambda: isinstance(tab.app.screen, kind))
    await pilot.pause()
    return tab.app.screen
