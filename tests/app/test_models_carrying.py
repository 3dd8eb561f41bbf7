"""Models come into the library from folders and the Hub, and go out as GGUF files, by keys of the Models tab."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from hub_imitation import Repository, imitation
from models_scene import asked, chosen, names
from notifications import hears
from screen import run_screen, text_of, until
from textual.pilot import Pilot
from textual.widgets import Button, Checkbox, Input

from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.ui.app import TuiGpt
from tui_gpt.ui.dialogs.ask_text import AskText
from tui_gpt.ui.dialogs.choice import ChoiceDialog
from tui_gpt.ui.models.import_dialog import ImportDialog
from tui_gpt.ui.tabs.models import ModelsTab


def run_with_session(body: Any) -> None:
    """The Models tab with a real session."""

    async def at_models(app: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = app.tab
        assert isinstance(tab, ModelsTab)
        await until(pilot, lambda: names(tab))
        tab.focus_first()
        await body(tab, pilot)

    app = TuiGpt()
    app.memory.tab = "models"
    run_screen(at_models, app=app)


async def fill(dialog: ImportDialog, pilot: Pilot[Any], source: str, name: str = "") -> None:
    """Type them."""
    dialog.query_one("#source", Input).value = source
    await pilot.pause()
    if name:
        dialog.query_one("#name", Input).value = name
    await pilot.pause()


def test_a_folder_is_imported_under_the_name_that_was_suggested_or_typed(home: Path) -> None:
    stories = str(ModelHandler().load("stories"))

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await pilot.press("i")
        dialog = await asked(tab, pilot, ImportDialog)
        take = dialog.query_one("#take", Button)
        assert take.disabled
        await fill(dialog, pilot, "hub:openai-community/gpt2@main")
        assert dialog.query_one("#name", Input).value == "gpt2"
        await fill(dialog, pilot, stories)
        assert dialog.query_one("#name", Input).value == "stories"
        await until(pilot, lambda: "there is one named stories already" in text_of(tab.app.screen))
        assert take.disabled
        await fill(dialog, pilot, stories, "tales")
        assert not take.disabled
        await pilot.press("enter", "enter")
        await hears(pilot, "tales is in the library")
        assert (names(tab), chosen(tab)) == (["stories", "tales"], "tales")

    run_with_session(body)
    assert ModelHandler().verify("tales") == []


def test_what_cannot_be_imported_is_told_and_changes_nothing(home: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await pilot.press("i")
        dialog = await asked(tab, pilot, ImportDialog)
        await fill(dialog, pilot, str(tmp_path / "empty"))
        dialog.query_one("#pickle", Checkbox).toggle()
        dialog.query_one("#name", Input).focus()
        await pilot.press("enter")
        await hears(pilot, "there is no config.json, so this is not a model folder")
        assert names(tab) == ["stories"]
        assert tab.doing == {}

    run_with_session(body)


def test_an_import_under_way_is_shown_and_can_be_stopped(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stories = ModelHandler().load("stories")
    with imitation() as hub:
        hub.repositories["fable/fox"] = Repository()
        hub.repositories["fable/fox"].commit({path.name: path.read_bytes() for path in stories.iterdir()})
        hub.held = threading.Event()
        surroundings = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_DISABLE_XET": "1"}
        for name, value in surroundings.items():
            monkeypatch.setenv(name, value)

        async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
            await pilot.press("i")
            dialog = await asked(tab, pilot, ImportDialog)
            await fill(dialog, pilot, "hub:fable/fox")
            await pilot.press("enter", "enter")
            await until(pilot, lambda: "importing fox: " in text_of(tab.app.screen))
            await until(pilot, lambda: hub.holding)
            await pilot.press("i")
            question = await asked(tab, pilot, ChoiceDialog)
            assert "Stop importing?" in text_of(question)
            await pilot.press("right", "enter")
            await until(pilot, lambda: not tab.doing)
            hub.held.set()
            # The next one is answered when this one has left.
            await pilot.press("g")
            path = await asked(tab, pilot, AskText)
            path.query_one(Input).value = str(tmp_path / "told.gguf")
            await pilot.press("enter")
            await hears(pilot, "told.gguf is written")
            assert names(tab) == ["stories"]

        try:
            run_with_session(body)
        finally:
            hub.held.set()


def test_a_model_is_written_as_gguf_where_one_says(home: Path, tmp_path: Path) -> None:
    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await pilot.press("g")
        dialog = await asked(tab, pilot, AskText)
        assert dialog.query_one(Input).value.endswith("/stories.gguf")
        dialog.query_one(Input).value = str(tmp_path / "told.gguf")
        await pilot.press("enter")
        await hears(pilot, "told.gguf is written, ")
        await pilot.press("g")
        dialog = await asked(tab, pilot, AskText)
        dialog.query_one(Input).value = str(tmp_path / "told.gguf")
        await pilot.press("enter")
        await hears(pilot, "is there already")

    run_with_session(body)
    assert (tmp_path / "told.gguf").read_bytes()[:4] == b"GGUF"
