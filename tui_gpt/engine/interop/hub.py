"""Models on the Hugging Face Hub: what of a repository makes a model, fetched once, resumed, and of one commit.

Everything about the network is huggingface_hub's: its cache, HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE mean
here what they mean everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import errors
from huggingface_hub.utils.tqdm import tqdm

from tui_gpt.core.errors import ModelError

PREFIX = "hub:"
Progress = Callable[[str, float], None]
"""What is being done, and how much of it is, from 0 to 1."""

_REPOSITORY = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?", re.ASCII)
_REVISION = re.compile(r"[\w./-]{1,200}", re.ASCII)
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_SHARD = re.compile(r"(model|pytorch_model)-\d{5}-of-\d{5}\.(safetensors|bin)")
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
"""Where older repositories have their weights."""


@dataclass(frozen=True)
class HubSource:
    """A repository, and which of its commits."""

    repository: str
    revision: str | None = None
    """A branch, a tag or a commit; None is the main branch."""

    def __str__(self) -> str:
        return f"{PREFIX}{self.repository}" + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True)
class Snapshot:
    """The files of one commit, on this machine."""

    folder: Path
    commit: str


def parse_source(text: str) -> HubSource:
    """`hub:owner/name`, with `@revision` where one is pinned. Raises ModelError."""
    repository, at, revision = text.removeprefix(PREFIX).partition("@")
    if not _REPOSITORY.fullmatch(repository) or ".." in repository:
        raise ModelError(
            f"{text!r} names no repository of the Hub; write hub:owner/name, e.g. hub:distilbert/distilgpt2"
        )
    if at and not (_REVISION.fullmatch(revision) and ".." not in revision):
        raise ModelError(f"{revision!r} is no revision of {repository}; write a branch, a tag or a commit after the @")
    return HubSource(repository, revision or None)


def fetch(source: HubSource, wanted: Collection[str], *, pickles: bool, progress: Progress | None = None) -> Snapshot:
    """The files of a model that are among `wanted`, and its weights; what was fetched before is not fetched again.

    Weights come as safetensors, or as pickles where there is nothing else and `pickles` allows them. Raises ModelError
    in one sentence when the Hub, the repository or the disk does not give them.
    """
    # What it would warn of is either mended by itself or told in the end.
    huggingface_hub.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    watch = _Watch(progress)
    try:
        listed = _listed(source)
        if listed is None:
            return _fetched_before(source, wanted, pickles=pickles)
        commit, files = listed
        names = [name for name in files if name in wanted] + _weights(source, files, pickles=pickles)
        folder = huggingface_hub.snapshot_download(
            source.repository,
            revision=commit,
            allow_patterns=[_literally(name) for name in names],
            tqdm_class=_bar(watch, sum(files[name] for name in names)),
        )
        return Snapshot(Path(folder), commit)
    except ModelError:
        raise
    except Exception as error:  # the client's own, its HTTP library's, the system's
        if watch.refusal is not None:
            raise watch.refusal from None
        raise ModelError(_why(source, error)) from error


def _listed(source: HubSource) -> tuple[str, dict[str, int]] | None:
    """The commit and the sizes of its files; None where the Hub cannot be asked."""
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        return None
    try:
        files = huggingface_hub.snapshot_download(
            source.repository, revision=source.revision, dry_run=True, tqdm_class=_bar(_Watch(None), 0)
        )
    except errors.DryRunError as error:
        cause = error.__cause__
        if isinstance(cause, errors.HfHubHTTPError):
            raise cause from None
        return None
    except errors.LocalEntryNotFoundError:
        return None  # a commit whose files are known from before, and the Hub is away
    if not files:
        raise ModelError(f"{source} is an empty repository, so there is no model in it")
    return files[0].commit_hash, {file.filename: file.file_size or 0 for file in files}


def _weights(source: HubSource, files: Iterable[str], *, pickles: bool) -> list[str]:
    """The files that hold the weights. Raises ModelError where there are none that may be fetched."""
    for names, ending in ((_WEIGHTS, "safetensors"), (PICKLES, "bin")):
        whole, index = names
        found = [whole] if whole in files else []
        if not found and index in files:
            found = [index, *(name for name in files if (m := _SHARD.fullmatch(name)) and m[2] == ending)]
        if found and ending == "bin" and not pickles:
            raise ModelError(
                f"the weights of {source} are only there as {found[0]}, a pickle, which can run any code when opened; "
                "look for the model as safetensors, or, if you trust its makers, add --pickle"
            )
        if found:
            return found
    raise ModelError(f"{source} has no model.safetensors, so it holds no model that can be opened")


def _fetched_before(source: HubSource, wanted: Collection[str], *, pickles: bool) -> Snapshot:
    """What the cache has of it. Raises LocalEntryNotFoundError where that is not a whole model."""
    kinds = [[*_WEIGHTS, "model-*-of-*.safetensors"], *([[*PICKLES, "pytorch_model-*-of-*.bin"]] if pickles else [])]
    for weights in kinds:
        folder = Path(
            huggingface_hub.snapshot_download(
                source.repository,
                revision=source.revision,
                allow_patterns=[*map(_literally, wanted), *weights],
                local_files_only=True,
            )
        )
        if any((folder / name).exists() for name in weights[:2]):
            return Snapshot(folder, folder.name)
    raise errors.LocalEntryNotFoundError("no weights")


def _literally(name: str) -> str:
    """A pattern for fnmatch that only this name fits."""
    return re.sub(r"([*?[])", r"[\1]", name)


def _why(source: HubSource, error: Exception) -> str:
    offline, cache = huggingface_hub.constants.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_CACHE
    match error:
        case errors.GatedRepoError():
            why = "is open only to those whom its owner lets in; ask on its page, and then `hf auth login`"
        case errors.RepositoryNotFoundError():
            why = "is no repository of the Hub, or a private one; look at the name, or `hf auth login`"
        case errors.RevisionNotFoundError():
            why = f"is no revision of {source.repository}; see its history on the Hub"
        case errors.LocalEntryNotFoundError():
            away = "the Hub is switched off (HF_HUB_OFFLINE)" if offline else "the Hub cannot be reached"
            why = f"cannot be fetched: {away}, and the cache {cache} has not all of it; go online, or import a folder"
        case errors.HfHubHTTPError():
            why = f"cannot be fetched: the Hub answered {error.response.status_code}; try again later"
        case OSError(strerror=str() as reason) if error.filename:
            why = f"cannot be fetched: {reason.lower()} ({error.filename})"
        case _:
            why = f"cannot be fetched: {' '.join(str(error).split())[:200]}"
    return f"{source} {why}"


class _Watch:
    """Tells how much is there, from whichever thread, and remembers when whoever listens wants no more of it."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress, self._most = progress, 0.0
        self.refusal: BaseException | None = None

    def tell(self, share: float) -> None:
        """So much is there. Raises what the listener raises."""
        # One bar counts what arrives, another one what is written.
        if self._progress is None or share <= self._most:
            return
        self._most = min(1.0, share)
        try:
            self._progress("fetching", self._most)
        except BaseException as refusal:
            self.refusal = refusal
            raise


def _bar(watch: _Watch, total: int) -> type[tqdm]:
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
