"""A pickle runs code when it is loaded. None is ever loaded, whatever it is called and wherever it lies."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from hostile_files import copied, files_of, run_of, slow_but, trained_home, within
from safetensors.torch import load_file, save_file
from training_runs import Scene, last_words, status_of

from tui_gpt import cli
from tui_gpt.core.model_folder import hash_file
from tui_gpt.core.runs.checkpoints import FileEntry, Manifest, checkpoint_folder
from tui_gpt.core.runs.plain_files import read_regular
from tui_gpt.core.runs.records import read_record, write_record

SECONDS = 60


class Evil:
    """What runs a command when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.mark),)


_FOUND: list[tuple[Any, ...]] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    # Python says so whenever an unpickler looks up what it is to call, also within torch and numpy.
    if event == "pickle.find_class":
        _FOUND.append(arguments)


sys.addaudithook(_watch)


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[Path]:
    """A folder that there is if any of the pickles was loaded."""
    _FOUND.clear()
    mark = tmp_path / "the pickle was loaded"
    yield mark
    assert not mark.exists()
    assert _FOUND == []


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_home(tmp_path_factory)


@pytest.fixture
def scene(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    scene = copied(original, tmp_path)
    monkeypatch.setenv("TUI_GPT_HOME", str(scene.home))
    return scene


def bare(mark: Path) -> bytes:
    return pickle.dumps(Evil(mark))


def from_torch(mark: Path) -> bytes:
    kept = io.BytesIO()
    torch.save({"weights": Evil(mark)}, kept)
    return kept.getvalue()


def from_older_torch(mark: Path) -> bytes:
    kept = io.BytesIO()
    torch.save({"weights": Evil(mark)}, kept, _use_new_zipfile_serialization=False)
    return kept.getvalue()


def from_numpy(mark: Path) -> bytes:
    kept = io.BytesIO()
    np.save(kept, np.array([Evil(mark)], dtype=object), allow_pickle=True)
    return kept.getvalue()


def zipped_numpy(mark: Path) -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as archive:
        archive.writestr("weights.npy", from_numpy(mark))
    return kept.getvalue()


PICKLES = {f.__name__: f for f in (bare, from_torch, from_older_torch, from_numpy, zipped_numpy)}


def test_these_pickles_run_their_code_where_they_are_loaded(tmp_path: Path) -> None:
    for make, load in (
        (bare, pickle.load),
        (from_torch, lambda kept: torch.load(kept, weights_only=False)),
        (from_older_torch, lambda kept: torch.load(kept, weights_only=False)),
        (from_numpy, lambda kept: np.load(kept, allow_pickle=True)),
    ):
        mark = tmp_path / make.__name__
        _FOUND.clear()
        load(io.BytesIO(make(mark)))
        assert mark.is_dir()
        assert _FOUND


def called(*arguments: str) -> tuple[int, str]:
    """Exit code and stderr of a command."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), within(SECONDS):
        code = cli.run(list(arguments))
    assert "an unexpected" not in err.getvalue(), err.getvalue()
    return code, err.getvalue()


WEIGHT_NAMES = (
    "model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "model.pt",
    "model.pth",
    "model.bin",
    "model.ckpt",
    "model.npz",
    "adapter_model.bin",
)


@pytest.mark.parametrize("kind", slow_but(["from_torch"], PICKLES))
def test_weights_that_are_a_pickle_are_refused_whatever_they_are_called(scene: Scene, mark: Path, kind: str) -> None:
    model = scene.home / "models" / "bard"
    (model / "tui_gpt.json").unlink()
    (model / "model.safetensors").unlink()
    for name in WEIGHT_NAMES:
        (model / name).write_bytes(PICKLES[kind](mark))
        for command in (["sample", "bard"], ["sample", f"{model}/"], ["models", "show", "bard"], ["models", "list"]):
            code, said = called(*command)
            assert code == (5 if command[0] == "sample" else 0), (name, command)
            assert code == 0 or said.startswith("error: ")
        if name in ("pytorch_model.bin", "model.pt", "model.pth"):
            assert "a pickle, which can run any code" in called("sample", f"{model}/")[1]
        (model / name).unlink()


def test_an_index_that_leads_to_a_pickle_is_refused(scene: Scene, mark: Path) -> None:
    model = scene.home / "models" / "bard"
    (model / "tui_gpt.json").unlink()
    (model / "model.safetensors").unlink()
    (model / "pytorch_model.bin").write_bytes(from_torch(mark))
    index = {"weight_map": {"model.norm.weight": "pytorch_model.bin"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    assert called("sample", f"{model}/")[0] == 5


@pytest.mark.parametrize("kind", slow_but(["bare"], PICKLES))
def test_a_pickle_in_the_place_of_any_file_of_a_model_is_refused(scene: Scene, mark: Path, kind: str) -> None:
    model = scene.home / "models" / "bard"
    (model / "tui_gpt.json").unlink()
    for name in files_of(model):
        kept = (model / name).read_bytes()
        (model / name).write_bytes(PICKLES[kind](mark))
        code, _ = called("sample", f"{model}/", "--max-new-tokens", "1")
        # Nobody reads the card, or how others like to sample.
        assert code == (0 if name in ("README.md", "generation_config.json") else 5), name
        (model / name).write_bytes(kept)


def test_code_that_a_model_names_is_not_imported(scene: Scene, mark: Path) -> None:
    model = scene.home / "models" / "bard"
    (model / "tui_gpt.json").unlink()
    (model / "evil.py").write_text(f"import os; os.mkdir({str(mark)!r})", encoding="utf-8")
    for name in ("config.json", "tokenizer_config.json"):
        tree = json.loads((model / name).read_bytes())
        tree |= {"auto_map": {"AutoModelForCausalLM": "evil.Model", "AutoTokenizer": ["evil.Model", None]}}
        (model / name).write_text(json.dumps(tree), encoding="utf-8")
    assert called("sample", f"{model}/", "--max-new-tokens", "1")[0] == 0
    assert called("models", "fork", "bard", "poet")[0] == 0


@pytest.mark.parametrize("name", ["text.txt", "text.npy", "text.pt", "text.pkl", "text.jsonl"])
@pytest.mark.parametrize("kind", slow_but(["from_numpy"], PICKLES))
def test_a_text_that_is_a_pickle_is_at_most_a_text(
    scene: Scene, mark: Path, tmp_path: Path, kind: str, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(PICKLES[kind](mark) * 50)
    code, said = called("corpora", "show", str(path))
    assert code == 3, said


# ---- in a checkpoint whose manifest was made to agree


def reseal(folder: Path) -> None:
    """Write down the hashes of the files as they are now."""
    manifest = read_record(folder / "MANIFEST.json", Manifest)
    found = {path.name: hash_file(path) for path in folder.iterdir() if path.name != "MANIFEST.json"}
    files = {name: FileEntry(entry.size, entry.sha256) for name, entry in found.items()}
    write_record(folder / "MANIFEST.json", msgspec.structs.replace(manifest, files=files))


def refuses(scene: Scene, capfd: pytest.CaptureFixture[str]) -> str:
    """Let a trainer take up the run, and return the sentence with which it fails."""
    run = run_of(scene)
    with within(SECONDS):
        code = scene.train_here(run)
    error = status_of(run).error or ""
    assert code in (4, 5), (code, error, last_words(run))
    assert status_of(run).state == "failed"
    assert "an unexpected" not in error
    assert "Traceback" not in capfd.readouterr().err
    return error


@pytest.mark.parametrize("name", ["model.safetensors", "state.safetensors", "state.json", "config.json"])
@pytest.mark.parametrize("kind", slow_but(["bare"], ["from_torch", "bare"]))
def test_a_pickle_in_a_checkpoint_is_not_loaded_even_if_its_hash_is_right(
    scene: Scene, mark: Path, kind: str, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = checkpoint_folder(run_of(scene).folder, 20)
    (folder / name).write_bytes(PICKLES[kind](mark))
    reseal(folder)
    assert "step-000020" in refuses(scene, capfd)


def _tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        tensors = load_file(folder / "state.safetensors")
        change(tensors)
        save_file(tensors, folder / "state.safetensors")

    return harm


def _counters(content: bytes) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        tree = msgspec.json.decode(read_regular(folder / "state.json", 1 << 20))
        tree = msgspec.json.encode(tree)[:-1] + b"," + content + b"}"
        (folder / "state.json").write_bytes(tree)

    return harm


def _first(tensors: dict[str, torch.Tensor]) -> str:
    return max(tensors, key=lambda name: tensors[name].dim())


STATES: dict[str, Callable[[Path], None]] = {
    "no tensors": _tensors(lambda tensors: tensors.clear()),
    "a tensor less": _tensors(lambda tensors: tensors.pop(_first(tensors))),
    "another shape": _tensors(lambda tensors: tensors.update({_first(tensors): torch.zeros(3, 5)})),
    "no numbers": _tensors(lambda tensors: tensors.update({_first(tensors): torch.zeros(0)})),
    "nested without end": _counters(b'"best_step":' + b"[" * 5000),
    "a step that is not the checkpoint's": _counters(b'"step":7'),
    "a negative step": _counters(b'"step":-1'),
    "a step of 400 digits": _counters(b'"step":' + b"9" * 400),
    "an infinite time": _counters(b'"elapsed_seconds":1e999'),
    "a negative count": _counters(b'"tokens_seen":-5'),
    "a negative learning rate": _counters(b'"lr_scale":-1'),
    "not UTF-8": _counters(b'"best_step":"\xff"'),
}


@pytest.mark.parametrize("state", STATES)
def test_a_state_that_cannot_be_is_refused_even_if_its_hash_is_right(
    scene: Scene, state: str, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = checkpoint_folder(run_of(scene).folder, 20)
    STATES[state](folder)
    reseal(folder)
    assert "step-000020" in refuses(scene, capfd)


def test_nothing_in_the_program_can_unpickle() -> None:
    """What is not written cannot be called: neither pickle nor what would call it for us."""
    import tui_gpt

    root = Path(tui_gpt.__file__).parent
    words = ("import pickle", "torch.load(", "allow_pickle=True", "np.load(", "marshal", "shelve", "dill", "joblib")
    found = [(path.name, word) for path in root.rglob("*.py") for word in words if word in path.read_text("utf-8")]
    # On request only, with torch's list of what may be called, in a process of its own that may do nothing else.
    assert found == [("pickles.py", "torch.load(")]
    source = (root / "engine" / "interop" / "pickles.py").read_text("utf-8")
    assert re.findall(r"torch\.load\(.*", source) == ['torch.load(source, map_location="cpu", weights_only=True)']
