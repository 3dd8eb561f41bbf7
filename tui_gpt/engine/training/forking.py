"""A new run from a checkpoint of another one: same text, same network, same state, and from there its own way."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec

from tui_gpt.core.config import RunConfig, TrainConfig, to_dict
from tui_gpt.core.config_loading import build_config
from tui_gpt.core.errors import ConfigError, RunError
from tui_gpt.core.files import fsync_dir, link_or_copy, write_bytes
from tui_gpt.core.model_record import ADAPTER_FOLDER
from tui_gpt.core.names import LONGEST, check_name
from tui_gpt.core.runs.checkpoints import (
    MANIFEST_FILE,
    CheckpointInfo,
    Manifest,
    checkpoint_folder,
    mark_checkpoint,
    publish_checkpoint,
)
from tui_gpt.core.runs.metrics import MetricRecord, Value, read_all
from tui_gpt.core.runs.plain_files import reason
from tui_gpt.core.runs.records import EXECUTION_FILE, RunRecord, read_optional, read_record, utc_now, write_record
from tui_gpt.core.runs.store import Run, RunStore
from tui_gpt.engine.text.batches import windows_per_epoch
from tui_gpt.engine.training.arrival import PARTS_FILE, LearnedParts
from tui_gpt.engine.training.begin import package_versions, require_ranks
from tui_gpt.engine.training.devices import choose_device
from tui_gpt.engine.training.length import total_steps
from tui_gpt.engine.training.origins import START_FOLDER, start_problem
from tui_gpt.engine.training.state import STATE_COUNTERS, Counters

_FIRST_SEGMENT = "metrics-0001.jsonl"
_ATTEMPTS = 10
"""A trainer may rotate a checkpoint away between finding and linking it."""

_FIXED = {
    "seed": "it decides which text comes next and what dropout leaves out, so another seed is another run",
    "batch_size": "the place in the text is counted in batches of this size",
    "optimizer": "the checkpoint holds the state of the one it was trained with",
    "lora_rank": "the checkpoint holds adapters of this rank",
    "lora_alpha": "the adapters have learned for it",
    "lora_targets": "the checkpoint holds adapters of these",
    "zero_init_projections": "it says how weights begin, and a fork goes on from trained ones",
}
"""Fields that a fork cannot change, and why."""
_EXECUTION = ("device", "precision", "compile", "threads")
"""Fields from which the first trainer chose how to compute: with another value it chooses anew."""


class _GoneError(RunError):
    """The source's trainer rotated the checkpoint away."""


class _DamagedError(RunError):
    """A file of the checkpoint is not what its manifest says."""


def fork_run(
    source: Run, name: str | None = None, *, checkpoint: str | None = None, changes: Mapping[str, Any] | None = None
) -> Run:
    """A new run beside `source` that goes on from one of its checkpoints, whatever becomes of `source`.

    `checkpoint` is `best`, `last` or a step; None is the newest intact one. `changes` are fields of the train section.
    Without a name one is made from the source's. The source is only read, also while it trains. Unchanged, and by steps
    or epochs on the CPU, the fork learns bit for bit what the source does.

    Raises ConfigError for changes or a length that cannot be, RunError where there is no such checkpoint or the name is
    taken.
    """
    store = RunStore(source.folder.parent)
    create = store.create if name is not None else store.create_free
    if name is None:
        name = store.unique_name(f"{source.name[: LONGEST - len('-fork')]}-fork")
    elif store.unique_name(check_name(name, "run name")) != name:
        raise RunError(
            f"there is a run named {name} already; choose another name, e.g. {store.unique_name(name)}, or delete that "
            "run"
        )
    config = _changed(source.record.config, changes or {})
    execution = source.execution()
    if execution is not None:
        require_ranks(config, execution.world_size)
    for _ in range(_ATTEMPTS):
        damaged = ""
        for candidate in _candidates(source, checkpoint):
            try:
                return create(*_parts(name, _Fork(source, config, candidate.step)))
            except _GoneError:
                break
            except _DamagedError as error:
                if checkpoint is not None:
                    raise RunError(f"{error}; take another checkpoint") from None
                damaged = damaged or str(error)
        else:
            raise RunError(f"run {source.name} cannot be forked: no checkpoint of it is intact ({damaged})")
    raise RunError(
        f"the checkpoints of run {source.name} are replaced faster than they can be read; pause the run, and then fork "
        "it"
    )


def _changed(config: RunConfig, changes: Mapping[str, Any]) -> RunConfig:
    """The configuration with the changes. Raises ConfigError where they are wrong or the saved state forbids them."""
    # Only the part that changes is checked: a model from elsewhere may have what a new configuration may not.
    train = build_config(("run", {"train": to_dict(config.train)}), ("changes", {"train": dict(changes)})).train
    for field, why in _FIXED.items():
        if getattr(train, field) != getattr(config.train, field):
            raise ConfigError(f"train.{field}", f"cannot change in a fork: {why}; leave it, or begin a new run")
    if bool(train.weight_average) != bool(config.train.weight_average):
        raise ConfigError(
            "train.weight_average",
            "cannot be switched on or off in a fork: the checkpoint was saved "
            f"{'with' if config.train.weight_average else 'without'} an average; leave it, or begin a new run",
        )
    if train.device != config.train.device:
        choose_device(train.device)
    changed: RunConfig = msgspec.structs.replace(config, train=train)
    return changed


def _candidates(source: Run, wanted: str | None) -> list[CheckpointInfo]:
    """The checkpoints that would do, the first choice first. Raises RunError, ConfigError where there is none."""
    if not (wanted in (None, "best", "last") or (wanted.isascii() and wanted.isdigit())):
        raise ConfigError("checkpoint", f"{wanted!r} is neither best nor last nor the number of a step")
    known = source.checkpoints()
    if not known:
        raise RunError(f"run {source.name} has no checkpoint yet to fork from; save one, or wait for the first")
    if wanted is None:
        return known[::-1]
    chosen = [c for c in known if wanted in c.tags or (wanted.isdigit() and int(wanted) == c.step)]
    if not chosen:
        steps = ", ".join(str(c.step) for c in known)
        raise RunError(f"run {source.name} has no checkpoint {wanted}; there are checkpoints of the steps {steps}")
    return chosen[-1:]


def _parts(name: str, fork: _Fork) -> tuple[RunRecord, Callable[[Path], None]]:
    """What the store makes a fork of."""
    source = fork.source
    record = msgspec.structs.replace(
        source.record,
        name=name,
        created=utc_now(),
        config=fork.config,
        versions=package_versions(),
        parent=f"run {source.name} step {fork.step}",
        fork_step=fork.step,
        notes="",
    )
    return record, fork.fill


@dataclass(frozen=True)
class _Fork:
    """What goes into the folder of a fork beside its record."""

    source: Run
    config: RunConfig
    step: int

    def fill(self, folder: Path) -> None:
        """Link the state, write the history. Raises RunError, ConfigError."""
        counters = self._link_state(folder)
        self._require_length(counters)
        if self.source.record.from_model:
            self._link_start(folder)
        self._write_history(folder, counters)
        parts = read_optional(self.source.folder / PARTS_FILE, LearnedParts)
        if parts is not None:
            write_record(folder / PARTS_FILE, parts)
        execution = self.source.execution()
        if execution is not None and not self._changes(*_EXECUTION):
            write_record(folder / EXECUTION_FILE, execution)

    def _link_state(self, folder: Path) -> Counters:
        """The checkpoint and, where it is another one and still there, the best that it knows of."""
        mine = self._link_checkpoint(folder, self.step, "last")
        try:
            counters = msgspec.json.decode((mine / STATE_COUNTERS).read_bytes(), type=Counters)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _DamagedError(f"{STATE_COUNTERS} of step {self.step} cannot be used: {reason(error)}") from None
        if counters.best_step == self.step:
            mark_checkpoint(folder, self.step, {"best"})
        elif counters.best_step is not None:
            # Without it the end of the run compares with what is there.
            with suppress(_GoneError, _DamagedError):
                self._link_checkpoint(folder, counters.best_step, "best")
        return counters

    def _link_checkpoint(self, folder: Path, step: int, tag: Literal["best", "last"]) -> Path:
        origin = checkpoint_folder(self.source.folder, step)
        try:
            manifest = read_record(origin / MANIFEST_FILE, Manifest)
            # Sealing hashes what was linked, so that comparing the manifests verifies every byte, read once.
            made = publish_checkpoint(folder, step, partial(_link_all, origin, manifest), tags=())
        except _DamagedError:
            raise
        except RunError as error:
            raise (_DamagedError if origin.is_dir() else _GoneError)(str(error)) from None
        linked = read_record(made / MANIFEST_FILE, Manifest)
        for name, expected in manifest.files.items():
            if linked.files[name] != expected:
                shutil.rmtree(made)
                raise _DamagedError(f"{name} of step {step} of run {self.source.name} is damaged")
        mark_checkpoint(folder, step, {tag})
        return made

    def _link_start(self, folder: Path) -> None:
        origin, mine = self.source.folder / START_FOLDER, folder / START_FOLDER
        mine.mkdir()
        problem = start_problem(origin)
        if not problem:
            for name in (*read_record(origin / MANIFEST_FILE, Manifest).files, MANIFEST_FILE):
                link_or_copy(origin / name, mine / name)
            fsync_dir(mine)
            problem = start_problem(mine)
        if problem:
            raise RunError(f"run {self.source.name} cannot be forked: {problem}")

    def _write_history(self, folder: Path, counters: Counters) -> None:
        """The source's curve up to here as the first segment, and a mark where it parts."""
        history = [r for r in read_all(self.source.folder) if r.step <= self.step and r.kind != "end"]
        event: dict[str, Value] = {"event": self._event(history, counters), "parent": self.source.name}
        history.append(MetricRecord("mark", self.step, event))
        write_bytes(folder / _FIRST_SEGMENT, b"".join(msgspec.json.encode(record) + b"\n" for record in history))

    def _event(self, history: list[MetricRecord], counters: Counters) -> str:
        before, now = to_dict(self.source.record.config.train), to_dict(self.config.train)
        changes = [f"{field} {_shown(before[field])} to {_shown(now[field])}" for field in now if self._changes(field)]
        # As resuming finds it: a rate that was set at this very step stands in the metrics only.
        marks = [
            r.values["lr_scale"] for r in history if r.step == self.step and r.kind == "mark" and "lr_scale" in r.values
        ]
        scale = marks[-1] if marks else counters.lr_scale
        if self._changes("learning_rate", "muon_learning_rate") and scale != 1.0:
            changes.append(f"learning rates times {_shown(scale)} as set while {self.source.name} trained")
        return f"forked from {self.source.name} at step {self.step}" + (f": {', '.join(changes)}" if changes else "")

    def _changes(self, *fields: str) -> bool:
        before, now = self.source.record.config.train, self.config.train
        return any(getattr(before, field) != getattr(now, field) for field in fields)

    def _require_length(self, counters: Counters) -> None:
        """Raise ConfigError naming the field to raise where the checkpoint is at the end already."""
        train = self.config.train
        steps = self._total_steps()
        field, used = "max_steps", f"{self.step} steps"
        if train.max_epochs is not None:
            field, used = "max_epochs", f"{self.step} of {steps} steps"
        elif train.max_minutes is not None:
            field, used = "max_minutes", f"{counters.elapsed_seconds / 60:.2f} minutes"
        if train.max_epochs is not None and self.source.record.data.is_estimated:
            steps = self.step + 1  # the text was not whole when the run was made: its trainer will know
        over = self.step >= steps if steps is not None else counters.elapsed_seconds >= _seconds(train)
        if over:
            raise ConfigError(
                f"train.{field}",
                f"is {getattr(train, field)}, and the checkpoint of step {self.step} of run {self.source.name} has "
                f"{used} behind it; give more, or take an earlier checkpoint",
            )
        patience = train.early_stopping_patience
        if 0 < patience <= counters.evaluations_without_best:
            raise ConfigError(
                "train.early_stopping_patience",
                f"is {patience}, and the checkpoint of step {self.step} has {counters.evaluations_without_best} "
                "evaluations without a new best behind it; give more (or 0: never), or take the best checkpoint",
            )

    def _total_steps(self) -> int | None:
        data = self.source.record.data
        rows = data.rows_per_epoch or windows_per_epoch(data.n_train_tokens, self.config.model.n_positions)
        return total_steps(self.config, rows / self.config.train.batch_size)


def _seconds(train: TrainConfig) -> float:
    assert train.max_minutes is not None
    return 60.0 * train.max_minutes


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value)


def _link_all(origin: Path, manifest: Manifest, folder: Path) -> None:
    for name in manifest.files:
        inside = name.removeprefix(f"{ADAPTER_FOLDER}/")
        if Path(inside).name != inside:
            raise _DamagedError(f"{origin / MANIFEST_FILE} speaks of {name!r}, which is not a file of a checkpoint")
        (folder / name).parent.mkdir(exist_ok=True)
        link_or_copy(origin / name, folder / name)
