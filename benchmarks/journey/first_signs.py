"""From the key that starts a run to the first point on the loss plot, and to the first sample text on the screen."""

from __future__ import annotations

from benchmarks.journey.findings import Finding
from benchmarks.journey.home import Home, records, until
from benchmarks.journey.numbers import median
from benchmarks.journey.replay import Picture, first_seen
from benchmarks.journey.screens import configure_tab, first_point
from benchmarks.journey.texts import stories_file
from tui_gpt.core.runs.metrics import MetricRecord
from tui_gpt.core.runs.store import Run
from tui_gpt.core.safe_text import safe_text

ROUNDS = 5
POINT_AIM, SAMPLE_AIM = 5.0, 15.0
_LOOKED_FOR = 30
"""Characters of prompt and sample by which it is recognised."""
_SECONDS = 120.0
_SETTLE_SECONDS = 2.0


def measure(rounds: int) -> list[Finding]:
    """Each round in an empty home, F5 pressed as soon as the form is there, so that nothing is prepared yet."""
    found: list[Finding] = []
    for corpus in ("the built-in stories", "a text of 1 MB"):
        times = [_once(with_text=corpus != "the built-in stories") for _ in range(rounds)]
        for index, (sign, bound) in enumerate((("point on the plot", POINT_AIM), ("sample text", SAMPLE_AIM))):
            values = [time[index] for time in times]
            found.append(
                Finding(
                    row="first_signs",
                    what=f"first {sign}, {corpus}",
                    value=median(values),
                    unit="s",
                    aim="at most",
                    bound=bound,
                    values=values,
                )
            )
    return found


def _once(*, with_text: bool) -> tuple[float, float]:
    """Seconds to the first point and to the first sample."""
    with Home() as home:
        arguments = [str(stories_file(home.outside / "book.txt", 1.0))] if with_text else []
        with home.app(*arguments) as terminal:
            terminal.until(configure_tab, "the form")
            pressed = terminal.press("f5")
            run = home.await_run(seconds=_SECONDS)
            sample = until(lambda: _first_sample(run), "the first sample", _SECONDS, pace=0.1)
            terminal.rest(_SETTLE_SECONDS)
            needle = sample_needle(sample)
            # Read from the recording, so that looking takes no time from what is looked at.
            seen = first_seen(
                terminal.recording, {"point": first_point, "sample": lambda p: shows_sample(p, needle)}, after=pressed
            )
            point, text = seen["point"], seen["sample"]
            if point is None:
                point = terminal.until(first_point, "a point on the plot", seconds=_SECONDS)
            if text is None:
                text = terminal.until(lambda p: shows_sample(p, needle), f"the sample {needle!r}", seconds=_SECONDS)
            return point - pressed, text - pressed


def _first_sample(run: Run) -> MetricRecord | None:
    return next(iter(records(run, "sample")), None)


def sample_needle(record: MetricRecord) -> str:
    """How the sample begins, prompt included, on one line."""
    text = safe_text(f"{record.values['prompt']}{record.values['text']}")
    return next(line for line in text.split("\n") if line.strip())[:_LOOKED_FOR].rstrip()


def shows_sample(picture: Picture, needle: str) -> bool:
    """Whether it stands on the screen."""
    return picture.shows(needle)
