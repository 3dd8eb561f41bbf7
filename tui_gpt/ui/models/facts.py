"""Everything known about a model, as groups of labelled lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tui_gpt.core import figures
from tui_gpt.core.config import RunConfig
from tui_gpt.core.model_handler import DamagedModel, ModelEntry
from tui_gpt.core.model_record import ModelRecord
from tui_gpt.ui.models.columns import local_time
from tui_gpt.ui.models.shelf import ModelRow

LONGEST_TEXT = 4000
"""Characters of notes and samples that are shown."""
_MOST_FIELDS = 60
_SHAPE = {"n_layer", "n_embd", "n_head", "n_positions"}


class Fact(NamedTuple):
    """A labelled value. Both are foreign text; `quiet` is for what is as it usually is."""

    label: str
    value: str
    quiet: bool = False


class Group(NamedTuple):
    """Facts that belong together. `text` is a passage without labels: `lead` and what follows it."""

    title: str
    facts: tuple[Fact, ...] = ()
    lead: str = ""
    text: str = ""


def groups(row: ModelRow, verified: str) -> Iterator[Group]:
    """What the details show, the most wanted first. `verified` is what the last comparison of the files found."""
    model = row.model
    if isinstance(model, DamagedModel):
        yield Group("What is wrong", text=model.problem)
    else:
        yield from _known(model)
    yield Group("On disk", tuple(_on_disk(row, verified)))
    if isinstance(model, ModelEntry):
        yield from _configuration(model)


def _known(model: ModelEntry) -> Iterator[Group]:
    record = model.record
    if record is None:
        yield Group("", text="Made elsewhere: how it was trained is not recorded. A fork of it gets a record.")
        return
    if record.notes:
        yield Group("Notes", text=shortened(record.notes))
    yield Group("", tuple(_is(record)))
    if training := tuple(_made(record)):
        yield Group("Training", training)
    if record.sample is not None:
        seed = "" if record.sample.seed is None else f", seed {record.sample.seed}"
        sample = record.sample
        yield Group(f"Sample{seed}", lead=shortened(sample.prompt), text=shortened(sample.text))


def _is(record: ModelRecord) -> Iterator[Fact]:
    yield Fact("network", _network(record))
    if record.n_parameters is not None:
        yield Fact("parameters", f"{record.n_parameters:,}")
    if record.tokenizer is not None:
        yield Fact("tokenizer", f"{record.tokenizer.kind}, {record.tokenizer.vocab_size:,} tokens")
    if record.corpus is not None:
        yield Fact("corpus", record.corpus.source)
    best = record.val_loss if record.best_val_loss is None else record.best_val_loss
    if best is not None:
        yield Fact("best val loss", f"{figures.loss(best)} nats per token")
    if record.bits_per_byte is not None:
        yield Fact("bits per byte", f"{record.bits_per_byte:.4f}")
    if record.created:
        yield Fact("saved", local_time(record.created))
    for label, value in (("parent", record.parent), ("licence", record.license)):
        if value:
            yield Fact(label, value)


def _made(record: ModelRecord) -> Iterator[Fact]:
    if record.steps is not None:
        yield Fact("steps", f"{record.steps:,}")
    if record.tokens_seen is not None:
        yield Fact("tokens seen", f"{record.tokens_seen:,}{_per_parameter(record)}")
    if record.seconds is not None:
        yield Fact("time", figures.duration(record.seconds))
    if record.device:
        yield Fact("device", record.device)
    if record.train_loss is not None:
        yield Fact("train loss", figures.loss(record.train_loss))
    if record.val_loss is not None:
        yield Fact("last val loss", figures.loss(record.val_loss))
    if record.corpus is not None:
        yield Fact("corpus sha256", record.corpus.sha256, quiet=True)


def _network(record: ModelRecord) -> str:
    shape = (record.config or {}).get("model", {})
    if not shape.keys() >= _SHAPE:
        return record.family
    sizes = "{n_layer} layers x {n_embd}, {n_head} heads, context {n_positions}".format(**shape)
    return f"{record.family}, {sizes}"


def _per_parameter(record: ModelRecord) -> str:
    if not record.n_parameters or record.tokens_seen is None:
        return ""
    return f" ({record.tokens_seen / record.n_parameters:.3g} per parameter)"


def _on_disk(row: ModelRow, verified: str) -> Iterator[Fact]:
    yield Fact("folder", _from_home(row.model.folder))
    yield Fact("size", figures.memory(row.model.size_bytes))
    if verified:
        yield Fact("verified", verified)
    for file in row.files:
        yield Fact(f"{file.size:,}".rjust(13), file.name, quiet=True)


def _configuration(model: ModelEntry) -> Iterator[Group]:
    config = model.record.config if model.record else None
    if config is None:
        facts = [
            Fact(key, _setting(value)) for key, value in model.config.items() if not isinstance(value, dict | list)
        ]
        yield Group("config.json", tuple(facts[:_MOST_FIELDS]))
        return
    # By way of JSON, as the record came: a list there is a tuple in a configuration.
    usual = msgspec.json.decode(msgspec.json.encode(RunConfig()))
    for section, values in config.items():
        facts = [
            Fact(name, _setting(value), quiet=value == usual.get(section, {}).get(name))
            for name, value in values.items()
        ]
        yield Group(f"Configuration: {section}", tuple(facts[:_MOST_FIELDS]))


def _setting(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "none"
    return shortened(str(value)) or '""'


def shortened(text: str) -> str:
    """A text of bounded length that says how much was left out."""
    left_out = len(text) - LONGEST_TEXT
    return text if left_out <= 0 else f"{text[:LONGEST_TEXT]} ... ({left_out:,} more characters)"


def _from_home(folder: Path) -> str:
    """A path as a shell takes it, shorter where it lies below the person's own folder."""
    home = Path.home()
    return f"~/{folder.relative_to(home)}" if folder.is_relative_to(home) else str(folder)
