"""The line above the text: who answers, and what is known about it."""

from __future__ import annotations

from textual.app import RenderResult
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from tui_gpt.core import figures
from tui_gpt.core.messages import Loaded, ModelRef
from tui_gpt.core.runs.states import ALIVE
from tui_gpt.core.runs.store import RunSummary
from tui_gpt.core.safe_text import safe_text


class ModelLine(Widget):
    """One line; a click on it asks for another model."""

    DEFAULT_CSS = """
    ModelLine { height: 1; padding: 0 2; color: $text; background: $surface; }
    ModelLine:hover { background: $boost; }
    """

    class Clicked(Message):
        """Another model is wanted."""

    ref: reactive[ModelRef | None] = reactive(None)
    loaded: reactive[Loaded | None] = reactive(None)
    """What is known since it was read."""
    doing: reactive[str] = reactive("")
    """What happens to it: it is loaded, or waited for."""
    problem: reactive[str] = reactive("")
    """Why it cannot answer."""
    guard: reactive[str] = reactive("")
    """Who decides what it is asked; empty: nobody."""
    asks: reactive[bool] = reactive(False)
    """Whether it answers what is said, and does not continue it."""
    system: reactive[bool] = reactive(False)
    """Whether it reads something before everything."""
    template: reactive[str] = reactive("")
    """Whose settings hold; empty: nobody's."""
    run: reactive[RunSummary | None] = reactive(None)
    """Of a run: how it stands."""

    def on_click(self) -> None:
        """The list of models."""
        self.post_message(self.Clicked())

    def show_run(self, run: RunSummary | None) -> None:
        """Where the run is now; only what is shown counts as a change."""
        old = self.run
        if (old and (old.name, old.step, old.state)) != (run and (run.name, run.step, run.state)):
            self.run = run

    def render(self) -> RenderResult:
        """The name, then the figures as far as they fit."""
        width = max(1, self.size.width)
        if self.ref is None:
            line = Content(safe_text(self.doing or self.problem or "no model is chosen", newlines=False))
        else:
            line = Content.assemble((safe_text(self.ref.name, newlines=False), "bold"), *self._kind())
            if self.asks:
                line = Content.assemble(line, "  ", ("answers", "$text-accent"))
                if self.system:
                    line = Content.assemble(line, "  ", ("told something first", "$text-accent"))
            if self.guard:
                line = Content.assemble(line, "  ", (f"guard {safe_text(self.guard, newlines=False)}", "$text-accent"))
            if self.template:
                template = f"template {safe_text(self.template, newlines=False)}"
                line = Content.assemble(line, "  ", (template, "$text-accent"))
            for part in self._parts():
                longer = Content.assemble(line, "  ", part)
                if longer.cell_length > width and not (self.doing or self.problem):
                    break
                line = longer
        return line if line.cell_length <= width else line.truncate(width, ellipsis=True)

    def _kind(self) -> list[Content]:
        run = self.run
        if self.ref is None or self.ref.kind != "run":
            return []
        if run is None:
            return [Content("  run")]
        if run.state in ALIVE:
            words = "in progress" if run.state == "running" else run.state
            return [Content("  "), Content.styled(f"{words}, step {run.step:,}", "$text-success")]
        return [Content(f"  run, {run.state}")]

    def _parts(self) -> list[Content]:
        if self.problem:
            return [Content.styled(safe_text(self.problem, newlines=False), "$text-error")]
        if self.doing:
            return [Content.styled(safe_text(self.doing, newlines=False), "$text-accent")]
        loaded = self.loaded
        if loaded is None:
            return []
        parts = []
        if self.ref is not None and self.ref.kind == "folder":
            parts.append("folder")
        parts.append(f"{figures.amount(loaded.n_parameters)} parameters")
        running = self.run if self.run and self.run.state in ALIVE else None
        val_loss = running.val_loss if running else loaded.val_loss
        if val_loss is not None:
            parts.append(f"val loss {figures.loss(val_loss)}")
        if loaded.step is not None and running is None:
            parts.append(f"{loaded.step:,} steps")
        parts += [f"context {loaded.n_positions:,} tokens", f"vocabulary {loaded.vocab_size:,}"]
        return [Content.styled(part, "$foreground 60%") for part in parts]
