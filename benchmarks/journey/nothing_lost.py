"""Leaving the app with a run going, and losing it: what becomes of the run's steps."""

from __future__ import annotations

import signal

from benchmarks.journey.findings import Finding
from benchmarks.journey.home import Home, train_steps, until
from benchmarks.journey.numbers import missing_steps
from benchmarks.journey.screens import configure_tab, running, tab_names
from benchmarks.journey.terminal import NotSeenError, Terminal
from tui_gpt.core.runs.store import Run

ROUNDS = 1
_STEPS = 20
"""So many are trained before and after each leaving."""
_SECONDS = 120.0


def measure(rounds: int) -> list[Finding]:
    """One run after the other through all the ways of leaving, each time with a new start of the app between."""
    lost: dict[str, list[float]] = {}
    for _ in range(rounds):
        with Home() as home:
            for way, steps in _leave_in_every_way(home).items():
                lost.setdefault(way, []).append(steps)
    return [
        Finding(
            row="nothing_lost",
            what=f"steps lost: {way}",
            value=max(steps),
            unit="steps",
            aim="exactly",
            bound=0,
            values=steps,
            notes=["the trainer's process is the same, in one segment of metrics; missing and repeated steps counted"],
        )
        for way, steps in lost.items()
    ]


def _leave_in_every_way(home: Home) -> dict[str, float]:
    lost: dict[str, float] = {}
    terminal = home.app()
    try:
        terminal.until(configure_tab, "the form")
        terminal.press("f5")
        run = home.await_run()
        process = _process(run)
        for way in ("ctrl+q, leave it running", "kill -9", "the terminal is closed", "SIGTERM"):
            terminal.until(lambda picture: tab_names(picture) and running(picture), "the run in the top line")
            _train_on(run)
            _leave(terminal, way)
            _train_on(run)
            # As many as the curve lacks; all of them where the trainer is another one, or began again.
            same = _process(run) == process and len(list(run.folder.glob("metrics-*.jsonl"))) == 1
            steps = train_steps(run)
            lost[way] = missing_steps(steps) if same else max(steps)
            terminal.close()
            terminal = home.app()
    finally:
        terminal.close()
    return lost


def _leave(terminal: Terminal, way: str) -> None:
    match way:
        case "kill -9":
            terminal.signal(signal.SIGKILL)
        case "SIGTERM":
            terminal.signal(signal.SIGTERM)
        case "the terminal is closed":
            terminal.hang_up()
        case _:
            terminal.press("ctrl+q")
            terminal.until(lambda picture: picture.shows("Leave it running"), "the question")
            terminal.press("enter")
    if terminal.wait() is None:
        raise NotSeenError(f"the app did not end: {way}")


def _process(run: Run) -> tuple[int, str] | None:
    owner = run.owner()
    return None if owner is None or run.liveness() != "alive" else (owner.pid, owner.start_token)


def _train_on(run: Run) -> None:
    """Until so many more steps are on the curve."""
    steps = train_steps(run)
    goal = (steps[-1] if steps else 0) + _STEPS
    until(lambda: (now := train_steps(run)) and now[-1] >= goal, f"step {goal}", _SECONDS, pace=0.1)
