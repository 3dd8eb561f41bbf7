"""Fixtures that every kind of test shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty TUI_GPT_HOME, for this process and the ones it starts."""
    folder = tmp_path / "home"
    monkeypatch.setenv("TUI_GPT_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real corpora, or a skip that says what is missing."""
    default = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    folder = Path(os.environ.get("TUI_GPT_SHARED_DATA", default))
    if not (folder / "tinyshakespeare.txt").is_file():
        pytest.skip(f"no real corpora at {folder}; set TUI_GPT_SHARED_DATA to a folder with tinyshakespeare.txt")
    return folder
