"""What was measured about which shape, kept from one start to the next: a changed shape makes a measurement stale."""

from __future__ import annotations

from typing import Any

import msgspec

from tui_gpt.core.config import RunConfig, to_dict
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.messages import Calibrated
from tui_gpt.core.planning import Measurement, TokensPerSecond, speed_from
from tui_gpt.core.sizes import DeviceKind, flops_per_token

_MOST = 30
_TRAIN_FIELDS = (
    "batch_size",
    "grad_accumulation_steps",
    "optimizer",
    "gradient_checkpointing",
    "weight_average",
    "lora_rank",
    "lora_targets",
    "device",
    "precision",
    "threads",
)
"""Of the training section, what makes a step faster or slower."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement."""

    key: str
    title: str
    """The shape in a few words."""
    flops_per_token: float
    tokens_per_second: float
    step_seconds: float
    memory_bytes: int
    device: str
    device_name: str
    precision: str
    threads: int
    reasons: list[str] = []

    @property
    def kind(self) -> DeviceKind:
        """The kind of device."""
        return "cuda" if self.device.startswith("cuda") else "mps" if self.device == "mps" else "cpu"


class Calibrations:
    """Measurements by shape, the newest last."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def add(self, config: RunConfig, measured: Calibrated) -> Entry:
        """Keep a measurement of a configuration whose vocabulary is known."""
        model = config.model
        entry = Entry(
            key=shape_key(config),
            title=f"{model.family} {model.n_layer} x {model.n_embd}",
            flops_per_token=flops_per_token(model).training,
            tokens_per_second=measured.tokens_per_second,
            step_seconds=measured.step_seconds,
            memory_bytes=measured.memory_bytes,
            device=measured.device,
            device_name=measured.device_name,
            precision=measured.precision,
            threads=measured.threads,
            reasons=measured.reasons,
        )
        self._entries.pop(entry.key, None)
        self._entries[entry.key] = entry
        while len(self._entries) > _MOST:
            self._entries.pop(next(iter(self._entries)))
        return entry

    def get(self, config: RunConfig) -> Entry | None:
        """What was measured for exactly this shape."""
        return self._entries.get(shape_key(config))

    @property
    def latest(self) -> Entry | None:
        """The newest measurement."""
        return next(reversed(self._entries.values()), None)

    def speed(self, config: RunConfig) -> TokensPerSecond | None:
        """Tokens per second of any model on the same device, by what was measured there; None where nothing was."""
        same = [e for e in self._entries.values() if _device_of(e.key) == _device_of(shape_key(config))]
        if not same:
            return None
        try:
            return speed_from(Measurement(e.flops_per_token, e.tokens_per_second) for e in same)
        except ConfigError:
            return None

    def remember(self) -> list[Any]:
        """As JSON types."""
        built: list[Any] = msgspec.to_builtins(list(self._entries.values()))
        return built

    def recall(self, remembered: Any) -> None:
        """Take up what was remembered; what is damaged is left out."""
        for item in remembered if isinstance(remembered, list) else []:
            try:
                entry = msgspec.convert(item, Entry)
            except msgspec.ValidationError:
                continue
            if entry.flops_per_token > 0 and entry.tokens_per_second > 0:
                self._entries[entry.key] = entry


def shape_key(config: RunConfig) -> str:
    """Everything that decides how long a step takes, as text."""
    train = to_dict(config.train)
    shape = {"model": to_dict(config.model), **{name: train[name] for name in _TRAIN_FIELDS}}
    shape["weight_average"] = bool(train["weight_average"])
    return msgspec.json.encode(shape, order="deterministic").decode()


def _device_of(key: str) -> tuple[Any, ...]:
    try:
        shape = msgspec.json.decode(key)
        return tuple(shape[name] for name in ("device", "precision", "threads"))
    except (msgspec.DecodeError, KeyError, TypeError):
        return ()
