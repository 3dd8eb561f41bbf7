"""Whatever stands in a file that we read, there comes of it what it says, a sentence, or nothing: in bounded time.

The files are real ones, of a real run and a real model, with other values or other bytes put into them at random.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile_files import copied, each_value_replaced, encoded, mutated_bytes, mutated_json, trained_home, within
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from training_runs import Scene

from tui_gpt import cli
from tui_gpt.core.chat_history import Answered, ChatHistory, ChatHistoryError, Cut, Opened, Partner, Reply, Said
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.messages import ModelRef
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.runs.checkpoints import newest_intact
from tui_gpt.core.runs.commands import AckReader, CommandQueue, send
from tui_gpt.core.runs.metrics import read_all
from tui_gpt.core.runs.store import RunStore
from tui_gpt.core.settings import read_settings
from tui_gpt.engine.training.orders import answer_for_the_dead
from tui_gpt.ui.app import TuiGpt
from tui_gpt.ui.curves.history import RunHistory
from tui_gpt.ui.memory import Memory, encode_memory, read_memory
from tui_gpt.ui.models.columns import COLUMNS, CYCLE, Order, cell, columns_for, in_order
from tui_gpt.ui.models.facts import groups
from tui_gpt.ui.models.shelf import Shelf
from tui_gpt.ui.run_board import RunBoard
from tui_gpt.ui.tabs import TABS
from tui_gpt.ui.widgets.status_line import StatusLine

MORE = int(os.environ.get("TUI_GPT_FUZZ", "1"))
"""How many times the examples of a usual run."""
FEW = 8 * MORE
SECONDS = 20
"""For one example. On a quiet machine the slowest takes a tenth of one."""

unhurried: dict[str, Any] = {
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    "database": None,
    # What was found is shown as it was drawn: making it smaller takes minutes with files of this size.
    "phases": (Phase.explicit, Phase.generate),
}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_home(tmp_path_factory)


@pytest.fixture
def scene(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    scene = copied(original, tmp_path)
    monkeypatch.setenv("TUI_GPT_HOME", str(scene.home))
    return scene


def command_lines_say_so_at_worst(*lines: str) -> None:
    """Each leaves with an exit code that the manual knows, and never with an error that nobody foresaw."""
    for line in lines:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.run(line.split())
        assert code in range(7), line
        assert "an unexpected" not in err.getvalue() and "Traceback" not in err.getvalue(), f"{line}: {err.getvalue()}"
        assert code == 0 or err.getvalue().startswith("error: "), f"{line}: {err.getvalue()}"


def screen_shows_runs(home: Path) -> None:
    board = RunBoard(RunStore(home / "runs"))
    board.refresh()
    assert [run.name for run in board.runs] == ["bard"]
    line = StatusLine()
    line.run = board.get("bard")
    line._head(line.run), line._parts(line.run)


def screen_shows_models() -> None:
    rows = Shelf(ModelHandler()).read().rows
    for key in CYCLE:
        for row in in_order(rows, Order(key)):
            list(groups(row, ""))
    for width in (30, 200):
        for column, cells in columns_for(rows, width):
            for row in rows:
                cell(column, row, cells)
    assert COLUMNS


RUN_FILES = ("run.json", "status.json", "owner.json", "execution.json", "checkpoints/pointers.json", "trainer.lock")


def about_runs(scene: Scene) -> None:
    command_lines_say_so_at_worst(
        "runs list", "runs list --json", "runs show bard", "runs show bard --json", "runs log bard", "runs pause bard"
    )
    screen_shows_runs(scene.home)


def fuzz(
    path: Path, scene: Scene, look: Callable[[Scene], None], examples: int, draw: st.SearchStrategy[bytes] | None = None
) -> None:
    content = path.read_bytes()
    given_bytes = draw
    if given_bytes is None:
        given_bytes = mutated_json(content) if content.startswith(b"{") else mutated_bytes(content)

    @settings(max_examples=examples, **unhurried)
    @given(given_bytes)
    def mutate(changed: bytes) -> None:
        path.write_bytes(changed)
        with within(SECONDS):
            look(scene)

    mutate()


def write_owner(scene: Scene) -> None:
    """As a trainer leaves it that was killed."""
    from tui_gpt.core.runs.ownership import OWNER_FILE, this_process
    from tui_gpt.core.runs.records import write_record

    write_record(scene.home / "runs" / "bard" / OWNER_FILE, this_process())


@pytest.mark.parametrize("name", RUN_FILES)
def test_any_record_of_a_run_is_read_or_told(scene: Scene, name: str) -> None:
    write_owner(scene)
    fuzz(scene.home / "runs" / "bard" / name, scene, about_runs, FEW)


CHECKPOINT_FILES = ("MANIFEST.json", "config.json", "tokenizer.json", "state.json")


def find_the_newest(scene: Scene) -> None:
    found, damaged = newest_intact(scene.home / "runs" / "bard")
    assert found is not None
    assert found.step == 20 or damaged


@pytest.mark.parametrize("name", CHECKPOINT_FILES)
def test_any_file_of_a_checkpoint_costs_at_most_that_checkpoint(scene: Scene, name: str) -> None:
    fuzz(scene.home / "runs" / "bard" / "checkpoints" / "step-000020" / name, scene, find_the_newest, FEW)


def about_models(scene: Scene) -> None:
    command_lines_say_so_at_worst(
        "models list", "models list --json", "models show bard", "models show bard --json", "models verify bard"
    )
    screen_shows_models()


@pytest.mark.parametrize("name", ["tui_gpt.json", "config.json", "README.md"])
def test_any_description_of_a_model_is_shown_or_told(scene: Scene, name: str) -> None:
    fuzz(scene.home / "models" / "bard" / name, scene, about_models, FEW)


def test_any_change_to_a_record_is_survived_by_what_changes_models(scene: Scene) -> None:
    def change(scene: Scene) -> None:
        shutil.copytree(models / "bard", models / "poet")
        command_lines_say_so_at_worst("models note poet noted", "models rename poet muse", "models fork muse copy")
        for name in ("poet", "muse", "copy"):
            shutil.rmtree(models / name, ignore_errors=True)

    models = scene.home / "models"
    fuzz(models / "bard" / "tui_gpt.json", scene, change, FEW // 2)


def about_metrics(scene: Scene) -> None:
    read_all(scene.home / "runs" / "bard")
    history = RunHistory(scene.home / "runs" / "bard")
    history.poll()
    history.series("loss", 0, 100, 20)
    command_lines_say_so_at_worst("runs metrics bard", "runs follow bard")


def test_any_line_of_metrics_costs_at_most_that_line(scene: Scene) -> None:
    path = scene.home / "runs" / "bard" / "metrics-0001.jsonl"
    lines = path.read_bytes().splitlines()

    def one_line_changed(number: int) -> st.SearchStrategy[bytes]:
        changed = mutated_json(lines[number])
        return changed.map(lambda line: b"\n".join([*lines[:number], line, *lines[number + 1 :]]) + b"\n")

    anywhere = st.integers(0, len(lines) - 1).flatmap(one_line_changed)
    fuzz(path, scene, about_metrics, FEW, anywhere)


def test_any_command_is_obeyed_refused_or_left_alone(scene: Scene) -> None:
    run = scene.home / "runs" / "bard"
    path = run / "commands" / f"{send(run, 'set_lr', {'factor': 0.5})}.json"

    def obey(scene: Scene) -> None:
        shutil.rmtree(run / "acks.jsonl", ignore_errors=True)
        (run / "acks.jsonl").unlink(missing_ok=True)
        queue = CommandQueue(run)
        for command in queue.poll():
            queue.acknowledge(command, "done", "obeyed")
        assert not path.exists()
        assert len(AckReader(run).poll()) == 1

    fuzz(path, scene, obey, 3 * FEW)


def test_any_acknowledgement_is_read_or_passed_over(scene: Scene) -> None:
    run = scene.home / "runs" / "bard"
    send(run, "pause")
    queue = CommandQueue(run)
    for command in queue.poll():
        queue.acknowledge(command, "done", "it waits")

    def look(scene: Scene) -> None:
        AckReader(run).poll()
        successor = CommandQueue(run)
        successor.inherit()
        answer_for_the_dead(run, successor)

    fuzz(run / "acks.jsonl", scene, look, 3 * FEW)


def test_any_conversation_is_read_or_told(scene: Scene) -> None:
    history = ChatHistory()
    number = history.begin(ModelRef(kind="model", name="bard"))
    for event in (
        Said(said="Once"),
        Answered(replies=[Reply(text=" upon", seed=1, seconds=0.5), Reply(text=" there")]),
        Partner(model=ModelRef(kind="run", name="bard", checkpoint="best")),
        Said(said="a time", joint="\n"),
        Cut(turns=1),
        Opened(),
    ):
        history.append(number, event)
    history.add_prompt("Once")

    def look(scene: Scene) -> None:
        with contextlib.suppress(ChatHistoryError):
            for turn in history.read(number).turns:
                assert isinstance(turn.text, str)
        history.search("once time")
        history.prompts()

    content = (history.folder / f"{number}.jsonl").read_bytes()
    lines = content.splitlines()
    one_line = st.sampled_from(lines).flatmap(mutated_json).map(lambda line: b"\n".join([*lines, line]))
    fuzz(history.folder / f"{number}.jsonl", scene, look, 3 * FEW, st.one_of(one_line, mutated_bytes(content)))
    fuzz(history.folder / "prompts.jsonl", scene, look, FEW)


def test_any_app_json_is_taken_up_or_forgotten_and_can_be_written_again(scene: Scene) -> None:
    path = scene.home / "app.json"
    path.write_bytes(
        encode_memory(Memory(tab="chat", theme="nord", run="bard", tabs={"configure": {"changed": {"a": "1"}}}))
    )
    fuzz(path, scene, lambda scene: bool(encode_memory(read_memory())), 5 * FEW)


TOML = b"""theme = "nord"
animations = "basic"

[keys]
"train.pause" = "p"
"app.chat" = "f9,ctrl+t"
"""


def test_any_config_toml_is_read_or_told(scene: Scene) -> None:
    path = scene.home / "config.toml"
    path.write_bytes(TOML)

    def look(scene: Scene) -> None:
        with contextlib.suppress(ConfigError):
            read_settings()

    fuzz(path, scene, look, 5 * FEW)


# ---- every value of every field, and many more examples


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run.json", "status.json", "owner.json", "execution.json"])
def test_whatever_stands_in_any_field_of_a_run_it_is_listed_and_shown(scene: Scene, name: str) -> None:
    write_owner(scene)
    path = scene.home / "runs" / "bard" / name
    for label, changed in each_value_replaced(json.loads(path.read_bytes())):
        path.write_bytes(encoded(changed))
        with within(SECONDS):
            command_lines_say_so_at_worst("runs show bard")
            screen_shows_runs(scene.home)
        assert label


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tui_gpt.json", "config.json"])
def test_whatever_stands_in_any_field_of_a_model_it_is_listed_and_shown(scene: Scene, name: str) -> None:
    path = scene.home / "models" / "bard" / name
    for label, changed in each_value_replaced(json.loads(path.read_bytes())):
        path.write_bytes(encoded(changed))
        with within(SECONDS):
            command_lines_say_so_at_worst("models show bard")
            screen_shows_models()
        assert label


APPS = {
    "numbers for words": {"train": {"smooth": [1], "x_axis": {}, "overlays": [1, {}], "log": 3, "list": []}},
    "words for tables": {"chat": {"model": "x", "sampling": [], "prompt": 7, "conversation": "../x", "panel": 1}},
    "lists for words": {"configure": {"changed": {"train.seed": []}, "files": [1], "calibrations": [1, {}]}},
    "a text that a terminal would obey": {"chat": {"prompt": "\x1b]52;c;eA==\x07"}, "models": {"model": [1]}},
    "a form of nonsense": {"configure": {"preset": "x", "corpus": "/dev/zero", "name": "../x", "minutes": "-1e999"}},
    "a table nested without end": {"train": "@300 tables@"},
}


@pytest.mark.slow
@pytest.mark.parametrize("remembered", APPS)
def test_the_app_starts_and_shows_every_tab_whatever_it_remembers(scene: Scene, remembered: str) -> None:
    (scene.home / "app.json").write_bytes(encoded({"tab": "\x1b[2J", "theme": "x", "tabs": APPS[remembered]}))
    (scene.home / "config.toml").write_text('theme = "x"\n[keys]\n"train.pause" = "\\u001b,,"\n"x" = ""\n', "utf-8")
    app = TuiGpt()

    async def every_tab() -> None:
        async with app.run_test(size=(120, 40)) as pilot:
            while app.tab is None or not app._whole:
                await pilot.pause()
            for tab in TABS:
                await app.show_tab(tab.name)
                await pilot.pause()
            app.remember()

    asyncio.run(every_tab())
    assert app.crash is None
    assert app.return_code in (None, 0)
