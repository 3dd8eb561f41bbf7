"""The library and the examples as they lie on the disk, read again only when they have changed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.model_record import ADAPTER_FOLDER
from tui_gpt.core.model_handler import DamagedModel, ModelEntry, ModelHandler

_LONGEST_WORD = 200
"""Characters of a foreign word (a family, a corpus) that are kept for a cell of the table."""
_MOST_FILES = 200
_UNSETTLED = 0.05
"""Seconds after a change in which another one may leave the folder's time stamp as it is."""

Stamp = tuple[tuple[int, int] | None, ...]


class ModelFile(NamedTuple):
    """A file of a model's folder; `size` in bytes."""

    name: str
    size: int


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """A model as the table and the details show it. What is not known is None, or empty for words."""

    model: ModelEntry | DamagedModel
    files: tuple[ModelFile, ...]
    family: str = ""
    parameters: int | None = None
    tokenizer: str = ""
    corpus: str = ""
    val_loss: float | None = None
    """The best one, in nats per token."""
    bits_per_byte: float | None = None
    steps: int | None = None
    created: str = ""

    @property
    def name(self) -> str:
        """The folder's name, which is foreign text where the folder was put there by hand."""
        return self.model.name

    @property
    def problem(self) -> str:
        """Why it cannot be used; empty for a model that can."""
        return self.model.problem if isinstance(self.model, DamagedModel) else ""

    def found_by(self, words: list[str]) -> bool:
        """Whether each of the words (in lower case) occurs in what is known about it."""
        known = " ".join([self.name, self.family, self.tokenizer, self.corpus, self.created, *self._said()]).lower()
        return all(word in known for word in words)

    def _said(self) -> list[str]:
        kind = ["example"] * self.model.read_only + ["damaged"] * bool(self.problem)
        record = self.model.record if isinstance(self.model, ModelEntry) else None
        return kind if record is None else [*kind, record.notes, record.parent or "", record.device or ""]


class Snapshot(NamedTuple):
    """What one reading found."""

    rows: tuple[ModelRow, ...] = ()
    problem: str = ""
    """Why the library cannot be read, in a sentence."""


class Shelf:
    """Reads the models of `handler`. `read` blocks on the disk; `changed` costs a few system calls."""

    def __init__(self, handler: ModelHandler) -> None:
        self.handler = handler
        self._roots = [library.root for library in (handler.library, handler.examples) if library is not None]
        self._seen: Stamp | None = None

    def changed(self) -> bool:
        """Whether a model may have come, gone or been replaced since the last reading."""
        return self._seen != self._stamp()

    def read(self) -> Snapshot:
        """Every model that is there now."""
        stamp = self._stamp()
        newest = max((found[1] for found in stamp if found), default=0)
        # Time stamps have the kernel's ticks: what changes within the same one is found by reading once more.
        settled = not 0 <= time.time() - newest / 1e9 < _UNSETTLED
        try:
            rows = tuple(_row(model) for model in self.handler.list())
        except TuiGptError as error:
            return Snapshot(problem=str(error))
        finally:
            self._seen = stamp if settled else None
        return Snapshot(rows)

    def _stamp(self) -> Stamp:
        return tuple(_folder_stamp(root) for root in self._roots)


def _folder_stamp(folder: Path) -> tuple[int, int] | None:
    try:
        facts = folder.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns


def _row(model: ModelEntry | DamagedModel) -> ModelRow:
    files = _files(model.folder)
    if isinstance(model, DamagedModel):
        return ModelRow(model=model, files=files)
    record = model.record
    if record is None:
        return ModelRow(model=model, files=files, family=_word(model.config.get("model_type", "")))
    return ModelRow(
        model=model,
        files=files,
        family=_word(record.family),
        parameters=record.n_parameters,
        tokenizer=_word(f"{record.tokenizer.kind} {record.tokenizer.vocab_size:,}") if record.tokenizer else "",
        corpus=_word(record.corpus.source) if record.corpus else "",
        val_loss=record.val_loss if record.best_val_loss is None else record.best_val_loss,
        bits_per_byte=record.bits_per_byte,
        steps=record.steps,
        created=_word(record.created),
    )


def _word(value: object) -> str:
    return str(value)[:_LONGEST_WORD]


def _files(folder: Path) -> tuple[ModelFile, ...]:
    """What lies in a folder and in that of its adapters, by name; what cannot be looked at is left out, and never
    followed."""
    found: list[ModelFile] = []
    for inside, prefix in ((folder, ""), (folder / ADAPTER_FOLDER, f"{ADAPTER_FOLDER}/")):
        try:
            if inside.is_symlink():
                continue
            with os.scandir(inside) as entries:
                for entry in entries:
                    if len(found) < _MOST_FILES and entry.is_file(follow_symlinks=False):
                        found.append(ModelFile(prefix + entry.name, entry.stat(follow_symlinks=False).st_size))
        except OSError:
            pass
    return tuple(sorted(found))
