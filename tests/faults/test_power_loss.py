"""The power goes, at any moment: what is on the disk afterwards is the old or the new, never a mix, and runs go on."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from power_loss import Disk, Point, fingerprint, lay_out
from training_runs import Scene, final_weights, learned, tiny

from tui_gpt.core import files
from tui_gpt.core.model_handler import ModelEntry, ModelHandler
from tui_gpt.core.model_record import ModelRecord
from tui_gpt.core.runs import checkpoints, plain_files
from tui_gpt.core.runs.checkpoints import list_checkpoints, publish_checkpoint, read_pointers, rotate, verify_checkpoint
from tui_gpt.core.runs.commands import AckReader, CommandQueue, send
from tui_gpt.core.runs.metrics import MetricsReader, without_superseded
from tui_gpt.core.runs.store import Run, RunStore
from tui_gpt.engine.training import trainer
from tui_gpt.engine.training.forking import fork_run
from tui_gpt.engine.training.orders import answer_for_the_dead
from tui_gpt.engine.training.origins import start_problem, start_tokenizer

SEED = 20_260
SHARED_MEMORY = Path("/dev/shm")
Check = Callable[[Path, dict[str, Any]], None]


@pytest.fixture
def states(tmp_path: Path) -> Iterator[Path]:
    """Where states are laid out: in memory where that is possible, for there are many."""
    fast = SHARED_MEMORY.is_dir() and os.access(SHARED_MEMORY, os.W_OK)
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY if fast else tmp_path) as folder:
        yield Path(folder)


def every_state(
    points: list[Point], folder: Path, check: Check, mixed: int = 1
) -> list[tuple[dict[str, bytes | None], dict[str, Any]]]:
    """Lay out each different state that the power loss may leave, and check it; returns them, the earliest first."""
    rng = random.Random(SEED)
    seen: set[tuple[bytes, str]] = set()
    states = []
    for number, point in enumerate(points):
        for how, tree in point.states(rng, mixed):
            key = fingerprint(tree), repr(point.promised)
            if key in seen:
                continue
            seen.add(key)
            stage = lay_out(tree, folder / f"{number:04d}-{len(seen):05d}")
            try:
                check(stage, point.promised)
            except BaseException as error:
                error.add_note(f"the power went before {point.operation} (point {number}): {how}, in {stage}")
                raise
            shutil.rmtree(stage)
            states.append((tree, point.promised))
    return states


def check_run(run: Run, promised: dict[str, Any]) -> None:
    """What holds for the folder of a run at any time."""
    for checkpoint in run.checkpoints():
        assert verify_checkpoint(checkpoint.folder) == []
    steps = {checkpoint.step for checkpoint in run.checkpoints()}
    pointers = read_pointers(run.folder)
    assert {pointers.best, pointers.last, *pointers.kept} - {None} <= steps
    newest = max(steps, default=0)
    assert newest >= promised.get("checkpoint", 0)
    history = without_superseded(MetricsReader(run.folder).poll())
    trained = [record.step for record in history if record.kind == "train" and record.step <= newest]
    assert trained == list(range(1, newest + 1)), "a checkpoint knows of steps that the curve does not"
    run.execution()
    run.summary()  # the status is not synced, so that it may be damaged: then this says so


def check_home(home: Path, promised: dict[str, Any]) -> None:
    """What holds for a home with runs and models."""
    listing = RunStore(home / "runs").list() if home.exists() else []
    runs = {run.name: run for run in listing if isinstance(run, Run)}
    assert len(runs) == len(listing), "a run is damaged"
    assert {*promised.get("runs", ())} <= runs.keys()
    for run in runs.values():
        check_run(run, promised)
    handler = ModelHandler(home / "models", home / "examples", home / "notes.txt")
    models = handler.list()
    assert {*promised.get("models", ())} <= {entry.name for entry in models}
    for entry in models:
        assert isinstance(entry, ModelEntry), entry
        assert handler.verify(entry.name) == []


def record_a_run(scene: Scene, patch: pytest.MonkeyPatch, **train: Any) -> Disk:
    """A run from nothing to its model in the library, watched."""
    with Disk(scene.home.parent) as disk:

        def publish(folder: Path, step: int, *arguments: Any, **named: Any) -> Path:
            made = publish_checkpoint(folder, step, *arguments, **named)
            disk.promised["checkpoint"] = step
            return made

        def save(handler: ModelHandler, name: str, *arguments: Any, **named: Any) -> ModelEntry:
            entry = real_save(handler, name, *arguments, **named)
            disk.promised["models"] = [name]
            return entry

        real_save = ModelHandler.save
        patch.setattr(trainer, "publish_checkpoint", publish)
        patch.setattr(ModelHandler, "save", save)
        run = scene.begin(tiny(scene.text, **train))
        disk.promised["runs"] = ["bard"]
        assert scene.train_here(run) == 0
    patch.undo()
    return disk


def resume_from(scene: Scene, tree: dict[str, bytes | None], folder: Path) -> Run | None:
    """Train on what the power loss left; None where there is no run in it."""
    scene.home = lay_out(tree, folder) / "home"
    try:
        run = RunStore(scene.home / "runs").open("bard")
    except Exception:
        return None
    assert scene.train_here(run) == 0
    return run


SHORT: dict[str, Any] = {"max_steps": 5, "eval_interval": 100, "checkpoint_interval": 2, "sample_tokens": 0}
LONG: dict[str, Any] = {
    **SHORT,
    "max_steps": 20,
    "eval_interval": 3,
    "checkpoint_interval": 4,
    "model": {"dropout": 0.1},
    "optimizer": "muon",
    "precision": "bf16",
    "weight_average": 0.9,
}


@pytest.mark.parametrize(
    ("train", "mixed", "resumed"),
    [pytest.param(SHORT, 1, 2, id="short"), pytest.param(LONG, 4, 50, id="long", marks=pytest.mark.slow)],
)
def test_a_run_that_loses_power_at_any_moment_is_whole_and_learns_what_it_would_have(
    scene: Scene, tmp_path: Path, states: Path, train: dict[str, Any], mixed: int, resumed: int
) -> None:
    disk_folder = tmp_path / "disk"
    disk_folder.mkdir()
    scene.home = tmp_path / "reference"
    reference = scene.begin(tiny(scene.text, **train))
    assert scene.train_here(reference) == 0
    expected, weights = learned(reference), final_weights(reference)
    scene.home = disk_folder / "home"
    with pytest.MonkeyPatch.context() as patch:
        disk = record_a_run(scene, patch, **train)
    found = every_state(disk.points, states, lambda stage, promised: check_home(stage / "home", promised), mixed)
    assert len(found) > 100
    begun = [tree for tree, promised in found if "runs" in promised]
    for number, tree in enumerate(random.Random(SEED).sample(begun, resumed)):
        run = resume_from(scene, tree, tmp_path / f"resumed-{number}")
        assert run is not None
        assert learned(run) == expected
        assert final_weights(run) == weights
        assert scene.models() == ["bard"]


def write(folder: Path, content: str = "new") -> None:
    (folder / "model.safetensors").write_bytes(content.encode() * 5000)
    (folder / "state.json").write_text(content, encoding="utf-8")


def record_checkpoints(run_folder: Path) -> Disk:
    """A second checkpoint beside an old one, the replacement of a damaged one, and the rotation of what is over."""
    publish_checkpoint(run_folder, 1, partial(write, content="old"))
    (publish_checkpoint(run_folder, 3, write) / "state.json").write_bytes(b"damaged")
    with Disk(run_folder) as disk:
        for step in (2, 3, 4):
            publish_checkpoint(run_folder, step, write, tags={"last", "kept"} if step == 2 else {"last"})
            disk.promised["checkpoint"] = step
        rotate(run_folder, 0)
    return disk


def check_checkpoints(stage: Path, promised: dict[str, Any]) -> None:
    intact = [c.step for c in list_checkpoints(stage) if not verify_checkpoint(c.folder)]
    promise = promised.get("checkpoint", 1)
    assert max(intact) >= promise
    damaged = [c.step for c in list_checkpoints(stage) if c.step not in intact]
    assert damaged in ([], [3] if promise < 3 else []), "only what was damaged before is"
    pointers = read_pointers(stage)
    assert promise < 2 or (2 in pointers.kept and 2 in intact)


def test_checkpoints_that_lose_power_are_whole_or_absent_and_none_is_lost(tmp_path: Path, states: Path) -> None:
    (tmp_path / "run").mkdir()
    disk = record_checkpoints(tmp_path / "run")
    assert len(every_state(disk.points, states, check_checkpoints, mixed=4)) > 50


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (checkpoints, "fsync_file"),  # the tensors
        (files, "fsync_dir"),  # the pointers' name
        (plain_files, "fsync_dir"),  # what is deleted
    ],
)
def test_without_any_one_sync_the_check_of_checkpoints_fails(
    tmp_path: Path, states: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(module, name, lambda path: None)
    disk = record_checkpoints(tmp_path / "run")
    with pytest.raises((AssertionError, ValueError)):
        every_state(disk.points, states, check_checkpoints, mixed=4)


def model(content: str) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        (folder / "config.json").write_text(json.dumps({"made": content}), encoding="utf-8")
        (folder / "model.safetensors").write_text(content * 3000, encoding="utf-8")

    return fill


def library(folder: Path) -> ModelHandler:
    return ModelHandler(folder / "models", folder / "examples", folder / "notes.txt")


def record_of(notes: str = "") -> ModelRecord:
    return ModelRecord(name="", family="gpt2", notes=notes)


CHANGES: dict[str, tuple[Callable[[ModelHandler], Any], dict[str, str]]] = {
    "save": (lambda h: h.save("new", model("new"), record_of()), {"old": "old", "new": "new"}),
    "replace": (lambda h: h.save("old", model("new"), record_of(), replace=True), {"old": "new"}),
    "rename": (lambda h: h.rename("old", "new"), {"new": "old"}),
    "note": (lambda h: h.note("old", "noted"), {"old": "old"}),
    "fork": (lambda h: h.fork("old", "new"), {"old": "old", "new": "old"}),
    "delete": (lambda h: h.delete("old"), {}),
}


@pytest.mark.parametrize("links", [True, False], ids=["links", "copies"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_library_that_loses_power_has_the_old_models_or_the_new(
    tmp_path: Path, states: Path, monkeypatch: pytest.MonkeyPatch, change: str, links: bool
) -> None:
    act, after = CHANGES[change]
    before = {"old": "old"}
    home = tmp_path / "home"
    library(home).save("old", model("old"), record_of())
    if not links:

        def refuse(*_: Any, **__: Any) -> None:
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr(os, "link", refuse)
    with Disk(home) as disk:
        act(library(home))
        disk.promised["changed"] = True
    monkeypatch.undo()

    def check(stage: Path, promised: dict[str, Any]) -> None:
        handler = library(stage)
        entries = handler.list()
        assert all(isinstance(entry, ModelEntry) for entry in entries), entries
        assert [problem for entry in entries for problem in handler.verify(entry.name)] == []
        made = {entry.name: entry.config["made"] for entry in entries if isinstance(entry, ModelEntry)}
        assert made == after if "changed" in promised else made in (before, after)
        handler.save("next", model("next"), record_of())
        left = sorted(path.name for path in handler.library.root.iterdir() if path.name.startswith("."))
        assert left == [".library.lock"], "what was left half-made is gone with the next change"

    assert len(every_state(disk.points, states, check, mixed=2)) > 5


def test_the_first_model_of_all_is_not_lost_with_the_folder_it_was_put_into(tmp_path: Path, states: Path) -> None:
    with Disk(tmp_path) as disk:
        library(tmp_path / "home" / "deep").save("first", model("first"), record_of())
        disk.promised["changed"] = True

    def check(stage: Path, promised: dict[str, Any]) -> None:
        handler = library(stage / "home" / "deep")
        assert [entry.name for entry in handler.list()] in ([["first"]] if promised else [[], ["first"]])
        assert not promised or handler.verify("first") == []

    every_state(disk.points, states, check)


@pytest.mark.parametrize("links", [True, False], ids=["links", "copies"])
def test_a_fork_that_loses_power_is_whole_or_absent_and_its_source_untouched(
    scene: Scene, tmp_path: Path, states: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    first = scene.begin(tiny(scene.text, max_steps=2))
    assert scene.train_here(first) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUI_GPT_HOME", str(scene.home))
        from tui_gpt.engine.training.begin import begin_run

        source = begin_run(tiny(scene.text, max_steps=4), "source", origin="bard")
    assert scene.train_here(source) == 0
    if not links:

        def refuse(*_: Any, **__: Any) -> None:
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr(os, "link", refuse)
    with Disk(scene.home) as disk:
        disk.promised["runs"] = ["bard", "source"]
        fork_run(source, "fork", changes={"max_steps": 6})
        disk.promised["runs"] = ["bard", "fork", "source"]
    monkeypatch.undo()

    def check(stage: Path, promised: dict[str, Any]) -> None:
        check_home(stage, promised)
        for run in RunStore(stage / "runs").list():
            assert isinstance(run, Run)
            assert run.name == "bard" or (start_problem(run.folder / "start") == "" and start_tokenizer(run))

    assert len(every_state(disk.points, states, check)) > 20


def test_a_command_that_was_answered_before_the_power_went_stays_answered(tmp_path: Path, states: Path) -> None:
    run = tmp_path / "run"
    (run / "commands").mkdir(parents=True)
    ids = [send(run, "pause"), send(run, "resume")]
    with Disk(run) as disk:
        queue = CommandQueue(run)
        for command in queue.poll():
            queue.acknowledge(command, "done", "obeyed")
            disk.promised["answered"] = [*disk.promised.get("answered", []), command.id]

    def check(stage: Path, promised: dict[str, Any]) -> None:
        acks = [ack.id for ack in AckReader(stage).poll()]
        assert {*promised.get("answered", ())} <= {*acks} <= {*ids}
        assert len(acks) == len({*acks})
        given = {command.id for command in CommandQueue(stage).poll()}
        assert not given & {*acks}, "what was answered is not given out again"
        successor = CommandQueue(stage)
        successor.inherit()
        answer_for_the_dead(stage, successor)
        assert list((stage / "commands").iterdir()) == []

    assert len(every_state(disk.points, states, check, mixed=8)) > 5


ACTION = """
import sys
from pathlib import Path
from power_loss import Disk
from tui_gpt.core.runs.checkpoints import publish_checkpoint, rotate

run = Path(sys.argv[1])

def write(folder):
    import torch
    from safetensors.torch import save_file
    save_file({"w": torch.zeros(5000)}, folder / "model.safetensors")
    (folder / "state.json").write_text("{}")

publish_checkpoint(run, 1, write)
with Disk(run) as disk:
    publish_checkpoint(run, 2, write)
    publish_checkpoint(run, 3, write)
    rotate(run, 0)
print(*[point.operation.split()[0] for point in disk.points], file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_watch_misses_nothing_that_the_kernel_sees(tmp_path: Path) -> None:
    run, trace = tmp_path / "run", tmp_path / "trace"
    run.mkdir()
    calls = "fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat,sync_file_range"
    strace = ["strace", "-f", "-y", "-qq", "-o", str(trace), "-e", f"trace={calls}"]
    command = [*strace, sys.executable, "-c", ACTION, str(run)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent.parent), *sys.path])}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    if result.returncode != 0 and "ptrace" in result.stderr:
        pytest.skip(f"strace may not trace here: {result.stderr.strip()[:200]}")
    assert result.returncode == 0, result.stderr
    seen = [line for line in trace.read_text(errors="replace").splitlines() if str(run) in line and "= 0" in line]
    first = next(i for i, line in enumerate(seen) if "step-000002" in line)
    # safetensors names its file itself, in a hidden folder of which nothing is synced yet.
    ours = [line for line in seen[first:] if not (" rename" in line and 'model.safetensors"' in line)]
    kinds = [call.removesuffix("2").removesuffix("at") for call in re.findall(r"^\d+ +(\w+)\(", "\n".join(ours), re.M)]
    assert len(kinds) == len(ours) == len(seen[first:]) - 2
    watched = result.stderr.split()
    assert kinds.count("fsync") == watched.count("fsync") > 5
    assert kinds.count("rename") == watched.count("rename") + watched.count("replace") > 3
    gone = [sum(names.count(kind) for kind in ("unlink", "rmdir")) for names in (kinds, watched)]
    assert gone[0] == gone[1] > 2
    assert kinds.count("mkdir") == watched.count("mkdir") > 0
