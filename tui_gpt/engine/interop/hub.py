"""Models on the Hugging Face Hub: what of a repository makes a model, fetched once, resumed, and of one commit.

Everything about the network is huggingface_hub's: its cache, HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE mean
here what they mean everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
from huggingface_hub import errors

from tui_gpt.core.errors import ModelError
from tui_gpt.engine.downloads import hub_files
from tui_gpt.engine.downloads.hub_files import Progress, Repository, Watch, literally

PREFIX = "hub:"
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
    hub_files.quiet()
    watch = Watch(progress)
    repository = Repository(source.repository, source.revision)
    try:
        listed = hub_files.listed(repository)
        if listed is None:
            return _fetched_before(source, wanted, pickles=pickles)
        commit, files = listed
        names = [name for name in files if name in wanted] + _weights(source, files, pickles=pickles)
        return Snapshot(hub_files.download(repository, commit, {name: files[name] for name in names}, watch), commit)
    except ModelError:
        raise
    except hub_files.EmptyRepositoryError:
        raise ModelError(f"{source} is an empty repository, so there is no model in it") from None
    except Exception as error:  # the client's own, its HTTP library's, the system's
        if watch.refusal is not None:
            raise watch.refusal from None
        raise ModelError(hub_files.why(repository, error, "go online, or import a folder")) from error


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
                allow_patterns=[*map(literally, wanted), *weights],
                local_files_only=True,
            )
        )
        if any((folder / name).exists() for name in weights[:2]):
            return Snapshot(folder, folder.name)
    raise errors.LocalEntryNotFoundError("no weights")
