"""A copy in bf16 has half the bytes, the same names and shapes, and opens everywhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from commands import Call, Trained
from safetensors.torch import load_file, save_file

from tui_gpt.core.errors import ModelError
from tui_gpt.engine.interop.huggingface import read_model_folder
from tui_gpt.engine.interop.stored_precision import store_in_bf16


def test_a_fork_in_bf16_is_half_as_large_whole_and_writes(trained: Trained, call: Call, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(trained.home / "models", home / "models")
    assert call("models", "fork", "--bf16", "toy", "small", home=home).code == 0
    assert call("models", "verify", "small").code == 0
    assert call("models", "show", "small", "--json").json["record"]["parent"] == "toy"
    wide, narrow = (load_file(home / "models" / name / "model.safetensors") for name in ("toy", "small"))
    assert wide.keys() == narrow.keys()
    for name, tensor in wide.items():
        assert narrow[name].dtype == torch.bfloat16
        assert torch.equal(narrow[name], tensor.to(torch.bfloat16))
    assert json.loads((home / "models" / "small" / "config.json").read_text())["dtype"] == "bfloat16"
    assert call("sample", "small", "--max-new-tokens", "5").code == 0
    # Again: what is in bf16 already stays as it is.
    assert call("models", "fork", "--bf16", "small", "smaller").code == 0
    again = load_file(home / "models" / "smaller" / "model.safetensors")
    assert all(torch.equal(again[name], tensor) for name, tensor in narrow.items())


def test_weights_in_several_files_are_all_rounded_and_listed_anew(trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    shutil.copytree(trained.home / "models" / "toy", folder)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    places = {}
    for number, (name, tensor) in enumerate(tensors.items()):
        places[name] = f"model-{number % 2}.safetensors"
        tensors[name] = tensor.clone()
    for file in set(places.values()):
        save_file({name: tensors[name] for name, place in places.items() if place == file}, folder / file)
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    store_in_bf16(folder)
    written = json.loads((folder / "model.safetensors.index.json").read_text())
    assert written == {"metadata": {"total_size": 2 * sum(t.numel() for t in tensors.values())}, "weight_map": places}
    network = read_model_folder(folder).network
    assert sum(p.numel() for p in network.parameters()) > 0


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"no model\.safetensors"):
        store_in_bf16(tmp_path)
