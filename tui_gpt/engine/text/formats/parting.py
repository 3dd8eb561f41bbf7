"""Plain text that holds many documents, with a separator between them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text.formats.tables import LONGEST_ROW, RowCount


def parted(
    path: Path, blocks: Iterator[str], separator: str, count: RowCount, most: int | None = None
) -> Iterator[str]:
    """The texts between separators of a text in blocks, without the line ends around them; at most the first `most`.

    What has nothing between is left out and added to `count`, but for the end of the file. Raises CorpusError for a
    document that no memory should have to hold.
    """
    pending = ""
    searched = found = 0
    for block in blocks:
        pending += block
        begin = 0
        while (at := pending.find(separator, max(begin, searched))) >= 0:
            text = pending[begin:at].strip("\n")
            begin = searched = at + len(separator)
            found += 1
            if text:
                yield text
            else:
                count.empty += 1
            if found == most:
                return  # and nothing behind it is looked at, which may have come in halves
        pending = pending[begin:]
        searched = max(0, len(pending) - len(separator) + 1)
        if len(pending) > LONGEST_ROW:
            raise CorpusError(
                f"{path} has more than {LONGEST_ROW >> 20} MiB of text without the separator {separator[:40]!r}; look "
                "at data.separator"
            )
    if text := pending.strip("\n"):
        yield text
