"""From the Models tab one goes on with a model: to talk to it, or to train it further."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from models_scene import add, chosen, run_models
from screen import until
from textual.pilot import Pilot

from tui_gpt.ui.models.table import ModelTable
from tui_gpt.ui.tabs import TABS
from tui_gpt.ui.tabs.models import ModelsTab


@pytest.mark.parametrize(
    ("key", "place", "asked_of"), [("t", "chat", "choose_model"), ("c", "configure", "begin_from")]
)
def test_talking_and_continuing_hand_the_model_to_the_tab_for_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, key: str, place: str, asked_of: str
) -> None:
    given: list[str] = []
    tab_class = next(info for info in TABS if info.name == place).load()
    monkeypatch.setattr(tab_class, asked_of, lambda tab, name: given.append(name))

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await pilot.press(key)
        await until(pilot, lambda: given == ["stories"])
        assert tab.gpt.tab is not tab
        assert isinstance(tab.gpt.tab, tab_class)

    run_models(body)


def test_enter_and_a_second_click_talk_and_the_first_click_chooses(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str | None] = []
    monkeypatch.setattr(ModelsTab, "action_talk", lambda tab: opened.append(chosen(tab)))
    add("bard")

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await pilot.click(ModelTable, offset=(3, 1))
        await pilot.click(ModelTable, offset=(3, 2))
        await until(pilot, lambda: chosen(tab) == "stories")
        assert opened == []
        await pilot.press("enter")
        await until(pilot, lambda: opened == ["stories"])
        await pilot.click(ModelTable, offset=(3, 1), times=2)
        await until(pilot, lambda: opened == ["stories", "bard"])

    run_models(body)
