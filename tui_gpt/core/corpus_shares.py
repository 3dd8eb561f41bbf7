"""Several corpora in one run: which share of every step's sequences each has, as `data.mix` says it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec

from tui_gpt.core.errors import ConfigError

MIX = "data.mix"
WHOLE = 10_000
"""Shares are counted in ten-thousandths, so that they add up exactly and their order repeats."""
_NUMBER = re.compile(r"[0-9]{0,8}\.?[0-9]{1,8}", re.ASCII)


class CorpusShare(msgspec.Struct, frozen=True):
    """One corpus of a mix."""

    corpus: str
    """A name of the catalogue, or a path."""
    weight: int
    """Its share of the sequences, in ten-thousandths."""

    @property
    def share(self) -> float:
        """Its share, between 0 and 1."""
        return self.weight / WHOLE

    def __str__(self) -> str:
        return f"{self.corpus}={self.share:g}"


class PartFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What people see of one corpus of a mix."""

    source: str
    """The corpus as a person knows it; of two with one name the second is called `name (2)`."""
    share: float
    """Of every step's sequences, between 0 and 1."""
    sha256: str
    """Of its text, as for a corpus by itself."""
    train_tokens: int
    validation_tokens: int
    readings: float
    """How often its training part is read while that of the main corpus is read once."""


def corpus_shares(corpus: str, mix: Sequence[str]) -> tuple[CorpusShare, ...]:
    """The corpora of a mix, the main one first, whose share is what the others leave.

    Raises ConfigError, with the path of the field, for what is no mix.
    """
    others = [_share_of(written) for written in mix]
    left = WHOLE - sum(other.weight for other in others)
    if left < 1:
        raise ConfigError(
            MIX,
            f"the shares come to {(WHOLE - left) / WHOLE:g}, and nothing is left for {corpus}; together they must be "
            "below 1",
        )
    parts = (CorpusShare(corpus, left), *others)
    seen: set[str] = set()
    for part in parts:
        place = _place(part.corpus)
        if place in seen:
            raise ConfigError(MIX, f"{part.corpus} is in it twice, or is the main corpus too; name each corpus once")
        seen.add(place)
    return parts


def in_words(parts: Sequence[PartFacts]) -> str:
    """A mix as a person would say it: `stories with 25 % python-docs`."""
    main, *others = parts
    return f"{main.source} with " + " and ".join(f"{100 * part.share:g} % {part.source}" for part in others)


def unique_names(names: Sequence[str]) -> Iterator[str]:
    """The names, the second of two that are equal called `name (2)`, and so on."""
    taken: set[str] = set()
    for name in names:
        free, number = name, 1
        while free in taken:
            number += 1
            free = f"{name} ({number})"
        taken.add(free)
        yield free


def _share_of(written: str) -> CorpusShare:
    corpus, equals, number = written.rpartition("=")
    corpus, number = corpus.strip(), number.strip()
    if not equals or not corpus or not _NUMBER.fullmatch(number):
        raise ConfigError(MIX, f"{_shown(written)} is not of the form CORPUS=SHARE, e.g. python-docs=0.25")
    if corpus == "-":
        raise ConfigError(MIX, "standard input can only be the main corpus; name a file, or swap the two")
    weight = Decimal(number) * WHOLE
    if not 0 < weight < WHOLE:
        raise ConfigError(MIX, f"the share of {_shown(corpus)} is {number}, and must be above 0 and below 1")
    if weight % 1:
        raise ConfigError(MIX, f"the share of {_shown(corpus)} is {number}; four places behind the point are the most")
    return CorpusShare(corpus, int(weight))


def _place(corpus: str) -> str:
    from tui_gpt.core.corpora import corpus_path, is_named  # here, because it needs the configuration that needs this

    if is_named(corpus):
        return corpus
    try:
        return os.path.abspath(corpus_path(corpus))  # noqa: PTH100 - without asking the disk, and without `..`
    except (RuntimeError, ValueError):
        return corpus


def _shown(text: str) -> str:
    written = repr(text)
    return written if len(written) <= 60 else written[:57] + "..."
