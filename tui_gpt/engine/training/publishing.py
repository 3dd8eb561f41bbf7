"""A model of the library from a run that is not training: its best checkpoint, as it lies there."""

from __future__ import annotations

import shutil
from pathlib import Path

from tui_gpt.core.config import to_dict
from tui_gpt.core.errors import RunError
from tui_gpt.core.model_handler import ModelEntry, ModelHandler
from tui_gpt.core.model_record import CorpusRecord, ModelRecord, TokenizerRecord
from tui_gpt.core.runs.checkpoints import CheckpointInfo, verify_checkpoint
from tui_gpt.core.runs.store import Run
from tui_gpt.core.sizes import parameters

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


def publish_ended_run(run: Run, name: str) -> ModelEntry:
    """Put the best checkpoint of a run without a trainer into the library as `name`. Raises ModelError or RunError."""
    checkpoint = best_checkpoint(run)
    status, config, data = run.status(), run.record.config, run.record.data
    is_best = "best" in checkpoint.tags
    execution = run.execution()
    record = ModelRecord(
        name=name,
        family=config.model.family,
        n_parameters=parameters(config.model).total,
        config=to_dict(config),
        tokenizer=TokenizerRecord(kind=data.tokenizer, vocab_size=data.vocab_size),
        corpus=CorpusRecord(source=data.source, sha256=data.sha256),
        steps=checkpoint.step,
        tokens_seen=checkpoint.step * config.train.batch_size * config.model.n_positions,
        seconds=status.elapsed_seconds if status else None,
        device=execution.device_name if execution else None,
        train_loss=status.train_loss if status else None,
        val_loss=(status.best_val_loss if is_best else status.val_loss) if status else None,
        best_val_loss=status.best_val_loss if status else None,
        parent=run.record.parent,
    )

    def copy(folder: Path) -> None:
        for file in MODEL_FILES:
            shutil.copyfile(checkpoint.folder / file, folder / file)

    return ModelHandler().save(name, copy, record)
