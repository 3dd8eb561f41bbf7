"""A model of the library from a run that is not training: its best checkpoint, as it lies there."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

from tui_gpt.core.config import to_dict
from tui_gpt.core.errors import RunError
from tui_gpt.core.model_handler import ModelEntry, ModelHandler
from tui_gpt.core.model_record import CorpusRecord, ModelRecord, SampleRecord, TokenizerRecord
from tui_gpt.core.runs.checkpoints import CheckpointInfo, verify_checkpoint
from tui_gpt.core.runs.records import DataRecord
from tui_gpt.core.runs.store import Run
from tui_gpt.core.sizes import parameters
from tui_gpt.engine.training.samples import Sample

MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json")


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


def bits_per_byte(data: DataRecord, loss: float) -> float:
    """A validation loss in nats per token as bits per UTF-8 byte of the validation text."""
    return loss / math.log(2) * data.n_validation_tokens / max(1, data.validation_bytes)


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
        parent=run.record.parent,
        sample=None if sample is None else SampleRecord(text=sample.text, prompt=sample.prompt, seed=sample.seed),
    )


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

    return ModelHandler().save(name, copy, record)
