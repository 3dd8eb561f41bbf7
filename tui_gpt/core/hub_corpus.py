"""Data sets of the Hugging Face Hub as corpora: how they are named."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from tui_gpt.core.errors import CorpusError

PREFIX = "hub:"
SYNTAX = "hub:owner/name[@revision][:[config/]split[:column]]"

_REPOSITORY = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?", re.ASCII)
_REVISION = re.compile(r"[\w./-]{1,200}", re.ASCII)
_PART = re.compile(r"[\w. +-]{1,100}(/[\w. +-]{1,100}){0,4}")


@dataclass(frozen=True)
class HubCorpus:
    """A split of a data set, and which of its columns is the text."""

    repository: str
    revision: str = ""
    """A branch, a tag or a commit; empty for the main branch."""
    config: str = ""
    """One of the data sets in the repository; empty where there is only one, or one called default."""
    split: str = ""
    """Empty: train, or the only one."""
    column: str = ""
    """Empty: as of any table."""

    def __str__(self) -> str:
        at = f"@{self.revision}" if self.revision else ""
        split = "/".join(filter(None, [self.config, self.split or ("train" if self.config else "")]))
        parts = [f"{PREFIX}{self.repository}{at}", split or ("train" if self.column else ""), self.column]
        return ":".join(filter(None, parts))

    @property
    def table(self) -> HubCorpus:
        """The same files, whichever column is read."""
        return replace(self, column="")


def is_hub_corpus(text: str) -> bool:
    """Whether a corpus of that name is one of the Hub; a file called like that is reached as `./hub:...`."""
    return text.startswith(PREFIX)


def parse_hub_corpus(text: str) -> HubCorpus:
    """`hub:owner/name:config/split:column`, of which all but the repository may be left out. Raises CorpusError."""
    source, _, rest = text.removeprefix(PREFIX).partition(":")
    where, _, column = rest.partition(":")
    repository, at, revision = source.partition("@")
    config, _, split = where.rpartition("/")
    shown = text if len(text) <= 200 else text[:200] + "…"
    if not _REPOSITORY.fullmatch(repository) or ".." in repository:
        raise CorpusError(
            f"{shown!r} names no data set of the Hub; write {SYNTAX}, e.g. hub:roneneldan/TinyStories:train:text"
        )
    if at and not (_REVISION.fullmatch(revision) and ".." not in revision):
        raise CorpusError(f"{revision[:200]!r} is no revision of {repository}; write a branch, a tag or a commit")
    if where and not (_PART.fullmatch(where) and ".." not in where):
        raise CorpusError(f"{where[:200]!r} is no split of {repository}; write {SYNTAX}")
    if len(column) > 200:
        raise CorpusError(f"the column of {repository} has a name of more than 200 characters; write {SYNTAX}")
    return HubCorpus(repository, revision, config, split, column)
