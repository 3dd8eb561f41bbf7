"""Who brings the rest of a text: `python -m tui_gpt.engine.text.streaming.feeder FOLDER --parent PID`, without torch.

A child of the trainer that learns from the text. Of several trainers' feeders one works at a time, while the others
wait to take its place. It ends when all parts are there, and when its trainer ends: then stdin closes, or its parent is
another one. What stands in its way it writes to `feeder.json`, for whoever waits for a part, and tries again.

Leaves with 0 when all is there or its trainer is gone, 1 where going on is of no use.
"""

from __future__ import annotations

import argparse
import os
import select
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from tui_gpt.core import files
from tui_gpt.core.errors import CorpusError, TuiGptError
from tui_gpt.core.given_files import read_given
from tui_gpt.engine.text.streaming.corpus import read_head
from tui_gpt.engine.text.streaming.making import ChangedTextError, PartMaker
from tui_gpt.engine.text.tokenizer_files import load_tokenizer

PROBLEM_FILE = "feeder.json"

_LARGEST_BYTES = 1 << 16
_PAUSES = (2.0, 5.0, 15.0, 30.0)
"""Seconds before it tries again, the last of them again and again."""
_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 4.0
"""What has come of a file is brought to the disk before it ends, which may take so long."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """`feeder.json`: why no more parts come just now."""

    sentence: str
    is_final: bool
    """Whether trying again would be of no use."""


def read_problem(folder: Path) -> Problem | None:
    """What stands in the way of the next part; None where nothing is known to."""
    try:
        return msgspec.json.decode(read_given(folder / PROBLEM_FILE, _LARGEST_BYTES), type=Problem)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class _OrphanedError(Exception):
    """The trainer is gone."""


def main(argv: Sequence[str] | None = None) -> int:
    """Make the parts that are missing in a folder."""
    parser = argparse.ArgumentParser(prog="tui_gpt.engine.text.streaming.feeder")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parent", type=int, required=True)
    arguments = parser.parse_args(argv)
    from tui_gpt.engine.training.priority import give_way

    give_way()
    gone = threading.Event()
    threading.Thread(target=_watch, args=(arguments.parent, gone), name="parent", daemon=True).start()
    try:
        return _feed(arguments.folder, gone)
    except _OrphanedError:
        return 0


def _watch(parent: int, gone: threading.Event) -> None:
    """Notice the end of the trainer, and of this process if it does not end by itself then."""
    while os.getppid() == parent:
        # What a trainer forks may hold the other end of stdin open, so that it alone would not tell.
        ready, _, _ = select.select([sys.stdin], [], [], _LOOK_SECONDS)
        if ready and not os.read(sys.stdin.fileno(), 1):
            break
    gone.set()
    time.sleep(_GRACE_SECONDS)
    os._exit(0)


def _feed(folder: Path, gone: threading.Event) -> int:
    failures = 0

    def progress(what: str, _share: float) -> None:
        if gone.is_set():
            raise _OrphanedError
        if failures and what.startswith(("fetching", "encoding")):
            _tell(folder, None)  # something comes again

    _tell(folder, None)
    while True:
        ready = -1
        try:
            head = read_head(folder)
            if head is None:
                raise ChangedTextError(
                    f"the token files in {folder} are damaged; resume the run, which makes them again"
                )
            maker = PartMaker(folder, head.plan, load_tokenizer(folder), head.dtype, workers=1)
            maker.look()
            while not maker.is_complete:
                ready = maker.ready
                maker.bring(progress, ready + 1)
                failures = 0
                _tell(folder, None)
            maker.bring(progress)
            return 0
        except (TuiGptError, OSError) as error:
            sentence = _sentence(folder, error)
            is_final = isinstance(error, ChangedTextError)
            _tell(folder, Problem(sentence=sentence, is_final=is_final))
            if is_final:
                _say(f"the text cannot be gone on with: {sentence}")
                return CorpusError.exit_code
        if not failures:
            _say(f"the text does not arrive: {sentence}")
        pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
        failures += 1
        if gone.wait(pause):
            return 0


def _sentence(folder: Path, error: TuiGptError | OSError) -> str:
    from tui_gpt.engine.downloads.plain_file import NotFetchedError

    if isinstance(error, NotFetchedError):
        return f"{error.what}; it is tried again now and then, and the run goes on by itself"
    if isinstance(error, TuiGptError):
        return str(error)
    return f"parts cannot be written to {folder}: {(error.strerror or str(error)).lower()}; free space there"


def _tell(folder: Path, problem: Problem | None) -> None:
    with suppress(OSError):
        if problem is None:
            (folder / PROBLEM_FILE).unlink(missing_ok=True)
        else:
            files.write_bytes(folder / PROBLEM_FILE, msgspec.json.encode(problem), durable=False)


def _say(text: str) -> None:
    with suppress(OSError):
        print(f"feeder: {text}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
