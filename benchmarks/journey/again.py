"""Starting the app again with a run of 1,000,000 metric lines: attached, the whole curve drawn."""

from __future__ import annotations

from benchmarks.journey.findings import Finding
from benchmarks.journey.home import Home
from benchmarks.journey.long_run import STEPS
from benchmarks.journey.numbers import median
from benchmarks.journey.replay import Picture
from benchmarks.journey.screens import top_line, train_tab, whole_curve

ROUNDS = 5
AIM = 2.0
_NAME = "marathon"
_REST_SECONDS = 3.0
"""Nothing is parsed before: the app has the machine to itself. What takes longer is awaited."""


def measure(rounds: int) -> list[Finding]:
    """Each round one start; the app was left on the Train tab. A first start fills the disk's cache."""
    return [_finding(rounds, live=live) for live in (False, True)]


def _finding(rounds: int, *, live: bool) -> Finding:
    with Home() as home:
        home.run("-m", "benchmarks.journey.long_run", _NAME, *(["--live"] if live else []))
        size = sum(path.stat().st_size for path in (home.store.root / _NAME).glob("metrics-*.jsonl"))
        _leave_on_train_tab(home, live=live)
        times = [_start(home, live=live) for _ in range(rounds + 1)][1:]
    return Finding(
        row="again",
        what=f"whole curve of 1,000,000 lines, run {'in progress' if live else 'finished'}",
        value=median(times),
        unit="s",
        aim="at most",
        bound=AIM,
        values=times,
        notes=[f"{size / 1e6:.0f} MB of metrics, in the disk's cache"],
    )


def _leave_on_train_tab(home: Home, *, live: bool) -> None:
    with home.app() as terminal:
        terminal.until(lambda picture: _NAME in top_line(picture), "the run in the top line")
        terminal.quiet(0.5)
        terminal.press("f3")
        terminal.until(train_tab, "the Train tab")
        terminal.press("ctrl+q")
        if live:
            terminal.until(lambda picture: picture.shows("Leave it running"), "the question")
            terminal.press("enter")
        terminal.wait()


def _start(home: Home, *, live: bool) -> float:
    def attached(picture: Picture) -> bool:
        state = "running" if live else f"step {STEPS:,}"
        return _NAME in top_line(picture) and state in top_line(picture) and whole_curve(picture)

    with home.app() as terminal:
        terminal.rest(_REST_SECONDS)
        return terminal.until(attached, "the whole curve") - terminal.started
