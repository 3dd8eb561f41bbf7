"""The Models tab shows the library as it lies on the disk, and does with it what its keys promise."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from screen import run_screen, text_of, until
from textual import events
from textual.pilot import Pilot
from textual.widgets import Button, Input

from tui_gpt.core.config import RunConfig, TrainConfig, to_dict
from tui_gpt.core.model_handler import ModelEntry, ModelHandler
from tui_gpt.core.model_record import CorpusRecord, ModelRecord, SampleRecord, TokenizerRecord
from tui_gpt.ui.app import TuiGpt
from tui_gpt.ui.dialogs.ask_text import AskText
from tui_gpt.ui.dialogs.choice import ChoiceDialog
from tui_gpt.ui.dialogs.explanation import ExplanationDialog
from tui_gpt.ui.models.details import ModelDetails
from tui_gpt.ui.models.note_dialog import NoteArea, NoteDialog
from tui_gpt.ui.models.table import ModelTable
from tui_gpt.ui.session_client import Session
from tui_gpt.ui.tabs import TABS
from tui_gpt.ui.tabs.models import ModelsTab

RECORD = ModelRecord(
    name="anything",
    family="gpt2",
    n_parameters=1_803_840,
    config=to_dict(RunConfig(train=TrainConfig(max_minutes=3.0))),
    tokenizer=TokenizerRecord(kind="bpe", vocab_size=1024),
    corpus=CorpusRecord(source="fables.txt", sha256="ab" * 32),
    steps=592,
    tokens_seen=2_424_832,
    seconds=170.2,
    device="cpu",
    train_loss=1.41,
    val_loss=1.53,
    best_val_loss=1.52,
    bits_per_byte=2.2,
    sample=SampleRecord(text=" there was a fox.", prompt="Once", seed=7),
)
EVIL = "a\x1b]52;c;QUJD\x07b\x9b2Jc\u202ed [bold]e[/b] [@click=app.quit]f[/]"
Body = Callable[[ModelsTab, Pilot[Any]], Awaitable[None]]


def write(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    (folder / "model.safetensors").write_bytes(b"weights")


def add(name: str, **facts: Any) -> ModelEntry:
    return ModelHandler().save(name, write, msgspec.structs.replace(RECORD, **facts))


def look(body: Body, *, size: tuple[int, int] = (120, 40), app: TuiGpt | None = None) -> TuiGpt:
    """Run the app with the Models tab before it, once the library has been read."""

    app = app or TuiGpt()
    app.memory.tab = "models"

    async def run(screen: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = screen.tab
        assert isinstance(tab, ModelsTab)
        if not isinstance(screen.focused, ModelTable):
            tab.focus_first()
        await until(pilot, lambda: tab.query_one(ModelTable).row_count or tab.has_class("-none"))
        await until(pilot, lambda: isinstance(screen.focused, ModelTable) or tab.has_class("-none"))
        await body(tab, pilot)

    return run_screen(run, size=size, app=app)


def names(tab: ModelsTab) -> list[str]:
    return [str(key.value) for key in tab.query_one(ModelTable).rows]


def chosen(tab: ModelsTab) -> str | None:
    row = tab.query_one(ModelTable).chosen
    return row.name if row else None


def details(tab: ModelsTab) -> str:
    """All of them, those out of sight too."""
    return str(tab.query_one(ModelDetails).query_one("Static").render())


def unwrapped(tab: ModelsTab) -> str:
    """The details with each fact on one line."""
    return re.sub(r"\n {15}", " ", details(tab))


async def choose(tab: ModelsTab, pilot: Pilot[Any], name: str) -> None:
    """Walk to a model with the arrow keys."""
    await pilot.press("home")
    while chosen(tab) != name:
        await pilot.press("down")
    await until(pilot, lambda: details(tab).startswith(name))


def told(tab: ModelsTab) -> list[str]:
    return [note.message for note in tab.app._notifications]


async def hears(tab: ModelsTab, pilot: Pilot[Any], words: str) -> None:
    await until(pilot, lambda: any(words in sentence for sentence in told(tab)))


async def asked(tab: ModelsTab, pilot: Pilot[Any], kind: type[Any]) -> Any:
    await until(pilot, lambda: isinstance(tab.app.screen, kind))
    await pilot.pause()
    return tab.app.screen


@pytest.fixture(autouse=True)
def _without_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here needs the process that loads models."""

    async def start(session: Session) -> None:
        pass

    monkeypatch.setattr(Session, "start", start)


@pytest.fixture
def no_examples(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("tui_gpt.core.locations.example_models_dir", lambda: None)
    yield


def test_the_example_and_all_that_is_known_about_it_is_there_at_the_first_start(home: Path) -> None:
    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        assert names(tab) == ["stories"]
        shown = text_of(tab.app.screen)
        assert "stories  example" in shown
        assert "936 k" in shown
        for known in ("935,552", "bpe, 1,024 tokens", "6,000", "24,576,000", "0.2504", "0.1162", "The map led", "muon"):
            assert known in details(tab), known
        assert "model.safetensors" in details(tab)
        assert str(tab.gpt.models.get("stories").folder) in unwrapped(tab).replace(" ", "")

    look(body)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_names_losses_and_details_are_seen_at_every_size(home: Path, size: tuple[int, int]) -> None:
    for number in range(30):
        add(f"model-{number:02}", best_val_loss=1 + number / 100)

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "1.0000" in text_of(tab.query_one(ModelTable)))
        assert "model-00" in text_of(tab.query_one(ModelTable))
        assert "best val loss" in text_of(tab.query_one(ModelDetails))
        await pilot.press("end")
        await until(pilot, lambda: "stories" in text_of(tab.query_one(ModelTable)))
        assert not tab.query_one(ModelTable).show_horizontal_scrollbar

    look(body, size=size)


def test_the_details_are_wrapped_anew_when_the_window_changes(home: Path) -> None:
    add("bard", notes="words " * 60)

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        for size in ((80, 24), (200, 60), (100, 30)):
            await pilot.resize_terminal(*size)
            pane = tab.query_one(ModelDetails)
            await until(
                pilot,
                lambda pane=pane: max(map(len, details(tab).split("\n"))) <= pane.scrollable_content_region.width,
            )
            assert tab.has_class("-wide") == (size[0] >= 100)

    look(body)


def test_an_empty_library_says_how_to_get_a_model(home: Path, no_examples: None) -> None:
    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        assert "No model yet" in text_of(tab.app.screen)
        assert "ctrl+s" in text_of(tab.app.screen)
        await tab.run_action("fork")
        assert told(tab) == []
        tab.app.screen.set_focus(None)
        add("first")
        await until(pilot, lambda: names(tab) == ["first"])
        await until(pilot, lambda: isinstance(tab.app.focused, ModelTable))

    look(body)


def test_a_library_that_cannot_be_read_is_told_in_its_place(home: Path, no_examples: None) -> None:
    (home / "models").write_text("no folder")

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        assert "is no folder, so there can be no library in it" in text_of(tab.app.screen).replace("\n", " ")

    look(body, size=(200, 60))


def test_the_list_follows_the_disk_and_the_cursor_stays_on_its_model(home: Path) -> None:
    add("middle")

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await choose(tab, pilot, "middle")
        add("early")
        await until(pilot, lambda: names(tab) == ["early", "middle", "stories"])
        assert chosen(tab) == "middle"
        ModelHandler().note("middle", "said by another process")
        await until(pilot, lambda: "said by another process" in details(tab))
        ModelHandler().delete("middle")
        await until(pilot, lambda: names(tab) == ["early", "stories"])
        await until(pilot, lambda: chosen(tab) == "stories")

    look(body)


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

    look(body)


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

    look(body)


def test_a_fork_is_a_copy_under_the_name_that_was_typed(home: Path) -> None:
    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await pilot.press("f")
        dialog = await asked(tab, pilot, AskText)
        assert dialog.query_one(Input).value == "stories-copy"
        dialog.query_one(Input).value = "stories"
        await until(pilot, lambda: "there is one named stories already" in text_of(tab.app.screen))
        dialog.query_one(Input).value = "mine"
        await pilot.press("enter")
        await hears(tab, pilot, "mine is a copy of stories")
        assert names(tab) == ["mine", "stories"]
        assert chosen(tab) == "mine"
        assert "parent         stories" in details(tab)

    look(body)
    assert ModelHandler().verify("mine") == []


def test_a_model_is_renamed_and_the_cursor_goes_with_it(home: Path) -> None:
    add("bard")

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await choose(tab, pilot, "bard")
        await pilot.press("n")
        dialog = await asked(tab, pilot, AskText)
        dialog.query_one(Input).value = "zoo"
        await pilot.press("enter")
        await hears(tab, pilot, "bard is now zoo")
        assert names(tab) == ["stories", "zoo"]
        assert chosen(tab) == "zoo"

    look(body)


def test_notes_are_written_read_again_and_taken_back(home: Path) -> None:
    add("bard")

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await choose(tab, pilot, "bard")
        await pilot.press("m")
        await asked(tab, pilot, NoteDialog)
        await pilot.press(*"one", "enter", *"two", "ctrl+s")
        await hears(tab, pilot, "bard: noted")
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

    look(body)


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
        await hears(tab, pilot, "bard is deleted")
        assert names(tab) == ["fox", "stories"]
        assert chosen(tab) == "fox"

    look(body)


def test_an_example_is_not_changed_and_a_fork_is_offered(home: Path) -> None:
    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        for key in "nmd":
            tab.app.clear_notifications()
            await until(pilot, lambda: not told(tab))
            await pilot.press(key)
            await hears(tab, pilot, "stories is an example that comes with the program and stays as it is; press f")

    look(body)


def test_verifying_names_every_difference_or_says_that_there_is_none(home: Path) -> None:
    entry = add("bard")

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await choose(tab, pilot, "bard")
        await pilot.press("v")
        await hears(tab, pilot, "bard: all 3 files are as they were saved")
        await until(pilot, lambda: "verified       all 3 files are as they were saved" in unwrapped(tab))
        (entry.folder / "model.safetensors").write_bytes(b"Weights")
        (entry.folder / "README.md").unlink()
        await pilot.press("v")
        await asked(tab, pilot, ExplanationDialog)
        shown = " ".join(text_of(tab.app.screen).split())
        assert "2 differences from what was saved" in shown
        assert "README.md is missing" in shown
        assert "is damaged" in shown

    look(body)


def test_a_model_made_elsewhere_shows_its_configuration_and_is_verified_as_far_as_possible(home: Path) -> None:
    folder = home / "models" / "foreign"
    folder.mkdir(parents=True)
    write(folder)

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await choose(tab, pilot, "foreign")
        assert "Made elsewhere" in details(tab)
        assert "model_type     gpt2" in details(tab)
        await pilot.press("v")
        await hears(tab, pilot, "there are no hashes to compare with")
        await pilot.press("m")
        await hears(tab, pilot, "has no record that could hold notes")

    look(body)


def test_a_damaged_model_is_listed_with_its_problem_and_can_only_be_renamed_and_deleted(home: Path) -> None:
    entry = add("broken")
    (entry.folder / "tui_gpt.json").write_text("{")

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await choose(tab, pilot, "broken")
        assert "broken  damaged" in text_of(tab.query_one(ModelTable))
        assert "is damaged (Input data was truncated)" in details(tab).replace("\n", " ")
        for key in ("t", "enter", "c", "f", "m"):
            tab.app.clear_notifications()
            await until(pilot, lambda: not told(tab))
            await pilot.press(key)
            await hears(tab, pilot, "broken cannot be used: ")
        await pilot.press("n")
        dialog = await asked(tab, pilot, AskText)
        dialog.query_one(Input).value = "worse"
        await pilot.press("enter")
        await until(pilot, lambda: names(tab) == ["stories", "worse"])
        await pilot.press("d")
        dialog = await asked(tab, pilot, ChoiceDialog)
        dialog.query_one("#answer-yes", Button).press()
        await until(pilot, lambda: names(tab) == ["stories"])

    look(body)


def test_a_failure_is_a_sentence_and_the_list_is_read_again(home: Path) -> None:
    add("bard")

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await choose(tab, pilot, "bard")
        await pilot.press("d")
        dialog = await asked(tab, pilot, ChoiceDialog)
        shutil.rmtree(home / "models" / "bard")
        dialog.query_one("#answer-yes", Button).press()
        await hears(tab, pilot, "there is no model named bard")
        await until(pilot, lambda: names(tab) == ["stories"])

    look(body)


def test_the_path_of_the_folder_is_copied(home: Path) -> None:
    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await pilot.press("y")
        assert tab.app.clipboard == str(tab.gpt.models.get("stories").folder)
        assert Path(tab.app.clipboard).is_dir()
        await hears(tab, pilot, "copied ")

    look(body)


def test_foreign_text_in_a_record_reaches_the_screen_neither_raw_nor_as_markup(home: Path) -> None:
    add(
        "bard",
        notes=EVIL,
        corpus=CorpusRecord(source=EVIL, sha256="ab" * 32),
        family=EVIL,
        device=EVIL,
        parent=EVIL,
        license=EVIL,
        tokenizer=TokenizerRecord(kind=EVIL, vocab_size=3),
        created=EVIL,
        sample=SampleRecord(text=EVIL, prompt=EVIL),
        config={EVIL: {EVIL: EVIL}},
    )
    (home / "models" / f"odd {EVIL[:20]}").mkdir()
    (home / "models" / "link\x1b[2J").symlink_to(home)
    (home / "models" / "bard" / f"file {EVIL[:20]}").touch()

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        for name in names(tab):
            await choose(tab, pilot, name) if name.isprintable() else await pilot.press("down")
            await pilot.pause()
            for text in (text_of(tab.app.screen), details(tab)):
                assert not set(text) & set("\x1b\x07\x9b\u202e")
        await choose(tab, pilot, "bard")
        assert "[@click=app.quit]f[/]" in details(tab)
        await pilot.press("m")
        dialog = await asked(tab, pilot, NoteDialog)
        assert not set(dialog.query_one(NoteArea).text) & set("\x1b\x07\x9b\u202e")

    look(body, size=(200, 60))


def test_very_long_notes_and_samples_are_shortened(home: Path) -> None:
    add("bard", notes="n" * 100_000, sample=SampleRecord(text="s" * 100_000))

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await choose(tab, pilot, "bard")
        assert details(tab).count("96,000 more characters") == 2

    look(body)


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

    look(first)
    look(second)


def test_a_damaged_memory_is_passed_over(home: Path) -> None:
    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        for remembered in ({"model": 3, "sort": "no such", "reversed": "x"}, {"sort": ["name"]}, {"sort": None}, {}):
            tab.recall(remembered)
            await pilot.pause()
            assert "by name" in text_of(tab.app.screen)
            assert names(tab) == ["stories"]

    look(body)


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

    look(body)


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

    look(body)


def test_enter_and_a_second_click_talk_and_the_first_click_chooses(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str | None] = []
    monkeypatch.setattr(ModelsTab, "action_talk", lambda tab: opened.append(chosen(tab)))
    add("bard")

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await pilot.click(ModelTable, offset=(3, 1))
        await pilot.pause(0.6)
        await pilot.click(ModelTable, offset=(3, 2))
        await until(pilot, lambda: chosen(tab) == "stories")
        assert opened == []
        await pilot.press("enter")
        await until(pilot, lambda: opened == ["stories"])
        await pilot.click(ModelTable, offset=(3, 1), times=2)
        await until(pilot, lambda: opened == ["stories", "bard"])

    look(body)


def test_the_tab_and_its_details_explain_themselves(home: Path) -> None:
    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await pilot.press("f1")
        await asked(tab, pilot, ExplanationDialog)
        assert "Examples are read-only" in " ".join(text_of(tab.app.screen).split())
        await pilot.press("escape")
        tab.query_one(ModelDetails).focus()
        await pilot.press("f1")
        await asked(tab, pilot, ExplanationDialog)
        assert "nats per token" in " ".join(text_of(tab.app.screen).split())

    look(body)
