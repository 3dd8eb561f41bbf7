"""Watching a run from a terminal or a pipe: one line that renews itself, or a line per evaluation."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator

import click

from tui_gpt.cli.narration import nobody_hears
from tui_gpt.core.errors import RunError
from tui_gpt.core.figures import duration
from tui_gpt.core.runs.metrics import PART_LOSS, MetricRecord, MetricsReader, Value
from tui_gpt.core.runs.store import Run, RunSummary
from tui_gpt.core.safe_text import safe_text

_POLL_SECONDS = 0.2
OVER = frozenset({"finished", "stopped", "failed", "interrupted", "new"})
"""States in which nothing more will come."""


def status_line(summary: RunSummary) -> str:
    """A run's state on one line."""
    step = f"step {summary.step}" + (f" of {summary.total_steps}" if summary.total_steps else "")
    parts = [summary.state, step]
    if summary.train_loss is not None:
        parts.append(f"loss {summary.train_loss:.3f}")
    if summary.val_loss is not None:
        parts.append(f"validation {summary.val_loss:.3f}")
    if summary.tokens_per_second:
        parts.append(f"{summary.tokens_per_second:,.0f} tokens/s")
    if summary.remaining_seconds is not None and summary.state == "running":
        parts.append(f"{duration(summary.remaining_seconds)} left")
    if summary.activity:
        parts.append(safe_text(summary.activity, newlines=False))
    return "  ".join(parts)


class Narrator:
    """Tells on stderr what happens in a run, and shows its newest state on a last line where that is a terminal."""

    def __init__(self, *, samples: bool = True) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown = False
        self._samples = samples
        self._warned: set[str] = set()

    def tell(self, records: list[MetricRecord]) -> None:
        """Evaluations, samples and marks as lines that stay."""
        for record in records:
            values = record.values
            if record.kind == "eval":
                whole = " over the whole validation text" if values.get("whole") else ""
                best = "  best so far" if values.get("best") else ""
                loss, bits = values.get("val_loss"), values.get("bits_per_byte")
                if not isinstance(loss, int | float):
                    continue  # a damaged line
                shown_bits = f" ({bits:.3f} bits per byte)" if isinstance(bits, float) else ""
                self.line(f"step {record.step}: validation loss {loss:.4f}{shown_bits}{_of_parts(values)}{whole}{best}")
            elif record.kind == "sample" and self._samples:
                text = f"{values.get('prompt', '')}{values.get('text', '')}"
                self.line("\n".join(f"  | {line}" for line in self._wrapped(safe_text(text))))
            elif record.kind == "mark":
                self.line(f"step {record.step}: {safe_text(str(values.get('event')), newlines=False)}")

    def warn(self, run: Run) -> None:
        """What the trainer has warned of since the last look."""
        try:
            status = run.status()
        except RunError:
            return  # the state says that it is damaged
        for warning in status.warnings if status else ():
            if warning not in self._warned:
                self._warned.add(warning)
                self.line(f"warning: {safe_text(warning, newlines=False)}")

    def _wrapped(self, text: str) -> Iterator[str]:
        """The lines of a sample, broken where the terminal ends."""
        width = max(20, shutil.get_terminal_size().columns - 5) if self._terminal else 0
        for line in text.split("\n"):
            yield from (textwrap.wrap(line, width) or [""] if width else [line])

    def state(self, summary: RunSummary) -> None:
        """The newest state, replacing the one before; nothing where no terminal would renew the line."""
        if not self._terminal:
            return
        width = shutil.get_terminal_size().columns - 1
        click.echo(f"\r\x1b[K{status_line(summary)[:width]}", err=True, nl=False)
        self._shown = True

    def line(self, text: str) -> None:
        """A line that stays."""
        self.clear()
        click.echo(text, err=True)

    def clear(self) -> None:
        """Take the renewing line away."""
        if self._shown:
            click.echo("\r\x1b[K", err=True, nl=False)
            self._shown = False


def _of_parts(values: dict[str, Value]) -> str:
    """The losses on the corpora of a mix."""
    parts = [
        f"{safe_text(name.removeprefix(PART_LOSS), newlines=False)} {loss:.4f}"
        for name, loss in values.items()
        if name.startswith(PART_LOSS) and isinstance(loss, int | float)
    ]
    return f" [{', '.join(parts)}]" if parts else ""


def follow(
    run: Run,
    narrator: Narrator,
    reader: MetricsReader | None = None,
    *,
    ended: Callable[[], bool] | None = None,
    while_heard: bool = False,
) -> RunSummary:
    """Narrate until the run is over; returns its last summary. From the beginning, unless `reader` stands later.

    Who started the trainer knows its process and says by `ended` when that has ended; what status.json says may still
    be its forerunner's. With `while_heard` an OSError ends it when what it tells arrives nowhere.
    """
    reader = reader or run.reader()
    try:
        while True:
            over = ended() if ended is not None else None
            summary = run.summary()
            narrator.tell(reader.poll())
            narrator.warn(run)
            if while_heard and (problem := nobody_hears()) is not None:
                raise problem
            if over or (over is None and summary.state in OVER):
                narrator.tell(reader.poll())
                return run.summary()
            narrator.state(summary)
            time.sleep(_POLL_SECONDS)
    finally:
        narrator.clear()


class ProgressLine:
    """The progress of something that runs here, on stderr: a renewing line in a terminal, silence in a pipe."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._next = 0.0

    def __call__(self, what: str, share: float) -> None:
        """Show that `share` (0 to 1) of `what` is done."""
        if self._terminal and (share >= 1.0 or time.monotonic() >= self._next):
            self._next = time.monotonic() + 0.1
            filled = int(24 * min(1.0, max(0.0, share)))
            click.echo(
                f"\r\x1b[K{safe_text(what, newlines=False)}  {'#' * filled}{'-' * (24 - filled)} {share:4.0%}",
                err=True,
                nl=False,
            )

    def done(self) -> None:
        """Take the line away."""
        if self._terminal:
            click.echo("\r\x1b[K", err=True, nl=False)
