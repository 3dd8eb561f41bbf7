"""Homes for tests of the screen."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tui_gpt.core import locations

EXAMPLES = locations.example_models_dir()


@pytest.fixture(scope="session")
def corpus_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared corpora, which are the same for every home: the built-in stories take seconds of a core."""
    return tmp_path_factory.mktemp("corpora")


@pytest.fixture(scope="session")
def one_example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `stories` alone, so that no test counts the examples that come with the program."""
    folder = tmp_path_factory.mktemp("examples")
    assert EXAMPLES is not None
    shutil.copytree(EXAMPLES / "stories", folder / "stories")
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corpus_cache: Path, one_example: Path) -> Path:
    """A TUI_GPT_HOME with nothing in it but the cache of all, and one example beside it."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "cache").symlink_to(corpus_cache)
    monkeypatch.setenv("TUI_GPT_HOME", str(folder))
    monkeypatch.setattr(locations, "example_models_dir", lambda: one_example)
    return folder


@pytest.fixture
def every_example(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All examples that come with the program."""
    monkeypatch.setattr(locations, "example_models_dir", lambda: EXAMPLES)
