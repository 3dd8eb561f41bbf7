"""A model with loud random weights, in the library, so that every part of it shows in what comes out."""

from __future__ import annotations

from typing import Any

import torch

from tui_gpt.core.config import ModelConfig
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.model_record import ModelRecord
from tui_gpt.engine.interop.huggingface import write_model_folder
from tui_gpt.engine.network import GPT, build_network
from tui_gpt.engine.text.bpe_training import train_bpe
from tui_gpt.engine.text.tokenizer import Tokenizer

TEXT = "Once upon a time a small fox 🦊 met a café owner. “Hello!”\n  They had 3,14 pies — don't you?\n" * 3
SHAPE = {"n_positions": 128, "n_embd": 64, "n_layer": 2, "n_head": 4}


def save_random_model(
    family: str, *, tied: bool = True, tokenizer: Tokenizer | None = None, padding: int = 0, name: str = "fox"
) -> GPT:
    """Save a network of that family and SHAPE; `padding`: rows of the embedding that no token has."""
    tokenizer = tokenizer or train_bpe([TEXT], 300)
    more: dict[str, Any] = {} if family == "gpt2" else {"n_kv_head": 2, "head_dim": 32}
    model = ModelConfig(
        family=family,  # type: ignore[arg-type]
        vocab_size=tokenizer.vocab_size + padding,
        tie_word_embeddings=tied,
        **SHAPE,
        **more,
    )
    network = build_network(model, 5).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter, weight in network.named_parameters():
            scale = parameter.endswith("weight") and "norm" in parameter
            weight.normal_(1.0 if scale else 0.0, 0.2, generator=generator)
    ModelHandler().save(
        name,
        lambda folder: write_model_folder(folder, network, model, tokenizer),
        ModelRecord(name=name, family=family, license="mit"),
    )
    return network
