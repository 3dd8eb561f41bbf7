"""Records that are cut short, damaged or of a newer program are told and left alone, and cost nothing else."""

from __future__ import annotations

import contextlib
import io
import json
import os
from itertools import cycle
from pathlib import Path

import msgspec
import pytest
from hostile_files import DAMAGES, contents, copied, files_of, run_of, slow_but, trained_home, within
from training_runs import Scene

from tui_gpt import cli
from tui_gpt.core.chat_history import CHATS_FOLDER, PROMPTS_FILE, ChatHistory, ChatHistoryError, Said
from tui_gpt.core.errors import ConfigError, ModelError, RunError
from tui_gpt.core.model_handler import DamagedModel, ModelHandler
from tui_gpt.core.model_record import RECORD_NAME, ModelRecord
from tui_gpt.core.runs.commands import ACKS_FILE, Ack, AckReader
from tui_gpt.core.runs.ownership import OWNER_FILE, signal_trainer, this_process
from tui_gpt.core.runs.records import RunRecord, write_record
from tui_gpt.core.runs.store import DamagedRun, RunStore
from tui_gpt.core.settings import Settings, read_settings
from tui_gpt.ui.memory import Memory, encode_memory, read_memory

SECONDS = 10
USUAL = ("emptied", "flipped in the middle", "missing", "a link to endless zeros", "a fifo")
"""Damage to be met in every run of the tests; the rest belongs to the long one."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_home(tmp_path_factory)


@pytest.fixture
def scene(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    scene = copied(original, tmp_path)
    monkeypatch.setenv("TUI_GPT_HOME", str(scene.home))
    return scene


def called(line: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), within(SECONDS):
        code = cli.run(line.split())
    return code, out.getvalue(), err.getvalue()


# ---- runs


@pytest.mark.parametrize("stride", [61, pytest.param(1, marks=pytest.mark.slow)])
def test_a_run_json_cut_short_at_any_byte_is_listed_as_damaged_and_left_alone(scene: Scene, stride: int) -> None:
    store = RunStore(scene.home / "runs")
    path = scene.home / "runs" / "bard" / "run.json"
    content = path.read_bytes().rstrip()
    for length in {*range(0, len(content), stride), len(content) - 1}:
        path.write_bytes(content[:length])
        (found,) = store.list()
        assert isinstance(found, DamagedRun), length
        assert str(path) in found.problem
        assert path.read_bytes() == content[:length]


@pytest.mark.parametrize("damage", slow_but(USUAL, DAMAGES))
def test_a_run_json_that_is_damaged_hides_no_other_run_and_costs_nothing(scene: Scene, damage: str) -> None:
    store = RunStore(scene.home / "runs")
    damaged = store.rename("bard", "poet").folder
    store.create(json_record(scene, "bard"))
    DAMAGES[damage](damaged / "run.json")
    before = contents(damaged)
    code, out, err = called("runs list")
    assert (code, err) == (0, "")
    lines = {line.split()[0]: line.split()[1] for line in out.splitlines()[1:]}
    assert lines == {"bard": "new", "poet": "damaged"}
    for line in ("runs show poet", "runs resume poet", "runs fork poet --name copy", "sample --checkpoint last poet"):
        code, _, err = called(line)
        assert code in (2, RunError.exit_code), line
        assert err.startswith("error: "), line
        assert "an unexpected" not in err
    assert contents(damaged) == before
    assert called("runs delete poet --yes")[0] == 0
    assert not damaged.exists()


def json_record(scene: Scene, name: str) -> RunRecord:
    content = (scene.home / "runs" / "poet" / "run.json").read_bytes()
    return msgspec.structs.replace(msgspec.json.decode(content, type=RunRecord), name=name)


NEWER = {
    "runs/bard/run.json": "runs show bard",
    "runs/bard/status.json": "runs show bard",
    "runs/bard/execution.json": "runs show bard",
    "runs/bard/checkpoints/step-000020/MANIFEST.json": "sample --checkpoint 20 bard",
    "models/bard/tui_gpt.json": "models show bard",
}


@pytest.mark.parametrize("name", NEWER)
def test_what_a_newer_program_wrote_is_refused_by_its_schema_and_untouched(scene: Scene, name: str) -> None:
    path = scene.home / name
    tree = json.loads(path.read_bytes()) | {"schema": 2, "what_only_the_newer_one_knows": [1]}
    path.write_text(json.dumps(tree), encoding="utf-8")
    before = contents(scene.home, ".library.lock")
    code, _, err = called(NEWER[name])
    assert code in (RunError.exit_code, ModelError.exit_code)
    assert "written by a newer tui-gpt (schema 2, and this one knows 1)" in err
    assert str(path) in err
    for line in ("runs list", "models list"):
        assert called(line)[0] == 0
    assert contents(scene.home, ".library.lock") == before


@pytest.mark.parametrize("damage", slow_but(USUAL, DAMAGES))
@pytest.mark.parametrize(
    "name",
    slow_but(
        ["status.json"],
        ["status.json", "owner.json", "execution.json", "acks.jsonl", "metrics-0001.jsonl"],
    ),
)
def test_any_file_of_a_run_may_be_damaged_and_every_command_still_ends_in_a_sentence(
    scene: Scene, name: str, damage: str
) -> None:
    path = scene.home / "runs" / "bard" / name
    if not path.exists():
        path.write_bytes(b'{"id": "1"}\n' * 100)
    DAMAGES[damage](path)
    for line in ("runs list", "runs show bard", "runs pause bard", "runs log bard", "runs metrics bard"):
        code, _, err = called(line)
        assert code in (0, RunError.exit_code), line
        assert "an unexpected" not in err
        assert code == 0 or err.startswith("error: ")


@pytest.mark.parametrize("damage", slow_but(USUAL, DAMAGES))
def test_acknowledgements_that_are_damaged_are_read_as_far_as_they_go_or_told(scene: Scene, damage: str) -> None:
    folder = run_of(scene).folder
    ack = Ack(id="1", kind="pause", outcome="done", message="it waits", time=1.0)
    (folder / ACKS_FILE).write_bytes((msgspec.json.encode(ack) + b"\n") * 3)
    DAMAGES[damage](folder / ACKS_FILE)
    with within(SECONDS):
        try:
            assert all(found == ack for found in AckReader(folder).poll())
        except RunError as error:
            assert ACKS_FILE in str(error)


@pytest.mark.parametrize("pid", [2**31, 2**63 - 1, 2**63, 10**30])
def test_no_process_has_an_impossible_number_and_none_is_signalled(scene: Scene, pid: int) -> None:
    folder = run_of(scene).folder
    write_record(folder / OWNER_FILE, this_process())
    tree = json.loads((folder / OWNER_FILE).read_bytes()) | {"pid": pid}
    (folder / OWNER_FILE).write_text(json.dumps(tree), encoding="utf-8")
    with pytest.raises(RunError):
        signal_trainer(folder, 0)
    assert run_of(scene).liveness() == "dead"


# ---- models


def assert_told_and_refused(original: Path, folder: Path, name: str, damage: str) -> None:
    scene = copied(original, folder)
    handler = ModelHandler(scene.home / "models", folder / "none", scene.home / "notes.txt")
    handler.fork("bard", "poet")
    DAMAGES[damage](scene.home / "models" / "bard" / name)
    with within(SECONDS):
        assert [model.name for model in handler.list()] == ["bard", "poet"]
        problems = handler.verify("bard")
        assert problems, name
        assert any(name in problem for problem in problems)
        with pytest.raises(ModelError):
            handler.load("bard")
        with pytest.raises(ModelError):
            handler.fork("bard", "copy")
    assert handler.verify("poet") == []
    handler.delete("bard")
    assert [model.name for model in handler.list()] == ["poet"]


MODEL_FILES = (
    "README.md",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    RECORD_NAME,
)


def test_these_are_all_files_of_a_model(original: Path) -> None:
    assert files_of(original / "home" / "models" / "bard") == sorted(MODEL_FILES)


@pytest.mark.parametrize(("name", "damage"), [*zip(cycle(MODEL_FILES), DAMAGES, strict=False)])
def test_a_model_with_a_damaged_file_is_told_refused_and_can_be_deleted(
    original: Path, tmp_path: Path, name: str, damage: str
) -> None:
    assert_told_and_refused(original, tmp_path, name, damage)


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_model_with_any_file_damaged_is_told_refused_and_can_be_deleted(
    original: Path, tmp_path: Path, damage: str
) -> None:
    for name in MODEL_FILES:
        # Without its record it is a model made elsewhere, whose files nobody knows. Of the record itself nobody knows
        # the hash: another digit in a loss is as good as the one before.
        if name != RECORD_NAME or (damage != "missing" and not damage.startswith("flipped")):
            assert_told_and_refused(original, tmp_path / name, name, damage)


@pytest.mark.parametrize("value", [-1, 1 << 63, 10**30, 10**400])
@pytest.mark.parametrize("field", ["n_parameters", "steps", "tokens_seen"])
def test_a_count_that_none_can_be_is_damage_and_reaches_no_figure(scene: Scene, field: str, value: int) -> None:
    path = scene.home / "models" / "bard" / "tui_gpt.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {field: value}), encoding="utf-8")
    handler = ModelHandler()
    found = next(model for model in handler.list() if model.name == "bard")
    assert isinstance(found, DamagedModel)
    assert field in found.problem


@pytest.mark.parametrize("name", ["a**b", "[a", "a?", "*", "a\nb"])
def test_a_folder_whose_name_is_a_pattern_is_listed_as_what_it_is(scene: Scene, name: str) -> None:
    (scene.home / "models" / name).mkdir()
    damaged = [model.name for model in ModelHandler().list() if isinstance(model, DamagedModel)]
    assert damaged == [name]


def test_what_a_killed_process_might_have_left_under_any_name_does_not_lock_the_library(scene: Scene) -> None:
    root = scene.home / "models"
    for name in (".replaced.", ".replaced..", ".replaced...", ".deleted-", ".saving-", ".saving-x.lock", ".saving-y"):
        (root / name).mkdir()
    (root / ".saving-z.lock").symlink_to("nowhere")
    os.mkfifo(root / ".saving-f.lock")
    handler = ModelHandler()
    with within(SECONDS):
        names = [model.name for model in handler.list() if not model.read_only]
        assert names == ["bard"]
        handler.note("bard", "still there")
        handler.save("next", _write_model, ModelRecord(name="", family="gpt2"))
    assert handler.verify("bard") == []
    assert handler.verify("next") == []


def _write_model(folder: Path) -> None:
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"x")


@pytest.mark.parametrize("damage", ["a fifo", "a folder", "a socket"])
def test_a_diary_that_is_no_file_does_not_make_saving_wait(scene: Scene, damage: str) -> None:
    DAMAGES[damage](scene.home / "notes.txt")
    handler = ModelHandler()
    with within(SECONDS), pytest.raises(ModelError, match="is saved, but its entry"):
        handler.save("next", _write_model, ModelRecord(name="", family="gpt2"))
    assert handler.verify("next") == []


# ---- the home


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_app_json_costs_only_what_it_remembered(scene: Scene, damage: str) -> None:
    path = scene.home / "app.json"
    path.write_bytes(encode_memory(Memory(tab="chat", run="bard")))
    DAMAGES[damage](path)
    with within(SECONDS):
        memory = read_memory()
    assert memory.tab in ("configure", "chat")
    assert memory.run in (None, "bard")


@pytest.mark.parametrize("depth", [10, 100, 500, 900, 950])
def test_what_app_json_cannot_hold_again_is_forgotten(scene: Scene, depth: int) -> None:
    nested = "[" * depth + "]" * depth
    (scene.home / "app.json").write_text(f'{{"run":"bard","tabs":{{"train":{{"x":{nested}}}}}}}', encoding="utf-8")

    def deeper_in_the_program(left: int) -> bytes:
        return deeper_in_the_program(left - 1) if left else encode_memory(memory)

    memory = read_memory()
    assert deeper_in_the_program(200)
    assert memory.run == ("bard" if depth == 10 else None)


@pytest.mark.parametrize("damage", slow_but(USUAL, DAMAGES))
def test_a_damaged_config_toml_is_a_sentence_and_the_defaults_remain(scene: Scene, damage: str) -> None:
    path = scene.home / "config.toml"
    path.write_text('theme = "nord"\n\n[keys]\n"train.pause" = "p"\n', encoding="utf-8")
    DAMAGES[damage](path)
    with within(SECONDS):
        try:
            settings = read_settings()
        except ConfigError as error:
            assert str(path) in str(error)
        else:
            # Nothing is there or in it, or it still is a file of that kind.
            harmless = ("two bytes short", "flipped in the middle", "a link to its bytes")
            assert settings == Settings() or damage in harmless


@pytest.mark.parametrize("damage", slow_but(USUAL, DAMAGES))
def test_a_damaged_conversation_or_list_of_prompts_is_told_and_hides_no_other(scene: Scene, damage: str) -> None:
    history = ChatHistory()
    damaged, intact = history.begin(None), history.begin(None)
    for number in (damaged, intact):
        history.append(number, Said(said="Once upon a time"))
    history.add_prompt("Once upon a time")
    DAMAGES[damage](scene.home / CHATS_FOLDER / f"{damaged}.jsonl")
    DAMAGES[damage](scene.home / CHATS_FOLDER / PROMPTS_FILE)
    with within(SECONDS):
        for act in (
            lambda: history.read(damaged),
            lambda: history.append(damaged, Said(said="more")),
            lambda: history.add_prompt("more"),
        ):
            with contextlib.suppress(ChatHistoryError):
                act()
        assert intact in {found.id for found in history.search("upon")}
        assert len(history.prompts()) <= 2
    assert [turn.said for turn in history.read(intact).turns] == ["Once upon a time"]
