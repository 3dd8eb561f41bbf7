"""The exact state of a run in a checkpoint folder: tensors as safetensors, counters as JSON, never a pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import torch
from msgspec import Meta
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tui_gpt.core.errors import RunError

STATE_TENSORS = "state.safetensors"
STATE_COUNTERS = "state.json"
SCHEMA = 1

_Count = Annotated[int, Meta(ge=0, le=1 << 62)]


class Counters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a resumed run must know beside its tensors."""

    schema: int = SCHEMA
    step: _Count
    """Completed optimizer steps; the number of the next batch."""
    elapsed_seconds: Annotated[float, Meta(ge=0)]
    tokens_seen: _Count
    evaluations: _Count = 0
    """Milestones of automatic evaluation that are behind."""
    best_val_loss: float | None = None
    best_step: _Count | None = None
    evaluations_without_best: _Count = 0
    lr_scale: Annotated[float, Meta(ge=0)] = 1.0
    """What a person made of the learning rate while it ran."""
    train_loss: float | None = None
    val_loss: float | None = None


class _SchemaOnly(msgspec.Struct):
    schema: int = SCHEMA


def write_state(folder: Path, tensors: dict[str, Tensor], counters: Counters) -> None:
    """Write both files into a checkpoint folder that is being made."""
    on_cpu = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    save_file(on_cpu, folder / STATE_TENSORS)
    (folder / STATE_COUNTERS).write_bytes(msgspec.json.format(msgspec.json.encode(counters), indent=2))


def read_state(folder: Path, device: torch.device) -> tuple[dict[str, Tensor], Counters]:
    """What `write_state` wrote, on `device`. Raises RunError naming the file that cannot be used."""
    try:
        content = (folder / STATE_COUNTERS).read_bytes()
        if msgspec.json.decode(content, type=_SchemaOnly).schema > SCHEMA:
            raise RunError(f"{folder / STATE_COUNTERS} was written by a newer tui-gpt; update it to resume this run")
        counters = msgspec.json.decode(content, type=Counters)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RunError(f"{folder / STATE_COUNTERS} cannot be used: {error}; resume from another checkpoint") from None
    try:
        tensors = load_file(folder / STATE_TENSORS, device=str(device))
    except (OSError, SafetensorError) as error:
        raise RunError(f"{folder / STATE_TENSORS} cannot be used: {error}; resume from another checkpoint") from None
    return tensors, counters
