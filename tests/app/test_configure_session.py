"""The Configure tab with its real session: facts of a corpus, calibration, plans; and the tree of files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psutil
from screen import run_screen, text_of, until
from textual.pilot import Pilot
from textual.widgets import Input

from tui_gpt.core.presets import PRESETS
from tui_gpt.core.runs.ownership import read_owner
from tui_gpt.ui.app import TuiGpt
from tui_gpt.ui.configure.corpus_pane import CorpusPane
from tui_gpt.ui.configure.file_dialog import FileDialog
from tui_gpt.ui.configure.file_tree import MOST_ENTRIES, FileTree, list_folder
from tui_gpt.ui.tabs.configure import ConfigureTab

TEXT = "The cat sat on the mat. " * 100
EVIL = "evil \x1b]0;owned\x07 [b]name[@click=x].txt"


async def opened(app: TuiGpt, pilot: Pilot[Any]) -> ConfigureTab:
    tab = await app.show_tab("configure")
    assert isinstance(tab, ConfigureTab)
    await until(pilot, lambda: tab.form.whole)
    tab.focus_first()
    await until(pilot, lambda: app.focused is not None and app.focused.id == "start")
    return tab


def make_tiny(tab: ConfigureTab, corpus: Path) -> None:
    """A form whose steps take milliseconds, on a text that is read in no time."""
    tab.state.choose_preset("tiny")
    for path, text in (
        ("model.n_embd", "32"),
        ("model.n_positions", "16"),
        ("train.batch_size", "4"),
        ("train.threads", "1"),
        ("train.precision", "float32"),
        ("data.corpus", str(corpus)),
    ):
        tab.state.set(path, text)
    tab.form.put_all()


def test_facts_tokens_speed_and_a_plan_come_from_the_session(home: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "cats.txt"
    corpus.write_text(TEXT, encoding="utf-8")
    app = TuiGpt(str(corpus))

    async def body(_: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await opened(app, pilot)
        make_tiny(tab, corpus)
        data = tab.config().data
        await until(pilot, lambda: tab.exploration.data == data and tab.exploration.facts)
        facts = tab.exploration.facts
        assert facts is not None and facts.characters == len(TEXT)
        await until(pilot, lambda: f"{len(TEXT):,}" in text_of(tab.query_one(CorpusPane)))
        # 200 steps of 4 x 16 tokens
        await until(pilot, lambda: tab.weights and tab.weights.passes == 200 * 64 / facts.train_tokens)
        assert tab.weights is not None and tab.weights.config.model.vocabulary == facts.vocab_size

        tab.query_one("#token-line", Input).value = "a cat"
        tokens = tab.query_one("#tokens")
        await until(pilot, lambda: "a│·│c│a│t" in text_of(tokens) or "a│·│c│a│t" in str(tokens.render()))

        assert tab.weights.measured is None
        await pilot.press("ctrl+t")
        await until(pilot, lambda: tab.weights is not None and tab.weights.measured)
        measured = tab.weights.measured
        assert measured is not None and measured.tokens_per_second > 0
        assert tab.weights.seconds == 200 * 64 / measured.tokens_per_second
        tab.form.put("model.n_layer", "3")
        await until(pilot, lambda: tab.weights is not None and tab.weights.measured is None)
        assert tab.weights.tokens_per_second is not None  # an estimate from the other shape
        tab.form.put("model.n_layer", "2")
        await until(pilot, lambda: tab.weights is not None and tab.weights.measured == measured)
        assert tab.remember()["calibrations"]

        await pilot.press("ctrl+n")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        app.screen.query_one("#answer", Input).value = "5"
        await pilot.press("enter")
        await until(pilot, lambda: tab.state.preset == "quick" and tab.config().train.max_minutes == 5.0)
        config = tab.config()
        assert config.model.family == "qwen3" and config.train.optimizer == "muon"
        assert config.data.corpus == str(corpus) and config.data.tokenizer == "char"
        assert config.train.threads == 1
        await pilot.press("ctrl+z")
        await until(pilot, lambda: tab.state.preset == "tiny")

    run_screen(body, app=app)


def test_a_corpus_that_cannot_be_read_is_said_in_its_pane_and_another_one_replaces_it(
    home: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"\xff\xfe\x00\xd8" * 10)
    good = tmp_path / "good.txt"
    good.write_text(TEXT, encoding="utf-8")
    app = TuiGpt(str(bad))

    async def body(_: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await opened(app, pilot)
        await until(pilot, lambda: tab.exploration.problem)
        await until(pilot, lambda: "bad.txt" in text_of(tab.query_one("#corpus-facts")))
        tab.form.put("data.corpus", str(good))
        await until(pilot, lambda: tab.exploration.facts)
        assert tab.exploration.problem == ""

    run_screen(body, app=app)


def test_a_file_is_chosen_in_a_tree_that_shows_foreign_names_safely(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / "below").mkdir(parents=True)
    (folder / ".hidden.txt").write_text("x", encoding="utf-8")
    (folder / EVIL).write_text(TEXT, encoding="utf-8")
    app = TuiGpt(str(folder))

    async def body(_: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await opened(app, pilot)
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(app.screen, FileDialog))
        tree = app.screen.query_one(FileTree)
        await until(pilot, lambda: len(tree.root.children) == 2)
        shown = text_of(app.screen)
        assert "\x1b" not in shown and "[b]name[@click=x].txt" in shown and ".hidden" not in shown
        await pilot.press("full_stop")
        await until(pilot, lambda: len(tree.root.children) == 3)
        await pilot.press("backspace")
        await until(pilot, lambda: tree.folder == tmp_path and tree.root.children)
        line = app.screen.query_one("#path", Input)
        line.focus()
        line.value = str(folder / "nothing")
        await pilot.press("enter")
        await until(pilot, lambda: "there is no file or folder" in text_of(app.screen))
        line.value = str(folder)
        await pilot.press("enter")
        await until(pilot, lambda: tree.folder == folder and len(tree.root.children) == 3)
        await pilot.press("down", "down", "down", "enter")
        await until(pilot, lambda: not isinstance(app.screen, FileDialog))
        assert tab.config().data.corpus == str(folder / EVIL)
        assert tab.files[0] == str(folder / EVIL)
        await until(pilot, lambda: tab.exploration.facts and tab.exploration.facts.characters == len(TEXT))

    run_screen(body, app=app)


def test_a_folder_is_taken_as_it_stands_in_the_line(home: Path, tmp_path: Path) -> None:
    app = TuiGpt(str(tmp_path))

    async def body(_: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await opened(app, pilot)
        tab.form.put("data.corpus", "stories")
        tab.action_browse()
        await until(pilot, lambda: isinstance(app.screen, FileDialog))
        app.screen.query_one("#path", Input).value = str(tmp_path)
        await pilot.press("ctrl+o")
        await until(pilot, lambda: tab.state.texts["data.corpus"] == str(tmp_path))

    run_screen(body, app=app)


def test_a_huge_folder_is_listed_in_part_and_an_unreadable_one_says_why(tmp_path: Path) -> None:
    for number in range(MOST_ENTRIES + 5):
        (tmp_path / f"{number:05}.txt").touch()
    listing = list_folder(tmp_path, hidden=False)
    assert len(listing.entries) == MOST_ENTRIES
    assert listing.note == "5 more here; type the path above"
    assert "cannot be read" in list_folder(tmp_path / "nothing", hidden=False).note
    assert "cannot be read" in list_folder(tmp_path / "00001.txt", hidden=False).note


def test_every_preset_weighs_something_on_the_screen(home: Path) -> None:
    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await opened(app, pilot)
        for name in PRESETS:
            tab.state.choose_preset(name)
            tab.form.put_all()
            await until(
                pilot, lambda name=name: tab.weights and tab.weights.config.model.n_layer == tab.config().model.n_layer
            )
            assert tab.weights is not None and tab.weights.parameters.total > 0
            if name in ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"):
                assert tab.weights.published == name
                assert all(field.equal for field in tab.weights.comparison)

    run_screen(body)


def test_the_trainer_that_waits_takes_the_run_and_another_waits_when_that_has_ended(home: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "cats.txt"
    corpus.write_text(TEXT, encoding="utf-8")
    app = TuiGpt(str(corpus))

    async def body(_: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await opened(app, pilot)
        make_tiny(tab, corpus)
        app.stands_by = True
        waiting = await until(pilot, lambda: app.runs.standby_pid)
        await pilot.press("f5")
        await until(pilot, lambda: (run := app.board.get(app.active_run)) is not None and run.state == "running")
        owner = read_owner(app.store.open(str(app.active_run)).folder)
        assert owner is not None and owner.pid == waiting and app.runs.standby_pid is None
        await app.runs.command(str(app.active_run), "stop")
        another = await until(pilot, lambda: not app.board.alive() and app.runs.standby_pid)
        assert another != waiting
        left.append(another)

    left: list[int] = []
    run_screen(body, app=app)
    deadline = time.monotonic() + 20
    while psutil.pid_exists(left[0]):
        assert time.monotonic() < deadline, "the waiting trainer outlived the app"
        time.sleep(0.02)
