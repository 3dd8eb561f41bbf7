"""What is left of an error that nobody foresaw: a traceback in a file, and a sentence that names the file."""

from __future__ import annotations

import traceback
from pathlib import Path

from textual.worker import WorkerFailed

from tui_gpt.core import locations


def write(error: BaseException | None) -> tuple[str, Path | None]:
    """Append the traceback to errors.log; returns the sentence for the terminal, and the file if it is there."""
    if isinstance(error, WorkerFailed):
        error = error.error  # which has the traceback
    log = locations.home() / "errors.log"
    kind = type(error).__name__
    first = str(error).strip().split("\n", 1)[0][:300]
    begun = f"error: an unexpected {kind} closed the app: {first}; runs in progress go on"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8", errors="backslashreplace") as handle:
            traceback.print_exception(error, file=handle)
    except OSError:
        return f"{begun}, and the details could not be written to {log}", None
    return f"{begun}, and the details are in {log}; please report it", log
