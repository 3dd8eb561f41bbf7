"""Homes for tests of the screen."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def corpus_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared corpora, which are the same for every home: the built-in stories take seconds of a core."""
    return tmp_path_factory.mktemp("corpora")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corpus_cache: Path) -> Path:
    """A TUI_GPT_HOME with nothing in it but the cache of all."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "cache").symlink_to(corpus_cache)
    monkeypatch.setenv("TUI_GPT_HOME", str(folder))
    return folder
