"""Chat with a model that answers: messages go to it as messages, and the screen says which way it is talked to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chat_models import save_chat_model
from chat_scene import answer, run_chat, say, settle, told
from screen import text_of, until
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input

from tui_gpt.core.messages import Utterance
from tui_gpt.ui.dialogs.ask_text import AskText
from tui_gpt.ui.tabs.chat import ChatTab


async def meet(tab: ChatTab, pilot: Pilot[Any]) -> None:
    """Talk to the model that answers."""
    tab.choose_model("talker")
    await until(pilot, lambda: tab.model_line.asks)
    settle(tab, max_new_tokens=6)


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_what_is_said_is_answered_and_the_screen_says_so(home: Path, size: tuple[int, int]) -> None:
    save_chat_model()

    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        await meet(tab, pilot)
        assert "answers" in text_of(tab.model_line)
        assert "answer" in str(tab.prompt.placeholder)
        assert "Ask it something" in text_of(tab.talk.transcript)
        await say(tab, pilot, "Hello")
        first = await answer(tab, pilot)
        assert first.answer and first.forgotten == 0
        await say(tab, pilot, "And then?")
        await until(pilot, lambda: len(tab.conversation.turns) == 2)
        await answer(tab, pilot)
        assert tab.conversation.messages("Be kind.") == [
            Utterance(role="system", content="Be kind."),
            Utterance(role="user", content="Hello"),
            Utterance(role="assistant", content=first.text),
            Utterance(role="user", content="And then?"),
        ]
        # For copying, and for a model that continues: a line each.
        assert tab.conversation.text.startswith(f"Hello\n{first.text}")

    run_chat(body, size=size)


def test_an_empty_prompt_asks_nothing_and_alt_c_lets_it_go_on_with_the_text(home: Path) -> None:
    save_chat_model()

    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        await meet(tab, pilot)
        tab.prompt.focus()
        await pilot.press("enter")
        await until(pilot, lambda: "nothing is asked" in told(tab))
        assert not tab.conversation.turns
        await pilot.press("alt+c")
        await until(pilot, lambda: not tab.model_line.asks)
        assert "answers" not in text_of(tab.model_line) and "continue" in str(tab.prompt.placeholder)
        await say(tab, pilot, "One day")
        assert not (await answer(tab, pilot)).answer
        await pilot.press("enter")
        await until(pilot, lambda: len(tab.conversation.turns) == 2)
        await answer(tab, pilot)
        assert tab.remember()["continues"] is True

    run_chat(body)


def test_what_it_reads_first_is_asked_for_and_kept(home: Path) -> None:
    save_chat_model()

    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        await meet(tab, pilot)
        await pilot.press("alt+s")
        await until(pilot, lambda: isinstance(tab.app.screen, AskText))
        tab.app.screen.query_one(Input).value = "You are a fox."
        await pilot.press("enter")
        await until(pilot, lambda: tab.talk.system == "You are a fox.")
        await say(tab, pilot, "Who are you?")
        assert (await answer(tab, pilot)).answer
        assert tab.remember()["system"] == "You are a fox."

    run_chat(body)


def test_messages_that_no_longer_fit_are_forgotten_and_it_is_said(home: Path) -> None:
    save_chat_model()

    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        await meet(tab, pilot)
        for number in range(1, 5):
            tab.prompt.replace_text("The fox and the hare went to the river and to the hill and to the old mill. " * 5)
            tab.prompt.focus()
            await pilot.press("enter")
            await until(pilot, lambda number=number: len(tab.conversation.turns) == number)
            reply = await answer(tab, pilot)
        assert reply.forgotten > 0
        assert "oldest messages left out" in text_of(tab.talk.transcript)

    run_chat(body, size=(80, 24))


def test_a_model_that_continues_knows_no_answers_and_says_so(home: Path) -> None:
    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        assert not tab.model_line.asks
        await pilot.press("alt+c")
        await until(pilot, lambda: "learned from texts" in told(tab))
        await pilot.press("alt+s")
        await until(pilot, lambda: "reads no instructions" in told(tab))
        settle(tab, max_new_tokens=6)
        await say(tab, pilot, "One day")
        assert not (await answer(tab, pilot)).answer

    run_chat(body)


def test_alt_and_a_letter_is_no_letter_in_the_line_of_a_dialog(home: Path) -> None:
    save_chat_model()

    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        await meet(tab, pilot)
        await pilot.press("alt+s")
        await until(pilot, lambda: isinstance(tab.app.screen, AskText))
        # As terminals send it: the key, and the letter along with it.
        tab.app.screen.query_one(Input).post_message(Key("alt+c", "c"))
        await pilot.press("o", "k")
        await until(pilot, lambda: tab.app.screen.query_one(Input).value == "ok")

    run_chat(body)
