"""From a run to the library: the record of a model, which one a run has published, and models of runs that ended."""

from __future__ import annotations

import math
import shutil
from contextlib import suppress
from pathlib import Path

import msgspec

from tui_gpt.core.config import to_dict
from tui_gpt.core.errors import ModelError, RunError, TuiGptError
from tui_gpt.core.model_handler import ModelEntry, ModelHandler
from tui_gpt.core.model_record import (
    ADAPTER_FOLDER,
    CorpusRecord,
    CurvePoint,
    ModelRecord,
    SampleRecord,
    TokenizerRecord,
    utc_time,
)
from tui_gpt.core.notes import append_entry, read_entries
from tui_gpt.core.runs.checkpoints import CheckpointInfo, verify_checkpoint
from tui_gpt.core.runs.loss_curve import loss_curve
from tui_gpt.core.runs.records import (
    RUN_FILE,
    DataRecord,
    Record,
    RunRecord,
    read_optional,
    read_record,
    write_record,
)
from tui_gpt.core.runs.store import Run
from tui_gpt.core.sizes import parameters
from tui_gpt.engine.training.samples import Sample

MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json")
PUBLISHED_FILE = "published.json"


class Published(Record, frozen=True, kw_only=True):
    """published.json: where the run's model goes in the library, written before it goes there.

    A trainer that was killed between the two, or before it had said so, is followed by one that finds the model again.
    """

    model: str
    """The name of the model."""
    sha256: str
    """Of its model.safetensors, in hexadecimal."""


def note_publication(run: Run, name: str, sha256: str) -> None:
    """Write down that weights of this hash are about to become the model `name`."""
    # Where it cannot be written, a kill in the next instant costs a second copy of the model: no reason to have none.
    with suppress(RunError):
        write_record(run.folder / PUBLISHED_FILE, Published(model=name, sha256=sha256))


def published_model(run: Run, sha256: str) -> ModelEntry | None:
    """The model that this run has put into the library already with weights of this hash; None without one."""
    handler = ModelHandler()
    try:
        known = read_optional(run.folder / PUBLISHED_FILE, Published)
        entry = None if known is None else handler.get(known.model)
    except TuiGptError:  # what the file says may have been changed by anyone
        return None
    if known is None or entry is None or entry.record is None or known.sha256 != sha256:
        return None
    weights = entry.record.files.get("model.safetensors")
    if weights is None or weights.sha256 != sha256:
        return None
    _complete_diary(handler, entry.name, entry.record)
    return entry


def model_saved_since(run_folder: Path, name: str, moment: float) -> ModelRecord | None:
    """The record of the model `name` if it was made of this run's weights after that moment, in Unix seconds."""
    handler = ModelHandler()
    try:
        run = read_record(run_folder / RUN_FILE, RunRecord)
        record = handler.get(name).record
    except TuiGptError:
        return None
    if record is None or record.created < utc_time(moment):
        return None
    # As JSON, which does not tell a tuple from a list.
    if msgspec.json.encode(record.config) != msgspec.json.encode(to_dict(run.config)):
        return None
    _complete_diary(handler, name, record)
    return record


def _complete_diary(handler: ModelHandler, name: str, record: ModelRecord) -> None:
    """The entry of a model whose trainer was killed between the two."""
    with suppress(OSError, ModelError), handler.library.locked():
        if not any((entry.name, entry.date) == (name, record.created) for entry in read_entries(handler.notes)):
            append_entry(handler.notes, record)


def best_checkpoint(run: Run) -> CheckpointInfo:
    """The run's best checkpoint if it is intact, else its newest intact one. Raises RunError when there is none."""
    for checkpoint in run.checkpoints():
        if "best" in checkpoint.tags and not verify_checkpoint(checkpoint.folder):
            return checkpoint
    newest, damaged = run.newest_intact()
    if newest is None:
        reason = f"none of its checkpoints is intact ({damaged[0]})" if damaged else "it has no checkpoint yet"
        raise RunError(f"run {run.name} has no model: {reason}")
    return newest


def copy_adapters(source: Path, folder: Path) -> None:
    """Copy a checkpoint's LoRA adapters, where it has any, into the folder of the model that is made of it."""
    if (source / ADAPTER_FOLDER).is_dir():
        shutil.copytree(source / ADAPTER_FOLDER, folder / ADAPTER_FOLDER, symlinks=True)


def bits_per_byte(data: DataRecord, loss: float) -> float:
    """A validation loss in nats per token as bits per UTF-8 byte of the validation text."""
    tokens_per_byte = data.tokens_per_byte or data.n_validation_tokens / max(1, data.validation_bytes)
    return loss / math.log(2) * tokens_per_byte


def model_record(
    run: Run,
    name: str,
    *,
    step: int,
    loss: float | None,
    best_loss: float | None,
    train_loss: float | None,
    seconds: float | None,
    sample: Sample | None = None,
) -> ModelRecord:
    """How the weights of `step` came to be; `loss` is their validation loss in nats per token."""
    config, data, execution = run.record.config, run.record.data, run.execution()
    return ModelRecord(
        name=name,
        family=config.model.family,
        n_parameters=parameters(config.model).total,
        config=to_dict(config),
        tokenizer=TokenizerRecord(kind=data.tokenizer, vocab_size=data.vocab_size),
        corpus=CorpusRecord(source=data.source, sha256=data.sha256),
        steps=step,
        tokens_seen=step * config.train.batch_size * config.model.n_positions,
        seconds=None if seconds is None else round(seconds, 1),
        device=execution.device_name if execution else None,
        train_loss=train_loss,
        val_loss=loss,
        best_val_loss=best_loss,
        bits_per_byte=None if loss is None else bits_per_byte(data, loss),
        curve=_curve(run, step),
        parent=run.record.parent,
        sample=None if sample is None else SampleRecord(text=sample.text, prompt=sample.prompt, seed=sample.seed),
    )


def _curve(run: Run, step: int) -> list[CurvePoint]:
    # Metrics that cannot be read are no reason to have no model.
    with suppress(RunError):
        return loss_curve(run.folder, step)
    return []


def publish_ended_run(run: Run, name: str) -> ModelEntry:
    """Put the best checkpoint of a run without a trainer into the library as `name`. Raises ModelError or RunError."""
    checkpoint = best_checkpoint(run)
    status = run.status()
    is_best = "best" in checkpoint.tags
    record = model_record(
        run,
        name,
        step=checkpoint.step,
        loss=(status.best_val_loss if is_best else status.val_loss) if status else None,
        best_loss=status.best_val_loss if status else None,
        train_loss=status.train_loss if status else None,
        seconds=status.elapsed_seconds if status else None,
    )

    def copy(folder: Path) -> None:
        for file in MODEL_FILES:
            shutil.copyfile(checkpoint.folder / file, folder / file)
        copy_adapters(checkpoint.folder, folder)

    return ModelHandler().save(name, copy, record)
