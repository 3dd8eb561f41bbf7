"""From `tui-gpt` to the first painted frame, beside a bare Textual app, in turns."""

from __future__ import annotations

from benchmarks.journey.findings import Finding
from benchmarks.journey.hello import GREETING
from benchmarks.journey.home import Home
from benchmarks.journey.numbers import median
from benchmarks.journey.screens import configure_tab, tab_names
from benchmarks.journey.terminal import Terminal

ROUNDS = 9
AIM = 1.5
_REST_SECONDS = 2.0
"""Nothing is parsed before, so that both programs have the machine to themselves; what takes longer is awaited."""


def measure(rounds: int) -> list[Finding]:
    """Each round: both programs, the one that begins changing; a round before them fills the disk's cache."""
    app: list[float] = []
    usable: list[float] = []
    hello: list[float] = []
    for number in range(rounds + 1):
        with Home() as home:
            for which in ("app", "hello") if number % 2 else ("hello", "app"):
                if which == "app":
                    with home.app() as terminal:
                        terminal.rest(_REST_SECONDS)
                        first = _seconds(terminal, terminal.until(tab_names, "the names of the tabs"))
                        form = _seconds(terminal, terminal.until(configure_tab, "the form"))
                    if number:
                        app.append(first)
                        usable.append(form)
                else:
                    with home.program("-m", "benchmarks.journey.hello") as terminal:
                        terminal.rest(_REST_SECONDS)
                        seen = terminal.until(lambda picture: picture.shows(GREETING), "the greeting")
                        if number:
                            hello.append(_seconds(terminal, seen))
    ratio = median(app) / median(hello)
    return [
        Finding(
            row="first_frame",
            what="first painted frame over a bare Textual app's",
            value=ratio,
            unit="times",
            aim="at most",
            bound=AIM,
            notes=["the ratio of the two medians; counted from the making of the process"],
        ),
        Finding(row="first_frame", what="first painted frame: tab names", value=median(app), unit="s", values=app),
        Finding(row="first_frame", what="bare Textual app: its line", value=median(hello), unit="s", values=hello),
        Finding(row="first_frame", what="the form can be used", value=median(usable), unit="s", values=usable),
    ]


def _seconds(terminal: Terminal, moment: float) -> float:
    return moment - terminal.started
