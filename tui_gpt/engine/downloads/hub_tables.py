"""The tables of a data set of the Hub, on this machine: found, fetched, compared by hash, remembered."""

from __future__ import annotations

import shutil
from pathlib import Path

import huggingface_hub
import msgspec

from tui_gpt.core import figures
from tui_gpt.core.errors import CorpusError, TuiGptError
from tui_gpt.core.fetched import HubFile, HubFiles, is_whole, read_hub_files, write_hub_files
from tui_gpt.core.hub_corpus import HubCorpus
from tui_gpt.engine.downloads import hub_files, splits
from tui_gpt.engine.downloads.hub_files import Progress, Repository, Watch
from tui_gpt.engine.downloads.plain_file import not_fetched

_README = "README.md"
_LARGEST_README = 1 << 20


def fetch_tables(asked: HubCorpus, rows: int, progress: Progress, *, newest: bool = False) -> tuple[HubFile, ...]:
    """The files of a split, or the first of them that hold `rows` rows (0: all), fetched where they are not here.

    What was fetched before stays what the name means, without asking the Hub, until somebody asks for the `newest`
    commit. Raises CorpusError in one sentence, and what `progress` raises.
    """
    known = read_hub_files(asked)
    if known is not None and not newest and (there := known.enough(rows)) is not None:
        return there
    hub_files.quiet()
    repository = Repository(asked.repository, asked.revision or None, "dataset")
    watch = Watch(None)
    try:
        if known is None or newest:
            known = _newest(asked, repository, known, rows)
        while (there := known.enough(rows)) is None:
            wanted = _next(known, rows)
            watch = Watch(progress, _telling(asked, wanted))
            watch.begin()
            known = _with_files(asked, repository, known, wanted, watch)
            write_hub_files(asked, known)
        write_hub_files(asked, known)
    except TuiGptError:
        raise
    except Exception as error:  # the client's own, its HTTP library's, the system's
        if watch.refusal is not None:
            raise watch.refusal from None
        reason = hub_files.why(repository, error, "go online")
        if "cannot be fetched" in reason:
            reason = not_fetched(str(repository), reason.partition("cannot be fetched: ")[2].partition(";")[0])
        raise CorpusError(reason) from error
    return there


def _newest(asked: HubCorpus, repository: Repository, known: HubFiles | None, rows: int) -> HubFiles:
    """What the name means now; where the Hub cannot be asked and all is here, what it meant before."""
    try:
        return _found(asked, repository)
    except huggingface_hub.errors.LocalEntryNotFoundError:
        if known is not None and known.enough(rows) is not None:
            return known
        raise


def _found(asked: HubCorpus, repository: Repository) -> HubFiles:
    """Which files make the split, at which commit. Raises CorpusError and what the client raises."""
    listed, where = _listed(repository), repository
    found = _splits_of(repository, *listed)
    if not found and not repository.revision:
        where = Repository(repository.name, splits.CONVERTED, "dataset")
        try:
            listed = _listed(where)
        except huggingface_hub.errors.RevisionNotFoundError:
            listed = listed[0], {}
        found = splits.by_names(listed[1])
    if not found:
        raise CorpusError(
            f"{repository} has no Parquet files, and the Hub has not converted it; download its files, and name their "
            "folder"
        )
    config, split = splits.choose(asked, found)
    commit, sizes = listed
    files = tuple(HubFile(name=name, n_bytes=sizes[name]) for name in found[config, split])
    return HubFiles(commit=commit, config=config, split=split, files=files)


def _listed(repository: Repository) -> tuple[str, dict[str, int]]:
    try:
        listed = hub_files.listed(repository)
    except hub_files.EmptyRepositoryError:
        raise CorpusError(f"{repository} is an empty repository, so there is no text in it") from None
    if listed is None:
        raise huggingface_hub.errors.LocalEntryNotFoundError("the Hub cannot be asked")
    return listed


def _splits_of(repository: Repository, commit: str, sizes: dict[str, int]) -> splits.Splits:
    if not any(name.endswith(".parquet") for name in sizes):
        return {}
    if 0 < sizes.get(_README, 0) <= _LARGEST_README:
        folder = hub_files.download(repository, commit, {_README: sizes[_README]}, Watch(None))
        try:
            found = splits.by_readme(huggingface_hub.metadata_load(folder / _README), sizes)
        except Exception:  # whatever somebody wrote there that is no YAML
            found = {}
        if found:
            return found
    return splits.by_names(sizes)


def _next(known: HubFiles, rows: int) -> list[HubFile]:
    """What to fetch now: one more file where only the files themselves tell how many rows they have, else all."""
    absent = [file for file in known.files if not is_whole(Path(file.path), file.n_bytes)]
    return absent[:1] if rows else absent


def _telling(asked: HubCorpus, wanted: list[HubFile]) -> hub_files.Saying:
    total = sum(file.n_bytes for file in wanted)
    return lambda share: f"fetching {asked.repository}, {figures.memory(share * total)} of {figures.memory(total)}"


def _with_files(
    asked: HubCorpus, repository: Repository, known: HubFiles, wanted: list[HubFile], watch: Watch
) -> HubFiles:
    """The list with these files in it. Raises CorpusError and what the client raises."""
    _require_space(asked, sum(file.n_bytes for file in wanted))
    folder = hub_files.download(repository, known.commit, {file.name: file.n_bytes for file in wanted}, watch)
    here: dict[str, HubFile] = {}
    for file in wanted:
        path = folder / file.name
        hub_files.require_intact(path)
        here[file.name] = msgspec.structs.replace(file, path=str(path), n_bytes=path.stat().st_size, rows=_rows(path))
    return msgspec.structs.replace(known, files=tuple(here.get(file.name, file) for file in known.files))


def _rows(path: Path) -> int:
    from tui_gpt.engine.text.formats.parquet import count_rows

    return count_rows(path)


def _require_space(asked: HubCorpus, needed: int) -> None:
    cache = Path(huggingface_hub.constants.HF_HUB_CACHE)
    there = next((folder for folder in (cache, *cache.parents) if folder.exists()), Path("/"))
    free = shutil.disk_usage(there).free
    if free < needed:
        raise CorpusError(
            f"hub:{asked.repository} needs {figures.memory(needed)}, and {there} has {figures.memory(free)} left; free "
            "space there, or set HF_HOME to another disk"
        )
