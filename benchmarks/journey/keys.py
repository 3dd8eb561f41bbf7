"""How many keys lead from the first start to a training run, with nothing chosen and with a text as argument."""

from __future__ import annotations

from benchmarks.journey.findings import Finding
from benchmarks.journey.home import Home
from benchmarks.journey.screens import configure_tab, running, train_tab
from benchmarks.journey.terminal import NotSeenError
from benchmarks.journey.texts import stories_file
from tui_gpt.core.runs.store import Run

ROUNDS = 1
_WAYS = (("f5",), ("enter",), ("f5", "enter"), ("enter", "enter"))
"""What is tried, the shorter ways first."""
_SECONDS = 60.0


def measure(rounds: int) -> list[Finding]:
    """The first way that works, each tried in an empty home; with more rounds the worst of them."""
    nothing = [_shortest(with_text=False) for _ in range(rounds)]
    text = [_shortest(with_text=True) for _ in range(rounds)]
    return [
        _finding("keys from the first start to a training run", nothing, 2),
        _finding("keys from `tui-gpt book.txt` to a run on it", text, 1),
    ]


def _finding(what: str, found: list[tuple[str, ...] | None], bound: int) -> Finding:
    ways = [way for way in found if way]
    worst = max(ways, key=len) if len(ways) == len(found) else None
    return Finding(
        row="keys",
        what=what,
        value=None if worst is None else len(worst),
        unit="keys",
        aim="at most",
        bound=bound,
        notes=[] if worst is None else [f"it was {' '.join(worst)}; the run trains, and its tab is shown"],
    )


def _shortest(*, with_text: bool) -> tuple[str, ...] | None:
    for way in _WAYS:
        with Home() as home:
            arguments = [str(stories_file(home.outside / "book.txt", 1.0))] if with_text else []
            try:
                run = _try(home, way, arguments)
            except NotSeenError:
                continue
            if not with_text or run.record.config.data.corpus == arguments[0]:
                return way
    return None


def _try(home: Home, way: tuple[str, ...], arguments: list[str]) -> Run:
    with home.app(*arguments) as terminal:
        terminal.until(configure_tab, "the form")
        for key in way:
            # As fast as a hand: what a key opens is there before the next one.
            terminal.quiet(0.3, at_most=1.0)
            terminal.press(key)
        run = home.await_run(seconds=_SECONDS)
        terminal.until(lambda picture: running(picture) and train_tab(picture), "the run in the top line", seconds=10)
        return run
