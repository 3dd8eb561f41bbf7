"""The tokens of a vocabulary put in order, searched, and how much of a text those up to each make up."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Literal

TokenSort = Literal["count", "id", "length"]
SORTS: tuple[TokenSort, ...] = ("count", "id", "length")


def ordered(sort: TokenSort, counts: Sequence[int], lengths: Sequence[int]) -> list[int]:
    """Ids in that order: the most frequent or the longest first; those that are alike by id."""
    ids = list(range(len(counts)))
    if sort != "id":
        ids.sort(key=(counts if sort == "count" else lengths).__getitem__, reverse=True)  # stable, so ties stay by id
    return ids


def cumulative_shares(counts: Sequence[int]) -> list[float]:
    """For each id, the share of all tokens that are this one or come before it when the most frequent come first."""
    total = sum(counts) or 1
    shares = [0.0] * len(counts)
    by_count = ordered("count", counts, counts)
    for token, so_far in zip(by_count, accumulate(counts[token] for token in by_count), strict=True):
        shares[token] = so_far / total
    return shares


def found(ids: Sequence[int], texts: Sequence[str], wanted: str) -> list[int]:
    """Those of `ids` whose text has `wanted` in it, or whose id it is, written `#12`; all for an empty one."""
    if not wanted:
        return list(ids)
    if wanted.startswith("#") and wanted[1:].isdecimal():
        number = int(wanted[1:]) if len(wanted) < 10 else -1
        return [token for token in ids if token == number or wanted in texts[token]]
    return [token for token in ids if wanted in texts[token]]


def never_in_words(counts: Sequence[int]) -> str:
    """How many tokens the training part lacks, and what that means; empty where it has them all."""
    never = sum(not count for count in counts)
    if not never:
        return ""
    verb, them = ("occurs", "it") if never == 1 else ("occur", "them")
    return (
        f"{never:,} of {len(counts):,} tokens never {verb} in the training part: a model cannot learn {them} from this "
        "text"
    )
