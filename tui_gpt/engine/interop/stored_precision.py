"""The precision in which a model's weights lie on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from tui_gpt.engine.interop.weights import INDEX, open_weights, read_json, weight_files

_BF16 = "bfloat16"


def store_in_bf16(folder: Path) -> None:
    """Round the weights of a model folder of one's own, in place, to bf16: half the bytes of float32, and 8 of its 24
    significant bits.

    Whatever reads the folder finds the same names and shapes. Nothing is fsynced. Raises ModelError for weights
    that are missing or damaged, OSError for a full disk.
    """
    with open_weights(folder):
        pass  # whole, and no pickle
    total = 0
    for path in weight_files(folder):
        if path.name == INDEX:
            continue
        with safe_open(path, framework="pt", device="cpu") as handle:
            tensors = {name: _rounded(handle.get_tensor(name)) for name in handle.keys()}  # noqa: SIM118 - no mapping
        save_file(tensors, path, metadata={"format": "pt"})
        path.chmod(folder.joinpath("config.json").stat().st_mode & 0o777)
        total += sum(tensor.numel() * tensor.itemsize for tensor in tensors.values())
    if (folder / INDEX).exists():
        index = read_json(folder / INDEX)
        _write_json(folder / INDEX, index | {"metadata": {**index.get("metadata", {}), "total_size": total}})
    _write_json(folder / "config.json", read_json(folder / "config.json") | {"dtype": _BF16, "torch_dtype": _BF16})


def _rounded(tensor: Tensor) -> Tensor:
    # A copy in every case: the file that a tensor is still mapped to is about to be written over.
    return tensor.to(torch.bfloat16 if tensor.is_floating_point() else tensor.dtype, copy=True)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
