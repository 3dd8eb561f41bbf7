"""Starting the app again with a run of 1,000,000 metric lines: attached, the whole curve drawn."""

from __future__ import annotations

import time

from benchmarks.journey.findings import Finding
from benchmarks.journey.home import Home
from benchmarks.journey.long_run import STEPS
from benchmarks.journey.numbers import median
from benchmarks.journey.replay import Picture
from benchmarks.journey.screens import top_line, train_tab, whole_curve
from benchmarks.journey.terminal import NotSeenError

ROUNDS = 5
AIM = 2.0
_NAME = "marathon"
_KEPT_SECONDS = 60.0
_REST_SECONDS = 3.0
"""Nothing is parsed before: the app has the machine to itself. What takes longer is awaited."""


def measure(rounds: int) -> list[Finding]:
    """Each round one start; the app was left on the Train tab, with the curve in its cache. A first one is told too."""
    return [_finding(rounds, live=live) for live in (False, True)]


def _finding(rounds: int, *, live: bool) -> Finding:
    with Home() as home:
        home.run("-m", "benchmarks.journey.long_run", _NAME, *(["--live"] if live else []))
        size = sum(path.stat().st_size for path in (home.store.root / _NAME).glob("metrics-*.jsonl"))
        _leave_on_train_tab(home, live=live)
        first = _start(home, live=live, until_kept=True)
        times = [_start(home, live=live) for _ in range(rounds)]
    return Finding(
        row="again",
        what=f"whole curve of 1,000,000 lines, run {'in progress' if live else 'finished'}",
        value=median(times),
        unit="s",
        aim="at most",
        bound=AIM,
        values=times,
        notes=[
            f"{size / 1e6:.0f} MB of metrics, in the disk's cache; the first start, which parses them: {first:.2f} s"
        ],
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


def _start(home: Home, *, live: bool, until_kept: bool = False) -> float:
    """Seconds to the whole curve; `until_kept` lets the app stay until it has put what it read into its cache."""

    def attached(picture: Picture) -> bool:
        state = "running" if live else f"step {STEPS:,}"
        return _NAME in top_line(picture) and state in top_line(picture) and whole_curve(picture)

    with home.app() as terminal:
        terminal.rest(_REST_SECONDS)
        seconds = terminal.until(attached, "the whole curve") - terminal.started
        deadline = time.monotonic() + _KEPT_SECONDS
        while until_kept and not any(home.folder.glob("cache/curves/*.curves")):
            if time.monotonic() > deadline:
                raise NotSeenError("the curve was not kept in the cache")
            time.sleep(0.1)
        return seconds
