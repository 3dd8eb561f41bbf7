"""What a person means by NAME where text is to be written or measured: a model, a run, or a model's folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_gpt.core.config import RunConfig, SampleConfig, TrainConfig
from tui_gpt.core.errors import ConfigError, ModelError, RunError
from tui_gpt.core.messages import ModelRef
from tui_gpt.core.names import check_name

if TYPE_CHECKING:
    from tui_gpt.core.model_handler import ModelHandler
    from tui_gpt.core.model_record import ModelRecord
    from tui_gpt.core.runs.checkpoints import CheckpointInfo
    from tui_gpt.core.runs.store import Run
    from tui_gpt.engine.interop.huggingface import LoadedModel

_ATTEMPTS = 5
"""A trainer may rotate a checkpoint away between finding and reading it."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model folder, and what is known about how it came to be."""

    title: str
    """For people, e.g. `bard` or `run bard, step 120`."""
    folder: Path
    config: RunConfig | None = None
    """None for models that were made elsewhere."""
    corpus_sha256: str | None = None
    val_loss: float | None = None
    """Over the whole validation text, in nats per token, as the trainer measured it."""
    step: int | None = None
    """Steps it was trained for, if known."""

    @property
    def sample_config(self) -> SampleConfig:
        """How the model likes to be sampled: as its run said, else the defaults."""
        return self.config.sample if self.config else SampleConfig()


def load_source(name: str, checkpoint: str | None = None, device: str = "auto") -> tuple[ModelSource, LoadedModel]:
    """Find and read the model that NAME means, in float32 on `device`.

    A model of the library comes first, then an example, then a run (its best checkpoint, or the one asked for by
    `best`, `last` or its step); with a slash in it, NAME is the path of a model's folder. Raises ModelError, RunError
    or ConfigError in one sentence.
    """
    return _read(lambda: find_source(name, checkpoint), device)


def load_reference(ref: ModelRef, device: str = "auto") -> tuple[ModelSource, LoadedModel]:
    """As `load_source`, for a model that is known by where it lies."""
    return _read(lambda: find_reference(ref), device)


def _read(find: Callable[[], ModelSource], device: str) -> tuple[ModelSource, LoadedModel]:
    from tui_gpt.core.config_loading import convert
    from tui_gpt.engine.interop.huggingface import read_model_folder
    from tui_gpt.engine.training.devices import choose_device

    # The field of the configuration knows how devices are called.
    chosen = choose_device(convert({"device": device}, TrainConfig, "train").device)
    for attempt in range(_ATTEMPTS):
        source = find()
        try:
            return source, read_model_folder(source.folder, device=chosen)
        except ModelError:
            if source.folder.exists() or attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def find_source(name: str, checkpoint: str | None = None) -> ModelSource:
    """What NAME means, its files verified. Raises as `load_source` does."""
    from tui_gpt.core.model_handler import ModelHandler
    from tui_gpt.core.runs.store import RunStore

    if "/" in name and checkpoint is None:
        return _folder_source(Path(name).expanduser())
    check_name(name, "name")
    handler = ModelHandler()
    if checkpoint is None and _in_library(handler, name):
        return _library_source(handler, name)
    runs = {run.name for run in RunStore().list()}
    if name in runs:
        run = RunStore().open(name)
        return _run_source(run, _checkpoint(run, checkpoint))
    if checkpoint is not None:
        raise RunError(
            f"there is no run named {name} to take a checkpoint of; `tui-gpt runs list` shows those there are"
        )
    known = sorted({entry.name for entry in handler.list()} | runs)
    advice = f"there are {', '.join(known[:20])}" if known else "train one first, e.g. with `tui-gpt train stories`"
    raise ModelError(f"there is no model and no run named {name}; {advice}, and a folder is written with a slash")


def find_reference(ref: ModelRef) -> ModelSource:
    """What a reference means, its files verified. Raises as `load_source` does."""
    from tui_gpt.core.model_handler import ModelHandler
    from tui_gpt.core.runs.store import RunStore

    match ref.kind:
        case "folder":
            return _folder_source(Path(ref.name).expanduser())
        case "model":
            return _library_source(ModelHandler(), check_name(ref.name, "model name"))
        case "run":
            run = RunStore().open(ref.name)
            if not run.checkpoints():
                raise RunError(f"run {run.name} has no checkpoint yet; the first one comes with its first evaluation")
            if ref.checkpoint is None and run.liveness() != "dead":
                newest, damaged = run.newest_intact()
                if newest is None:
                    raise RunError(f"run {run.name} has no model: none of its checkpoints is intact ({damaged[0]})")
                return _run_source(run, newest)
            return _run_source(run, _checkpoint(run, ref.checkpoint))


def likely_folder(ref: ModelRef) -> Path | None:
    """The folder that `find_reference` would open if its files are intact, without reading them; None for no folder.

    Raises as `load_source` does.
    """
    from tui_gpt.core.model_handler import ModelHandler
    from tui_gpt.core.runs.store import RunStore

    match ref.kind:
        case "folder":
            return Path(ref.name).expanduser()
        case "model":
            handler = ModelHandler()
            check_name(ref.name, "model name")
            folder = handler.library.folder(ref.name)
            return folder if folder is not None or handler.examples is None else handler.examples.folder(ref.name)
        case "run":
            run = RunStore().open(ref.name)
            wanted = ref.checkpoint or ("newest" if run.liveness() != "dead" else "best")
            known = run.checkpoints()
            chosen = [c for c in known if wanted in c.tags or wanted == str(c.step)]
            # `best` of a run that has marked none, as after a crash, is its newest.
            newest = known[-1:] if wanted == "newest" or ref.checkpoint is None else []
            return next((c.folder for c in reversed(chosen or newest)), None)


def _in_library(handler: ModelHandler, name: str) -> bool:
    libraries = (handler.library, handler.examples)
    return any(library is not None and library.folder(name) is not None for library in libraries)


def _folder_source(folder: Path) -> ModelSource:
    from tui_gpt.core.model_folder import folder_problems, read_record

    try:
        is_folder = folder.is_dir()
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder} cannot be looked at: {error}") from None
    if not is_folder:
        raise ModelError(f"{folder} is not a folder, as a model with its config.json, weights and tokenizer is")
    try:
        record = read_record(folder)
        # A folder from elsewhere has no hashes, and what it lacks is said when it is read.
        problem = next(folder_problems(folder, record), None) if record is not None else None
    except OSError as error:
        raise ModelError(f"{folder} cannot be read: {error.strerror}") from None
    if problem is not None:
        raise ModelError(problem)
    return _recorded(str(folder), folder, record)


def _library_source(handler: ModelHandler, name: str) -> ModelSource:
    folder = handler.load(name)
    return _recorded(name, folder, handler.get(name).record)


def _recorded(title: str, folder: Path, record: ModelRecord | None) -> ModelSource:
    if record is None:
        return ModelSource(title, folder)
    sha256 = record.corpus.sha256 if record.corpus else None
    return ModelSource(title, folder, _understood(record.config), sha256, record.val_loss, record.steps)


def _understood(tree: dict[str, Any] | None) -> RunConfig | None:
    """The configuration in a record; None where another version wrote what this one does not know."""
    from tui_gpt.core.config_loading import build_config

    try:
        return None if tree is None else build_config(("record", tree))
    except ConfigError:
        return None


def _run_source(run: Run, checkpoint: CheckpointInfo) -> ModelSource:
    step, record = checkpoint.step, run.record
    return ModelSource(f"run {run.name}, step {step}", checkpoint.folder, record.config, record.data.sha256, step=step)


def _checkpoint(run: Run, wanted: str | None) -> CheckpointInfo:
    """The checkpoint asked for, verified. Raises RunError, ConfigError for what names none."""
    from tui_gpt.core.runs.checkpoints import verify_checkpoint
    from tui_gpt.engine.training.publishing import best_checkpoint

    if wanted is None:
        return best_checkpoint(run)
    if wanted not in ("best", "last") and not (wanted.isascii() and wanted.isdigit()):
        raise ConfigError("--checkpoint", f"{wanted!r} is neither best nor last nor the number of a step")
    known = run.checkpoints()
    chosen = [c for c in known if wanted in c.tags or (wanted.isdigit() and int(wanted) == c.step)]
    if not chosen:
        steps = ", ".join(str(c.step) for c in known)
        there = f"there are checkpoints of the steps {steps}" if steps else "it has no checkpoint yet"
        raise RunError(f"run {run.name} has no checkpoint {wanted}; {there}")
    for problem in verify_checkpoint(chosen[-1].folder):
        raise RunError(f"{problem}; take another checkpoint")
    return chosen[-1]
