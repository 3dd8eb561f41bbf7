"""From Enter to the first letter of the answer, with a loaded model of 10 million parameters."""

from __future__ import annotations

import random
import time

from benchmarks.journey.findings import Finding
from benchmarks.journey.home import Home
from benchmarks.journey.numbers import median, percentile
from benchmarks.journey.presses import Press, answers
from benchmarks.journey.screens import answer_begun, answer_complete, chat_tab, configure_tab
from benchmarks.journey.terminal import NotSeenError, Terminal

ROUNDS = 15
AIM = 200.0
_MODEL, _PRESET = "ten", "qwen3-10m"
_SETTLE_SECONDS = 5.0
_REST_SECONDS = 1.0


def measure(rounds: int) -> list[Finding]:
    """Each round a prompt of its own; first on an idle machine, then beside a trainer."""
    found: list[Finding] = []
    for beside in (False, True):
        with Home() as home:
            size = int(home.run("-m", "benchmarks.journey.new_model", _MODEL, _PRESET))
            home.remember(tabs={"chat": {"model": {"kind": "model", "name": _MODEL}}})
            if beside:
                home.command("train", "stories", "--name", "busy", "--minutes", "30", "--detach")
                home.await_run()
            times = [1000 * seconds for seconds in _ask(home, rounds)]
        found.append(
            Finding(
                row="first_letter",
                what="Enter to the first letter" + (", beside a trainer" if beside else ""),
                value=median(times),
                unit="ms",
                aim="at most",
                bound=AIM,
                values=times,
                notes=[f"{size / 1e6:.1f} M parameters, random weights; worst of all {percentile(times, 100):.0f} ms"],
            )
        )
    return found


def _ask(home: Home, rounds: int) -> list[float]:
    draw = random.Random(0)
    presses: list[Press] = []
    with home.app() as terminal:
        terminal.until(configure_tab, "the form")
        terminal.press("f6")
        terminal.until(lambda picture: chat_tab(picture) and picture.shows(f"  {_MODEL}  ", "parameters"), "the model")
        time.sleep(_SETTLE_SECONDS)
        for number in range(rounds + 1):
            presses.append(_ask_once(terminal, f"number {number} of {rounds}", draw.uniform(0.3, 0.6)))
        found = answers(terminal.recording, presses)
    # The first prompt of a session warms it up.
    times = [seconds for _, seconds in found[1:] if seconds is not None]
    if len(times) < rounds:
        raise NotSeenError(f"{rounds - len(times)} of {rounds} answers were not seen")
    return times


def _ask_once(terminal: Terminal, prompt: str, wait: float) -> Press:
    """Type a prompt, press Enter `wait` seconds after it is there, and see the answer to its end."""
    terminal.press(prompt)
    terminal.until(lambda picture: picture.shows(prompt), "the prompt")
    terminal.rest(wait)
    press = Press(terminal.press("enter"), prompt, lambda picture: answer_begun(picture, prompt))
    # Nothing is parsed while the first letter is awaited.
    terminal.rest(_REST_SECONDS)
    terminal.until(lambda picture: answer_complete(picture, prompt), "the whole answer")
    return press
