"""The published GPT-2 sizes (Radford et al., 2019), and how a configuration differs from them field by field."""

from __future__ import annotations

import math

import msgspec

from tui_gpt.core.config import ModelConfig
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.sizes import parameters


class PublishedSize(msgspec.Struct, frozen=True, kw_only=True):
    """A released model. The numbers are those of its `config.json`, with the names used there."""

    name: str
    n_embd: int
    n_layer: int
    n_head: int
    parameters: int
    """Learned numbers, the output head being the token embedding."""
    vocab_size: int = 50_257
    n_positions: int = 1024
    layer_norm_epsilon: float = 1e-5

    @property
    def n_inner(self) -> int:
        """Width inside the MLP: left out of the released files, which means 4 n_embd."""
        return 4 * self.n_embd


PUBLISHED: dict[str, PublishedSize] = {
    size.name: size
    for size in (
        PublishedSize(name="gpt2", n_embd=768, n_layer=12, n_head=12, parameters=124_439_808),
        PublishedSize(name="gpt2-medium", n_embd=1024, n_layer=24, n_head=16, parameters=354_823_168),
        PublishedSize(name="gpt2-large", n_embd=1280, n_layer=36, n_head=20, parameters=774_030_080),
        PublishedSize(name="gpt2-xl", n_embd=1600, n_layer=48, n_head=25, parameters=1_557_611_200),
    )
}


class FieldComparison(msgspec.Struct, frozen=True):
    """One field of a configuration beside the published one."""

    field: str
    actual: int | float | str | bool | None
    """None for what depends on a tokenizer that is not known yet."""
    published: int | float | str | bool

    @property
    def equal(self) -> bool:
        """Whether the two are the same."""
        return self.actual == self.published


def nearest(model: ModelConfig) -> PublishedSize:
    """The published size whose width and depth come nearest, as ratios."""

    def distance(size: PublishedSize) -> float:
        return abs(math.log(model.n_embd / size.n_embd)) + abs(math.log(model.n_layer / size.n_layer))

    return min(PUBLISHED.values(), key=distance)


def compare(model: ModelConfig, name: str | None = None) -> list[FieldComparison]:
    """Every field that makes a model a published one, against the size of that name or the nearest.

    Raises ConfigError for a name that is none of the published ones.
    """
    if name is not None and name not in PUBLISHED:
        raise ConfigError("size", f"{name!r} is not a published GPT-2 size; there are {', '.join(PUBLISHED)}")
    size = PUBLISHED[name] if name else nearest(model)
    count = None if model.vocab_size is None else parameters(model).total
    return [
        FieldComparison("family", model.family, "gpt2"),
        FieldComparison("vocab_size", model.vocab_size, size.vocab_size),
        FieldComparison("n_positions", model.n_positions, size.n_positions),
        FieldComparison("n_embd", model.n_embd, size.n_embd),
        FieldComparison("n_layer", model.n_layer, size.n_layer),
        FieldComparison("n_head", model.n_head, size.n_head),
        FieldComparison("n_inner", model.inner, size.n_inner),
        FieldComparison("layer_norm_epsilon", model.layer_norm_epsilon, size.layer_norm_epsilon),
        FieldComparison("tie_word_embeddings", model.tie_word_embeddings, True),
        FieldComparison("parameters", count, size.parameters),
    ]
