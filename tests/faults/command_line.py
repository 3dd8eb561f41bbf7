"""The command line called in this process, as `python -m tui_gpt` would, and what it must answer when it refuses."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tui_gpt import cli


@dataclass(frozen=True)
class Answer:
    """What a command left with, and what it wrote."""

    code: int
    out: str
    err: str

    def refused(self, *codes: int) -> str:
        """The one sentence of a refusal, which this must be, with one of these exit codes."""
        assert self.code in codes, (self.code, self.err)
        sentences = [line for line in self.err.splitlines() if not line.startswith("see `tui-gpt")]
        assert len(sentences) == 1, self.err
        assert sentences[0].startswith("error: "), self.err
        assert "Traceback" not in self.err and "an unexpected" not in self.err, self.err
        assert len(sentences[0]) < 1000, self.err
        assert not set(sentences[0]) & {*map(chr, range(32)), "\x7f", "\u202e", "\u2028"}, ascii(sentences[0])
        return sentences[0].removeprefix("error: ")


def call(*arguments: str | Path, home: Path) -> Answer:
    """Call a command with that home and nobody at the keyboard."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setenv("TUI_GPT_HOME", str(home))
        patch.setattr(sys, "stdin", io.StringIO())
        code = cli.run([str(argument) for argument in arguments])
    return Answer(code, out.getvalue(), err.getvalue())


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    """What lies below a folder: each path with its inode and its size."""
    return dict(_entries(folder, folder))


def _entries(top: Path, folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    for entry in os.scandir(folder):
        facts = entry.stat(follow_symlinks=False)
        yield os.path.relpath(entry.path, top), (facts.st_ino, facts.st_size)
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(top, Path(entry.path))
