"""A model folder as it lies on disk: read within bounds, hashed and checked, never through a link."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tui_gpt.core.errors import ModelError
from tui_gpt.core.given_files import is_too_deep
from tui_gpt.core.model_record import ADAPTER_FOLDER, RECORD_NAME, FileRecord, ModelRecord, decode_record

CARD_NAME = "README.md"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
"""A model's weights, or the list of the files that they are shared out among."""
LARGEST_JSON = 16 << 20
"""Bytes. A record with its sample and its hashes has a few thousand; anything near this is not ours."""

_CHUNK = 1 << 20


def open_regular(path: Path) -> int:
    """A descriptor of the regular file `path`, for reading. Raises ModelError for anything else, links included."""
    try:
        # O_NONBLOCK: opening a FIFO must not wait for somebody who writes into it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ModelError(f"{path} is missing") from None
    except OSError as error:
        if path.is_symlink():
            raise ModelError(f"{path} is a link, and models hold only plain files") from None
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ModelError(f"{path} is not a plain file")
    return descriptor


def read_bounded(path: Path, limit: int = LARGEST_JSON) -> bytes:
    """The content of a regular file of at most `limit` bytes. Raises ModelError."""
    with os.fdopen(open_regular(path), "rb") as handle:
        try:
            content = handle.read(limit + 1)
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > limit:
        raise ModelError(f"{path} is larger than {limit:,} bytes, which no such file of a model is")
    return content


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` of a model folder. Raises ModelError when it is missing or is not a JSON object."""
    path = folder / "config.json"
    try:
        tree = json.loads(read_bounded(path))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is damaged ({error}); restore the file, or delete the model") from None
    if is_too_deep(tree):
        raise ModelError(f"{path} is nested too deeply for a model's configuration; restore it, or delete the model")
    if not isinstance(tree, dict):
        raise ModelError(f"{path} is not a JSON object, as a model's configuration is")
    return tree


def read_record(folder: Path) -> ModelRecord | None:
    """`tui_gpt.json` of a model folder; None when there is none, as in models made elsewhere. Raises ModelError."""
    path = folder / RECORD_NAME
    if not os.path.lexists(path):
        return None
    return decode_record(read_bounded(path), str(path))


def hash_file(path: Path) -> FileRecord:
    """Size and SHA-256 of a regular file, read in bounded memory. Raises ModelError."""
    digest = hashlib.sha256()
    size = 0
    with os.fdopen(open_regular(path), "rb") as handle:
        try:
            while chunk := handle.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror}") from None
    return FileRecord(size=size, sha256=digest.hexdigest())


def contents(folder: Path) -> dict[str, Path]:
    """What lies in a model's folder, by its name there; the adapters are named `adapter/...`. Never follows a link."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name == ADAPTER_FOLDER and stat.S_ISDIR(path.lstat().st_mode):
            found |= {f"{ADAPTER_FOLDER}/{inside.name}": inside for inside in sorted(path.iterdir())}
        else:
            found[path.name] = path
    return found


def hash_folder(folder: Path) -> dict[str, FileRecord]:
    """Size and SHA-256 of every file except the record, by name. Raises ModelError for folders and links in it."""
    return {name: hash_file(path) for name, path in contents(folder).items() if name != RECORD_NAME}


def lacking(record: ModelRecord) -> list[str]:
    """The files that every model has and this one's record does not know."""
    weights = next((name for name in WEIGHTS if name in record.files), WEIGHTS[0])
    return [name for name in ("config.json", weights) if name not in record.files]


def folder_bytes(folder: Path) -> int:
    """Bytes of all files under `folder`; links count for nothing, and what vanishes meanwhile neither."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                status = Path(parent, name).lstat()
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                total += status.st_size
    return total


def folder_problems(folder: Path, record: ModelRecord | None) -> Iterator[str]:
    """Every difference between the folder and its record, one sentence each; nothing when it is intact.

    A folder without a record has no hashes to compare: only what every model needs is looked for.
    """
    present = contents(folder)
    for name, path in present.items():
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            yield f"{path} is a link, and models hold only plain files"
        elif not stat.S_ISREG(mode) and record is not None:
            yield f"{path} is not a plain file"
        elif record is not None and name != RECORD_NAME and name not in record.files:
            yield f"{path} is not among the model's files; move it elsewhere"
    if record is None:
        if "config.json" not in present:
            yield f"{folder / 'config.json'} is missing"
        if not any(name.endswith(".safetensors") for name in present):
            yield f"{folder} holds no .safetensors file, and so no weights that can be opened safely"
        return
    for name in lacking(record):
        yield f"{folder / RECORD_NAME} knows no {name}, and without it there is no model"
    for name, expected in record.files.items():
        if name not in present:
            yield f"{folder / name} is missing"
        elif stat.S_ISREG(present[name].lstat().st_mode):
            yield from _file_problems(present[name], expected)


def _file_problems(path: Path, expected: FileRecord) -> Iterator[str]:
    size = path.lstat().st_size
    if size != expected.size:
        yield f"{path} has {size:,} bytes instead of {expected.size:,}; restore it, or delete the model"
        return
    try:
        actual = hash_file(path)
    except ModelError as error:
        yield str(error)
        return
    if actual != expected:
        yield f"{path} is damaged: its SHA-256 is not the one it was saved with; restore it, or delete the model"
