"""What to train when so many minutes are all there is: a size and a recipe from how fast this machine computes.

The rule. A ladder of sizes, each with its context and batch, all of the qwen3 family with Muon, a long warm-down and
blocks that begin as identities (preset `quick`, tuned here: docs/experiments.md). The largest rung is taken

- that sees enough tokens in the time: 1.5 per parameter at 2 million parameters, growing with the root of the size up
  to 20 (`tokens_wanted`). 20 is where Hoffmann et al. (2022) found large models to be trained best; at 2 million and a
  few minutes a width of 192 that saw 2.3 tokens per parameter did better here than a width of 256 that saw 0.8;
- that has at most 10 parameters per token of the training text, as nanoGPT's Shakespeare model has;
- whose training fits into the memory there is, with a share of it left free, in parts or recomputing if need be.

Nothing but the time's length makes a rung possible or not as minutes are added, and a longer time only ever makes more
of them possible: more minutes never give a smaller model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from tui_gpt.core import exposure, figures
from tui_gpt.core.config import SHORTEST_CONTEXT, ModelConfig, RunConfig
from tui_gpt.core.config_loading import build_config
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.presets import PRESETS
from tui_gpt.core.sizes import DeviceKind, Precision, flops_per_token, parameters, training_memory

MEMORY_SHARE = 0.8
"""Of the free memory that a plan takes: other programs want some during the run."""
MOST_PARAMETERS_PER_TOKEN = 10.0
LARGEST_UNTIED_VOCABULARY = 8192
"""Above it the output head is the token embedding, which otherwise would take most of a small model."""
LONGEST_MINUTES = 525_600.0
_MOST_DROPOUT = 0.2

TokensPerSecond = Callable[[ModelConfig], float]
Tree = dict[str, dict[str, Any]]


class Rung(NamedTuple):
    """A size on the ladder, with the context (tokens) and the batch (sequences) that go with it."""

    n_layer: int
    n_embd: int
    n_head: int
    n_positions: int
    batch_size: int


LADDER: tuple[Rung, ...] = (
    Rung(2, 64, 2, 128, 16),
    Rung(3, 96, 3, 256, 16),
    Rung(4, 128, 2, 256, 16),
    Rung(4, 192, 3, 256, 16),
    Rung(5, 192, 3, 256, 16),
    Rung(4, 256, 4, 256, 16),
    Rung(5, 256, 4, 256, 16),
    Rung(6, 256, 4, 256, 16),
    Rung(6, 320, 5, 256, 32),
    Rung(6, 384, 6, 256, 32),
    Rung(8, 384, 6, 256, 32),
    Rung(8, 448, 7, 512, 32),
    Rung(8, 512, 8, 512, 32),
    Rung(10, 512, 8, 512, 32),
    Rung(10, 640, 10, 512, 64),
    Rung(12, 640, 10, 1024, 64),
    Rung(12, 768, 12, 1024, 64),
    Rung(16, 1024, 16, 1024, 128),
    Rung(24, 1280, 20, 1024, 256),
    Rung(28, 1536, 24, 1024, 256),
    Rung(32, 2048, 32, 2048, 256),
)
"""From the smallest to the largest; heads are 64 wide but for the first two."""


class Measurement(msgspec.Struct, frozen=True):
    """How fast a model of so many FLOPs per trained token was trained."""

    flops_per_token: float
    tokens_per_second: float


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A size and a recipe."""

    tree: Tree
    """The sections `model` and `train`, to be laid over a configuration."""
    reason: str
    """Why these numbers, in a few sentences."""
    n_parameters: int
    n_tokens: float
    """That the run will see, by the estimate."""


def tokens_wanted(n_parameters: float) -> float:
    """Training tokens that a model of this size should see to be worth its size."""
    return n_parameters * min(20.0, 1.5 * math.sqrt(n_parameters / 2e6))


def speed_from(measurements: Iterable[Measurement]) -> TokensPerSecond:
    """Tokens per second of any model: the nearest measured one's, in proportion to the FLOPs per token.

    Raises ConfigError without a measurement.
    """
    known = sorted(measurements, key=lambda m: m.flops_per_token)
    if not known:
        raise ConfigError("", "how fast this machine trains has not been measured yet; calibrate first")

    def tokens_per_second(model: ModelConfig) -> float:
        flops = flops_per_token(model).training
        nearest = min(known, key=lambda m: abs(math.log(m.flops_per_token / flops)))
        return nearest.tokens_per_second * nearest.flops_per_token / flops

    return tokens_per_second


def plan(
    minutes: float,
    n_train_tokens: int | None,
    tokens_per_second_of: TokensPerSecond,
    available_memory: int,
    *,
    vocab_size: int,
    precision: Precision = "bf16",
    device: DeviceKind = "cpu",
) -> Plan:
    """The largest rung that the rule above allows, as a configuration tree, and the reason in words.

    `n_train_tokens` is None where the corpus is not counted yet, `available_memory` is in bytes. Raises ConfigError for
    a time that is none, and where not even the smallest model fits.
    """
    if not 0 < minutes <= LONGEST_MINUTES:
        raise ConfigError("minutes", f"{minutes:g} is not a time to train in; give a number above 0, up to a year")
    chosen: tuple[RunConfig, Tree] | None = None
    limit = ""
    for rung in LADDER:
        tree = _tree(rung, minutes, n_train_tokens, vocab_size)
        config = _fitting(tree, vocab_size, int(MEMORY_SHARE * available_memory), precision, device)
        if config is None:
            limit = "a larger one would not fit into the memory that is free"
            break
        count = parameters(config.model).total
        if chosen is not None:
            seen = minutes * 60.0 * tokens_per_second_of(config.model)
            if seen < tokens_wanted(count):
                limit = "a larger one would see too few for its size"
                break
            if n_train_tokens is not None and count > MOST_PARAMETERS_PER_TOKEN * n_train_tokens:
                limit = f"a larger one would learn a text of {figures.amount(n_train_tokens)} tokens by heart"
                break
        chosen = config, tree
    if chosen is None:
        raise ConfigError(
            "minutes", f"not even the smallest model fits into the {figures.memory(available_memory)} that are free"
        )
    return _plan(*chosen, minutes, n_train_tokens, tokens_per_second_of(chosen[0].model), limit)


def _plan(config: RunConfig, tree: Tree, minutes: float, n_train_tokens: int | None, speed: float, limit: str) -> Plan:
    count = parameters(config.model).total
    tokens = minutes * 60.0 * speed
    steps = tokens / (config.train.batch_size * config.model.n_positions)
    tree["train"]["warmup_steps"] = max(5, min(200, round(steps / 50)))
    tree["train"]["grad_accumulation_steps"] = config.train.grad_accumulation_steps
    if config.train.gradient_checkpointing:
        tree["train"]["gradient_checkpointing"] = True
    passes = None if n_train_tokens is None else tokens / n_train_tokens
    tree["model"]["dropout"] = 0.0 if passes is None or passes <= 10 else 0.1 if passes <= 30 else _MOST_DROPOUT
    repeated = ""
    if passes is not None:
        often = (
            "once" if 0.995 <= passes < 1.005 else f"{passes:,.2g} times" if passes < 100 else f"{passes:,.0f} times"
        )
        repeated = f" The text is read {often} ({exposure.in_words(passes)})"
        repeated += f", hence dropout {tree['model']['dropout']}." if tree["model"]["dropout"] else "."
    reason = (
        f"{config.model.n_layer} layers of {config.model.n_embd}, {figures.amount(count)} parameters: in "
        f"{minutes:g} minutes this machine trains it on about {figures.amount(tokens)} tokens "
        f"({tokens / count:.2g} per parameter, {figures.amount(steps)} steps)"
        f"{'; ' + limit if limit else ''}.{repeated}"
    )
    return Plan(tree=tree, reason=reason, n_parameters=count, n_tokens=tokens)


def _tree(rung: Rung, minutes: float, n_train_tokens: int | None, vocab_size: int) -> Tree:
    """The rung's configuration; what depends on the width follows the preset `quick` as its module says."""
    quick = PRESETS["quick"].tree
    ratio = quick["model"]["n_embd"] / rung.n_embd
    return {
        "model": {
            "family": "qwen3",
            "n_layer": rung.n_layer,
            "n_embd": rung.n_embd,
            "n_head": rung.n_head,
            "n_positions": _context(rung.n_positions, n_train_tokens),
            "tie_word_embeddings": vocab_size > LARGEST_UNTIED_VOCABULARY,
        },
        "train": {
            **quick["train"],
            "max_minutes": float(minutes),
            "batch_size": rung.batch_size,
            "learning_rate": round(quick["train"]["learning_rate"] * ratio**0.5, 4),
            "muon_weight_decay": round(quick["train"]["muon_weight_decay"] * ratio**2, 4),
        },
    }


def _context(wanted: int, n_train_tokens: int | None) -> int:
    """`wanted`, or less for a text so short that its validation part would not hold one context."""
    if n_train_tokens is None:
        return wanted
    longest = max(SHORTEST_CONTEXT, n_train_tokens // 40)
    return min(wanted, 1 << (longest.bit_length() - 1))


def _fitting(tree: Tree, vocab_size: int, available: int, precision: Precision, device: DeviceKind) -> RunConfig | None:
    """The configuration in the fewest parts in which it fits, recomputing activations only if nothing else helps."""
    batch: int = tree["train"]["batch_size"]
    parts: Sequence[int] = [n for n in range(1, batch + 1) if batch % n == 0]
    for recomputing in (False, True):
        for number in parts:
            config = build_config(
                ("plan", tree),
                (
                    "plan",
                    {
                        # Dropout, which takes memory, comes with the minutes: room for it is kept in any case.
                        "model": {"vocab_size": vocab_size, "dropout": _MOST_DROPOUT},
                        "train": {"grad_accumulation_steps": number, "gradient_checkpointing": recomputing},
                    },
                ),
            )
            if training_memory(config.model, config.train, precision, device=device).total <= available:
                return config
    return None
