"""Talking: what is typed is continued, and every turn can be stopped, repeated, taken back, chosen and found again."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from chat_scene import answer, run_chat, say, settle, told
from screen import run_screen, text_of, until
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Select

from tui_gpt.core.config import SampleConfig
from tui_gpt.core.messages import ModelRef
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.ui.app import TuiGpt
from tui_gpt.ui.chat.picking import PickDialog
from tui_gpt.ui.tabs.chat import ChatTab

ENDLESS = {"max_new_tokens": 1_000_000, "temperature": 0.0, "repetition_penalty": 0.5}
"""Writes the same words for ever, so that only a key can end it."""


def test_the_first_visit_talks_to_the_example_which_streams_until_escape(home: Path) -> None:
    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        assert tab.model is not None
        assert tab.model.name == "stories"
        assert "936 k parameters" in text_of(tab.model_line)
        settle(tab, **ENDLESS)
        await say(tab, pilot, "Once upon a time")
        assert tab.prompt.text == ""
        view = await until(pilot, lambda: tab.talk.transcript.last)
        await until(pilot, lambda: len(view.replies[0].body.text) > 20)
        shown = view.replies[0].body.text
        assert "Stop" in {binding.description for _, binding, on, _ in tab.screen.active_bindings.values() if on}
        await pilot.press("escape")
        reply = await answer(tab, pilot)
        assert reply.reason == "stopped"
        assert reply.text.startswith(shown)
        assert reply.text == view.replies[0].body.text
        screen = text_of(tab.screen)
        for part in (f"seed {reply.seed}", "tokens", "stopped"):
            assert part in screen
        assert view.said.text == "Once upon a time"  # above the screen, where much was written before escape came
        # A second one leaves the prompt, a third comes back to it.
        await pilot.press("escape")
        assert not tab.prompt.has_focus
        await pilot.press("escape")
        assert tab.prompt.has_focus

    run_chat(body)


def test_a_reply_is_copied_repeated_by_its_seed_and_drawn_anew(home: Path) -> None:
    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        settle(tab, max_new_tokens=30, temperature=1.0)
        await say(tab, pilot, "The")
        first = await answer(tab, pilot)
        await pilot.press("ctrl+y")
        await until(pilot, lambda: tab.app.clipboard == first.text)
        assert "copied the last reply" in told(tab)
        await pilot.press("escape", "Y")
        await until(pilot, lambda: tab.app.clipboard == "The" + first.text)
        await pilot.press("k")
        assert tab.sampling.field("seed").value == first.seed
        await pilot.press("ctrl+l")
        assert not tab.conversation.turns
        await say(tab, pilot, "The")
        assert (await answer(tab, pilot)).text == first.text
        await pilot.press("ctrl+r")
        second = await answer(tab, pilot, replies=2)
        assert second.seed == (first.seed or 0) + 1
        assert second.text != first.text
        assert "2 of 2" in text_of(tab.screen)
        await pilot.press("alt+left")
        await until(pilot, lambda: "1 of 2" in text_of(tab.screen))
        assert tab.conversation.text == "The" + first.text

    run_chat(body)


def test_undo_redo_and_edit_take_turns_away_and_bring_them_back(home: Path) -> None:
    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        settle(tab, max_new_tokens=4)
        await say(tab, pilot, "One")
        first = await answer(tab, pilot)
        await say(tab, pilot, "")
        await until(pilot, lambda: len(tab.conversation.turns) == 2)
        await answer(tab, pilot)
        await say(tab, pilot, " Two")
        await until(pilot, lambda: len(tab.conversation.turns) == 3)
        await answer(tab, pilot)
        whole = tab.conversation.text
        assert "\n Two" not in whole
        await pilot.press("ctrl+z", "ctrl+z")
        await until(pilot, lambda: tab.conversation.text == "One" + first.text)
        await pilot.press("alt+z", "alt+z")
        await until(pilot, lambda: tab.conversation.text == whole)
        await pilot.press("ctrl+e")
        await until(pilot, lambda: tab.prompt.text == " Two")
        assert len(tab.conversation.turns) == 2
        # Within the text, the key belongs to the text.
        await pilot.press("!", "ctrl+z")
        assert tab.prompt.text == " Two"
        assert len(tab.conversation.turns) == 2

    run_chat(body)


@pytest.mark.slow
def test_several_samples_are_offered_and_one_is_taken_with_a_number_or_the_arrows(home: Path) -> None:
    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        await pilot.press("alt+n")
        assert tab.sampling.field("n_samples").value == 2
        settle(tab, max_new_tokens=12, n_samples=3, seed=5, temperature=1.0)
        await say(tab, pilot, "A")
        await until(pilot, lambda: tab.talk.choosing)
        turn = tab.conversation.last
        assert turn is not None
        assert len({reply.text for reply in turn.replies}) == 3
        assert "▸ 1" in text_of(tab.screen)
        await pilot.press("3")
        await until(pilot, lambda: not tab.talk.choosing)
        assert tab.conversation.text == "A" + turn.replies[2].text
        assert "3 of 3" in text_of(tab.screen)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: tab.talk.choosing)
        await pilot.press("down", "enter")
        await until(pilot, lambda: not tab.talk.choosing)
        assert turn.chosen == 4
        # An empty prompt goes on only now.
        await pilot.press("enter")
        await until(pilot, lambda: len(tab.conversation.turns) == 2)
        await until(pilot, lambda: tab.talk.choosing)
        # Text goes on from the one that is marked.
        await pilot.press("down")
        settle(tab, n_samples=1)
        await say(tab, pilot, "B")
        await until(pilot, lambda: len(tab.conversation.turns) == 3)
        assert tab.conversation.turns[1].chosen == 1
        await answer(tab, pilot)

    run_chat(body, size=(80, 24))


@pytest.mark.slow
def test_what_was_said_is_there_at_the_next_start_and_is_found_by_its_words(home: Path) -> None:
    kept: list[str] = []

    async def first(tab: ChatTab, pilot: Pilot[Any]) -> None:
        settle(tab, max_new_tokens=5, temperature=0.3)
        await say(tab, pilot, "The purple zebra")
        await answer(tab, pilot)
        await pilot.press("ctrl+l")
        await say(tab, pilot, "A quiet owl")
        await answer(tab, pilot)
        settle(tab, **ENDLESS)
        await say(tab, pilot, "and")
        view = await until(pilot, lambda: len(tab.conversation.turns) == 2 and tab.talk.transcript.last)
        await until(pilot, lambda: view.replies and view.replies[0].body.text)
        kept.append(view.replies[0].body.text)
        await pilot.press(*"draft")
        tab.gpt.remember()

    run_chat(first)

    async def second(tab: ChatTab, pilot: Pilot[Any]) -> None:
        # With what was being written when the app was left.
        await until(pilot, lambda: len(tab.conversation.turns) == 2)
        assert tab.conversation.turns[0].said == "A quiet owl"
        last = tab.conversation.turns[1].reply
        assert last is not None
        assert last.text.startswith(kept[0])
        assert last.reason in ("stopped", "broken")
        assert tab.sampling.settings is not None
        assert tab.sampling.settings.repetition_penalty == 0.5
        assert tab.prompt.text == "draft"
        await pilot.press("up")
        assert tab.prompt.text == "and"
        await pilot.press("up", "up")
        assert tab.prompt.text == "The purple zebra"
        await pilot.press("down", "down", "down")
        assert tab.prompt.text == "draft"
        await pilot.press("ctrl+f")
        await until(pilot, lambda: isinstance(tab.app.screen, PickDialog))
        found = tab.app.screen.query_one(OptionList)
        await until(pilot, lambda: found.option_count == 2)
        await pilot.press(*"ZEBRA")
        await until(pilot, lambda: found.option_count == 1)
        await pilot.press("enter")
        await until(pilot, lambda: tab.conversation.text.startswith("The purple zebra"))
        assert "The purple zebra" in text_of(tab.screen)

    run_chat(second)


def test_a_session_that_dies_in_the_middle_leaves_the_text_and_ctrl_r_tries_again(home: Path) -> None:
    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        settle(tab, **ENDLESS)
        await say(tab, pilot, "Tom")
        view = await until(pilot, lambda: tab.talk.transcript.last)
        await until(pilot, lambda: view.replies and view.replies[0].body.text)
        pid = tab.gpt.session.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        reply = await answer(tab, pilot)
        assert reply.reason == "broken"
        assert reply.text
        await until(pilot, lambda: "killed by signal 9" in told(tab))
        settle(tab, max_new_tokens=5, temperature=0.8, repetition_penalty=1.0)
        await pilot.press("ctrl+r")
        again = await answer(tab, pilot, replies=2)
        assert again.reason in ("length", "eot")

    run_chat(body)


@pytest.mark.slow
def test_another_model_is_chosen_by_a_part_of_its_name(home: Path) -> None:
    ModelHandler().fork("stories", "zebra-tales")
    ModelHandler().fork("stories", "broken-tales")
    (home / "models" / "broken-tales" / "config.json").write_text("{")

    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        assert tab.model is not None
        assert tab.model.name == "zebra-tales"
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(tab.app.screen, PickDialog))
        found = tab.app.screen.query_one(OptionList)
        await until(pilot, lambda: found.option_count == 3)
        assert "config.json" in text_of(tab.app.screen)
        await pilot.press(*"stor", "enter")
        await until(pilot, lambda: tab.model and tab.model.name == "stories" and tab.model_line.loaded)
        # What other tabs call; a model that cannot be read is a sentence.
        tab.choose_model("broken-tales")
        await until(pilot, lambda: tab.model_line.problem)
        assert "config.json" in tab.model_line.problem
        await say(tab, pilot, "Hm")
        await until(pilot, lambda: tab.prompt.text == "Hm")
        assert not tab.conversation.turns

    run_chat(body)


def test_a_prompt_may_have_lines_and_what_is_pasted_is_harmless(home: Path) -> None:
    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await app.show_tab("chat")
        assert isinstance(tab, ChatTab)
        tab.focus_first()
        await pilot.pause()
        from textual.events import Paste

        tab.prompt.post_message(Paste("red\x1b[31m\r\nhen"))
        await until(pilot, lambda: tab.prompt.text)
        assert tab.prompt.text == "red␛[31m\nhen"
        await pilot.press("ctrl+n", "x")
        assert tab.prompt.text == "red␛[31m\nhen\nx"
        await pilot.press("up", "up", "up")
        assert tab.prompt.text.endswith("x")
        # What another version remembered, or nobody.
        tab.recall({"model": 5, "sampling": {"fields": {"seed": 1}}, "panel": "x", "conversation": "../x", "prompt": 7})
        tab.recall({"model": {"kind": "moon"}, "sampling": [], "conversation": "20250131-081500-abcdef"})
        for key, name in (("f2", "configure"), ("f6", "chat")):
            await pilot.press(key)
            await until(pilot, lambda name=name: app.memory.tab == name)

    run_screen(body)


def test_every_field_of_sampling_shows_its_error_beside_it(home: Path) -> None:
    wrong = {
        "temperature": "hot",
        "top_k": "1.5",
        "top_p": "0",
        "min_p": "2",
        "repetition_penalty": "",
        "max_new_tokens": "0",
        "stop": '["a',
        "seed": "-1",
        "n_samples": "9",
    }

    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        if not tab.sampling.display:
            await pilot.press("ctrl+t")
        before = tab.sampling.settings
        for name, text in wrong.items():
            field = tab.sampling.field(name)
            line = field.query_one(Input)
            line.focus()
            right = line.value
            line.value = text
            problem = await until(pilot, lambda field=field: field.problem)
            await until(pilot, lambda field=field, problem=problem: problem.split()[0] in text_of(field))
            assert tab.sampling.settings is None
            assert field.explain().text
            line.value = right
            await until(pilot, lambda field=field: not field.problem)
        assert tab.sampling.settings == before
        tab.sampling.field("top_p").query_one(Input).value = "7"
        await pilot.pause()
        await say(tab, pilot, "Hm")
        await until(pilot, lambda: "top_p" in told(tab) and tab.prompt.text == "Hm")
        assert not tab.conversation.turns

    run_chat(body, size=(80, 24), load=False)


def test_a_seed_typed_while_the_model_is_on_its_way_stays(home: Path) -> None:
    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        settle(tab, seed=7)
        tab.sampling.take_own(SampleConfig(temperature=0.4, seed=3, n_samples=2))
        assert tab.sampling.preset == "own"
        assert tab.sampling.settings == SampleConfig(temperature=0.4, seed=7, n_samples=2)

    run_chat(body, load=False)


def test_presets_fill_the_fields_and_leave_length_and_seed_alone(home: Path) -> None:
    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        settle(tab, max_new_tokens=17, seed=4)
        assert tab.sampling.preset == "edited"
        select = tab.sampling.query_one("#preset")
        select.value = "creative"  # type: ignore[attr-defined]
        await until(pilot, lambda: tab.sampling.field("temperature").value == 1.2)
        settings = tab.sampling.settings
        assert settings is not None
        assert (settings.min_p, settings.max_new_tokens, settings.seed) == (0.05, 17, 4)
        assert tab.sampling.preset == "creative"
        settle(tab, temperature=1.0)
        assert tab.sampling.preset == "edited"
        settle(tab, stop=("\n\n", "THE END"))
        assert tab.sampling.settings is not None
        assert tab.sampling.settings.stop == ("\n\n", "THE END")

    run_chat(body, load=False)


def test_the_precision_that_is_chosen_is_asked_for_and_remembered(home: Path) -> None:
    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        assert tab.sampling.precision == "float32"
        tab.sampling.query_one("#precision", Select).value = "int8"
        await until(pilot, lambda: tab.sampling.precision == "int8")
        tab.model = ModelRef(kind="model", name="toy")
        assert tab._asked() is not None
        assert tab.talk._request(tab.model, SampleConfig()).precision == "int8"
        remembered = tab.sampling.remember()
        tab.sampling.query_one("#precision", Select).value = "float32"
        tab.sampling.recall({**remembered, "precision": "int7"})
        assert tab.sampling.precision == "float32"
        tab.sampling.recall(remembered)
        assert tab.sampling.precision == "int8"

    run_chat(body, load=False)


@pytest.mark.parametrize("width", [1, 3])
def test_a_window_without_room_for_the_prompt_draws_none(home: Path, width: int) -> None:
    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        await pilot.resize_terminal(width, 24)
        await pilot.pause()
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "Text for the model" in text_of(tab.screen))

    run_chat(body, load=False)
