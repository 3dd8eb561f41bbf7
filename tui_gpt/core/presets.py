"""Named starting points: each a configuration tree, with the reason for its numbers.

Learning rates of the GPT-2 sizes follow Brown et al. (2020), table 2.1, for models of the same size; those of Muon
follow `quick`, which was tuned here (docs/experiments.md), carried over to other widths.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from tui_gpt.core.config import RunConfig
from tui_gpt.core.config_loading import build_config
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.published import PUBLISHED

Suits = Literal["any computer", "a laptop", "a GPU", "several GPUs"]
Tree = dict[str, dict[str, Any]]


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """A starting point for a run."""

    name: str
    title: str
    reason: str
    """Why these numbers, in a sentence or two."""
    suits: Suits
    """The least machine on which it is finished in a reasonable time."""
    tree: Tree
    """Sections of a configuration; what is left out has its default."""


def preset_config(name: str) -> RunConfig:
    """The configuration of a preset. Raises ConfigError for a name that is none, listing those there are."""
    if name not in PRESETS:
        raise ConfigError("preset", f"there is none named {name!r}; there are {', '.join(PRESETS)}")
    return build_config((f"preset {name}", PRESETS[name].tree))


def _muon(width: int) -> dict[str, Any]:
    """Muon as tuned at width 192: AdamW's rate falls with the root of the width, Muon's decay with its square."""
    return {
        "optimizer": "muon",
        "muon_learning_rate": 0.02,
        "muon_weight_decay": round(0.1 * (192 / width) ** 2, 4),
        "learning_rate": round(0.004 * (192 / width) ** 0.5, 4),
        "schedule": "wsd",
        "decay_fraction": 0.7,
        "zero_init_projections": True,
    }


_QUICK = Preset(
    name="quick",
    title="Three minutes on a laptop",
    reason="A narrow modern network in bf16 takes some thousand steps in three minutes on two cores; Muon, blocks that "
    "begin as identities and a long warm-down make the most of so few.",
    suits="any computer",
    tree={
        "model": {
            "family": "qwen3",
            "n_layer": 4,
            "n_embd": 192,
            "n_head": 3,
            "n_positions": 256,
            "tie_word_embeddings": False,
        },
        "train": {"max_minutes": 3.0, "batch_size": 16, "warmup_steps": 20, **_muon(192)},
    },
)

_TINY = Preset(
    name="tiny",
    title="Seconds, to see that it works",
    reason="Two layers of width 64 over single characters are the least that still learns to spell words; 200 steps "
    "take seconds on one core.",
    suits="any computer",
    tree={
        "model": {"n_layer": 2, "n_embd": 64, "n_head": 2, "n_positions": 64},
        "data": {"corpus_megabytes": 0.5, "tokenizer": "char"},
        "train": {
            "max_steps": 200,
            "batch_size": 16,
            "learning_rate": 3e-3,
            "warmup_steps": 20,
            "eval_tokens": 8192,
            "sample_tokens": 100,
        },
    },
)

_NANOGPT_CPU = Preset(
    name="nanogpt-shakespeare-cpu",
    title="nanoGPT's Shakespeare, CPU version",
    reason="nanoGPT's own settings for a laptop without a GPU: 4 layers of width 128, 64 characters of context, "
    "batches of 12, 2000 steps, no dropout because so small a network does not overfit in that time.",
    suits="any computer",
    tree={
        "model": {"n_layer": 4, "n_embd": 128, "n_head": 4, "n_positions": 64},
        "data": {"tokenizer": "char"},
        "train": {
            "max_steps": 2000,
            "batch_size": 12,
            "learning_rate": 1e-3,
            "min_lr_fraction": 0.1,
            "beta2": 0.99,
            "warmup_steps": 100,
        },
    },
)

_NANOGPT = Preset(
    name="nanogpt-shakespeare",
    title="nanoGPT's Shakespeare",
    reason="nanoGPT's own settings for one GPU: 10.65 million weights on a million characters overfit early, hence "
    "dropout 0.2 and a beta2 of 0.99 for the few tokens per step.",
    suits="a GPU",
    tree={
        "model": {"n_layer": 6, "n_embd": 384, "n_head": 6, "n_positions": 256, "dropout": 0.2},
        "data": {"tokenizer": "char"},
        "train": {
            "max_steps": 5000,
            "batch_size": 64,
            "learning_rate": 1e-3,
            "min_lr_fraction": 0.1,
            "beta2": 0.99,
            "warmup_steps": 100,
            "eval_interval": 250,
        },
    },
)

_TINYSTORIES = Preset(
    name="tinystories",
    title="TinyStories, 4 layers of 256",
    reason="Eldan and Li (2023) found that a few layers of a few hundred suffice for stories in simple English; 512 "
    "tokens hold a whole story, in GPT-2's tokens as theirs were.",
    suits="a laptop",
    tree={
        "model": {"n_layer": 4, "n_embd": 256, "n_head": 4, "n_positions": 512},
        "data": {"tokenizer": "gpt2"},
        "train": {
            "max_epochs": 1.0,
            "batch_size": 32,
            "learning_rate": 1e-3,
            "min_lr_fraction": 0.1,
            "warmup_steps": 200,
        },
    },
)

_SEEDS = Preset(
    name="seeds-8x768",
    title="8 layers of 768",
    reason="GPT-2 small's width and 12 heads on two thirds of its layers and half of its context: what one GPU trains "
    "on a corpus of some hundred megabytes within hours.",
    suits="a GPU",
    tree={
        "model": {"n_layer": 8, "n_embd": 768, "n_head": 12, "n_positions": 512},
        "data": {"tokenizer": "gpt2"},
        "train": {
            "max_epochs": 1.0,
            "batch_size": 64,
            "grad_accumulation_steps": 2,
            "learning_rate": 6e-4,
            "min_lr_fraction": 0.1,
            "warmup_steps": 500,
        },
    },
)


def _published(name: str, title: str, learning_rate: float, parts: int, suits: Suits) -> Preset:
    """A published GPT-2 size, to be trained with GPT-3's learning rate for that size."""
    size = PUBLISHED[name]
    return Preset(
        name=name,
        title=title,
        reason=f"The published size, field by field; learning rate {learning_rate:g} as GPT-3's model of that size "
        f"had, half a million tokens per step, in {parts} parts so that a step fits into a GPU's memory.",
        suits=suits,
        tree={
            "model": {
                "family": "gpt2",
                "vocab_size": size.vocab_size,
                "n_positions": size.n_positions,
                "n_embd": size.n_embd,
                "n_layer": size.n_layer,
                "n_head": size.n_head,
                "layer_norm_epsilon": size.layer_norm_epsilon,
                "tie_word_embeddings": True,
            },
            "data": {"tokenizer": "gpt2"},
            "train": {
                "max_steps": 600_000,
                "batch_size": 480,
                "grad_accumulation_steps": parts,
                "learning_rate": learning_rate,
                "min_lr_fraction": 0.1,
                "warmup_steps": 2000,
                "gradient_checkpointing": size.n_layer >= 36,
                "eval_interval": 1000,
                "checkpoint_minutes": 15.0,
            },
        },
    )


_QWEN3_10M = Preset(
    name="qwen3-10m",
    title="10 million, modern",
    reason="The width, depth and context of nanoGPT's Shakespeare model with rotary positions, SwiGLU and Muon: the "
    "same size for a fair comparison.",
    suits="a laptop",
    tree={
        "model": {
            "family": "qwen3",
            "n_layer": 6,
            "n_embd": 384,
            "n_head": 6,
            "n_positions": 256,
            "tie_word_embeddings": False,
        },
        "train": {"max_minutes": 30.0, "batch_size": 32, "warmup_steps": 50, **_muon(384)},
    },
)

_QWEN3_120M = Preset(
    name="qwen3-120m",
    title="120 million, modern",
    reason="GPT-2 small's layers, width and heads in the qwen3 family: the same weights to spend, and a head tied to "
    "the embedding because GPT-2's vocabulary takes a third of them.",
    suits="a GPU",
    tree={
        "model": {"family": "qwen3", "n_layer": 12, "n_embd": 768, "n_head": 12, "n_positions": 1024},
        "data": {"tokenizer": "gpt2"},
        "train": {
            "max_epochs": 1.0,
            "batch_size": 480,
            "grad_accumulation_steps": 40,
            "warmup_steps": 200,
            "checkpoint_minutes": 15.0,
            **_muon(768),
        },
    },
)

_QWEN3_350M = Preset(
    name="qwen3-350m",
    title="350 million, modern",
    reason="GPT-2 medium's layers, width and heads in the qwen3 family; 4 heads for keys and values, so that the KV "
    "cache of a long talk is a quarter.",
    suits="several GPUs",
    tree={
        "model": {
            "family": "qwen3",
            "n_layer": 24,
            "n_embd": 1024,
            "n_head": 16,
            "n_kv_head": 4,
            "n_inner": 3072,
            "n_positions": 2048,
        },
        "data": {"tokenizer": "gpt2"},
        "train": {
            "max_epochs": 1.0,
            "batch_size": 240,
            "grad_accumulation_steps": 60,
            "warmup_steps": 200,
            "checkpoint_minutes": 15.0,
            **_muon(1024),
        },
    },
)

FINE_TUNING: Tree = {
    "train": {
        "optimizer": "adamw",
        "learning_rate": 3e-4,
        "schedule": "cosine",
        "warmup_steps": 20,
        "weight_decay": 0.01,
    }
}
"""What a run that begins from a model of others takes over the preset's where a person says nothing.

The presets' rates are those at which small networks learn from nothing. They also suit what was trained with them
(docs/experiments.md), and would undo what a large model has learned from more text than there is here. The rate is the
one that is usual for adapters, and half of that at which GPT-2 small was trained.
"""

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        _QUICK,
        _TINY,
        _NANOGPT_CPU,
        _NANOGPT,
        _TINYSTORIES,
        _SEEDS,
        _published("gpt2", "GPT-2 small, 124 million", 6e-4, 40, "several GPUs"),
        _published("gpt2-medium", "GPT-2 medium, 355 million", 3e-4, 120, "several GPUs"),
        _published("gpt2-large", "GPT-2 large, 774 million", 2.5e-4, 120, "several GPUs"),
        _published("gpt2-xl", "GPT-2 XL, 1558 million", 2e-4, 240, "several GPUs"),
        _QWEN3_10M,
        _QWEN3_120M,
        _QWEN3_350M,
    )
}
"""In the order in which to show them."""
