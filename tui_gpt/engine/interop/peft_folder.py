"""LoRA adapters as a folder that peft opens: adapter_config.json and adapter_model.safetensors."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from tui_gpt.core.errors import ModelError

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"

_PREFIX = "base_model.model."


class Adapter(NamedTuple):
    """The adapter of one matrix: it adds alpha / rank times B A to it."""

    a: Tensor
    """(rank, inputs)"""
    b: Tensor
    """(outputs, rank)"""


def write_peft_folder(
    folder: Path,
    adapters: Mapping[str, Adapter],
    *,
    rank: int,
    alpha: float,
    transposed: bool,
    base: str,
    revision: str | None = None,
) -> None:
    """Make `folder` and write the adapters of the modules that `adapters` names as transformers does.

    `transposed` says that these keep their matrices as (inputs, outputs); `base` is the adapted model's name, with the
    `revision` of one on the Hub. Nothing is fsynced. Raises ModelError when the folder cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for module, adapter in adapters.items():
        for letter, tensor in (("A", adapter.a), ("B", adapter.b)):
            tensors[f"{_PREFIX}{module}.lora_{letter}.weight"] = tensor.detach().float().cpu().contiguous().clone()
    config: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "revision": revision,
        "r": rank,
        # An integer where it is one: that is how peft declares it.
        "lora_alpha": int(alpha) if alpha == int(alpha) else alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": transposed,
        "target_modules": sorted({_inside_block(module) for module in adapters}),
        "inference_mode": True,
    }
    try:
        folder.mkdir()
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
        (folder / CONFIG).write_bytes(msgspec.json.format(msgspec.json.encode(config), indent=2) + b"\n")
        # safetensors writes files that only their owner can read.
        shutil.copymode(folder / CONFIG, folder / WEIGHTS)
    except (OSError, SafetensorError) as error:  # safetensors reports a full disk as an error of its own
        raise ModelError(f"the adapters cannot be written to {folder}: {error}") from error


def _inside_block(module: str) -> str:
    """`transformer.h.0.attn.c_attn` to `attn.c_attn`: peft looks for modules whose names end so."""
    return ".".join(module.split(".")[-2:])
