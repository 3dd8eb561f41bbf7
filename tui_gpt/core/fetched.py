"""What was fetched for the corpora of the network, and where it lies: asked without a network and without its clients.

Files of the catalogue lie in `downloads/<corpus>/` of the cache: whole under their names, or as far as they have come
as `NAME.part` beside `NAME.part.json`. Tables of the Hub lie in its own cache; of them only a list is kept here.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import msgspec

from tui_gpt.core import files, locations
from tui_gpt.core.config import DataConfig
from tui_gpt.core.corpora import CorpusInfo, RemoteFile, find, with_own_choices
from tui_gpt.core.given_files import read_given
from tui_gpt.core.hub_corpus import HubCorpus, is_hub_corpus, parse_hub_corpus

_LARGEST_BYTES = 16 << 20
AVERAGE_DOCUMENT_BYTES = 908
"""Of TinyStories; only estimates of what is still to come depend on it."""


class PartState(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a file is there, and is sure to be on the disk."""

    n_bytes: int
    documents: int
    """Ended by a separator within those bytes."""


class HubFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a split."""

    name: str
    n_bytes: int
    path: str = ""
    """Where it lies; empty for one that was not fetched."""
    rows: int = 0
    """Of one that was."""


class HubFiles(msgspec.Struct, frozen=True, kw_only=True):
    """A split as it was fetched."""

    commit: str
    config: str
    split: str
    files: tuple[HubFile, ...]
    """All there are of the split, in their order."""

    def enough(self, rows: int) -> tuple[HubFile, ...] | None:
        """The first files, which hold so many rows (0: all of them); None where not all of those are there."""
        taken: list[HubFile] = []
        for file in self.files:
            if rows and sum(each.rows for each in taken) >= rows:
                break
            if not is_whole(Path(file.path), file.n_bytes):
                return None
            taken.append(file)
        return tuple(taken)


def downloads_folder(corpus: str) -> Path:
    """Where the files of a corpus of the catalogue lie."""
    return locations.cache_dir() / "downloads" / corpus


def part_of(path: Path) -> Path:
    """Where a file grows that is not whole yet."""
    return path.with_name(path.name + ".part")


def is_whole(path: Path, n_bytes: int) -> bool:
    """Whether the file is there, by its length; its hash was compared when it came."""
    try:
        return path.is_file() and path.stat().st_size == n_bytes
    except OSError:
        return False


def read_part(path: Path) -> PartState:
    """How far the file at `path` has come; nothing where that cannot be known."""
    nothing = PartState(n_bytes=0, documents=0)
    part = part_of(path)
    try:
        state = msgspec.json.decode(read_given(_state_file(part), 1 << 12), type=PartState)
        return state if 0 <= state.n_bytes <= part.stat().st_size and state.documents >= 0 else nothing
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return nothing


def write_part(path: Path, state: PartState) -> None:
    """Remember it, once the bytes are on the disk. Raises OSError."""
    files.write_bytes(_state_file(part_of(path)), msgspec.json.encode(state))


def forget_part(path: Path) -> None:
    """Delete what has come of a file. Raises OSError."""
    _state_file(part_of(path)).unlink(missing_ok=True)
    part_of(path).unlink(missing_ok=True)


def _state_file(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def text_here(info: CorpusInfo, file: RemoteFile, documents: int) -> Path | None:
    """Where the first so many documents (0: all) of a file of the catalogue can be read; None: not all are here."""
    return file_here(info.name, file, documents)


def file_here(corpus: str, file: RemoteFile, documents: int) -> Path | None:
    """As `text_here`, of the corpus of that name."""
    path = downloads_folder(corpus) / file.name
    if is_whole(path, file.n_bytes):
        return path
    return part_of(path) if documents and read_part(path).documents >= documents else None


def bytes_here(corpus: str, file: RemoteFile) -> int:
    """How much of a file of the catalogue has come, as far as anybody can see; not all of it is sure to be kept."""
    path = downloads_folder(corpus) / file.name
    for place in (path, part_of(path)):
        try:
            return place.stat().st_size
        except OSError:
            continue
    return 0


def read_hub_files(corpus: HubCorpus) -> HubFiles | None:
    """What was fetched under this name; None where nothing was, or where the list is damaged."""
    try:
        return msgspec.json.decode(read_given(_list_file(corpus), _LARGEST_BYTES), type=HubFiles)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def write_hub_files(corpus: HubCorpus, found: HubFiles) -> None:
    """Remember it, under the name that was asked for and under those that mean the same now. Raises OSError."""
    named = replace(corpus, config=found.config, split=found.split)
    for name in dict.fromkeys((corpus, named, pinned_to(corpus, found))):
        path = _list_file(name)
        files.make_folders(path.parent)
        files.write_bytes(path, msgspec.json.encode(found))


def pinned_to(corpus: HubCorpus, found: HubFiles) -> HubCorpus:
    """The corpus with its commit, and with what was left to the data set written out."""
    return replace(corpus, revision=found.commit, config=found.config, split=found.split)


def pinned(corpus: str) -> str:
    """The corpus as a run's record names it: of the Hub with the commit that was fetched, else as it is."""
    if not is_hub_corpus(corpus):
        return corpus
    asked = parse_hub_corpus(corpus)
    found = read_hub_files(asked)
    return corpus if found is None else str(pinned_to(asked, found))


def _list_file(corpus: HubCorpus) -> Path:
    digest = hashlib.sha256(str(corpus.table).encode()).hexdigest()
    return locations.cache_dir() / "downloads" / "hub" / f"{digest[:32]}.json"


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be fetched before a text can be read."""

    title: str
    origin: str
    n_bytes: int | None
    """About how much; None where only the Hub knows."""


def missing(data: DataConfig) -> Missing | None:
    """What is not on this machine of the text that `data` names; None where all is. Raises CorpusError for no text."""
    info = find(data.corpus)
    if not info.is_fetched:
        return None
    wanted = with_own_choices(data).max_documents or 0
    n_bytes: int | None = 0
    for file, documents in ((info.train, wanted), (info.validation, info.validation_documents)):
        if file is None or text_here(info, file, documents) is not None:
            continue
        have = read_part(downloads_folder(info.name) / file.name).n_bytes
        whole = documents * AVERAGE_DOCUMENT_BYTES if documents else file.n_bytes
        n_bytes = (n_bytes or 0) + max(1, min(whole, file.n_bytes) - have)
    for name, documents in ((info.hub_train, wanted), (info.hub_validation, 0)):
        if not name:
            continue
        found = read_hub_files(parse_hub_corpus(name))
        if found is None or found.enough(documents) is None:
            n_bytes = info.n_bytes or None
    return None if n_bytes == 0 else Missing(title=info.title, origin=info.origin, n_bytes=n_bytes)
