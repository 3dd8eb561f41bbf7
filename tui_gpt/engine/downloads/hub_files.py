"""Files of a repository of the Hugging Face Hub: listed at one commit, fetched once, resumed, and compared by hash.

Everything about the network is huggingface_hub's: its cache, HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE mean
here what they mean everywhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import huggingface_hub
from huggingface_hub import errors
from huggingface_hub.utils.tqdm import tqdm

from tui_gpt.core import files as disk

Progress = Callable[[str, float], None]
"""What is being done, and how much of it is, from 0 to 1."""
Saying = Callable[[float], str]
"""What is being done, by how much of it is."""

_SHA256, _GIT = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Repository:
    """A repository, and which of its commits."""

    name: str
    revision: str | None = None
    """A branch, a tag or a commit; None is the main branch."""
    kind: Literal["model", "dataset"] = "model"

    def __str__(self) -> str:
        return f"hub:{self.name}" + (f"@{self.revision}" if self.revision else "")


class EmptyRepositoryError(Exception):
    """There is no file in it."""


class DamagedDownloadError(Exception):
    """What came is not what the Hub says it sent."""


def quiet() -> None:
    """What the client would warn of is either mended by itself or told in the end."""
    huggingface_hub.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]


def listed(repository: Repository) -> tuple[str, dict[str, int]] | None:
    """The commit and the sizes of its files; None where the Hub cannot be asked.

    Raises EmptyRepositoryError, and what the client raises where the Hub refuses.
    """
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        return None
    try:
        files = huggingface_hub.snapshot_download(
            repository.name,
            repo_type=repository.kind,
            revision=repository.revision,
            dry_run=True,
            tqdm_class=bar(Watch(None), 0),
        )
    except errors.DryRunError as error:
        cause = error.__cause__
        if isinstance(cause, errors.HfHubHTTPError):
            raise cause from None
        return None
    except errors.LocalEntryNotFoundError:
        return None  # a commit whose files are known from before, and the Hub is away
    if not files:
        raise EmptyRepositoryError
    return files[0].commit_hash, {file.filename: file.file_size or 0 for file in files}


def download(repository: Repository, commit: str, sizes: Mapping[str, int], watch: Watch) -> Path:
    """The folder with these files of a commit. Raises what the client raises."""
    return Path(
        huggingface_hub.snapshot_download(
            repository.name,
            repo_type=repository.kind,
            revision=commit,
            allow_patterns=[literally(name) for name in sizes],
            tqdm_class=bar(watch, sum(sizes.values())),
        )
    )


def require_intact(path: Path) -> None:
    """Raises DamagedDownloadError, and deletes the file, where its content has not the hash that the cache names it by.

    The client compares lengths alone where it fetches over plain HTTP. In a cache without links there is no such name.
    """
    blob = path.resolve()
    if _SHA256.fullmatch(blob.name):
        intact = disk.sha256_file(blob) == blob.name
    elif _GIT.fullmatch(blob.name):
        digest = hashlib.sha1(b"blob %d\0" % blob.stat().st_size, usedforsecurity=False)
        with blob.open("rb") as handle:
            while chunk := handle.read(1 << 20):
                digest.update(chunk)
        intact = digest.hexdigest() == blob.name
    else:
        return
    if not intact:
        path.unlink(missing_ok=True)
        blob.unlink(missing_ok=True)
        raise DamagedDownloadError(f"what came as {path.name} has not the hash that the Hub gave it")


def literally(name: str) -> str:
    """A pattern for fnmatch that only this name fits."""
    return re.sub(r"([*?[])", r"[\1]", name)


def why(repository: Repository, error: Exception, instead: str) -> str:
    """What went wrong, in a sentence; `instead` says what to do where the Hub is away."""
    offline, cache = huggingface_hub.constants.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_CACHE
    match error:
        case errors.GatedRepoError():
            reason = "is open only to those whom its owner lets in; ask on its page, and then `hf auth login`"
        case errors.RepositoryNotFoundError():
            reason = "is no repository of the Hub, or a private one; look at the name, or `hf auth login`"
        case errors.RevisionNotFoundError():
            reason = f"is no revision of {repository.name}; see its history on the Hub"
        case errors.LocalEntryNotFoundError():
            away = "the Hub is switched off (HF_HUB_OFFLINE)" if offline else "the Hub cannot be reached"
            reason = f"cannot be fetched: {away}, and the cache {cache} has not all of it; {instead}"
        case errors.HfHubHTTPError():
            reason = f"cannot be fetched: the Hub answered {error.response.status_code}; try again later"
        case DamagedDownloadError():
            reason = f"cannot be fetched: {error}; try again"
        case OSError(strerror=str() as cause) if error.filename:
            reason = f"cannot be fetched: {cause.lower()} ({error.filename})"
        case _:
            reason = f"cannot be fetched: {' '.join(str(error).split())[:200]}"
    return f"{repository} {reason}"


class Watch:
    """Tells how much is there, from whichever thread, and remembers when whoever listens wants no more of it."""

    def __init__(self, progress: Progress | None, what: Saying = lambda _share: "fetching") -> None:
        """`what` says what is being done."""
        self._progress, self._what, self._most = progress, what, 0.0
        self.refusal: BaseException | None = None

    def begin(self) -> None:
        """Nothing is there yet. Raises what the listener raises."""
        self._most = -1.0
        self.tell(0.0)

    def tell(self, share: float) -> None:
        """So much is there. Raises what the listener raises."""
        # One bar counts what arrives, another one what is written.
        if self._progress is None or share <= self._most:
            return
        self._most = min(1.0, share)
        try:
            self._progress(self._what(self._most), self._most)
        except BaseException as refusal:
            self.refusal = refusal
            raise


def bar(watch: Watch, total: int) -> type[tqdm]:
    """A progress bar that draws nothing, and tells how much of so many bytes is there."""

    class Bar(tqdm):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            self._counts_bytes = named.get("unit") == "B"
            super().__init__(*arguments, **{**named, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> bool | None:
            self.n += n or 0
            if self._counts_bytes and total:
                watch.tell(self.n / total)
            return None

    return Bar
