"""Talking to a run while it trains: from its first checkpoint on, always with the newest one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chat_scene import answer, run_chat, say, settle, told
from screen import text_of, until
from textual.pilot import Pilot
from training_runs import Scene, hold, release, tiny, wait_held

from tui_gpt.ui.chat.reply_writer import WAITING
from tui_gpt.ui.tabs.chat import ChatTab


@pytest.mark.slow
def test_a_prompt_waits_for_the_first_checkpoint_and_each_one_is_answered_by_the_newest(
    scene: Scene, home: Path
) -> None:
    run = scene.begin(tiny(scene.text, max_steps=1000), "first")
    scene.start(run, hold(5), hold(15), hold(25))
    wait_held(run, 5)

    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        # A run in progress is whom one talks to first.
        await until(pilot, lambda: tab.model and tab.model.name == "first")
        settle(tab, max_new_tokens=8)
        await say(tab, pilot, "Once")
        await until(pilot, lambda: text_of(tab.screen).count(WAITING) == 2)
        await pilot.press("escape")
        await until(pilot, lambda: tab.prompt.text == "Once")
        assert not tab.conversation.turns
        await pilot.press("enter")
        await until(pilot, lambda: text_of(tab.screen).count(WAITING) == 2)
        release(run, 5)
        assert (await answer(tab, pilot)).step == 10
        assert "run first, step 10" in text_of(tab.screen)
        await until(pilot, lambda: "in progress, step 15" in text_of(tab.model_line))
        wait_held(run, 15)
        release(run, 15)
        wait_held(run, 25)
        await say(tab, pilot, "")
        await until(pilot, lambda: len(tab.conversation.turns) == 2)
        assert (await answer(tab, pilot)).step == 20
        # A prompt that this tokenizer cannot encode comes back, with the reason.
        await say(tab, pilot, "5")
        await until(pilot, lambda: tab.prompt.text == "5")
        assert len(tab.conversation.turns) == 2
        assert "DIGIT FIVE" in told(tab)

    run_chat(body, load=False)
