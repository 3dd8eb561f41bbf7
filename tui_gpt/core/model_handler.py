"""ModelHandler: the library of models, and the read-only examples beside it, as a person thinks of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import msgspec

from tui_gpt.core import locations
from tui_gpt.core.errors import ConfigError, ModelError, TuiGptError
from tui_gpt.core.files import fsync_dir, fsync_file, link_or_copy, write_bytes
from tui_gpt.core.model_card import is_card_of, model_card
from tui_gpt.core.model_folder import (
    CARD_NAME,
    contents,
    folder_bytes,
    folder_problems,
    hash_file,
    hash_folder,
    lacking,
    read_bounded,
    read_config,
    read_record,
)
from tui_gpt.core.model_library import ModelLibrary
from tui_gpt.core.model_record import ADAPTER_FOLDER, RECORD_NAME, ModelRecord, encode_record, utc_now
from tui_gpt.core.names import check_name
from tui_gpt.core.notes import append_entry

T = TypeVar("T")

_ATTEMPTS = 100
"""Reads of a model that is replaced again and again meanwhile, before they are given up."""


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A model of the library, or an example."""

    name: str
    """The folder's name."""
    folder: Path
    record: ModelRecord | None
    """None for models that were made elsewhere."""
    config: dict[str, Any]
    """`config.json`."""
    size_bytes: int
    read_only: bool
    """True for the examples that come with the program."""


class DamagedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of the library that cannot be used as a model, and why."""

    name: str
    folder: Path
    problem: str
    size_bytes: int
    read_only: bool


# Inside the class, `list` is its method.
Models: TypeAlias = list[ModelEntry | DamagedModel]
Sentences: TypeAlias = list[str]


class ModelHandler:
    """The models in `root`, which is made when it is first needed, with `examples` beside it and `notes` as the diary.

    Every error is a ModelError or, for an impossible name, a ConfigError.
    """

    def __init__(self, root: Path | None = None, examples: Path | None = None, notes: Path | None = None) -> None:
        """Left out, the places are those of `core.locations`."""
        self.library = ModelLibrary(root or locations.models_dir())
        examples = examples or locations.example_models_dir()
        self.examples = None if examples is None else ModelLibrary(examples)
        self.notes = notes or locations.notes_file()

    # Reading

    def list(self) -> Models:
        """Every model by name; an example is hidden by a model of the library that has its name."""
        found: dict[str, ModelEntry | DamagedModel] = {}
        for library in filter(None, (self.examples, self.library)):
            for name in library.names():
                entry = self._examine(library, name)
                # A model that was deleted since the look at the folder is no longer one to list.
                if isinstance(entry, ModelEntry) or library.holds(name):
                    found[name] = entry
        return [found[name] for name in sorted(found)]

    def get(self, name: str) -> ModelEntry:
        """The library's model of that name, else the example. Raises ModelError when there is none or it is damaged."""
        entry = self._examine(self._library_of(name), name)
        if isinstance(entry, DamagedModel):
            raise ModelError(entry.problem)
        return entry

    def show(self, name: str) -> dict[str, Any]:
        """What is known about a model, as plain JSON types."""
        plain: dict[str, Any] = msgspec.to_builtins(self.get(name), enc_hook=str)
        return plain

    def verify(self, name: str) -> Sentences:
        """Every difference between a model and its record (missing, changed, added, links), one sentence each."""
        return _steadily(self._library_of(name), name, _check)

    def load(self, name: str) -> Path:
        """The folder of a model whose files are the ones that were saved. Raises ModelError with the first problem."""
        library = self._library_of(name)
        for problem in _steadily(library, name, _check):
            raise ModelError(problem)
        return library.root / name

    # Changing

    def save(
        self, name: str, write: Callable[[Path], None], record: ModelRecord, *, replace: bool = False
    ) -> ModelEntry:
        """Add a model: `write` fills an empty folder with its files, and everything else is done here.

        The model card (unless `write` brings its own), the hashes, and of the record `name`, `files` and an empty
        `created` are filled in, the files are made durable, and one rename puts the folder in place; then the diary
        gets its entry. A name that is taken raises ModelError, unless `replace`: then the old model goes once the new
        one is there.
        """
        check_name(name, "model name")
        if not replace:
            # Asked again under the lock: this one only spares the work of writing.
            self.library.refuse_taken(name)
        record = msgspec.structs.replace(record, name=name, created=record.created or utc_now())
        with self.library.workspace() as folder:
            try:
                write(folder)
                if not os.path.lexists(folder / CARD_NAME):
                    (folder / CARD_NAME).write_text(model_card(record), encoding="utf-8", newline="\n")
                record = _seal(folder, msgspec.structs.replace(record, files=hash_folder(folder)))
            except TuiGptError:
                raise
            except Exception as error:
                # A full disk is an OSError from Python, a RuntimeError from torch and a SafetensorError from Rust.
                why = error.strerror if isinstance(error, OSError) and error.strerror else error
                raise ModelError(
                    f"model {name} could not be saved in {self.library.root}: {why}; check the space and the "
                    "permissions there"
                ) from error
            with self.library.locked():
                self.library.put(folder, name, replace=replace)
                self._append_note(record)
        return self.get(name)

    def rename(self, name: str, new: str) -> None:
        """Give a model of the library, damaged or not, another name; in its record and its card too."""
        check_name(new, "new model name")
        self._refuse_example(name)
        with self.library.locked():
            self.library.rename(name, new)
        # The folder's name is what counts: a model too damaged to be described anew keeps its description.
        with suppress(ModelError):
            self._describe_anew(new, name=new)

    def note(self, name: str, text: str) -> ModelEntry:
        """Replace the notes in a model's record and card. Raises ModelError for examples and models made elsewhere."""
        self._refuse_example(name)
        self._describe_anew(name, notes=text)
        return self.get(name)

    def fork(self, name: str, new: str, change: Callable[[Path], None] | None = None) -> ModelEntry:
        """Copy a model or an example, verified, under a new name, with the original as its parent.

        `change` may alter the copy's files, in the folder that it is given, before they are hashed.
        """
        source = self.load(name)
        original = self.get(name)
        record = original.record or ModelRecord(name=new, family=str(original.config.get("model_type", "unknown")))
        left_out = {RECORD_NAME} if not _has_our_card(source, original.record) else {RECORD_NAME, CARD_NAME}

        def copy(folder: Path) -> None:
            for file, path in contents(source).items():
                if file not in left_out and path.is_file():
                    (folder / file).parent.mkdir(exist_ok=True)
                    shutil.copyfile(path, folder / file, follow_symlinks=False)
            if change is not None:
                change(folder)

        return self.save(new, copy, msgspec.structs.replace(record, parent=name, created=""))

    def delete(self, name: str) -> int:
        """Remove a model from the library, damaged or not; returns the bytes freed."""
        self._refuse_example(name)
        with self.library.locked():
            return self.library.remove(name)

    # Within

    def _library_of(self, name: str) -> ModelLibrary:
        check_name(name, "model name")
        for library in filter(None, (self.library, self.examples)):
            if library.folder(name) is not None:
                return library
        known = [entry.name for entry in self.list()]
        advice = f"there are {', '.join(known)}" if known else "the library is still empty, so train a model first"
        raise ModelError(f"there is no model named {name}; {advice}")

    def _refuse_example(self, name: str) -> None:
        if self._library_of(name) is self.examples:
            raise ModelError(f"{name} is an example that comes with the program; fork it, and change the copy")

    def _examine(self, library: ModelLibrary, name: str) -> ModelEntry | DamagedModel:
        folder = library.root / name
        read_only = library is self.examples
        try:
            check_name(name, f"model {folder}")
            size, record, config = _steadily(library, name, _read)
        except (ModelError, ConfigError) as error:
            size = 0 if folder.is_symlink() else folder_bytes(folder)
            return DamagedModel(name=name, folder=folder, problem=str(error), size_bytes=size, read_only=read_only)
        return ModelEntry(name=name, folder=folder, record=record, config=config, size_bytes=size, read_only=read_only)

    def _describe_anew(self, model: str, **changes: str) -> None:
        """Replace a model by one with the same files under a changed record, and card where it is ours."""
        with self.library.workspace() as folder, self.library.locked():
            source = self.library.root / model
            old = read_record(source)
            if old is None:
                raise ModelError(f"model {model} was made elsewhere and has no {RECORD_NAME}; fork it to get one")
            record = msgspec.structs.replace(old, **changes)
            # The files are the same as before and so are their hashes: damage since then stays visible.
            files = dict(old.files)
            has_our_card = _has_our_card(source, old)
            for file in files:
                if not (has_our_card and file == CARD_NAME):
                    (folder / file).parent.mkdir(exist_ok=True)
                    link_or_copy(source / file, folder / file)
            if has_our_card:
                (folder / CARD_NAME).write_text(model_card(record), encoding="utf-8", newline="\n")
                files[CARD_NAME] = hash_file(folder / CARD_NAME)
            _seal(folder, msgspec.structs.replace(record, files=files))
            self.library.put(folder, model, replace=True)

    def _append_note(self, record: ModelRecord) -> None:
        try:
            append_entry(self.notes, record)
        except OSError as error:
            raise ModelError(
                f"model {record.name} is saved, but its entry could not be written to {self.notes}: {error}"
            ) from error


def _read(folder: Path) -> tuple[int, ModelRecord | None, dict[str, Any]]:
    return folder_bytes(folder), read_record(folder), read_config(folder)


def _check(folder: Path) -> list[str]:
    try:
        return list(folder_problems(folder, read_record(folder)))
    except ModelError as error:
        return [str(error)]


def _steadily(library: ModelLibrary, name: str, read: Callable[[Path], T]) -> T:
    """What `read` finds in a folder that is the same from beginning to end, even while others replace the model."""
    for _ in range(_ATTEMPTS):
        folder = library.folder(name)
        if folder is None:
            raise ModelError(f"the model {name} has been deleted meanwhile")
        try:
            before = _identity(folder)
            result = read(folder)
            if _identity(folder) == before:
                return result
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ModelError(f"{folder} cannot be read: {error.strerror or error}") from None
        except ModelError:
            # Damaged only if it is not simply being replaced.
            with suppress(OSError):
                if _identity(folder) == before:
                    raise
    raise ModelError(f"the model {name} is being replaced all the time; try again later")


def _identity(folder: Path) -> tuple[int, int]:
    """What no other folder has that took this one's name; the number of a folder that is gone is given again."""
    found = folder.stat()
    return found.st_ino, found.st_ctime_ns


def _seal(folder: Path, record: ModelRecord) -> ModelRecord:
    """Make a folder's files durable, then its record, which makes it a model. Raises ModelError, OSError."""
    for name in lacking(record):
        raise ModelError(f"model {record.name} cannot be saved, because {name} was not written")
    for name in record.files:
        fsync_file(folder / name)
    if (folder / ADAPTER_FOLDER).is_dir():
        fsync_dir(folder / ADAPTER_FOLDER)
    write_bytes(folder / RECORD_NAME, encode_record(record))
    return record


def _has_our_card(folder: Path, record: ModelRecord | None) -> bool:
    """Whether the card is the one made from the record, and not one that came with the model or that a person wrote."""
    if record is None or CARD_NAME not in record.files:
        return False
    try:
        return is_card_of(read_bounded(folder / CARD_NAME), record, record.files[CARD_NAME].sha256)
    except ModelError:
        return False
