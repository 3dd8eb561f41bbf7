"""The model that a run begins from: checked, and kept within the run, so that nothing outside can change it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_gpt.core.config import DataConfig, ModelConfig
from tui_gpt.core.config_loading import convert
from tui_gpt.core.corpora import find
from tui_gpt.core.corpus_shares import corpus_shares
from tui_gpt.core.errors import ConfigError, CorpusError, ModelError, RunError
from tui_gpt.core.files import fsync_dir, fsync_file
from tui_gpt.core.model_folder import hash_file
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.runs.checkpoints import MANIFEST_FILE, FileEntry, Manifest
from tui_gpt.core.runs.records import read_record, utc_now, write_record
from tui_gpt.core.runs.store import Run
from tui_gpt.engine.text.tokenizer_files import load_tokenizer
from tui_gpt.engine.text.tokenizer_writing import CONFIGURATION_FILE, TEMPLATE_FILE, TOKENIZER_FILE

if TYPE_CHECKING:
    from tui_gpt.engine.text.tokenizer import Tokenizer

START_FOLDER = "start"
"""Within a run's folder: the model it begins from, and a MANIFEST.json as checkpoints have."""

_ALWAYS = ("config.json", TOKENIZER_FILE)
_WHERE_GIVEN = (CONFIGURATION_FILE, TEMPLATE_FILE, "generation_config.json")


@dataclass(frozen=True)
class Origin:
    """A model of the library, or an example, that can be trained on."""

    name: str
    folder: Path
    model: ModelConfig
    """Its shape, every size resolved."""
    tokenizer: Tokenizer
    known_as: str
    """`hub:owner/name@commit` where it came from the Hub, else its name."""
    files: Mapping[str, FileEntry]
    """What makes it up: the configuration, the weights and the tokenizer, by file name."""


def read_origin(name: str) -> Origin:
    """The model `name`, every hash compared and every tensor looked for.

    Raises ModelError when there is none, or it is damaged or not supported, and ConfigError when `name` is no name.
    """
    # Here, because all of these bring in torch, which takes seconds.
    from tui_gpt.engine.interop.hub import PREFIX
    from tui_gpt.engine.interop.huggingface import examine_model_folder
    from tui_gpt.engine.interop.weights import weight_files

    handler = ModelHandler()
    folder = handler.load(name)
    try:
        model, tokenizer = examine_model_folder(folder)
        files = {path.name: _entry(path) for path in (*_parts(folder), *weight_files(folder))}
    except ModelError as error:
        raise ModelError(f"model {name} cannot be continued: {error}") from None
    record = handler.get(name).record
    parent = record.parent if record else None
    known_as = parent if parent and parent.startswith(PREFIX) else name
    return Origin(name, folder, model, tokenizer, known_as, files)


def is_made_elsewhere(name: str) -> bool:
    """Whether nothing is known of a run that made the model. Raises ModelError when there is none of that name."""
    record = ModelHandler().get(name).record
    return record is None or record.config is None


def origin_data(name: str) -> dict[str, Any]:
    """The data section, as a tree, with which the model `name` was trained, for training it on the same text.

    Raises ModelError when the model does not say, CorpusError when the text is not there any more.
    """
    record = ModelHandler().get(name).record
    tree = (record.config or {}).get("data") if record is not None else None
    try:
        data = None if tree is None else convert(tree, DataConfig, "data")
        shares = () if data is None else corpus_shares(data.corpus, data.mix)
    except ConfigError:  # written by another version
        data = None
    if data is None:
        raise ModelError(f"model {name} does not say what it was trained on; name a corpus, a file or a folder")
    for part in shares:
        try:
            find(part.corpus)
        except CorpusError:
            raise CorpusError(
                f"model {name} was trained on {part.corpus}, which is not there any more; name a corpus, a file or a "
                "folder"
            ) from None
    # The tokenizer comes with the model.
    known = {field: getattr(data, field) for field in DataConfig.__struct_fields__ if field != "tokenizer"}
    return {field: value for field, value in known.items() if value is not None}


def write_start(origin: Origin, run_folder: Path) -> None:
    """Copy the model into a run's folder that is being made, durably. Raises ModelError when it changed meanwhile."""
    folder = run_folder / START_FOLDER
    folder.mkdir()
    for name in origin.files:
        try:
            shutil.copyfile(origin.folder / name, folder / name, follow_symlinks=False)
        except FileNotFoundError:
            raise _changed(origin) from None
        fsync_file(folder / name)
    write_record(folder / MANIFEST_FILE, Manifest(step=0, created=utc_now(), files=dict(origin.files)))
    fsync_dir(folder)
    if start_problem(folder):
        raise _changed(origin)


def write_grown_start(origin: Origin, tokenizer: Tokenizer, model: ModelConfig, seed: int, run_folder: Path) -> None:
    """As `write_start`, of the model with a tokenizer that has more tokens; `seed` draws what it begins with for them.

    Raises ModelError.
    """
    from tui_gpt.engine.interop.huggingface import read_model_folder, write_model_folder
    from tui_gpt.engine.network.growing import grow_vocabulary

    folder = run_folder / START_FOLDER
    folder.mkdir()
    network = read_model_folder(origin.folder).network
    weights = {name: parameter.detach() for name, parameter in network.named_parameters()}
    grown = grow_vocabulary(weights, origin.tokenizer.vocab_size, tokenizer.vocab_size, seed)
    write_model_folder(folder, grown, model, tokenizer)
    files = {}
    for path in sorted(folder.iterdir()):
        fsync_file(path)
        files[path.name] = _entry(path)
    write_record(folder / MANIFEST_FILE, Manifest(step=0, created=utc_now(), files=files))
    fsync_dir(folder)


def _changed(origin: Origin) -> ModelError:
    return ModelError(f"model {origin.name} was changed while the run was being made; begin it again")


def start_problem(folder: Path) -> str:
    """The first difference between `start/` and its manifest, or an empty string."""
    try:
        manifest = read_record(folder / MANIFEST_FILE, Manifest)
        for name, expected in manifest.files.items():
            if Path(name).name != name or _entry(folder / name) != expected:
                return f"{folder / name} is damaged: it is not the file that the run began with"
    except (RunError, ModelError) as error:
        return str(error)
    return ""


def start_folder(run: Run) -> Path:
    """The model that the run begins from, every hash compared. Raises RunError when it is damaged or missing."""
    folder = run.folder / START_FOLDER
    problem = start_problem(folder)
    if problem:
        raise RunError(
            f"run {run.name} cannot begin from {run.record.parent or 'its model'}: {problem}; begin a new run from the "
            "model"
        )
    return folder


def start_tokenizer(run: Run) -> Tokenizer | None:
    """The tokenizer that came with the model the run began from; None where the corpus gave it. Raises RunError."""
    expected = run.record.data.tokenizer_sha256
    if not expected:
        return None
    folder = run.folder / START_FOLDER
    try:
        if hash_file(folder / TOKENIZER_FILE).sha256 != expected:
            raise ModelError(f"{folder / TOKENIZER_FILE} is damaged: its SHA-256 is not the one written down")
        return load_tokenizer(folder)
    except ModelError as error:
        raise RunError(
            f"the tokenizer of run {run.name} cannot be used: {error}; put back the file of the model "
            f"{run.record.parent}, which has the same one"
        ) from None


def _parts(folder: Path) -> list[Path]:
    """The files that training goes on from, beside the weights."""
    return [folder / name for name in (*_ALWAYS, *_WHERE_GIVEN) if name in _ALWAYS or (folder / name).is_file()]


def _entry(path: Path) -> FileEntry:
    found = hash_file(path)
    return FileEntry(found.size, found.sha256)
