"""A model as a Hugging Face folder: what is written here opens in transformers, and what is saved there opens here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psutil
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from tui_gpt.core.config import ModelConfig, SampleConfig
from tui_gpt.core.errors import MemoryLimitError, ModelError
from tui_gpt.engine.interop.config_json import config_from_hf, config_to_hf
from tui_gpt.engine.interop.state_names import (
    fill,
    foreign_names,
    own_shapes,
    require_tied,
    state_from_hf,
    state_to_hf,
)
from tui_gpt.engine.interop.weights import WEIGHTS, open_weights, read_json
from tui_gpt.engine.network import GPT, empty_network
from tui_gpt.engine.network.initialization import restore_tables
from tui_gpt.engine.text.dialogues.chat_format import chat_format, end_ids
from tui_gpt.engine.text.tokenizer import Tokenizer
from tui_gpt.engine.text.tokenizer_files import load_tokenizer

__all__ = [
    "LoadedModel",
    "config_from_hf",
    "config_to_hf",
    "examine_model_folder",
    "examine_weights",
    "read_model_folder",
    "require_vocabulary",
    "state_from_hf",
    "state_to_hf",
    "write_model_folder",
]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A network in evaluation mode, and the tokenizer that goes with it."""

    network: GPT
    tokenizer: Tokenizer
    config: ModelConfig


def write_model_folder(
    folder: Path,
    weights: nn.Module | Mapping[str, Tensor],
    model: ModelConfig,
    tokenizer: Tokenizer,
    *,
    dtype: torch.dtype = torch.float32,
    sample: SampleConfig | None = None,
) -> None:
    """Write config.json, model.safetensors, the tokenizer's files and generation_config.json into an existing `folder`.

    `weights` is a network or its state dict; they are stored as `dtype`. `sample` becomes transformers' defaults of
    generation. Nothing is fsynced. Raises ModelError when the tokenizer knows more tokens than the network, or when
    the folder cannot be written (a full disk, say).
    """
    if tokenizer.vocab_size > model.vocabulary:
        raise ModelError(
            f"the tokenizer has {tokenizer.vocab_size} tokens and the network only {model.vocabulary}; "
            "they do not belong together"
        )
    state = weights.state_dict() if isinstance(weights, nn.Module) else weights
    tensors = {name: tensor.to(dtype) for name, tensor in state_to_hf(state, model).items()}
    config = config_to_hf(model, dtype=str(dtype).removeprefix("torch."), eot_id=tokenizer.eot_id)
    try:
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
        _write_json(folder / "config.json", config)
        # safetensors writes files that only their owner can read; a model is to be as open as any other file.
        shutil.copymode(folder / "config.json", folder / WEIGHTS)
        generation = _generation_config(sample or SampleConfig(), model, tokenizer)
        _write_json(folder / "generation_config.json", generation)
        tokenizer.save(folder, model_max_length=model.n_positions)
    except (OSError, SafetensorError) as error:  # safetensors reports a full disk as an error of its own
        raise ModelError(f"the model cannot be written to {folder}: {error}") from None


def examine_model_folder(folder: Path) -> tuple[ModelConfig, Tokenizer]:
    """The configuration and the tokenizer of a model folder whose weights fit them; no weight is read.

    Raises ModelError, without the folder's name, for whatever is missing, damaged or not supported.
    """
    model = config_from_hf(read_json(folder / "config.json"))
    tokenizer = load_tokenizer(folder)
    require_vocabulary(model, tokenizer)
    examine_weights(folder, model)
    return model, tokenizer


def require_vocabulary(model: ModelConfig, tokenizer: Tokenizer) -> None:
    """Raise ModelError where the tokenizer knows more tokens than the network."""
    if tokenizer.vocab_size > model.vocabulary:
        raise ModelError(
            f"the tokenizer has {tokenizer.vocab_size} tokens, but config.json: vocab_size is {model.vocabulary}"
        )


def examine_weights(folder: Path, model: ModelConfig) -> None:
    """Raise ModelError where the weights in a folder are not all that, and only what, the network needs."""
    with open_weights(folder) as files:
        names = foreign_names(files.shapes(), model)
        require_tied(model, names, files.read)


def read_model_folder(
    folder: Path, *, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> LoadedModel:
    """The gpt2, qwen3 or llama model in a Hugging Face folder, on `device`, its weights as `dtype` (float32).

    Sizes are checked against the files' headers before anything is allocated, and no pickle is ever opened. Raises
    ModelError in one sentence for whatever is missing, damaged or not supported, MemoryLimitError when it cannot fit.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder} is not a folder, as a model with its config.json, weights and tokenizer is")
    with _naming(folder):
        model = config_from_hf(read_json(folder / "config.json"))
    tokenizer = load_tokenizer(folder)
    with _naming(folder):
        require_vocabulary(model, tokenizer)
        network = _read_network(folder, model, torch.device(device), dtype or torch.float32)
    return LoadedModel(network, tokenizer, model)


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Say in every ModelError which folder it is about."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{folder}: {error}") from None


def _read_network(folder: Path, model: ModelConfig, device: torch.device, dtype: torch.dtype) -> GPT:
    with open_weights(folder) as files:
        names = foreign_names(files.shapes(), model)
        _require_memory(model, device, dtype)
        network = empty_network(model).to(dtype)
        network.to_empty(device=device)
        fill(network.state_dict(), model, names, files.read)
    restore_tables(network)
    return network.to(device).eval()


def _require_memory(model: ModelConfig, device: torch.device, dtype: torch.dtype) -> None:
    """Raise MemoryLimitError when weights and rotary tables exceed what is free on `device`."""
    numbers = sum(torch.Size(shape).numel() for shape in own_shapes(model).values())
    tables = 0 if model.family == "gpt2" else 2 * 4 * model.n_positions * model.head_size
    needed = numbers * dtype.itemsize + tables
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
    else:
        free = psutil.virtual_memory().available
    if needed > free:
        raise MemoryLimitError(
            f"{model.family} with {numbers:,} parameters and a context of {model.n_positions:,} needs "
            f"{needed / 1e9:.1f} GB on {device}, where {free / 1e9:.1f} GB are free; open a smaller model, or end "
            "what else takes memory"
        )


def _generation_config(sample: SampleConfig, model: ModelConfig, tokenizer: Tokenizer) -> dict[str, Any]:
    """transformers' GenerationConfig that draws as `sample` does; greedy where its temperature is 0.

    transformers moves no window: past the context it warns, and a GPT-2 fails. So half of that is left to the prompt.
    """
    ends, chat = end_ids(tokenizer), chat_format(tokenizer)
    padding = tokenizer.eot_id if tokenizer.eot_id is not None or chat is None else chat.end_id
    config: dict[str, Any] = {
        "bos_token_id": tokenizer.eot_id,
        "eos_token_id": _one_or_all(sorted(ends)),
        "pad_token_id": padding,
        "max_new_tokens": min(sample.max_new_tokens, max(1, model.n_positions // 2)),
        "do_sample": sample.temperature > 0,
    }
    if sample.repetition_penalty != 1:
        config["repetition_penalty"] = sample.repetition_penalty
    if sample.temperature > 0:
        # transformers takes 50 for a top_k that is left out, so it is always written.
        config |= {"temperature": sample.temperature, "top_k": sample.top_k, "top_p": sample.top_p}
        if sample.min_p:
            config["min_p"] = sample.min_p
    return config


def _one_or_all(ids: list[int]) -> int | list[int] | None:
    return ids if len(ids) > 1 else next(iter(ids), None)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
