"""What a configuration amounts to: the arithmetic of `core.sizes`, with what is known of the text and the machine."""

from __future__ import annotations

import msgspec

from tui_gpt.core import processor
from tui_gpt.core.config import ModelConfig, RunConfig, TrainConfig
from tui_gpt.core.messages import Explored
from tui_gpt.core.published import FieldComparison, compare, nearest
from tui_gpt.core.sizes import (
    DeviceKind,
    FlopsPerToken,
    MemoryEstimate,
    ParameterCount,
    Precision,
    assumed_vocabulary,
    flops_per_token,
    parameters,
    training_memory,
)
from tui_gpt.ui.configure.calibrations import Calibrations, Entry


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """The figures beside the form."""

    config: RunConfig
    """With the vocabulary that was reckoned with."""
    assumed: bool
    """Whether that vocabulary is a guess, because the corpus was not read yet."""
    parameters: ParameterCount
    memory: MemoryEstimate
    available: int | None
    """Free bytes; None for a device that only the trainer can ask."""
    precision: Precision
    flops: FlopsPerToken
    tokens_per_step: int
    train_tokens: int | None
    steps: float | None
    """None where it depends on what is not known yet: the text's length, or the speed."""
    tokens: float | None
    """Seen over the whole run."""
    passes: float | None
    """How often the text is read."""
    tokens_per_second: float | None
    seconds: float | None
    measured: Entry | None
    """The measurement of exactly this shape; without one the speed is estimated from another's."""
    published: str
    comparison: list[FieldComparison]

    @property
    def fits(self) -> bool | None:
        """Whether the memory suffices; None where nobody knows."""
        return None if self.available is None else self.memory.total <= self.available

    @property
    def tokens_per_parameter(self) -> float | None:
        """Over the whole run."""
        return None if self.tokens is None else self.tokens / self.parameters.total


def with_known_vocabulary(config: RunConfig, facts: Explored | None) -> RunConfig:
    """The configuration with the vocabulary of the explored corpus, or the one to reckon with until it is."""
    if config.model.vocab_size is not None:
        return config
    size = facts.vocab_size if facts is not None else assumed_vocabulary(config)
    model: ModelConfig = msgspec.structs.replace(config.model, vocab_size=max(2, size))
    return msgspec.structs.replace(config, model=model)


def weigh(config: RunConfig, facts: Explored | None, calibrations: Calibrations, available: int) -> Weights:
    """All figures of a valid configuration. `facts` are those of its corpus and tokenizer, `available` free bytes."""
    assumed = config.model.vocab_size is None and facts is None
    config = with_known_vocabulary(config, facts)
    model, train = config.model, config.train
    measured = calibrations.get(config)
    device = _device(train.device, measured or calibrations.latest)
    precision = _precision(train, device, measured)
    speed = calibrations.speed(config)
    per_second = measured.tokens_per_second if measured else speed(model) if speed else None
    per_step = train.batch_size * model.n_positions
    train_tokens = facts.epoch_tokens if facts is not None else None
    tokens = _tokens(config, per_step, train_tokens, per_second)
    seconds = train.max_minutes * 60.0 if train.max_minutes is not None else None
    if seconds is None and tokens is not None and per_second:
        seconds = tokens / per_second
    return Weights(
        config=config,
        assumed=assumed,
        parameters=parameters(model),
        memory=training_memory(model, train, precision, device=device),
        available=available if device == "cpu" else None,
        precision=precision,
        flops=flops_per_token(model),
        tokens_per_step=per_step,
        train_tokens=train_tokens,
        steps=None if tokens is None else tokens / per_step,
        tokens=tokens,
        passes=tokens / train_tokens if tokens is not None and train_tokens else train.max_epochs,
        tokens_per_second=per_second,
        seconds=seconds,
        measured=measured,
        published=nearest(model).name,
        comparison=compare(msgspec.structs.replace(model, vocab_size=None) if assumed else model),
    )


def _precision(train: TrainConfig, device: DeviceKind, measured: Entry | None) -> Precision:
    """As it was measured, else as the trainer's probe is likely to choose."""
    chosen = measured.precision if measured is not None else train.precision
    if chosen == "auto":
        return "float32" if device == "mps" or (device == "cpu" and not processor.has_bf16()) else "bf16"
    return "float32" if chosen == "float32" else "bf16"


def _device(wanted: str, known: Entry | None) -> DeviceKind:
    if wanted == "auto":
        return known.kind if known is not None else "cpu"
    return "cuda" if wanted.startswith("cuda") else "mps" if wanted == "mps" else "cpu"


def _tokens(config: RunConfig, per_step: int, train_tokens: int | None, per_second: float | None) -> float | None:
    train = config.train
    if train.max_steps is not None:
        return float(train.max_steps * per_step)
    if train.max_epochs is not None:
        return None if train_tokens is None else train.max_epochs * train_tokens
    assert train.max_minutes is not None
    return None if per_second is None else train.max_minutes * 60.0 * per_second
