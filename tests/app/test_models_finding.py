"""In the Models tab a model is found by order, by words and by where the cursor stood at the last start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from models_scene import add, choose, chosen, details, names, run_models
from screen import text_of, until
from textual.pilot import Pilot

from tui_gpt.core.model_record import CorpusRecord
from tui_gpt.ui.models.table import ModelTable
from tui_gpt.ui.tabs.models import ModelsTab


def test_it_can_be_sorted_by_keys_and_by_clicks_and_the_unknown_stands_last(home: Path) -> None:
    add("a", best_val_loss=3.0, created="2025-01-01T00:00:00Z", n_parameters=5)
    add("b", best_val_loss=1.0, created="2027-01-01T00:00:00Z", n_parameters=None)
    add("c", best_val_loss=None, val_loss=None, created="2026-01-01T00:00:00Z", n_parameters=7_000_000)

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        assert names(tab) == ["a", "b", "c", "stories"]
        await pilot.press("o")
        assert names(tab) == ["b", "stories", "c", "a"]
        assert "newest first" in text_of(tab.app.screen)
        await pilot.press("o")
        assert names(tab) == ["stories", "b", "a", "c"]
        assert "Val loss ▲" in text_of(tab.app.screen)
        await pilot.press("O")
        assert names(tab) == ["a", "b", "stories", "c"]
        await pilot.press("o")
        assert names(tab) == ["c", "stories", "a", "b"]
        await pilot.click(ModelTable, offset=(3, 0))
        await until(pilot, lambda: names(tab) == ["a", "b", "c", "stories"])
        await pilot.click(ModelTable, offset=(3, 0))
        await until(pilot, lambda: names(tab) == ["stories", "c", "b", "a"])

    run_models(body)


def test_the_filter_finds_as_one_types_and_escape_shows_all(home: Path) -> None:
    add("bard", corpus=CorpusRecord(source="plays.txt", sha256="ab" * 32))
    add("fox", notes="for the lesson on Sampling")

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await pilot.press("slash", *"sam")
        await until(pilot, lambda: names(tab) == ["fox"])
        assert "1 of 3 models" in text_of(tab.app.screen)
        await until(pilot, lambda: details(tab).startswith("fox"))
        await pilot.press("enter")
        assert isinstance(tab.app.focused, ModelTable)
        await pilot.press("slash", *" xx")
        await until(pilot, lambda: names(tab) == [])
        await until(pilot, lambda: details(tab) == "")
        await pilot.press("escape")
        await until(pilot, lambda: names(tab) == ["bard", "fox", "stories"])
        await until(pilot, lambda: chosen(tab) == "fox")
        await pilot.press("slash", *"exa")
        await until(pilot, lambda: names(tab) == ["stories"])
        await pilot.press("down")
        assert isinstance(tab.app.focused, ModelTable)

    run_models(body)


def test_five_hundred_models_are_sorted_filtered_and_walked_through(home: Path) -> None:
    first = add("m000")
    for number in range(1, 500):
        folder = first.folder.with_name(f"m{number:03}")
        folder.mkdir()
        for file in first.folder.iterdir():
            os.link(file, folder / file.name)

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        assert len(names(tab)) == 501
        await pilot.press("end")
        await until(pilot, lambda: chosen(tab) == "stories")
        await pilot.press("pageup", "up")
        kept = chosen(tab)
        await pilot.press("o")
        assert chosen(tab) == kept
        await pilot.press("slash", *"m49")
        await until(pilot, lambda: len(names(tab)) == 10)

    run_models(body)


def test_model_and_order_are_found_again_at_the_next_start(home: Path) -> None:
    for name in ("a", "b", "c"):
        add(name)

    async def first(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await pilot.press("o", "o", "O")
        await choose(tab, pilot, "b")
        tab.gpt.remember()

    async def second(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        assert "by val loss, highest first" in text_of(tab.app.screen)
        assert chosen(tab) == "b"

    run_models(first)
    run_models(second)


def test_a_damaged_memory_is_passed_over(home: Path) -> None:
    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        for remembered in ({"model": 3, "sort": "no such", "reversed": "x"}, {"sort": ["name"]}, {"sort": None}, {}):
            tab.recall(remembered)
            await pilot.pause()
            assert "by name" in text_of(tab.app.screen)
            assert names(tab) == ["stories"]

    run_models(body)
