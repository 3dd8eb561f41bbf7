"""The models that are in memory, and whether their files are still the ones that were read."""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tui_gpt.core.config import WritingPrecision
from tui_gpt.core.errors import MemoryLimitError
from tui_gpt.core.messages import ModelRef
from tui_gpt.engine.generation.model_source import ModelSource, find_reference, likely_folder, load_reference
from tui_gpt.engine.session.lanes import Turn

if TYPE_CHECKING:
    from tui_gpt.engine.generation.stream import Generator
    from tui_gpt.engine.interop.huggingface import LoadedModel

ROOM = 2
"""Enough for two models side by side."""

Identity = tuple[str | int, ...]
"""Which files lie in a folder, and which bytes they hold, as far as their metadata tell."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A model in memory."""

    source: ModelSource
    loaded: LoadedModel
    val_loss: float | None
    """In nats per token, as last measured before the weights were saved."""
    _generators: dict[WritingPrecision, Generator] = field(default_factory=dict)

    def generator(self, precision: WritingPrecision) -> Generator:
        """What writes with its weights in `precision`, made once. Raises ConfigError where the device cannot."""
        from tui_gpt.engine.generation.stream import Generator

        if precision not in self._generators:
            self._generators[precision] = Generator.of(self.loaded, precision)
        return self._generators[precision]


class ModelShelf:
    """Keeps the models used last, and reads anew what has changed. For one thread."""

    def __init__(self) -> None:
        self._opened: OrderedDict[Identity, Opened] = OrderedDict()
        self._seen: dict[ModelRef, Identity] = {}

    def take(self, ref: ModelRef, turn: Turn) -> Opened:
        """The model, as it lies on the disk now. Raises what `load_reference` raises, and Cancellation."""
        folder = likely_folder(ref)
        identity = None if folder is None else _identity(folder)
        if identity is not None and identity in self._opened:
            self._seen[ref] = identity
            self._opened.move_to_end(identity)
            return self._opened[identity]
        if identity is None:
            find_reference(ref)  # says what is wrong, while nothing has been put away for its sake
        turn.progress("loading", 0.0)
        self._make_room(ref)
        opened = self._read(ref)
        if identity is not None:
            self._seen[ref] = identity
            self._opened[identity] = opened
        turn.check()
        return opened

    def _make_room(self, ref: ModelRef) -> None:
        """Before the next one is read: a run's older checkpoint goes first, then what was not used for longest."""
        from tui_gpt.engine.training.calibration import release_memory

        before = len(self._opened)
        outdated = self._seen.pop(ref, None)
        if outdated is not None and outdated in self._opened and outdated not in self._seen.values():
            del self._opened[outdated]
        while len(self._opened) >= ROOM:
            self._opened.popitem(last=False)
        if len(self._opened) < before:
            release_memory()

    def _read(self, ref: ModelRef) -> Opened:
        from tui_gpt.engine.training.calibration import release_memory

        try:
            source, loaded = load_reference(ref)
        except MemoryLimitError:
            if not self._opened:
                raise
            self._opened.clear()
            release_memory()
            source, loaded = load_reference(ref)
        _write_once(loaded)
        loss = source.val_loss if ref.kind != "run" else _checkpoint_loss(source.folder)
        return Opened(source, loaded, loss)


def _identity(folder: Path) -> Identity | None:
    """None where it cannot be told: then the model is read, and what is wrong is said."""
    try:
        entries = sorted((entry.name, entry.stat()) for entry in os.scandir(folder))
    except OSError:
        return None
    facts = ((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in entries)
    return (str(folder), *(value for entry in facts for value in entry))


def _checkpoint_loss(folder: Path) -> float | None:
    from tui_gpt.engine.training.state import STATE_COUNTERS, Counters

    try:
        return msgspec.json.decode((folder / STATE_COUNTERS).read_bytes(), type=Counters).val_loss
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _write_once(loaded: LoadedModel) -> None:
    """Write one token, so that a person does not wait for what torch sets up at the first one."""
    from tui_gpt.core.config import SampleConfig
    from tui_gpt.engine.generation.stream import Generator
    from tui_gpt.engine.session.threads import use_threads

    use_threads(loaded.network)
    for _ in Generator.of(loaded).stream([0], SampleConfig(max_new_tokens=2, seed=0)):
        pass
