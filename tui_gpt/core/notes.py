"""The library's diary, `notes.txt`: one entry per saved model, for people to read and for programs to parse.

An entry is a heading `== name ==` and lines `key: value`; what does not fit on one line goes on, indented::

    == bard ==
    date: 2025-01-31T08:15:00Z
    model: qwen3, 4 layers x 192, 3 heads, context 128, 1,803,840 parameters
    corpus: tinyshakespeare.txt (sha256 86c4e6aa...)
    curve: step 10 3.1339, 55 2.1295, 163 1.8083
    configuration:
        model.family=qwen3
        train.max_minutes=3.0
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from tui_gpt.core.config import RunConfig
from tui_gpt.core.files import fsync_dir
from tui_gpt.core.model_record import ModelRecord
from tui_gpt.core.safe_text import safe_text

_HEADING = re.compile(r"== (\S+) ==")
_FIELD = re.compile(r"([a-z][a-z ]*):(?: (.*))?")
_INDENT = "    "


class NotesEntry(msgspec.Struct, frozen=True):
    """One entry of the diary."""

    name: str
    fields: dict[str, str]
    """`date`, `model`, `corpus`, `tokenizer`, `training`, `losses`, `curve`, `parent`, `notes`, `configuration`,
    `sample`: those given."""

    @property
    def date(self) -> str:
        """When the model was saved: UTC, ISO 8601."""
        return self.fields.get("date", "")


def format_entry(record: ModelRecord) -> str:
    """The entry of one model, as it stands in the file; it begins with an empty line."""
    lines = ["", f"== {record.name} =="]
    for key, value in _fields(record):
        first, *rest = safe_text(value).split("\n")
        if rest or key in ("configuration", "sample"):
            lines += [f"{key}:", *(_INDENT + line for line in (first, *rest))]
        else:
            lines.append(f"{key}: {first}")
    return "\n".join(lines) + "\n"


def append_entry(path: Path, record: ModelRecord) -> None:
    """Add the model's entry at the end of `path`, in one write, and wait until it is on disk. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    content = format_entry(record).encode()
    # O_APPEND and a single write: entries of two processes stand one after the other, never in each other.
    # O_NONBLOCK: opening a FIFO must not wait for somebody who reads from it.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o666)
    try:
        if os.write(descriptor, content) != len(content):
            raise OSError("the disk took only a part of the entry")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if is_new:
        fsync_dir(path.parent)


def read_entries(path: Path) -> list[NotesEntry]:
    """The entries of `path`, oldest first; none when there is no such file. Other text in it is passed over."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    entries: list[NotesEntry] = []
    key = ""
    # Only line feeds end a line here: splitlines() would also cut at characters that notes may hold.
    for line in text.split("\n"):
        if heading := _HEADING.fullmatch(line):
            entries.append(NotesEntry(heading[1], {}))
            key = ""
        elif entries and key and line.startswith(_INDENT):
            fields = entries[-1].fields
            fields[key] = f"{fields[key]}\n{line[4:]}" if fields[key] else line[4:]
        elif entries and (field := _FIELD.fullmatch(line)):
            key = field[1]
            entries[-1].fields[key] = field[2] or ""
        else:
            key = ""
    return entries


def describe_model(record: ModelRecord) -> str:
    """The shape of the network in half a line."""
    parts = [record.family]
    shape = (record.config or {}).get("model", {})
    if {"n_layer", "n_embd", "n_head", "n_positions"} <= shape.keys():
        parts.append("{n_layer} layers x {n_embd}, {n_head} heads, context {n_positions}".format(**shape))
    if record.n_parameters is not None:
        parts.append(f"{record.n_parameters:,} parameters")
    return ", ".join(parts)


def describe_training(record: ModelRecord) -> str:
    """Steps, tokens, time and device: those known, else nothing."""
    parts = []
    if record.steps is not None:
        parts.append(f"{record.steps:,} steps")
    if record.tokens_seen is not None:
        parts.append(f"{record.tokens_seen:,} tokens")
    if record.seconds is not None:
        parts.append(f"{record.seconds:,.0f} s")
    return ", ".join(parts) + (f" on {record.device}" if record.device else "")


def describe_losses(record: ModelRecord) -> str:
    """Losses in nats per token, and bits per byte: those known, else nothing."""
    known = {
        "train": record.train_loss,
        "validation": record.val_loss,
        "best validation": record.best_val_loss,
        "bits per byte": record.bits_per_byte,
    }
    return ", ".join(f"{label} {value:.4f}" for label, value in known.items() if value is not None)


def describe_curve(record: ModelRecord) -> str:
    """Validation losses on the way, in nats per token, by step; nothing where none is known."""
    if not record.curve:
        return ""
    return "step " + ", ".join(f"{point.step:,} {point.val_loss:.4f}" for point in record.curve)


def _fields(record: ModelRecord) -> Iterator[tuple[str, str]]:
    yield "date", record.created
    yield "model", describe_model(record)
    if record.corpus is not None:
        yield "corpus", f"{_one_line(record.corpus.source)} (sha256 {record.corpus.sha256})"
    if record.tokenizer is not None:
        yield "tokenizer", f"{record.tokenizer.kind}, {record.tokenizer.vocab_size:,} tokens"
    if training := describe_training(record):
        yield "training", training
    if losses := describe_losses(record):
        yield "losses", losses
    if curve := describe_curve(record):
        yield "curve", curve
    if record.parent:
        yield "parent", _one_line(record.parent)
    if record.notes:
        yield "notes", record.notes
    if settings := "\n".join(_settings(record.config or {})):
        yield "configuration", settings
    if record.sample is not None:
        seed = "" if record.sample.seed is None else f"seed {record.sample.seed}: "
        yield "sample", seed + record.sample.prompt + record.sample.text


def _one_line(text: str) -> str:
    return safe_text(text, newlines=False)


def _settings(config: dict[str, dict[str, Any]]) -> Iterator[str]:
    """What differs from the defaults, each as `--set` takes it."""
    # Both by way of JSON: a list there is a tuple in a configuration.
    defaults = msgspec.json.decode(msgspec.json.encode(RunConfig()))
    for section, values in msgspec.json.decode(msgspec.json.encode(config)).items():
        for name, value in values.items():
            if value != defaults.get(section, {}).get(name):
                yield f"{section}.{name}={_one_line(_setting(value))}"


def _setting(value: Any) -> str:
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
