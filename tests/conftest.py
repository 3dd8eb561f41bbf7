"""Fixtures and settings that every kind of test shares."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from training_runs import Scene

# Before torch is imported anywhere: the tensors of tests are tiny, so that more threads cost more than they give, and
# sums come out alike on every machine. Trainers started by tests set their own number.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No deadline: on a busy machine the time of one example says nothing. The whole check (.ci/run) sets CI, and then
# draws the same examples each time; elsewhere they are new ones, so that more is found.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("whole-check", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("whole-check" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session", autouse=True)
def _nobodys_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whatever a test forgets to say: the models and runs of the person who runs the tests are out of reach."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUI_GPT_HOME", str(tmp_path_factory.mktemp("nobodys-home")))
        yield


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


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A home with a small text, whose trainers end with the test."""
    # Not at the top: what it brings in loads torch, which must come after the number of threads is set.
    from training_runs import Scene

    scene = Scene(tmp_path)
    yield scene
    scene.end_all()
