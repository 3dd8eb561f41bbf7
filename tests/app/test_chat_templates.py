"""A template in Chat: chosen, filled, and put into the prompt; its settings can be seen, and taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chat_scene import answer, run_chat, say, settle, told
from screen import text_of, until
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from tui_gpt.core.config import SampleConfig
from tui_gpt.ui.chat.picking import PickDialog
from tui_gpt.ui.chat.template_dialog import TemplateDialog
from tui_gpt.ui.tabs.chat import ChatTab

EVIL = "\x1b[2Jred [b]bold[/b] \u202elive\x07"
WRITTEN = EVIL.replace("\x1b", "\\u001b").replace("\x07", "\\u0007").replace("\u202e", "\\u202e")
PETS = f"""
title = "pets {WRITTEN}"
about = "For {WRITTEN}"
text = "{WRITTEN} {{animal}} {{{{}}}}\\n{{verb}}\\n"

[blanks.animal]
about = "who {WRITTEN}"
example = "{WRITTEN}"

[blanks.verb]
about = "did what"
default = "sat\\nand ran"

[sample]
stop = ["{WRITTEN}"]
"""


async def open_list(tab: ChatTab, pilot: Pilot[Any]) -> OptionList:
    """The list of templates, by its key."""
    await pilot.press("alt+t")
    await until(pilot, lambda: isinstance(tab.app.screen, PickDialog))
    found = tab.app.screen.query_one(OptionList)
    await until(pilot, lambda: found.option_count >= 8)
    return found


async def choose(tab: ChatTab, pilot: Pilot[Any], name: str) -> TemplateDialog:
    """The blanks of a template, by its key and a part of its name that only it has."""
    found = await open_list(tab, pilot)
    await pilot.press(*name)
    await until(pilot, lambda: found.option_count == 1)
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(tab.app.screen, TemplateDialog))
    screen = tab.app.screen
    assert isinstance(screen, TemplateDialog)
    return screen


async def closed(tab: ChatTab, pilot: Pilot[Any]) -> None:
    await until(pilot, lambda: len(tab.app.screen_stack) == 1)


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_a_filled_template_waits_in_the_prompt_and_its_settings_are_seen_and_taken_back(
    home: Path, size: tuple[int, int]
) -> None:
    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        before = tab.sampling.settings
        assert before is not None
        dialog = await choose(tab, pilot, "sentiment")
        # The preview is scrolled to the open blank once it is laid out.
        for part in ("what somebody wrote", "e.g. I would see it again tomorrow.", "Review: ‹review›", "Sentiment:"):
            await until(pilot, lambda part=part: part in text_of(dialog))
        # Enter goes on only when there is something in the blank.
        await pilot.press("enter")
        await until(pilot, lambda: "review is empty" in text_of(dialog))
        await pilot.press(*"Dull", "enter")
        await closed(tab, pilot)
        assert tab.prompt.has_focus
        assert tab.prompt.text.startswith("Review: A wonderful film")
        assert tab.prompt.text.endswith("Review: Dull\nSentiment:")
        assert not tab.conversation.turns
        settings = tab.sampling.settings
        assert settings is not None
        assert (settings.stop, settings.max_new_tokens, settings.temperature) == (("\n",), 2, 0.0)
        assert "template sentiment" in text_of(tab.model_line)
        assert 'stop = ["\\n"], max_new_tokens = 2, temperature = 0.0: from the template sentiment; alt+t' in told(tab)
        if not tab.sampling.display:
            await pilot.press("ctrl+t")
        panel = await until(pilot, lambda: "2" in text_of(tab.sampling) and tab.sampling)
        given = {name for name in ("stop", "top_k", "temperature") if panel.field(name).has_class("-given")}
        assert given == {"stop", "temperature"}
        # Edited, and then sent.
        tab.prompt.focus()
        await pilot.press("enter")
        reply = await answer(tab, pilot)
        assert reply.tokens <= 2
        # The one whose settings hold comes first, then what takes it back; what was changed since stays.
        settle(tab, max_new_tokens=7)
        found = await open_list(tab, pilot)
        assert [found.get_option_at_index(place).id for place in (0, 1)] == ["sentiment", ":none"]
        await pilot.press(*"none", "enter")
        await closed(tab, pilot)
        assert tab.sampling.settings == SampleConfig(
            **{field: getattr(before, field) for field in before.__struct_fields__ if field != "max_new_tokens"},
            max_new_tokens=7,
        )
        assert "template" not in text_of(tab.model_line)
        assert "stop and temperature as before the template sentiment" in told(tab)
        assert not any(tab.sampling.field(name).has_class("-given") for name in given)

    run_chat(body, size=size)


def test_a_draft_fills_the_blank_and_a_filled_prompt_comes_back_to_its_blanks(home: Path) -> None:
    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        await pilot.press(*"Whoisit")
        await choose(tab, pilot, "qa-one")
        assert tab.app.screen.query(Input).first().value == "Whoisit"
        await pilot.press("?", "enter")
        await closed(tab, pilot)
        assert tab.prompt.text.endswith("Q: Whoisit?\nA:")
        await choose(tab, pilot, "qa-one")
        assert tab.app.screen.query(Input).first().value == "Whoisit?"
        await pilot.press("escape")
        await closed(tab, pilot)
        assert tab.prompt.text.endswith("Q: Whoisit?\nA:")
        # Of several blanks, all; what was there comes back with the arrow.
        await choose(tab, pilot, "story")
        assert [line.value for line in tab.app.screen.query(Input)][:1] == ["Once upon a time"]
        await pilot.press(*"Bo")
        await pilot.press("down", *"here")
        await until(pilot, lambda: "lay here." in text_of(tab.app.screen))
        await pilot.press("enter")
        await closed(tab, pilot)
        assert tab.prompt.text == (
            "Once upon a time, there was Bo. One sunny morning, something lay here. It was a red kite."
        )
        # Another template's settings go before those of the next come.
        assert tab.sampling.settings is not None
        assert tab.sampling.settings.stop == ()
        await pilot.press("up")
        assert tab.prompt.text.endswith("Q: Whoisit?\nA:")

    run_chat(body, load=False)


def test_a_guard_judges_what_was_filled_in_and_not_the_template(home: Path) -> None:
    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        tab._set_guard("python")
        settle(tab, max_new_tokens=3)
        for question, declined in (("What is a red fox?", True), ("Return the words of a string.", False)):
            await choose(tab, pilot, "python-function")
            field = next(line for line in tab.app.screen.query(Input) if line.has_focus)
            field.value = question
            await pilot.press("enter")
            await closed(tab, pilot)
            assert tab.prompt.text == f'def compute(value):\n    """{question}"""\n'
            settle(tab, max_new_tokens=3)
            turns = len(tab.conversation.turns)
            await pilot.press("enter")
            await until(pilot, lambda turns=turns: len(tab.conversation.turns) == turns + 1)
            assert (await answer(tab, pilot)).declined == declined
        # Without the template's text around it, a prompt is judged as a whole.
        await say(tab, pilot, "def compute(value): a red fox")
        await until(pilot, lambda: len(tab.conversation.turns) == 3)
        assert not (await answer(tab, pilot)).declined

    run_chat(body)


@pytest.mark.slow
def test_a_template_of_ones_own_is_foreign_text_and_a_broken_one_a_sentence(home: Path) -> None:
    folder = home / "templates"
    folder.mkdir()
    (folder / "pets.toml").write_text(PETS)
    (folder / "torn.toml").write_text("title = 5")

    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        await open_list(tab, pilot)
        assert not set("\x1b\x07\u202e") & set(text_of(tab.app.screen))
        await pilot.press(*"torn")
        await until(pilot, lambda: "title: is a number" in text_of(tab.app.screen))
        await pilot.press("escape")
        await closed(tab, pilot)
        dialog = await choose(tab, pilot, "pets")
        assert not set("\x1b\x07\u202e") & set(text_of(dialog))
        assert "red [b]bold[/b]" in text_of(dialog)
        await pilot.press(*"a[b]")
        await pilot.press("f1")
        await until(pilot, lambda: "For example:" in text_of(tab.app.screen))
        assert not set("\x1b\x07\u202e") & set(text_of(tab.app.screen))
        await pilot.press("f1")
        await until(pilot, lambda: tab.app.screen is dialog)
        await pilot.press("enter")
        await closed(tab, pilot)
        # A default of several lines is as it is in the file.
        assert tab.prompt.text == "␛[2Jred [b]bold[/b] \\u202elive␇ a[b] {}\nsat\nand ran\n"
        assert not set("\x1b\x07\u202e") & set(text_of(tab.screen))
        # One that was broken since cannot be chosen again.
        (folder / "pets.toml").write_text("title =")
        await pilot.press("alt+t")
        await until(pilot, lambda: isinstance(tab.app.screen, PickDialog))
        await pilot.press(*"pets", "enter")
        await pilot.pause()
        assert isinstance(tab.app.screen, PickDialog)

    run_chat(body, load=False)


@pytest.mark.slow
def test_template_and_settings_are_there_at_the_next_start(home: Path) -> None:
    async def first(tab: ChatTab, pilot: Pilot[Any]) -> None:
        await choose(tab, pilot, "qa-zero")
        await pilot.press(*"Who", "enter")
        await closed(tab, pilot)
        tab.gpt.remember()

    run_chat(first, load=False)

    async def second(tab: ChatTab, pilot: Pilot[Any]) -> None:
        assert tab.talk.template == "qa-zero-shot"
        assert "template qa-zero-shot" in text_of(tab.model_line)
        assert tab.prompt.text == "Q: Who\nA:"
        assert tab.sampling.field("stop").has_class("-given")
        # Another model's own settings come, but for what the template says, and with that when it is taken back.
        tab.sampling.take_own(SampleConfig(top_k=3, temperature=0.7))
        assert tab.sampling.settings == SampleConfig(top_k=3, temperature=0.3, max_new_tokens=60, stop=("\nQ:", "\n\n"))
        await open_list(tab, pilot)
        await pilot.press(*"none", "enter")
        await closed(tab, pilot)
        assert tab.sampling.settings == SampleConfig(top_k=3, temperature=0.7)
        assert tab.sampling.preset == "own"

    run_chat(second, load=False)


@pytest.mark.slow
def test_what_another_version_remembered_is_no_template(home: Path) -> None:
    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        for remembered in (5, "", ["qa"], None):
            tab.recall({"template": remembered})
            assert tab.talk.template is None
        tab.recall({"template": "x" * 1000})
        assert len(tab.talk.template or "") == 64
        for given in (5, {"stop": 5, "top_k": ["x"], "moon": ["a", "b", True]}, {"stop": [1, 2, 3]}, None):
            tab.recall({"sampling": {"fields": {}, "giver": "qa", "given": given}})
        tab.recall({"sampling": {"fields": {}, "giver": ["qa"], "given": {}}})
        assert tab.sampling.give_back() == []

    run_chat(body, load=False)


def test_a_letter_with_alt_as_terminals_send_it_is_a_key_and_no_text(home: Path) -> None:
    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        for key in ("alt+n", "alt+q"):
            tab.app.post_message(events.Key(key, key[-1]))
        await until(pilot, lambda: tab.sampling.field("n_samples").value == 2)
        tab.app.post_message(events.Key("alt+t", "t"))
        await until(pilot, lambda: isinstance(tab.app.screen, PickDialog))
        await pilot.press("escape")
        await closed(tab, pilot)
        assert tab.prompt.text == ""

    run_chat(body, load=False)


@pytest.mark.slow
def test_the_text_above_and_the_whole_of_a_long_default_are_minded(home: Path) -> None:
    (home / "templates").mkdir()
    long = "word " * 500
    (home / "templates" / "long.toml").write_text(
        f'title = "t"\ntext = "{{a}}{{b}}"\n[blanks.a]\nabout = "x"\n[blanks.b]\nabout = "y"\ndefault = "{long}"\n'
    )

    async def body(tab: ChatTab, pilot: Pilot[Any]) -> None:
        settle(tab, max_new_tokens=2)
        await say(tab, pilot, "One")
        await answer(tab, pilot)
        dialog = await choose(tab, pilot, "long")
        assert "It goes on from the text above" in text_of(dialog)
        assert "Into the prompt" in text_of(dialog)
        await pilot.press(*"One", "enter")
        await closed(tab, pilot)
        assert tab.prompt.text == f"One{long}"

    run_chat(body, size=(80, 24))
