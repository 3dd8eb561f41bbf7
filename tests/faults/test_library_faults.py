"""Whatever is done to the library, or to a process that changes it, models are whole: the old one or the new one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tui_gpt.core.errors import ModelError
from tui_gpt.core.model_handler import ModelEntry, ModelHandler
from tui_gpt.core.model_record import ModelRecord
from tui_gpt.core.notes import read_entries

# Each change runs in a forked child that kills itself before its n-th operation on the file system (Python announces
# them as audit events), for n = 1, 2, ... until it survives. After each death a fresh look must find whole models only.
KILLER = r"""
import json, os, shutil, signal, sys
from pathlib import Path
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.model_record import ModelRecord

root, action = Path(sys.argv[1]), sys.argv[2]
EVENTS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "shutil.rmtree", "shutil.copyfile"}
left = None

def hook(event, arguments):
    global left
    if left is not None and event in EVENTS:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)

def writer(content):
    def write(folder):
        (folder / "config.json").write_text(json.dumps({"made": content}))
        (folder / "model.safetensors").write_text(content * 1000)
    return write

def handler():
    return ModelHandler(root / "models", root / "examples", root / "notes.txt")

ACTIONS = {
    "save": lambda h: h.save("new", writer("new"), ModelRecord(name="", family="gpt2")),
    "replace": lambda h: h.save("old", writer("new"), ModelRecord(name="", family="gpt2"), replace=True),
    "rename": lambda h: h.rename("old", "new"),
    "note": lambda h: h.note("old", "noted"),
    "fork": lambda h: h.fork("old", "new"),
    "delete": lambda h: h.delete("old"),
}

deaths = 0
while True:
    shutil.rmtree(root, ignore_errors=True)
    (root / "examples").mkdir(parents=True)
    handler().save("old", writer("old"), ModelRecord(name="", family="gpt2"))
    child = os.fork()
    if child == 0:
        left = deaths + 1
        ACTIONS[action](handler())
        os._exit(0)
    _, status = os.waitpid(child, 0)
    models = {e.name: handler().get(e.name) for e in handler().list()}
    problems = [p for name in models for p in handler().verify(name)]
    made = {name: e.config["made"] for name, e in models.items()}
    notes = {e.record.notes for e in models.values()}
    handler().save("next", writer("next"), ModelRecord(name="", family="gpt2"))
    remains = sorted(p.name for p in (root / "models").iterdir() if p.name.startswith("."))
    print(json.dumps({"died": os.WIFSIGNALED(status), "problems": problems, "made": made, "notes": sorted(notes),
                      "remains": remains, "status": status}), flush=True)
    if not os.WIFSIGNALED(status):
        break
    deaths += 1
"""


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("save", {"old": "old"}, {"old": "old", "new": "new"}),
        ("replace", {"old": "old"}, {"old": "new"}),
        ("rename", {"old": "old"}, {"new": "old"}),
        ("note", {"old": "old"}, {"old": "old"}),
        ("fork", {"old": "old"}, {"old": "old", "new": "old"}),
        ("delete", {"old": "old"}, {}),
    ],
)
def test_a_killed_process_leaves_the_old_library_or_the_new(
    tmp_path: Path, action: str, before: dict[str, str], after: dict[str, str]
) -> None:
    arguments = [sys.executable, "-c", KILLER, str(tmp_path / "home"), action]
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    states = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(states) > 5
    for state in states:
        assert state["problems"] == []
        assert state["made"] in (before, after)
        assert state["remains"] == [".library.lock"]
        assert state["notes"] in ([], [""], ["noted"])
    assert not states[-1]["died"] and states[-1]["status"] == 0
    assert states[0]["made"] == before
    assert states[-1]["made"] == after
    made = [state["made"] for state in states]
    assert made == sorted(made, key=lambda m: m != before), "the change became visible once, and stayed"


SAVER = r"""
import sys
from pathlib import Path
from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.model_record import ModelRecord

root, number, replace = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "replace"
handler = ModelHandler(root / "models", root / "examples", root / "notes.txt")

def write(folder):
    (folder / "config.json").write_text('{"made": %s}' % number)
    (folder / "model.safetensors").write_text(number * 100000)
    print("ready", flush=True)
    sys.stdin.readline()

try:
    handler.save("bard", write, ModelRecord(name="", family="gpt2"), replace=replace)
except TuiGptError as error:
    print(error)
else:
    print("saved")
"""


@pytest.mark.parametrize("mode", ["keep", "replace"])
def test_of_eight_processes_that_save_one_name_one_wins_and_nothing_is_corrupt(tmp_path: Path, mode: str) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", SAVER, str(tmp_path), str(n), mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(8)
    ]
    for child in children:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    ends = [child.communicate(timeout=60) for child in children]
    assert [errors for _, errors in ends] == [""] * 8
    said = [out.strip() for out, _ in ends]
    handler = ModelHandler(tmp_path / "models", tmp_path / "examples", tmp_path / "notes.txt")
    (entry,) = handler.list()
    assert isinstance(entry, ModelEntry)
    assert handler.verify("bard") == []
    winners = said.count("saved")
    assert winners == (1 if mode == "keep" else 8)
    assert all("already in" in line for line in said if line != "saved")
    assert len(read_entries(handler.notes)) == winners
    weights = (entry.folder / "model.safetensors").read_text()
    assert weights == str(entry.config["made"]) * 100000
    if mode == "keep":
        assert said[entry.config["made"]] == "saved"
    assert [p.name for p in handler.library.root.iterdir() if p.name.startswith(".saving")] == []


def test_a_reader_sees_a_whole_model_however_often_it_is_replaced(tmp_path: Path) -> None:
    handler = ModelHandler(tmp_path / "models", tmp_path / "examples", tmp_path / "notes.txt")

    def writer(content: str) -> Callable[[Path], None]:
        def write(folder: Path) -> None:
            (folder / "config.json").write_text(json.dumps({"made": content}))
            (folder / "model.safetensors").write_text(content)

        return write

    def replace_again_and_again() -> None:
        own = ModelHandler(tmp_path / "models", tmp_path / "examples", tmp_path / "notes.txt")
        for n in range(40):
            own.save("bard", writer(str(n)), ModelRecord(name="", family="gpt2", steps=n), replace=True)

    handler.save("bard", writer("0"), ModelRecord(name="", family="gpt2", steps=0))
    thread = threading.Thread(target=replace_again_and_again)
    thread.start()
    try:
        while thread.is_alive():
            entry = handler.get("bard")
            assert entry.record is not None and entry.config["made"] == str(entry.record.steps)
            assert handler.verify("bard") == []
            assert [type(e) for e in handler.list()] == [ModelEntry]
    finally:
        thread.join()


@pytest.fixture
def bard(tmp_path: Path) -> ModelHandler:
    handler = ModelHandler(tmp_path / "models", tmp_path / "examples", tmp_path / "notes.txt")

    def write(folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(bytes(1000))

    handler.save("bard", write, ModelRecord(name="", family="gpt2"))
    return handler


def _flip(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(bytes(999) + b"\x01")


def _cut(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(bytes(999))


def _lose(folder: Path) -> None:
    (folder / "config.json").unlink()


def _link(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent.parent / "elsewhere")
    (folder / "model.safetensors").symlink_to(folder.parent.parent / "elsewhere")


def _pipe(folder: Path) -> None:
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")


def _record_pipe(folder: Path) -> None:
    (folder / "tui_gpt.json").unlink()
    os.mkfifo(folder / "tui_gpt.json")


def _add(folder: Path) -> None:
    (folder / "pickle.bin").write_bytes(b"x")


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (_flip, "SHA-256"),
        (_cut, "999 bytes instead of 1,000"),
        (_lose, "missing"),
        (_link, "is a link"),
        (_pipe, "not a plain file"),
        (_record_pipe, "not a plain file"),
        (_add, "not among"),
    ],
)
def test_harm_to_a_file_is_found_and_the_model_is_not_loaded(
    bard: ModelHandler, harm: Callable[[Path], None], says: str
) -> None:
    harm(bard.library.root / "bard")
    problems = bard.verify("bard")
    assert any(says in problem for problem in problems)
    with pytest.raises(ModelError):
        bard.load("bard")
    with pytest.raises(ModelError):
        bard.fork("bard", "copy")
    bard.delete("bard")
    assert bard.list() == []


def test_a_library_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    handler = ModelHandler(tmp_path / "file", tmp_path / "examples", tmp_path / "notes.txt")
    with pytest.raises(ModelError, match="no folder"):
        handler.list()
    with pytest.raises(ModelError, match="cannot be changed"):
        handler.save("bard", lambda folder: None, ModelRecord(name="", family="gpt2"))


def test_a_diary_that_cannot_be_written_does_not_lose_the_model(bard: ModelHandler, tmp_path: Path) -> None:
    handler = ModelHandler(tmp_path / "models", tmp_path / "examples", tmp_path / "models")

    def write(folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"x")

    with pytest.raises(ModelError, match="is saved, but its entry"):
        handler.save("poet", write, ModelRecord(name="", family="gpt2"))
    assert handler.verify("poet") == []


def test_links_inside_a_deleted_model_lead_to_nothing_that_is_deleted(bard: ModelHandler, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    (bard.library.root / "bard" / "link").symlink_to(precious)
    bard.delete("bard")
    assert (precious / "file").read_text() == "x"
