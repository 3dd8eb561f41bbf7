"""The Configure tab: every field can be set and says what is wrong with it, presets, the start, what is remembered."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from screen import run_screen, text_of, until
from textual.pilot import Pilot

from tui_gpt.core.config import RunConfig
from tui_gpt.core.config_loading import FieldDoc, build_config, field_docs, to_toml
from tui_gpt.core.presets import PRESETS, preset_config
from tui_gpt.ui.app import TuiGpt
from tui_gpt.ui.configure.editors import ChoiceField, TextField
from tui_gpt.ui.configure.field_row import FieldRow, explanation_of
from tui_gpt.ui.configure.form_state import FormState, Origin, texts_of
from tui_gpt.ui.configure.groups import ENDS
from tui_gpt.ui.configure.presets_pane import PresetsPane
from tui_gpt.ui.configure.typed_text import escaped, parsed, typed, unescaped
from tui_gpt.ui.session_client import Session
from tui_gpt.ui.tabs.configure import ConfigureTab


@pytest.fixture(autouse=True)
def _no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that never answers: the form must not need it, and each one would load torch for nothing."""

    async def forever(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Session, "start", forever)
    monkeypatch.setattr(Session, "request", forever)


class Starts(TuiGpt):
    """The app, which writes down what it was told to start."""

    CSS_PATH = Path(inspect.getfile(TuiGpt)).parent / "frame.tcss"

    def __init__(self, corpus: str | None = None) -> None:
        super().__init__(corpus)
        self.started: list[tuple[RunConfig, str | None, str | None]] = []

    def start_run(self, config: RunConfig, name: str | None = None, origin: str | None = None) -> None:
        self.started.append((config, name, origin))


async def soon(condition: Callable[[], Any]) -> None:
    """Wait without asking every widget whether it is idle, which for a form of this size takes long."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.005)


async def opened(app: TuiGpt, pilot: Pilot[Any]) -> ConfigureTab:
    """The tab with its whole form, and the focus on its button."""
    tab = await app.show_tab("configure")
    assert isinstance(tab, ConfigureTab)
    await until(pilot, lambda: tab.form.whole)
    tab.focus_first()
    await until(pilot, lambda: app.focused is not None and app.focused.id == "start")
    return tab


async def type_into(pilot: Pilot[Any], tab: ConfigureTab, path: str, text: str) -> FieldRow:
    row = tab.form.rows[path]
    editor = row.editor
    if isinstance(editor, TextField):
        editor.value = text
    else:
        for _ in editor.choices:
            if editor.value != text:
                editor.action_choose(1)
    await soon(lambda: tab.state.texts[path] == text)
    return row


def valid(doc: FieldDoc) -> str:
    """Something else than the preset has, within bounds."""
    if doc.path in SPECIAL:
        return SPECIAL[doc.path][0]
    if doc.type == "number":
        low = doc.minimum or 0.0
        return typed(doc, min(low + 0.05, ((doc.maximum or 1.0) + low) / 2))
    return str(int(doc.minimum or 0) + 3)


def invalid(doc: FieldDoc) -> str:
    if doc.path in SPECIAL:
        return SPECIAL[doc.path][1]
    if doc.maximum is not None and doc.path.endswith(("dropout", "epochs", "minutes", "steps")):
        return typed(doc, doc.maximum * 2 + 1)
    return "many"


SPECIAL = {
    "model.n_embd": ("96", "many"),
    "data.corpus": ("python", ""),
    "data.mix": ('["python-docs=0.25"]', '["python-docs=2"]'),
    "data.encoding": ("latin-1", ""),
    "data.column": ("body", "x" * 201),
    "data.separator": ("|", "x" * 201),
    "train.sample_prompt": (r"Once\n", ""),
    "train.device": ("cpu", "toaster"),
    "model.head_dim": ("32", "33"),
    "model.n_head": ("4", "5"),
    "model.n_kv_head": ("1", "2"),
    "train.grad_accumulation_steps": ("4", "3"),
    "sample.stop": (r'["\n"]', "["),
}


def test_every_field_of_the_configuration_takes_a_valid_value_and_says_what_is_wrong_with_another(home: Path) -> None:
    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await opened(app, pilot)
        assert set(tab.form.rows) == {"name", *(doc.path for doc in field_docs())}
        for doc in field_docs():
            row = tab.form.rows[doc.path]
            if isinstance(row.editor, ChoiceField):
                for choice in row.editor.choices:
                    await type_into(pilot, tab, doc.path, choice)
                    assert not row.problem
                await type_into(pilot, tab, doc.path, tab.state.base[doc.path])
                continue
            # Adapters need a model that they adapt.
            tab.state.origin = Origin("bard", shape_known=True) if doc.path == "train.lora_rank" else None
            wrong = invalid(doc)
            if wrong or doc.path != "train.sample_prompt":
                await type_into(pilot, tab, doc.path, wrong)
                await soon(lambda row=row: row.problem)
                assert doc.path not in row.problem
            good = valid(doc)
            await type_into(pilot, tab, doc.path, good)
            await soon(lambda row=row: not row.problem)
            assert tab.state.problems() == {}, doc.path
            section, _, name = doc.path.partition(".")
            value = getattr(getattr(tab.state.nearest_config(), section), name)
            assert value == (tuple(v) if isinstance(v := parsed(doc, good), list) else v), doc.path
            await type_into(pilot, tab, doc.path, tab.state.base[doc.path])
            if doc.path in ENDS:
                await type_into(pilot, tab, "train.max_minutes", "3")
        assert tab.config() == preset_config("quick")

    run_screen(body)


def test_an_error_stands_below_its_field_in_words_and_the_start_leads_to_it(home: Path) -> None:
    app = Starts()

    async def body(_: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await opened(app, pilot)
        await type_into(pilot, tab, "train.batch_size", "0")
        await type_into(pilot, tab, "model.n_head", "5")
        await until(pilot, lambda: "5 heads do not divide n_embd = 192" in text_of(app.screen))
        await until(pilot, lambda: "✗ to be put right: model.n_head and 1 more" in text_of(app.screen))
        tab.focus_first()
        tab.start()
        await until(pilot, lambda: tab.form.rows["model.n_head"].editor.has_focus)
        assert app.started == []
        await type_into(pilot, tab, "model.n_head", "6")
        tab.start()
        await until(pilot, lambda: tab.form.rows["train.batch_size"].editor.has_focus)
        await type_into(pilot, tab, "train.batch_size", "8")
        await pilot.press("f5")
        await until(pilot, lambda: app.started)
        config, name, origin = app.started[0]
        assert (config.model.n_head, config.train.batch_size, name, origin) == (6, 8, None, None)

    run_screen(body, app=app)


def test_enter_starts_what_the_form_says_from_the_first_moment_on(home: Path) -> None:
    app = Starts()

    async def body(_: TuiGpt, pilot: Pilot[Any]) -> None:
        await opened(app, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: app.started)
        assert app.started[0][0] == preset_config("quick")

    run_screen(body, app=app)


def test_a_corpus_that_is_not_there_and_a_bad_name_are_refused_where_they_stand(home: Path) -> None:
    app = Starts()

    async def body(_: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await opened(app, pilot)
        await type_into(pilot, tab, "name", "a b")
        tab.start()
        await until(pilot, lambda: tab.form.rows["name"].editor.has_focus)
        await type_into(pilot, tab, "name", "bard")
        await type_into(pilot, tab, "data.corpus", str(home / "nothing.txt"))
        tab.start()
        await until(pilot, lambda: tab.form.rows["data.corpus"].editor.has_focus)
        assert app.started == []
        await type_into(pilot, tab, "data.corpus", "python")
        tab.start()
        await until(pilot, lambda: app.started)
        assert app.started[0][1] == "bard"

    run_screen(body, app=app)


def test_one_way_to_end_a_run_empties_the_others(home: Path) -> None:
    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await opened(app, pilot)
        assert tab.form.focus_field("train.max_steps")
        await pilot.press("5", "0")
        minutes = tab.form.rows["train.max_minutes"].editor
        await until(pilot, lambda: minutes.value == "")
        assert tab.config().train.max_steps == 50
        await pilot.press("up", "7")
        await until(pilot, lambda: tab.form.rows["train.max_steps"].editor.value == "")
        assert tab.config().train.max_minutes == 7.0

    run_screen(body)


def test_a_preset_fills_the_form_and_ctrl_z_brings_the_former_one_back(home: Path) -> None:
    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await opened(app, pilot)
        await type_into(pilot, tab, "model.n_layer", "3")
        await type_into(pilot, tab, "data.corpus", "python")
        assert tab.form.rows["model.n_layer"].preset_text == "4"
        presets = tab.query_one(PresetsPane).query_one("#presets")
        presets.focus()
        for name in PRESETS:
            if name == "gpt2":
                break
            await pilot.press("down")
        await pilot.press("enter")
        await until(pilot, lambda: tab.state.preset == "gpt2")
        await until(pilot, lambda: tab.weights and tab.weights.published == "gpt2" and not tab.weights.assumed)
        shown = tab.config()
        assert shown == build_config(("", PRESETS["gpt2"].tree), ("", {"data": {"corpus": "python"}}))
        assert tab.state.changed() == {}
        assert all(field.equal for field in tab.weights.comparison)
        await until(pilot, lambda: "10 of 10" in text_of(app.screen))
        assert text_of(app.screen).count("✓") >= 10
        await pilot.press("ctrl+z")
        await until(pilot, lambda: tab.state.preset == "quick")
        assert tab.state.texts["model.n_layer"] == "3"
        assert tab.form.rows["model.n_layer"].editor.value == "3"

    run_screen(body)


def test_every_field_and_pane_is_reached_with_the_keyboard_and_seen_in_the_smallest_window(home: Path) -> None:
    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await opened(app, pilot)
        seen: list[str] = []
        await pilot.press("tab", "tab", "tab")
        for _ in tab.form.rows:
            row = tab.form.current
            assert row is not None
            await soon(lambda row=row: row.editor.region.height and tab.region.contains_region(row.editor.region))
            seen.append(row.path)
            app.simulate_key("down")
            await soon(lambda row=row: not row.editor.has_focus or len(seen) == len(tab.form.rows))
        assert seen == list(tab.form.rows)
        await pilot.press("escape")
        ids = []
        for _ in range(5):
            await pilot.press("shift+tab")
            assert app.focused is not None
            ids.append(app.focused.id)
            await until(pilot, lambda: app.focused and app.focused.region.height > 0)
        assert {"token-line", "facts", "corpora", "presets"} <= set(ids)
        # The figures take the place of the left column's lists again, and scroll.
        tab.query_one("#figures-pane").focus()
        await until(pilot, lambda: "Parameters" in text_of(app.screen))
        await pilot.press("end")
        await until(pilot, lambda: "≠ 124 M" in text_of(app.screen))

    run_screen(body, size=(80, 24))


def test_f1_explains_a_field_as_the_command_line_calls_it(home: Path) -> None:
    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await opened(app, pilot)
        tab.form.focus_field("train.learning_rate")
        await pilot.press("f1")
        await until(pilot, lambda: "--set train.learning_rate=0.001" in text_of(app.screen))
        assert "0 to 10" in text_of(app.screen)

    run_screen(body)
    for doc in field_docs():
        explained = explanation_of(doc)
        assert doc.description in explained.text and doc.path in explained.text


def test_the_form_is_found_again_at_the_next_start(home: Path) -> None:
    async def first(app: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await opened(app, pilot)
        tab.state.choose_preset("tiny")
        tab.form.put_all()
        await type_into(pilot, tab, "model.n_layer", "many")
        await type_into(pilot, tab, "train.batch_size", "4")
        await type_into(pilot, tab, "data.corpus", "python-docs")
        await type_into(pilot, tab, "name", "again")
        kept.update(tab.remember())

    async def second(app: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await opened(app, pilot)
        assert tab.state.preset == "tiny"
        assert tab.state.changed() == {"model.n_layer": "many", "train.batch_size": "4"}
        assert tab.form.rows["model.n_layer"].problem
        assert (tab.state.name, tab.form.rows["data.corpus"].editor.value) == ("again", "python-docs")

    kept: dict[str, Any] = {}
    run_screen(first)
    again = TuiGpt()
    again.memory.tabs["configure"] = kept
    run_screen(second, app=again)


DAMAGED: list[dict[str, Any]] = [
    {"preset": "gone", "changed": {"model.gone": "1", "model.n_layer": 3}, "corpus": 5, "files": "x"},
    {"preset": None, "changed": [], "name": {}, "minutes": "soon", "calibrations": [1, {"key": "x"}]},
    {"calibrations": [{"key": "{", "flops_per_token": -1}]},
]


def test_a_damaged_memory_gives_the_default_form(home: Path) -> None:
    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await opened(app, pilot)
        for damaged in DAMAGED:
            tab.recall(damaged)
            assert tab.config() == preset_config("quick")

    run_screen(body)


def test_a_form_is_written_as_toml_and_read_again(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"

    async def body(app: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await opened(app, pilot)
        await type_into(pilot, tab, "model.n_layer", "7")
        written = tab.config()
        await pilot.press("ctrl+y")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        app.screen.query_one("#answer").value = str(path)  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(pilot, path.is_file)
        assert path.read_text(encoding="utf-8") == to_toml(written)
        tab.state.choose_preset("tiny")
        tab.form.put_all()
        await pilot.press("ctrl+l")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        app.screen.query_one("#answer").value = str(path)  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(pilot, lambda: tab.state.texts["model.n_layer"] == "7")
        assert tab.config() == written

    run_screen(body)


def test_continuing_a_model_fixes_its_shape_and_proposes_its_text(home: Path) -> None:
    app = Starts()

    async def body(_: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await opened(app, pilot)
        tab.begin_from("stories")
        await until(pilot, lambda: tab.state.origin)
        await until(pilot, lambda: "continues from the model stories" in text_of(app.screen))
        assert tab.form.rows["model.n_layer"].editor.disabled
        assert not tab.form.rows["model.dropout"].editor.disabled
        assert tab.config().model.n_embd == 128 and tab.config().data.corpus == "stories"
        tab.start()
        await until(pilot, lambda: app.started)
        assert app.started[0][2] == "stories"
        await pilot.click("#drop-origin")
        await until(pilot, lambda: not tab.form.rows["model.n_layer"].editor.disabled)
        tab.start()
        await until(pilot, lambda: len(app.started) == 2)
        assert app.started[1][2] is None

    run_screen(body, app=app)


def test_a_corpus_given_on_the_command_line_is_in_the_form(home: Path, tmp_path: Path) -> None:
    book = tmp_path / "book \x1b]0;x\x07.txt"
    book.write_text("some words of a book " * 50, encoding="utf-8")
    app = Starts(str(book))

    async def body(_: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await opened(app, pilot)
        assert "\x1b" not in tab.form.rows["data.corpus"].editor.value
        assert "\x1b" not in text_of(app.screen)
        tab.start()
        await until(pilot, lambda: app.started)
        assert app.started[0][0].data.corpus == str(book)

    run_screen(body, app=app)


def test_a_form_without_a_screen_gives_back_every_preset() -> None:
    for name in PRESETS:
        form = FormState()
        form.choose_preset(name)
        assert form.problems() == {}
        assert form.config() == preset_config(name)
        other = FormState()
        other.take(preset_config(name))
        assert other.config() == preset_config(name)
        assert texts_of(other.config()) == other.texts


@pytest.mark.parametrize(
    "text", ["a\nb", "\t", r"C:\new", r"\\", "\x1b[31m", "\u202eabc", "plain", "", "\udc80", r"\q"]
)
def test_any_text_can_be_typed_on_one_visible_line(text: str) -> None:
    assert unescaped(escaped(text)) == text
    assert escaped(text).isprintable()
