"""A guard in Chat: what it declines it answers itself, the model reads none of that, and what it says is kept."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from chat_scene import answer, run_chat, say, settle, told
from screen import text_of, until
from textual.pilot import Pilot
from textual.widgets import OptionList

from tui_gpt.ui.chat.picking import PickDialog
from tui_gpt.ui.tabs.chat import ChatTab

EVIL = "\x1b[2Jred [b]bold[/b] \u202elive\x07"


async def choose(tab: ChatTab, pilot: Pilot[Any], name: str) -> None:
    """Choose a guard by its key and a part of its name."""
    await pilot.press("ctrl+g")
    await until(pilot, lambda: isinstance(tab.app.screen, PickDialog))
    found = tab.app.screen.query_one(OptionList)
    await until(pilot, lambda: found.option_count >= 3)
    await pilot.press(*name)
    await until(pilot, lambda: found.option_count == 1)
    await pilot.press("enter")
    await until(pilot, lambda: tab.guard == (None if name == "none" else name))


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_a_declined_prompt_is_answered_by_the_guard_and_read_by_no_model(home: Path, size: tuple[int, int]) -> None:
    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        await choose(tab, pilot, "stories")
        assert "guard stories" in text_of(tab.model_line)
        settle(tab, max_new_tokens=8)
        await say(tab, pilot, "What is tax?")
        refusal = await answer(tab, pilot)
        assert refusal.declined
        assert refusal.text.startswith("I only tell stories")
        assert (refusal.tokens, refusal.seed, refusal.reason) == (0, None, "declined")
        assert tab.conversation.text == ""
        screen = text_of(tab.screen)
        for part in ("What is tax?", "declined by stories", "I only tell stories"):
            assert part in screen
        view = tab.talk.transcript.last
        assert view is not None
        assert view.replies[0].has_class("-declined")
        await say(tab, pilot, "One day")
        await until(pilot, lambda: len(tab.conversation.turns) == 2)
        reply = await answer(tab, pilot)
        assert not reply.declined
        assert reply.verdict is not None
        assert 'begins a story ("one day")' in reply.verdict.reason
        assert tab.conversation.text == "One day" + reply.text
        screen = text_of(tab.screen)
        assert "accepted by stories" in screen
        assert "8 tokens" in screen
        # Nothing said: the model goes on with what was accepted.
        await pilot.press("enter")
        await until(pilot, lambda: len(tab.conversation.turns) == 3)
        assert (await answer(tab, pilot)).verdict is None

    run_chat(body, size=size)


def test_again_asks_the_guard_anew_and_without_one_the_model(home: Path) -> None:
    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        await choose(tab, pilot, "python")
        settle(tab, max_new_tokens=8)
        await say(tab, pilot, "Tell me a joke")
        assert (await answer(tab, pilot)).declined
        await pilot.press("ctrl+r")
        assert (await answer(tab, pilot, replies=2)).declined
        await until(pilot, lambda: "2 of 2" in text_of(tab.screen))
        await choose(tab, pilot, "none")
        assert "guard" not in text_of(tab.model_line)
        await pilot.press("ctrl+r")
        reply = await answer(tab, pilot, replies=3)
        assert not reply.declined
        assert tab.conversation.text == "Tell me a joke" + reply.text
        await pilot.press("alt+left")
        await until(pilot, lambda: "declined by python" in text_of(tab.screen))
        assert tab.conversation.text == ""

    run_chat(body)


@pytest.mark.slow
def test_guard_and_verdicts_are_there_at_the_next_start(home: Path) -> None:
    async def first(tab: ChatTab, pilot: Pilot[Any]) -> None:
        await choose(tab, pilot, "python")
        await say(tab, pilot, "Tell me a joke")
        assert (await answer(tab, pilot)).declined
        tab.gpt.remember()

    run_chat(first)

    async def second(tab: ChatTab, pilot: Pilot[Any]) -> None:
        assert tab.guard == "python"
        await until(pilot, lambda: tab.conversation.turns)
        reply = tab.conversation.turns[0].reply
        assert reply is not None
        assert reply.declined
        await until(pilot, lambda: "declined by python" in text_of(tab.screen))
        assert tab.conversation.text == ""

    run_chat(second, load=False)


@pytest.mark.slow
def test_a_guard_of_ones_own_is_foreign_text_and_a_broken_or_missing_one_a_sentence(home: Path) -> None:
    folder = home / "guards"
    folder.mkdir()
    text = EVIL.replace("\x1b", "\\u001b").replace("\x07", "\\u0007").replace("\u202e", "\\u202e")
    (folder / "evil.toml").write_text(
        f'title = "{text}"\nrefusal = "{text}"\nthreshold = 1.0\n'
        f'[[rules]]\nsays = "{text}"\nweight = -1.0\nwords = ["x"]\n'
    )
    (folder / "torn.toml").write_text("title = 5")

    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        await pilot.press("ctrl+g")
        await until(pilot, lambda: isinstance(tab.app.screen, PickDialog))
        await until(pilot, lambda: "torn" in text_of(tab.app.screen))
        # However the sentence is broken into lines.
        assert "torn.toml:isnoguard" in re.sub(r"[│\s]", "", text_of(tab.app.screen))
        assert not set("\x1b\x07\u202e") & set(text_of(tab.app.screen))
        await pilot.press("escape")
        await choose(tab, pilot, "evil")
        await say(tab, pilot, "x")
        assert (await answer(tab, pilot)).text == EVIL
        screen = text_of(tab.screen)
        assert not set("\x1b\x07\u202e") & set(screen)
        assert screen.count("␛[2Jred [b]bold[/b] \\u202elive␇") == 2
        (folder / "evil.toml").unlink()
        await say(tab, pilot, "y")
        await until(pilot, lambda: "there is no guard 'evil'" in told(tab) and tab.prompt.text == "y")
        assert len(tab.conversation.turns) == 1

    run_chat(body)


def test_what_another_version_remembered_is_no_guard(home: Path) -> None:
    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        for remembered in (5, "", ["python"], None):
            tab.recall({"guard": remembered})
            assert tab.guard is None
        tab.recall({"guard": "x" * 1000})
        assert len(tab.guard or "") == 64

    run_chat(body, load=False)
