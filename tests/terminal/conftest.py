"""Terminals that end with their tests, and the trainers that were started from them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from terminal import Open, Terminal

from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.runs.ownership import signal_trainer


@pytest.fixture
def empty_home(tmp_path: Path) -> Path:
    """A TUI_GPT_HOME in which nothing has ever been."""
    return tmp_path / "home"


@pytest.fixture
def open_terminal(empty_home: Path) -> Iterator[Open]:
    """Opens terminals with the app; whatever they have started is gone after the test."""
    opened: list[Terminal] = []

    def open_one(*arguments: str, home: Path = empty_home, **more: Any) -> Terminal:
        terminal = Terminal(home, *arguments, **more)
        opened.append(terminal)
        return terminal

    yield open_one
    for terminal in opened:
        terminal.close()
    for home in {terminal.home for terminal in opened}:
        _end_trainers(home)


def _end_trainers(home: Path) -> None:
    for owner in home.glob("runs/*/owner.json"):
        with suppress(TuiGptError, OSError, psutil.Error):
            signal_trainer(owner.parent, signal.SIGKILL)
