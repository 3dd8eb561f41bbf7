"""The frame: tabs, keys, help, palette, what is remembered, told and survived."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from screen import run_screen, text_of, until
from textual import events
from textual.binding import Binding
from textual.pilot import Pilot
from textual.widgets import Input

from tui_gpt.core.settings import settings_file
from tui_gpt.ui.app import TuiGpt
from tui_gpt.ui.dialogs.ask_text import AskText, name_check
from tui_gpt.ui.dialogs.choice import Answer, ChoiceDialog, confirm
from tui_gpt.ui.dialogs.explanation import ExplanationDialog
from tui_gpt.ui.memory import memory_file
from tui_gpt.ui.tabs import TABS


def _shown(app: TuiGpt) -> str:
    return "" if app.tab is None or app.tab.id is None else app.tab.id.removeprefix("body-")


def test_the_first_start_shows_configure(home: Path) -> None:
    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        assert _shown(app) == "configure"
        assert "no run yet" in text_of(app.screen)

    run_screen(body)


def test_numbers_and_function_keys_switch_tabs(home: Path) -> None:
    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        app.screen.set_focus(None)
        for number, tab in reversed(list(enumerate(TABS, start=1))):
            await pilot.press(str(number))
            await until(pilot, lambda tab=tab: _shown(app) == tab.name)
            app.screen.set_focus(None)
        for tab in TABS[1:]:
            await pilot.press(tab.key)
            await until(pilot, lambda tab=tab: _shown(app) == tab.name)

    run_screen(body)


def test_a_number_typed_into_a_text_field_stays_there(home: Path) -> None:
    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        field = Input(id="scratch")
        assert app.tab is not None
        await app.tab.mount(field)
        field.focus()
        await pilot.press("2")
        assert field.value == "2"
        assert _shown(app) == "configure"
        await pilot.press("f3")
        await until(pilot, lambda: _shown(app) == "train")

    run_screen(body)


def test_f1_explains_and_closes_again(home: Path) -> None:
    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        app.screen.set_focus(None)
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, ExplanationDialog))
        await pilot.press("f1")
        await until(pilot, lambda: len(app.screen_stack) == 1)

    run_screen(body)


def test_a_window_that_is_too_small_says_what_is_needed_and_recovers(home: Path) -> None:
    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        await pilot.resize_terminal(60, 20)
        await until(pilot, lambda: "needs 80 x 24" in text_of(app.screen))
        assert "has 60 x 20" in text_of(app.screen)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "needs 80 x 24" not in text_of(app.screen))
        assert "Configure" in text_of(app.screen)

    run_screen(body)


@pytest.mark.parametrize("dialog", [False, True], ids=["", "under a dialog"])
def test_the_focus_is_where_it_was_before_the_window_was_too_small(home: Path, dialog: bool) -> None:
    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        field = Input(id="scratch")
        assert app.tab is not None
        await app.tab.mount(field)
        field.focus()
        if dialog:
            await pilot.press("f1")
            await until(pilot, lambda: isinstance(app.screen, ExplanationDialog))
        for size in ((20, 5), (1, 1), (120, 40)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        if dialog:
            await pilot.press("f1")
            await until(pilot, lambda: len(app.screen_stack) == 1)
        await until(pilot, lambda: app.focused is field)
        await pilot.press("a")
        assert field.value == "a"

    run_screen(body, size=(120, 40))


def test_a_widget_that_hears_late_that_it_was_hidden_keeps_the_focus(home: Path) -> None:
    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        await pilot.press("f6")
        await until(pilot, lambda: _shown(app) == "chat" and app.focused is not None)
        prompt = app.focused
        assert prompt is not None
        prompt.post_message(events.Hide())
        await pilot.pause()
        assert app.focused is prompt
        prompt.disabled = True
        await until(pilot, lambda: app.focused is not prompt)

    run_screen(body)


def test_where_nothing_has_the_focus_the_keys_are_the_tab_s(home: Path) -> None:
    settings_file().write_text('[keys]\n"chat.search" = "ctrl+b"\n')

    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        await pilot.press("f6")
        await until(pilot, lambda: _shown(app) == "chat")
        await pilot.pause()
        app.screen.set_focus(None)
        await pilot.press("ctrl+b")
        await until(pilot, lambda: "Earlier conversations" in text_of(app.screen))

    run_screen(body)


def test_every_key_with_a_name_has_an_id_of_its_own_so_that_it_can_be_changed(home: Path) -> None:
    seen: list[str] = []
    for node in (TuiGpt, *(tab.load() for tab in TABS)):
        for owner in (owner for owner in node.__mro__ if owner.__module__.startswith("tui_gpt.")):
            for binding in vars(owner).get("BINDINGS", ()):
                assert isinstance(binding, Binding)
                assert binding.id or not binding.description, f"{owner.__name__}: {binding.key} has no id"
                seen += [binding.id] if binding.id else []
    assert {"app.help", "app.quit", "app.start"} <= set(seen)
    assert len(seen) == len(set(seen)), "two bindings with one id"


def test_a_key_from_config_toml_replaces_the_one_that_was(home: Path) -> None:
    settings_file().write_text('[keys]\n"app.models" = "ctrl+b"\n')

    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        app.screen.set_focus(None)
        await pilot.press("3")
        assert _shown(app) == "configure"
        await pilot.press("ctrl+b")
        await until(pilot, lambda: _shown(app) == "models")

    run_screen(body)


def test_a_config_toml_that_cannot_be_read_is_told_and_the_defaults_hold(home: Path) -> None:
    settings_file().write_text("theme = 7\n")

    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: any("the defaults are used" in n.message for n in app._notifications))
        assert any(str(settings_file()) in n.message for n in app._notifications)

    run_screen(body)


def test_tab_and_theme_are_found_again_at_the_next_start(home: Path) -> None:
    async def change(app: TuiGpt, pilot: Pilot[Any]) -> None:
        app.theme = "textual-light"
        await app.show_tab("models")
        await pilot.press("ctrl+q")
        await until(pilot, lambda: app._exit)

    run_screen(change)

    async def look(app: TuiGpt, pilot: Pilot[Any]) -> None:
        assert app.theme == "textual-light"
        assert _shown(app) == "models"

    run_screen(look)


_DAMAGED = [b"", b"{", b'{"tab": 7}', b'{"tab": "nowhere", "theme": "none such"}', b"\xff\xfe"]


@pytest.mark.parametrize("content", _DAMAGED)
def test_a_damaged_memory_costs_only_comfort(home: Path, content: bytes) -> None:
    memory_file().write_bytes(content)

    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        assert _shown(app) == "configure"

    run_screen(body)


def test_the_palette_has_every_action_of_the_app_and_of_its_tabs(home: Path) -> None:
    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        offered = [command.title for command in app.get_system_commands(app.screen)]
        for binding in TuiGpt.BINDINGS:
            assert isinstance(binding, Binding)
            assert binding.description in offered
        for tab in TABS:
            for bound in tab.load().BINDINGS:
                assert isinstance(bound, Binding)
                if bound.description and bound.id:
                    assert f"{tab.title}: {bound.description}" in offered
        assert len(offered) == len(set(offered)), "two entries with one name"

    run_screen(body)


def test_an_error_nobody_foresaw_goes_to_a_file_and_the_terminal_gets_a_sentence(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = TuiGpt()

    async def body() -> None:
        async with app.run_test(size=(100, 30)) as pilot:
            await until(pilot, lambda: app.tab is not None)

            def break_down() -> None:
                raise RuntimeError("a \x1b[31mred\x1b[0m error")

            app.call_later(break_down)
            await until(pilot, lambda: app._exit or app._exception is not None)

    with pytest.raises(RuntimeError, match="red"):
        asyncio.run(body())
    assert app.crash == home / "errors.log"
    assert "RuntimeError" in app.crash.read_text()
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    assert "\x1b[31mred" not in said.out + said.err


def test_a_choice_is_made_with_the_keyboard_and_escape_leaves_it(home: Path) -> None:
    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        answers: list[str | None] = []
        question = ("Really?", "Nothing [b]here[/b] is \x1b]52;markup.", [Answer("a", "First"), Answer("b", "Second")])
        app.push_screen(ChoiceDialog(*question), answers.append)
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        await until(pilot, lambda: "[b]here[/b] is ␛]52;markup." in text_of(app.screen))
        await pilot.press("right", "enter")
        await until(pilot, lambda: answers == ["b"])
        app.push_screen(ChoiceDialog(*question), answers.append)
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        await pilot.press("escape")
        await until(pilot, lambda: answers == ["b", None])

    run_screen(body)


def test_what_loses_something_is_not_what_enter_does(home: Path) -> None:
    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        answers: list[str | None] = []
        app.push_screen(confirm("Delete it?", "It is gone then.", "Delete"), answers.append)
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog) and app.focused is not None)
        await pilot.press("enter")
        await until(pilot, lambda: answers == ["no"])

    run_screen(body)


def test_a_name_is_checked_while_it_is_typed(home: Path) -> None:
    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        answers: list[str | None] = []
        dialog = AskText("Save", "Under which name?", "bard", check=name_check("model name", {"bard"}.__contains__))
        app.push_screen(dialog, answers.append)
        await until(pilot, lambda: isinstance(app.screen, AskText))
        await until(pilot, lambda: "there is one named bard already" in text_of(app.screen))
        await pilot.press("enter")
        assert not answers
        await pilot.press("end", "/")
        await until(pilot, lambda: "may hold only letters" in text_of(app.screen))
        await pilot.press("backspace", "2", "enter")
        await until(pilot, lambda: answers == ["bard2"])

    run_screen(body)
