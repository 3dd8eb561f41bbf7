"""Which Parquet files of a data set's repository make which split of which of its configurations.

The README says it where it has `configs:`, as the Hub's own viewer reads it; else the files' names do. Where no file is
Parquet, the Hub's own conversion (the branch refs/convert/parquet) is taken; there, every split has a folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

from tui_gpt.core.errors import CorpusError
from tui_gpt.core.hub_corpus import SYNTAX, HubCorpus

CONVERTED = "refs/convert/parquet"
Splits = Mapping[tuple[str, str], list[str]]
"""Files in their order, by configuration (empty: there is but one) and split."""

_SHARD = re.compile(r"(?P<split>.+?)-\d{5}-of-\d{5}(-\w+)?")
_NUMBER = re.compile(r"(part[-_.]?)?[\d_-]+", re.IGNORECASE)
_USUAL = ("train", "validation", "valid", "dev", "test")
_SHOWN = 12


def by_readme(card: Any, files: Iterable[str]) -> Splits:
    """The splits that the metadata of a README names; none where it names none, or no Parquet files."""
    found: dict[tuple[str, str], list[str]] = {}
    tables = sorted(name for name in files if name.endswith(".parquet"))
    configs = card.get("configs") if isinstance(card, dict) else None
    for config in configs if isinstance(configs, list) else ():
        if not isinstance(config, dict):
            continue
        data_files = config.get("data_files")
        entries = data_files if isinstance(data_files, list) else [data_files]
        for entry in entries:
            split, patterns = ("train", entry) if isinstance(entry, str) else ("", None)
            if isinstance(entry, dict):
                split, patterns = str(entry.get("split", "train")), entry.get("path")
            wanted = [patterns] if isinstance(patterns, str) else patterns if isinstance(patterns, list) else []
            matching = [name for name in tables if any(isinstance(p, str) and _fits(name, p) for p in wanted)]
            if matching:
                found[str(config.get("config_name", "")), split] = matching
    return found


def _fits(name: str, pattern: str) -> bool:
    # `**/x` stands for x itself, too.
    return fnmatchcase(name, pattern) or ("**/" in pattern and fnmatchcase(name, pattern.replace("**/", "")))


def by_names(files: Iterable[str]) -> Splits:
    """The splits that names of Parquet files tell: `CONFIG/train-00000-of-00002.parquet`, `CONFIG/train/0.parquet`."""
    found: dict[tuple[str, str], list[str]] = {}
    for name in sorted(files):
        path = PurePosixPath(name)
        if path.suffix != ".parquet":
            continue
        folders = [part for part in path.parent.parts if part != "data"]
        shard = _SHARD.fullmatch(path.stem)
        split = shard["split"] if shard else path.stem
        if _NUMBER.fullmatch(split):
            split = folders.pop() if folders else "train"
        elif not shard:
            split = next((usual for usual in _USUAL if re.search(rf"(^|[-_.]){usual}($|[-_.])", split)), split)
        found.setdefault(("/".join(folders), split), []).append(name)
    return found


def choose(asked: HubCorpus, splits: Splits) -> tuple[str, str]:
    """The configuration and the split that a name means. Raises CorpusError, which says what there is."""
    configs = list(dict.fromkeys(config for config, _ in splits))
    config = asked.config if asked.config in configs else None
    if config is None and not asked.config:
        config = configs[0] if len(configs) == 1 else next((c for c in configs if c in ("", "default")), None)
    if config is None:
        raise CorpusError(_unclear(asked, "configuration", asked.config, [c or "default" for c in configs]))
    of_config = [split for name, split in splits if name == config]
    split = asked.split or ("train" if "train" in of_config or len(of_config) != 1 else of_config[0])
    if split not in of_config:
        raise CorpusError(_unclear(asked, "split", split, of_config))
    return config, split


def _unclear(asked: HubCorpus, what: str, wanted: str, there: list[str]) -> str:
    names = ", ".join(name[:60] for name in there[:_SHOWN])
    more = f" and {len(there) - _SHOWN:,} more" if len(there) > _SHOWN else ""
    lack = f"has no {what} {wanted[:60]!r}" if wanted else f"has more than one {what}"
    return f"hub:{asked.repository} {lack}; it has {names}{more}: name one as {SYNTAX}"
