"""What a plot is: a template with the tables that its details are drawn from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Record = Mapping[str, str]
"""Details that belong together, by slot name (a skill, how it goes wrong, and the tip that helps)."""


@dataclass(frozen=True, slots=True)
class Plot:
    """One shape of story.

    One record is drawn from each of `tables`; a record whose "world" is "children" or "animals" is for that world
    only. Values of records are templates too. `wild` plots happen away from people, `things` says which kind of
    object {toy} is: "toys" or "all".
    """

    name: str
    text: str
    tables: Sequence[Sequence[Record]] = ()
    things: str = "all"
    wild: bool = False
    weight: int = 1


def table(keys: str, rows: str) -> tuple[Record, ...]:
    """Records from `rows`, each begun by "- ", whose columns, parted by " / ", belong to the space-separated `keys`."""
    names = keys.split()
    records = []
    for row in re.split(r"^\s*- ", rows, flags=re.MULTILINE)[1:]:
        columns = [" ".join(column.split()) for column in re.split(r"\s/\s", row)]
        if len(columns) != len(names):
            raise ValueError(f"{len(names)} columns expected in {row!r}")
        records.append(dict(zip(names, columns, strict=True)))
    return tuple(records)
