"""How soon the screen answers a key while a trainer keeps every core busy."""

from __future__ import annotations

import string
import time
from collections.abc import Iterator

from benchmarks.journey.findings import Finding
from benchmarks.journey.home import Home
from benchmarks.journey.numbers import median, percentile
from benchmarks.journey.presses import GIVEN_UP_SECONDS, Fingers, Sign, answers
from benchmarks.journey.replay import Picture, Seen
from benchmarks.journey.screens import (
    chat_tab,
    configure_tab,
    crosshair_step,
    first_point,
    focused_field,
    models_tab,
    train_tab,
)
from benchmarks.journey.terminal import Terminal

ROUNDS = 1
AIM = 50.0
_EACH = 75
"""Presses in each of the four places."""
_TYPED = 50
"""Characters in the prompt before they are taken back."""
_SETTLE_SECONDS = 12.0
"""For what a start brings with it: the session loads its libraries, the corpus is explored."""


def measure(rounds: int) -> list[Finding]:
    """300 presses each round, all of them together."""
    found: list[tuple[str, float | None]] = []
    for number in range(rounds):
        found += _round(number)
    app = [(place, seconds) for place, seconds in found if place != "echo"]
    findings = [_finding("all places", [seconds for _, seconds in app], bound=AIM)]
    for place in dict.fromkeys(place for place, _ in found):
        label = "an echo program in the same terminal" if place == "echo" else place
        findings.append(_finding(label, [seconds for which, seconds in found if which == place]))
    return findings


def _finding(what: str, seconds: list[float | None], bound: float | None = None) -> Finding:
    seen = [1000 * value for value in seconds if value is not None]
    unseen = len(seconds) - len(seen)
    # One that was not answered is worse than any that was.
    worst = [*seen, *[float("inf")] * unseen]
    p99 = percentile(worst, 99)
    notes = [f"median {median(seen):.1f} ms, worst {max(seen):.1f} ms, {len(seconds)} presses"] if seen else []
    if unseen:
        notes.append(f"{unseen} presses showed no effect within {GIVEN_UP_SECONDS:g} s")
    return Finding(
        row="keys_while_training",
        what=f"99th percentile, {what}",
        value=None if p99 == float("inf") else p99,
        unit="ms",
        aim="told" if bound is None else "at most",
        bound=bound,
        values=seen,
        notes=notes,
    )


def _round(number: int) -> list[tuple[str, float | None]]:
    with Home() as home:
        # Longer than the preset's three minutes, for all the keys take more, and not compiled, as the preset is not.
        home.remember(tabs={"configure": {"changed": {"train.max_minutes": "30", "train.compile": "off"}}})
        return _press_all(home, number)


def _press_all(home: Home, number: int) -> list[tuple[str, float | None]]:
    with home.app() as terminal:
        terminal.until(configure_tab, "the form")
        terminal.press("f5")
        home.await_run()
        terminal.until(lambda picture: train_tab(picture) and first_point(picture), "the first point")
        time.sleep(_SETTLE_SECONDS)
        fingers = Fingers(terminal, number)
        # A visit before they count: what a tab takes to be made is no answer to a key.
        for key, shown in (("f2", configure_tab), ("f4", models_tab), ("f6", chat_tab)):
            _go(terminal, key, shown)
        _type(terminal, fingers)
        _move_in_form(terminal, fingers)
        _switch_tabs(terminal, fingers)
        _move_crosshair(terminal, fingers)
        time.sleep(1.0)
        home.await_run(seconds=1.0)
        return answers(terminal.recording, fingers.presses) + _echo(home, number)


def _go(terminal: Terminal, key: str, shown: Seen) -> None:
    terminal.look()
    terminal.press(key)
    terminal.until(shown, f"the tab of {key}")
    terminal.quiet(0.15, at_most=2.0)


def _type(terminal: Terminal, fingers: Fingers) -> None:
    """Letters, each of which makes a new text, and backspaces."""
    # A beginning that stands nowhere else on the screen.
    typed = "~"
    terminal.press(typed)
    terminal.quiet(0.15, at_most=2.0)
    letters = _letters()
    for count in range(_EACH):
        if count < _TYPED:
            typed += next(letters)
            fingers.press(typed[-1], "a letter in the prompt", _shows(typed))
        else:
            fingers.press("backspace", "a letter in the prompt", _shows(typed))
            typed = typed[:-1]


def _letters() -> Iterator[str]:
    """No two alike in a row, no English word among them."""
    consonants = [letter for letter in string.ascii_lowercase if letter not in "aeiou"]
    while True:
        yield from consonants


def _shows(text: str) -> Sign:
    def sign(picture: Picture) -> bool:
        return picture.shows(text)

    return sign


def _move_in_form(terminal: Terminal, fingers: Fingers) -> None:
    """Down from field to field, and up again."""
    _go(terminal, "f2", configure_tab)
    for _ in range(8):
        terminal.press("tab")
        terminal.quiet(0.15, at_most=1.0)
        if focused_field(terminal.look()):
            break
    terminal.rest(0.5)
    for count in range(_EACH):
        fingers.press("down" if count % 40 < 20 else "up", "another field of the form", focused_field)


def _switch_tabs(terminal: Terminal, fingers: Fingers) -> None:
    """From tab to tab with their function keys."""
    tabs = (("f3", train_tab), ("f4", models_tab), ("f6", chat_tab), ("f2", configure_tab))
    for count in range(_EACH):
        key, shown = tabs[count % len(tabs)]
        fingers.press(key, "another tab", shown)


def _move_crosshair(terminal: Terminal, fingers: Fingers) -> None:
    """Along the curve, which grows meanwhile."""
    _go(terminal, "f3", train_tab)
    if not crosshair_step(terminal.look()):
        terminal.press("c")
        terminal.until(lambda picture: bool(crosshair_step(picture)), "the crosshair")
    for count in range(_EACH):
        fingers.press("left" if count % 40 < 20 else "right", "the crosshair", crosshair_step)


def _echo(home: Home, number: int) -> list[tuple[str, float | None]]:
    """The same under the same load, with a program that does nothing but answer."""
    with home.program("-m", "benchmarks.journey.echo") as terminal:
        terminal.until(lambda picture: picture.shows("ready"), "the echo program")
        fingers = Fingers(terminal, number)
        letters = _letters()
        for _ in range(_EACH):
            fingers.press(next(letters), "echo", lambda picture: picture.text)
        time.sleep(0.5)
        return answers(terminal.recording, fingers.presses)
