"""In which order the form shows the fields, and under which headings: what most people change comes first."""

from __future__ import annotations

from typing import NamedTuple

from tui_gpt.core.config_loading import FieldDoc, field_docs

RUN_NAME = FieldDoc(
    path="name",
    type="text",
    default="",
    description="Name of the run: letters, digits, '-', '_' and '.'. Empty: made from the name of the corpus.",
)
"""The one field of the form that is not a field of the configuration."""

ENDS = ("train.max_minutes", "train.max_steps", "train.max_epochs")
"""Exactly one of them says when a run ends."""


class Group(NamedTuple):
    """A heading and the fields below it."""

    title: str
    paths: tuple[str, ...]


def _of(section: str, names: str) -> tuple[str, ...]:
    return tuple(f"{section}.{name}" for name in names.split())


_ORDER = (
    Group("Run", ("name", *ENDS)),
    Group("Model", _of("model", "family n_layer n_embd n_head n_positions dropout")),
    Group("Text", _of("data", "corpus tokenizer bpe_vocab_size")),
    Group("Training", _of("train", "batch_size optimizer learning_rate muon_learning_rate schedule warmup_steps")),
    Group(
        "More of the model",
        _of(
            "model",
            "vocab_size n_kv_head head_dim n_inner tie_word_embeddings layer_norm_epsilon rope_theta",
        ),
    ),
    Group(
        "More of the text",
        _of(
            "data",
            "mix corpus_megabytes validation_fraction encoding errors column separator max_documents min_characters "
            "clean shuffle_seed",
        ),
    ),
    Group(
        "Optimizers",
        _of(
            "train",
            "beta1 beta2 adam_epsilon weight_decay muon_momentum muon_momentum_start muon_momentum_warmup_steps "
            "muon_weight_decay grad_clip zero_init_projections weight_average",
        ),
    ),
    Group("Adapters, where a run begins from a model", _of("train", "lora_rank lora_alpha lora_targets")),
    Group(
        "Schedule and batches",
        _of("train", "decay_fraction min_lr_fraction grad_accumulation_steps gradient_checkpointing seed"),
    ),
    Group(
        "Evaluation and checkpoints",
        _of("train", "eval_interval eval_tokens early_stopping_patience checkpoint_minutes checkpoint_interval"),
    ),
    Group("Samples while it trains", _of("train", "sample_prompt sample_tokens")),
    Group("Machine", _of("train", "device precision compile threads")),
    Group("Sampling from the model", ()),
)

EMPTY_MEANS = {
    "name": "from the corpus",
    "data.mix": "the corpus alone",
    "model.vocab_size": "the tokenizer's",
    "model.n_kv_head": "as n_head",
    "model.head_dim": "n_embd / n_head",
    "model.n_inner": "from n_embd",
    "data.max_documents": "all of them, 50,000 of tinystories",
    "data.shuffle_seed": "as they come; tinystories are shuffled",
    "train.max_minutes": "not by the clock",
    "train.max_steps": "not by steps",
    "train.max_epochs": "not by epochs",
    "train.sample_prompt": "from the text",
    "sample.seed": "a new one",
    "sample.stop": "none",
}
"""What follows where a field is left empty; it stands in the field as long as it is."""


def groups() -> list[Group]:
    """Every field of the configuration, and the name; what the order above does not name goes with its section."""
    named = {path for group in _ORDER for path in group.paths}
    last = {"model": 4, "data": 5, "train": 8, "sample": 12}
    arranged = [list(group.paths) for group in _ORDER]
    for doc in field_docs():
        if doc.path not in named:
            arranged[last[doc.path.partition(".")[0]]].append(doc.path)
    return [Group(group.title, tuple(paths)) for group, paths in zip(_ORDER, arranged, strict=True)]


def form_docs() -> dict[str, FieldDoc]:
    """The explanation of every field of the form, by its path."""
    docs = {doc.path: doc for doc in field_docs()}
    return {RUN_NAME.path: RUN_NAME, **docs}
