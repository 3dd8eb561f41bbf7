"""The Models tab forks, renames, notes, verifies and deletes; what it will not do it says in a sentence."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from models_scene import add, asked, choose, chosen, details, names, run_models, unwrapped
from notifications import hears, hears_after
from saved_models import writer
from screen import text_of, until
from textual import events
from textual.pilot import Pilot
from textual.widgets import Button, Input

from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.ui.dialogs.ask_text import AskText
from tui_gpt.ui.dialogs.choice import ChoiceDialog
from tui_gpt.ui.dialogs.explanation import ExplanationDialog
from tui_gpt.ui.models.note_dialog import NoteArea, NoteDialog
from tui_gpt.ui.models.table import ModelTable
from tui_gpt.ui.tabs.models import ModelsTab


def test_an_example_stays_as_it_is_and_its_fork_is_a_copy_under_the_name_that_was_typed(home: Path) -> None:
    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        for key in "nmd":
            refusal = "stories is an example that comes with the program and stays as it is; press f"
            await hears_after(pilot, key, refusal)
        await pilot.press("f")
        dialog = await asked(tab, pilot, AskText)
        assert dialog.query_one(Input).value == "stories-copy"
        dialog.query_one(Input).value = "stories"
        await until(pilot, lambda: "there is one named stories already" in text_of(tab.app.screen))
        dialog.query_one(Input).value = "mine"
        await pilot.press("enter")
        await hears(pilot, "mine is a copy of stories")
        assert names(tab) == ["mine", "stories"]
        assert chosen(tab) == "mine"
        assert "parent         stories" in details(tab)

    run_models(body)
    assert ModelHandler().verify("mine") == []


def test_a_model_is_renamed_and_the_cursor_goes_with_it(home: Path) -> None:
    add("bard")

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await choose(tab, pilot, "bard")
        await pilot.press("n")
        dialog = await asked(tab, pilot, AskText)
        dialog.query_one(Input).value = "zoo"
        await pilot.press("enter")
        await hears(pilot, "bard is now zoo")
        assert names(tab) == ["stories", "zoo"]
        assert chosen(tab) == "zoo"

    run_models(body)


def test_notes_are_written_read_again_and_taken_back(home: Path) -> None:
    add("bard")

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await choose(tab, pilot, "bard")
        await pilot.press("m")
        await asked(tab, pilot, NoteDialog)
        await pilot.press(*"one", "enter", *"two", "ctrl+s")
        await hears(pilot, "bard: noted")
        assert ModelHandler().get("bard").record.notes == "one\ntwo"  # type: ignore[union-attr]
        await until(pilot, lambda: "one\ntwo" in details(tab))
        await pilot.press("m")
        dialog = await asked(tab, pilot, NoteDialog)
        tab.app.post_message(events.Paste("\r\n\x1b[2Jpasted"))
        await until(pilot, lambda: "pasted" in dialog.query_one(NoteArea).text)
        assert dialog.query_one(NoteArea).text == "one\ntwo\n␛[2Jpasted"
        await pilot.press("escape")
        await until(pilot, lambda: tab.app.screen is tab.screen)
        assert ModelHandler().get("bard").record.notes == "one\ntwo"  # type: ignore[union-attr]
        await pilot.press("m")
        dialog = await asked(tab, pilot, NoteDialog)
        dialog.query_one(NoteArea).text = ""
        await pilot.click("#take")
        await until(pilot, lambda: "Notes" not in details(tab))

    run_models(body)


def test_deleting_asks_first_and_says_what_it_frees(home: Path) -> None:
    add("bard")
    add("fox")

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await choose(tab, pilot, "bard")
        await pilot.press("d")
        await asked(tab, pilot, ChoiceDialog)
        assert "frees" in text_of(tab.app.screen)
        await pilot.press("enter")
        await until(pilot, lambda: tab.app.screen is tab.screen)
        assert names(tab) == ["bard", "fox", "stories"]
        await pilot.press("d")
        dialog = await asked(tab, pilot, ChoiceDialog)
        dialog.query_one("#answer-yes", Button).press()
        await hears(pilot, "bard is deleted")
        assert names(tab) == ["fox", "stories"]
        assert chosen(tab) == "fox"

    run_models(body)


def test_verifying_names_every_difference_or_says_that_there_is_none(home: Path) -> None:
    entry = add("bard")

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await choose(tab, pilot, "bard")
        await pilot.press("v")
        await hears(pilot, "bard: all 3 files are as they were saved")
        await until(pilot, lambda: "verified       all 3 files are as they were saved" in unwrapped(tab))
        (entry.folder / "model.safetensors").write_bytes(b"Weights")
        (entry.folder / "README.md").unlink()
        await pilot.press("v")
        await asked(tab, pilot, ExplanationDialog)
        shown = " ".join(text_of(tab.app.screen).split())
        assert "2 differences from what was saved" in shown
        assert "README.md is missing" in shown
        assert "is damaged" in shown

    run_models(body)


def test_a_model_made_elsewhere_shows_its_configuration_and_is_verified_as_far_as_possible(home: Path) -> None:
    folder = home / "models" / "foreign"
    folder.mkdir(parents=True)
    writer()(folder)

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await choose(tab, pilot, "foreign")
        assert "Made elsewhere" in details(tab)
        assert "model_type     gpt2" in details(tab)
        await pilot.press("v")
        await hears(pilot, "there are no hashes to compare with")
        await pilot.press("m")
        await hears(pilot, "has no record that could hold notes")

    run_models(body)


def test_a_damaged_model_is_listed_with_its_problem_and_can_only_be_renamed_and_deleted(home: Path) -> None:
    entry = add("broken")
    (entry.folder / "tui_gpt.json").write_text("{")

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await choose(tab, pilot, "broken")
        assert "broken  damaged" in text_of(tab.query_one(ModelTable))
        assert "is damaged (Input data was truncated)" in details(tab).replace("\n", " ")
        for key in ("t", "enter", "c", "f", "m"):
            await hears_after(pilot, key, "broken cannot be used: ")
        await pilot.press("n")
        dialog = await asked(tab, pilot, AskText)
        dialog.query_one(Input).value = "worse"
        await pilot.press("enter")
        await until(pilot, lambda: names(tab) == ["stories", "worse"])
        await pilot.press("d")
        dialog = await asked(tab, pilot, ChoiceDialog)
        dialog.query_one("#answer-yes", Button).press()
        await until(pilot, lambda: names(tab) == ["stories"])

    run_models(body)


def test_a_failure_is_a_sentence_and_the_list_is_read_again(home: Path) -> None:
    add("bard")

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await choose(tab, pilot, "bard")
        await pilot.press("d")
        dialog = await asked(tab, pilot, ChoiceDialog)
        shutil.rmtree(home / "models" / "bard")
        dialog.query_one("#answer-yes", Button).press()
        await hears(pilot, "there is no model named bard")
        await until(pilot, lambda: names(tab) == ["stories"])

    run_models(body)
