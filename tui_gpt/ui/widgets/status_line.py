"""The line on top of every tab: the active run, what the app is doing, the device and its memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui_gpt.core import figures
from tui_gpt.core.runs.states import ALIVE
from tui_gpt.core.safe_text import safe_text

if TYPE_CHECKING:
    from tui_gpt.core.runs.store import RunSummary

_STATE_COLOURS = {
    "running": "$text-success",
    "paused": "$text-warning",
    "starting": "$text-accent",
    "preparing": "$text-accent",
    "failed": "$text-error",
    "hung": "$text-error",
    "interrupted": "$text-warning",
}

_QUIET = "$foreground 60%"


class StatusLine(Widget):
    """One line. Where it is narrow, what matters least is left out."""

    DEFAULT_CSS = """
    StatusLine { height: 1; dock: top; background: $panel; color: $text; padding: 0 1; }
    """
    run: reactive[RunSummary | None] = reactive(None)
    doing: reactive[str] = reactive("")
    """What the app itself is busy with; it takes the place of the figures while it lasts, and of a run without a
    trainer, which it is not about."""

    def render(self) -> RenderResult:
        """Name and state, then the figures from the left as far as they fit, the device on the right."""
        width = max(1, self.size.width)
        run = self.run
        left = self._head(run)
        right = Content.styled(_device(run), _QUIET) if run else Content.styled("tui-gpt", _QUIET)
        for part in self._parts(run):
            longer = Content.assemble(left, Content.styled("  ", _QUIET), part)
            if longer.cell_length > width:
                break
            left = longer
        gap = width - left.cell_length - right.cell_length
        if gap < 2:
            return left.truncate(width, ellipsis=True)
        return Content.assemble(left, " " * gap, right)

    def _head(self, run: RunSummary | None) -> Content:
        if self.doing and (run is None or run.state not in ALIVE):
            return Content.styled(safe_text(self.doing, newlines=False), "$text-accent")
        if run is None:
            return Content("no run yet")
        style = _STATE_COLOURS.get(run.state, _QUIET)
        return Content.assemble((safe_text(run.name, newlines=False), "bold"), "  ", (run.state, style))

    def _parts(self, run: RunSummary | None) -> list[Content]:
        if run is None or (self.doing and run.state not in ALIVE):
            return []
        if self.doing:
            return [Content.styled(safe_text(self.doing, newlines=False), "$text-accent")]
        of = f" of {run.total_steps:,}" if run.total_steps else ""
        parts = [f"step {run.step:,}{of}"]
        if run.val_loss is not None:
            parts.append(f"val loss {figures.loss(run.val_loss)}")
        elif run.train_loss is not None:
            parts.append(f"loss {figures.loss(run.train_loss)}")
        if run.state in ("running", "paused") and run.tokens_per_second:
            parts.append(f"{run.tokens_per_second:,.0f} tokens/s")
        if run.state == "running" and run.remaining_seconds is not None:
            parts.append(f"{figures.duration(run.remaining_seconds)} left")
        if run.activity:
            parts.append(safe_text(run.activity, newlines=False))
        return [Content(part) for part in parts]


def _device(run: RunSummary | None) -> str:
    if run is None:
        return ""
    memory = figures.memory(run.memory_bytes) if run.memory_bytes else ""
    return "  ".join(filter(None, [safe_text(run.device, newlines=False), memory]))
