"""WikiText: lines of articles as rows of a table, put together to articles again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_TITLE = re.compile(r" = [^=].* = \n?")
"""The headings within an article have more than one equals sign on each side."""


def articles(rows: Iterable[str]) -> Iterator[str]:
    """The rows, unchanged, one after the other, parted where the title of an article begins."""
    lines: list[str] = []
    for row in rows:
        if _TITLE.fullmatch(row) and lines:
            yield "".join(lines)
            lines = []
        lines.append(row)
    if lines:
        yield "".join(lines)
