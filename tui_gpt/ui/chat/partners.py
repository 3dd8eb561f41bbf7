"""Whom one can talk to: runs in progress, the library, the examples, and what ended runs left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec

from tui_gpt.core import figures
from tui_gpt.core.errors import RunError
from tui_gpt.core.messages import ModelRef
from tui_gpt.core.model_handler import DamagedModel, ModelEntry, ModelHandler
from tui_gpt.core.runs.states import ALIVE
from tui_gpt.core.runs.store import DamagedRun, Run, RunStore, RunSummary
from tui_gpt.ui.chat.picking import Row

EXAMPLE = "stories"
"""The example that is there at the first start."""


class Partner(NamedTuple):
    """One to talk to, and what is known about it."""

    ref: ModelRef
    row: Row


def all_partners(store: RunStore, models: ModelHandler) -> list[Partner]:
    """Everyone, runs in progress first. Blocks on the disk. Raises TuiGptError."""
    found = store.list()
    entries = models.list()
    runs = sorted(_summaries(found), key=lambda run: run.created, reverse=True)
    alive = [run for run in runs if run.state in ALIVE]
    ended = [run for run in runs if run.state not in ALIVE and run.last_checkpoint is not None]
    own = sorted((entry for entry in entries if not entry.read_only), key=_created, reverse=True)
    examples = [entry for entry in entries if entry.read_only]
    return [
        *(_of_run(run) for run in alive),
        *(_of_model(entry) for entry in own),
        *(_of_model(entry) for entry in examples),
        *(_of_run(run) for run in ended),
        *(_of_damaged(run) for run in found if isinstance(run, DamagedRun)),
    ]


def first_partner(store: RunStore, models: ModelHandler) -> ModelRef | None:
    """Whom to begin with: the newest run in progress, else the newest model, else an example. Blocks; raises."""
    usable = [partner for partner in all_partners(store, models) if not partner.row.problem]
    by_run = [partner.ref for partner in usable if partner.ref.kind == "run"]
    if usable and usable[0].ref.kind == "run" and usable[0].row.detail.startswith("in progress"):
        return usable[0].ref
    named = [partner.ref for partner in usable if partner.ref.kind == "model"]
    own = [ref for ref in named if models.library.folder(ref.name) is not None]
    example = [ref for ref in named if ref.name == EXAMPLE]
    return next(iter([*own, *example, *named, *by_run]), None)


def fitting(partners: Sequence[Partner], words: str) -> list[Row]:
    """The rows in which each of the words occurs, those first that have them in their names."""
    wanted = words.casefold().split()

    def has(text: str) -> bool:
        return all(word in text.casefold() for word in wanted)

    rows = [partner.row for partner in partners]
    named = [row for row in rows if has(row.title)]
    return named + [row for row in rows if row not in named and has(f"{row.title} {row.detail} {row.problem}")]


def key_of(ref: ModelRef) -> str:
    """A reference as a row's key."""
    return msgspec.json.encode(ref).decode()


def ref_of(key: object) -> ModelRef | None:
    """The reference in a row's key, or in what was remembered; None where there is none."""
    try:
        if isinstance(key, str):
            return msgspec.json.decode(key, type=ModelRef)
        return msgspec.convert(key, ModelRef)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None


def _summaries(found: Sequence[Run | DamagedRun]) -> Iterator[RunSummary]:
    for run in found:
        # One that is deleted at this moment is none to talk to.
        with suppress(RunError):
            if isinstance(run, Run):
                yield run.summary()


def _created(entry: ModelEntry | DamagedModel) -> str:
    return entry.record.created if isinstance(entry, ModelEntry) and entry.record else ""


def _of_model(entry: ModelEntry | DamagedModel) -> Partner:
    ref = ModelRef(kind="model", name=entry.name)
    if isinstance(entry, DamagedModel):
        return Partner(ref, Row(key_of(ref), entry.name, problem=entry.problem))
    record = entry.record
    parts = ["example"] if entry.read_only else ["model"]
    if record is None:
        parts.append(str(entry.config.get("model_type", "")))
    else:
        parts.append(record.family)
        if record.n_parameters:
            parts.append(f"{figures.amount(record.n_parameters)} parameters")
        if record.val_loss is not None:
            parts.append(f"val loss {figures.loss(record.val_loss)}")
        if record.corpus is not None:
            parts.append(record.corpus.source.rpartition("/")[2][:40])
    return Partner(ref, Row(key_of(ref), entry.name, "  ".join(filter(None, parts))))


def _of_run(run: RunSummary) -> Partner:
    ref = ModelRef(kind="run", name=run.name)
    if run.state in ALIVE:
        parts = ["in progress", f"step {run.step:,}", "" if run.state == "running" else run.state]
        if run.last_checkpoint is None:
            parts.append("no checkpoint yet")
    else:
        parts = [f"run, {run.state}", f"step {run.step:,}"]
    if run.val_loss is not None:
        parts.append(f"val loss {figures.loss(run.val_loss)}")
    return Partner(ref, Row(key_of(ref), run.name, "  ".join(filter(None, parts))))


def _of_damaged(run: DamagedRun) -> Partner:
    ref = ModelRef(kind="run", name=run.name)
    return Partner(ref, Row(key_of(ref), run.name, problem=run.problem))
