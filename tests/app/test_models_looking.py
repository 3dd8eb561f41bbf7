"""The Models tab shows the library as it lies on the disk, and what is known about the model under the cursor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from models_scene import add, asked, choose, chosen, details, names, run_models, unwrapped
from notifications import hears, told
from screen import text_of, until
from textual.pilot import Pilot

from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.model_record import CorpusRecord, SampleRecord, TokenizerRecord
from tui_gpt.ui.dialogs.explanation import ExplanationDialog
from tui_gpt.ui.models.details import ModelDetails
from tui_gpt.ui.models.note_dialog import NoteArea, NoteDialog
from tui_gpt.ui.models.table import ModelTable
from tui_gpt.ui.tabs.models import ModelsTab

EVIL = "a\x1b]52;c;QUJD\x07b\x9b2Jc\u202ed [bold]e[/b] [@click=app.quit]f[/]"


@pytest.fixture
def no_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui_gpt.core.locations.example_models_dir", lambda: None)


@pytest.mark.usefixtures("every_example")
def test_at_the_first_start_the_examples_are_there_with_all_that_is_known_about_them_and_a_path_to_copy() -> None:
    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        assert names(tab) == ["python", "shakespeare", "stories"]
        await choose(tab, pilot, "stories")
        shown = text_of(tab.app.screen)
        assert "stories  example" in shown
        assert "936 k" in shown
        for known in ("935,552", "bpe, 1,024 tokens", "6,000", "24,576,000", "0.2504", "0.1162", "The map led", "muon"):
            assert known in details(tab), known
        assert "model.safetensors" in details(tab)
        folder = tab.gpt.models.get("stories").folder
        assert str(folder) in unwrapped(tab).replace(" ", "")
        await pilot.press("y")
        assert tab.app.clipboard == str(folder)
        assert folder.is_dir()
        await hears(pilot, "copied ")

    run_models(body)


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

    run_models(body, size=size)


def test_the_details_are_wrapped_anew_when_the_window_changes(home: Path) -> None:
    add("bard", notes="words " * 60)

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        pane = tab.query_one(ModelDetails)

        def lines_fill_the_pane() -> bool:
            lines = details(tab).split("\n")
            notes = max(len(line) for line in lines if line.startswith("words"))
            return max(map(len, lines)) <= pane.scrollable_content_region.width <= notes + len(" words")

        for size in ((80, 24), (200, 60), (100, 30)):
            await pilot.resize_terminal(*size)
            await until(pilot, lines_fill_the_pane)
            assert tab.has_class("-wide") == (size[0] >= 100)

    run_models(body)


def test_an_empty_library_says_how_to_get_a_model(home: Path, no_examples: None) -> None:
    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        assert "No model yet" in text_of(tab.app.screen)
        assert "ctrl+s" in text_of(tab.app.screen)
        await tab.run_action("fork")
        await pilot.pause()
        assert told(tab.app) == ""
        tab.app.screen.set_focus(None)
        add("first")
        await until(pilot, lambda: names(tab) == ["first"])
        await until(pilot, lambda: isinstance(tab.app.focused, ModelTable))

    run_models(body)


def test_a_library_that_cannot_be_read_is_told_in_its_place(home: Path, no_examples: None) -> None:
    (home / "models").write_text("no folder")

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        assert "is no folder, so there can be no library in it" in text_of(tab.app.screen).replace("\n", " ")

    run_models(body, size=(200, 60))


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

    run_models(body)


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

    run_models(body, size=(200, 60))


def test_very_long_notes_and_samples_are_shortened(home: Path) -> None:
    add("bard", notes="n" * 100_000, sample=SampleRecord(text="s" * 100_000))

    async def body(tab: ModelsTab, pilot: Pilot[Any]) -> None:
        await choose(tab, pilot, "bard")
        assert details(tab).count("96,000 more characters") == 2

    run_models(body)


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

    run_models(body)
