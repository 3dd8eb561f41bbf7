"""Windows of every size, one after the other and while something goes on: the app neither ends nor gets lost."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from terminal import CURVE, Open, Terminal, remember
from training_runs import Scene, tiny, wait_state

from tui_gpt.core.runs.store import Run

READY = re.compile(r"1 Configure\s+2 Train\s+3 Models\s+4 Chat")
TABS = {"F2": "Start training", "F3": CURVE, "F4": "stories  example", "F6": "Text for the model"}
"""A key and what its tab shows."""
LEAST = (1, 1)
NAMED = (LEAST, (20, 5), (2, 60), (200, 1), (79, 24), (80, 23), (80, 24), (120, 40), (500, 200))


def assert_sound(terminal: Terminal) -> None:
    """It runs, and nothing went wrong that would have been written down."""
    assert not terminal.ended(), terminal.text()
    errors = terminal.home / "errors.log"
    assert not errors.exists(), errors.read_text()


@pytest.fixture
def training(scene: Scene) -> Run:
    """A run that goes on for as long as anybody looks."""
    run = scene.begin(tiny(scene.text, max_steps=10_000_000, eval_interval=50, sample_tokens=20))
    scene.start(run)
    wait_state(run, "running")
    return run


@pytest.mark.parametrize("size", [LEAST, (20, 5), (200, 1)], ids=str)
def test_an_app_that_starts_in_a_tiny_window_is_whole_in_a_larger_one(
    open_terminal: Open, empty_home: Path, size: tuple[int, int]
) -> None:
    remember(empty_home, tab="models")
    terminal = open_terminal(size=size)
    # The session is started after the first frame.
    terminal.wait_until(lambda: b"\x1b[?1049h" in terminal.raw() and terminal.session)
    assert_sound(terminal)
    terminal.resize(80, 24)
    terminal.wait_for("stories  example")
    terminal.resize(*size)
    terminal.wait_for(lambda shown: "stories" not in shown)
    terminal.keys("C-q")
    terminal.assert_whole(0)


def storm(terminal: Terminal, sizes: int, seed: int) -> None:
    """So many sizes as fast as the terminal takes them, some of them as small as can be."""
    chance = random.Random(seed)
    for _ in range(sizes):
        size = chance.choice(NAMED) if chance.random() < 0.3 else (chance.randint(1, 250), chance.randint(1, 80))
        terminal.resize(*size)


def test_a_hundred_sizes_while_a_curve_is_drawn(training: Run, open_terminal: Open) -> None:
    home = training.folder.parent.parent
    remember(home, tab="train")
    terminal = open_terminal(home=home)
    terminal.wait_for(CURVE)
    step = training.summary().step
    storm(terminal, 100, seed=1)
    terminal.resize(120, 40)
    terminal.wait_for(lambda shown: CURVE.search(shown) and READY.search(shown))
    terminal.wait_until(lambda: training.summary().step > step)
    assert_sound(terminal)
    terminal.keys("C-q")
    terminal.wait_for("Leave it running")
    terminal.keys("Enter")
    terminal.assert_whole(0)


def wait_until_gone(terminal: Terminal, words: str) -> None:
    """Until nothing of it is shown, several looks in a row: a window that is being drawn is empty for an instant."""
    looks = 0

    def gone(shown: str) -> bool:
        nonlocal looks
        looks = 0 if words in shown else looks + 1
        return looks == 5

    terminal.wait_for(gone)


@pytest.mark.slow
def test_hundreds_of_sizes_on_every_tab_and_under_every_dialog(training: Run, open_terminal: Open) -> None:
    home = training.folder.parent.parent
    remember(home, tab="train")
    terminal = open_terminal(home=home)
    terminal.wait_for(CURVE)
    for number, (key, wanted) in enumerate(TABS.items()):
        terminal.resize(120, 40)
        terminal.keys(key)
        terminal.wait_for(wanted)
        storm(terminal, 120, seed=number)
        assert_sound(terminal)
    dialogs = {
        "F2": {"C-o": "A text file, or a folder", "C-n": "I have", "C-l": "Load a configuration"},
        "F3": {"F1": "Training goes on", "C-s": "Save a model", "C-q": "Leave it running"},
        "F4": {"f": "Fork python", "C-p": "Search"},
        "F6": {"C-o": "Talk to", "C-f": "Earlier conversations"},
    }
    for key, questions in dialogs.items():
        terminal.keys(key)
        for opening, words in questions.items():
            terminal.resize(120, 40)
            terminal.wait_for(READY)
            terminal.wait_for(TABS[key])
            if key == "F4":
                terminal.wait_for("stories  example")
                terminal.keys("Home")
            terminal.keys(opening)
            terminal.wait_for(words)
            storm(terminal, 40, seed=len(words))
            assert_sound(terminal)
            terminal.resize(120, 40)
            terminal.wait_for(words)
            terminal.keys("Escape")
            wait_until_gone(terminal, words)
    # Keys that are pressed where nothing can be seen are no different.
    terminal.resize(*LEAST)
    for key in (*TABS, "b", "Home", "End", "Enter", "l", "m", "t", "c", "Left", "Right", "plus", "minus", "0", "g"):
        terminal.keys(key)
    terminal.resize(80, 24)
    terminal.wait_for(READY)
    assert_sound(terminal)
    assert training.liveness() == "alive"


@pytest.mark.parametrize(
    "surroundings",
    [
        {"LC_ALL": "C", "LANG": "C"},
        {"LC_ALL": "C.UTF-8"},
        {"LC_ALL": "xx_YY.UTF-8", "LANG": "xx_YY.UTF-8"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=["C", "C.UTF-8", "missing", "ascii"],
)
def test_no_locale_keeps_the_app_from_being_drawn(
    open_terminal: Open, empty_home: Path, surroundings: dict[str, str]
) -> None:
    remember(empty_home, tab="models")
    terminal = open_terminal(environment=surroundings)
    terminal.wait_until(lambda: b"stories" in terminal.raw())
    terminal.wait_until(lambda: "│".encode() in terminal.raw())
    assert rb"\u2502" not in terminal.raw()
    terminal.keys("C-q")
    terminal.assert_whole(0)
