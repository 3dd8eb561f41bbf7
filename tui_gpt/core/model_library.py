"""The folder of the models: changes under one lock, visible by one rename, and repaired after a process was killed.

A reader, now or after a power loss, finds a model as it was or as it is to be. Names that begin with a dot are the
library's own:

    .library.lock        held while the library changes
    .saving-<hex>        a model that is being written; `.saving-<hex>.lock` is held for as long as someone writes
    .replaced.<name>     the model whose place a new one takes, for the instant between two renames
    .deleted-<hex>       a model on its way out
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from tui_gpt.core.errors import ModelError
from tui_gpt.core.files import fsync_dir, make_folders
from tui_gpt.core.model_folder import folder_bytes

LOCK_SECONDS = 60.0
"""How long a change waits for another. Models are written before: the lock is held for renames and clean-up only."""

_LOCK = ".library.lock"
_SAVING = ".saving-"
# How often a model must be missing in a row, while others may be replacing it, to count as not there.
_LOOKS = 5
_REPLACED = ".replaced."
_DELETED = ".deleted-"


class ModelLibrary:
    """Folders in `root`, which is made when it is first needed. Every error is a ModelError."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> list[str]:
        """The name of every folder, and of every link to one, that is not the library's own."""
        if not self.root.is_dir():
            places = (self.root, *self.root.parents)
            obstacle = next((place for place in places if os.path.lexists(place) and not place.is_dir()), None)
            if obstacle is not None:
                raise ModelError(f"{obstacle} is no folder, so there can be no library in it; move it out of the way")
            return []
        try:
            entries = [path.name for path in self.root.iterdir()]
        except OSError as error:
            raise ModelError(f"the library {self.root} cannot be read: {error.strerror}") from None
        # One look finds a model under its name or set aside, never neither; two looks could, while it is replaced.
        names = {entry.removeprefix(_REPLACED) for entry in entries}
        return sorted(name for name in names if name and not name.startswith(".") and self.holds(name))

    def holds(self, name: str) -> bool:
        """Whether a folder, or a link to one, has that name; one that is being replaced has it."""
        for _ in range(_LOOKS):
            self.restore_interrupted(name)
            try:
                return stat.S_ISDIR((self.root / name).stat().st_mode)
            except FileNotFoundError:
                # It may have been set aside since the first look, and be in its place again by the next one.
                continue
            except OSError as error:
                if error.errno == errno.ELOOP:
                    return False
                raise ModelError(f"the library {self.root} cannot be read: {error.strerror}") from None
        return False

    def folder(self, name: str) -> Path | None:
        """The folder of that name, None when there is none. Raises ModelError for links and files."""
        for _ in range(_LOOKS):
            self.restore_interrupted(name)
            found = self._folder(name)
            if found is not None:
                return found
            # It may have been set aside since the first look, and be in its place again by the next one.
        return None

    def _folder(self, name: str) -> Path | None:
        folder = self.root / name
        try:
            mode = folder.lstat().st_mode
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ModelError(f"the library {self.root} cannot be read: {error.strerror}") from None
        if stat.S_ISLNK(mode):
            raise ModelError(f"{folder} is a link, and a model must be in the library itself; copy it there instead")
        if not stat.S_ISDIR(mode):
            raise ModelError(f"{folder} is not a folder, and so not a model")
        return folder

    # Changes: each is called inside `with library.locked()`

    def put(self, folder: Path, name: str, *, replace: bool) -> None:
        """Give a complete folder its name, in the place of what has it where `replace` allows that."""
        if not replace:
            self.refuse_taken(name)
        target, aside = self.root / name, self.root / f"{_REPLACED}{name}"
        if self._folder(name) is not None:
            target.rename(aside)
        folder.rename(target)
        fsync_dir(self.root)
        # What cannot be removed now is tried again at the next change.
        shutil.rmtree(aside, ignore_errors=True)

    def rename(self, name: str, new: str) -> None:
        """Give a folder another name. Raises ModelError when there is none, or the name is taken."""
        self.refuse_taken(new)
        self._existing(name).rename(self.root / new)
        fsync_dir(self.root)

    def remove(self, name: str) -> int:
        """Remove a folder and all in it, links without what they lead to; returns the bytes freed."""
        folder = self._existing(name)
        freed = folder_bytes(folder)
        doomed = self.root / f"{_DELETED}{secrets.token_hex(6)}"
        folder.rename(doomed)
        fsync_dir(self.root)
        shutil.rmtree(doomed)
        return freed

    def refuse_taken(self, name: str) -> None:
        """Raise ModelError when the name is in use."""
        if os.path.lexists(self.root / name):
            raise ModelError(f"a model named {name} is already in {self.root}; choose another name, or replace it")

    def _existing(self, name: str) -> Path:
        folder = self._folder(name)
        if folder is None:
            raise ModelError(f"there is no model named {name} in {self.root}")
        return folder

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """An empty folder of this process inside the library; what is left of it at the end is removed."""
        folder = self.root / f"{_SAVING}{secrets.token_hex(6)}"
        holder = FileLock(f"{folder}.lock")
        with self.locked():
            holder.acquire(timeout=0)
            folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            holder.release()
            with suppress(OSError):
                Path(holder.lock_file).unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the library, repaired and tidied. Raises ModelError when another holds it or the disk refuses."""
        try:
            make_folders(self.root)
            lock = FileLock(self.root / _LOCK)
            lock.acquire(timeout=LOCK_SECONDS)
        except Timeout:
            raise ModelError(
                f"another process has been changing {self.root} for {LOCK_SECONDS:.0f} seconds; try again later"
            ) from None
        except OSError as error:
            raise ModelError(f"the library {self.root} cannot be changed: {error.strerror or error}") from error
        try:
            self._restore()
            self._remove_leftovers()
            yield
        except OSError as error:
            raise ModelError(f"the library {self.root} could not be changed: {error.strerror or error}") from error
        finally:
            lock.release()

    # What a killed process left behind

    def restore_interrupted(self, name: str) -> None:
        """Put back a model whose replacement was cut short; one that is in progress is waited for."""
        aside = self.root / f"{_REPLACED}{name}"
        if os.path.lexists(aside) and _is_interrupted(aside):
            # A library that this process may not change is read as it is.
            with suppress(ModelError), self.locked():
                pass

    def _asides(self) -> list[Path]:
        """The models set aside, except for what can be none because nothing is left of its name. Raises ModelError."""
        try:
            return [path for path in self.root.glob(f"{_REPLACED}*") if _name_of(path).strip(".")]
        except OSError as error:
            raise ModelError(f"the library {self.root} cannot be read: {error.strerror or error}") from None

    def _restore(self) -> None:
        for aside in self._asides():
            if _is_interrupted(aside):
                aside.rename(self.root / _name_of(aside))
                fsync_dir(self.root)
            else:
                shutil.rmtree(aside, ignore_errors=True)

    def _remove_leftovers(self) -> None:
        for doomed in self.root.glob(f"{_DELETED}*"):
            shutil.rmtree(doomed, ignore_errors=True)
        for path in self.root.glob(f"{_SAVING}*.lock"):
            holder = FileLock(path)
            try:
                holder.acquire(timeout=0)
            except (Timeout, OSError):  # held, or a folder or link that no process of ours made
                continue
            shutil.rmtree(path.with_suffix(""), ignore_errors=True)
            path.unlink(missing_ok=True)
            holder.release()
        for folder in self.root.glob(f"{_SAVING}*"):
            # Lock and folder appear under the library's lock, in this order: a folder alone belongs to nobody.
            if folder.suffix != ".lock" and not folder.with_suffix(".lock").exists():
                shutil.rmtree(folder, ignore_errors=True)


def _name_of(aside: Path) -> str:
    return aside.name.removeprefix(_REPLACED)


def _is_interrupted(aside: Path) -> bool:
    return not os.path.lexists(aside.parent / _name_of(aside))
