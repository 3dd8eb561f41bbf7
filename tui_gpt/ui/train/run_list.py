"""The runs, newest first, each on two lines: its name, and how it stands by a sign and in words."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui_gpt.core import figures
from tui_gpt.core.runs.store import DamagedRun, RunSummary
from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.curves.drawing import LETTERS
from tui_gpt.ui.dialogs.explanation import Explanation

MUTED = "$foreground 60%"
SIGNS = {
    "new": "○",
    "starting": "…",
    "preparing": "…",
    "running": "▶",
    "paused": "‖",
    "stopped": "■",
    "finished": "✓",
    "failed": "✗",
    "interrupted": "✗",
    "hung": "?",
    "damaged": "!",
}
STATE_COLOURS = {
    "starting": "$text-accent",
    "preparing": "$text-accent",
    "running": "$text-success",
    "paused": "$text-warning",
    "failed": "$text-error",
    "interrupted": "$text-warning",
    "hung": "$text-error",
    "damaged": "$text-error",
}

_Row = tuple[object, ...]


class RunList(OptionList):
    """Enter shows the highlighted run. Rows are made anew only where something in them changed."""

    DEFAULT_CSS = """
    RunList { height: 1fr; border: none; padding: 0; background: transparent; scrollbar-size-vertical: 1;
        text-wrap: nowrap; text-overflow: ellipsis; }
    RunList:focus { border: none; background-tint: transparent; }
    RunList > .option-list--option { padding: 0 1; }
    RunList:focus > .option-list--option-highlighted { background: $primary 30%; color: $foreground; text-style: bold; }
    """

    def __init__(self) -> None:
        super().__init__(markup=False, compact=True)
        self._rows: list[_Row] = []

    def show(self, runs: Sequence[RunSummary | DamagedRun], shown: str | None, overlays: Sequence[str]) -> None:
        """Bring the list in line with the runs. `shown` is drawn, and the `overlays` with it, each by its letter."""
        letters = dict(zip((shown, *overlays), LETTERS, strict=False)) if overlays else {}
        rows = [_row(run, run.name == shown, letters.get(run.name, "")) for run in runs]
        if rows == self._rows:
            return
        if [row[0] for row in rows] == [row[0] for row in self._rows]:
            for index, (row, before) in enumerate(zip(rows, self._rows, strict=True)):
                if row != before:
                    self.replace_option_prompt_at_index(index, _prompt(runs[index], row))
        else:
            self._fill(runs, rows, shown)
        self._rows = rows

    def _fill(self, runs: Sequence[RunSummary | DamagedRun], rows: list[_Row], shown: str | None) -> None:
        wanted = self.highlighted_name or shown
        self.set_options(Option(_prompt(run, row), id=run.name) for run, row in zip(runs, rows, strict=True))
        names = [run.name for run in runs]
        if names:
            self.highlighted = names.index(wanted) if wanted in names else 0

    @property
    def highlighted_name(self) -> str | None:
        """The run that the cursor is on."""
        option = self.highlighted_option
        return None if option is None else option.id

    def highlight(self, name: str) -> None:
        """Put the cursor on a run, if it is in the list."""
        for index, row in enumerate(self._rows):
            if row[0] == name:
                self.highlighted = index

    def explain(self) -> Explanation:
        """F1 on the list."""
        signs = "\n".join(f"{sign}  {state}" for state, sign in SIGNS.items())
        return Explanation(
            "Runs",
            "All runs, newest first. Enter shows the one under the cursor; overlay, rename and delete mean the one "
            f"under the cursor while the list has the focus, and the run that is shown otherwise.\n\n{signs}",
        )


def _row(run: RunSummary | DamagedRun, shown: bool, letter: str) -> _Row:
    if isinstance(run, DamagedRun):
        return (run.name, shown, letter, "damaged", run.problem)
    return (run.name, shown, letter, run.state, run.step, run.val_loss, run.best_val_loss)


def _prompt(run: RunSummary | DamagedRun, row: _Row) -> Content:
    name = safe_text(run.name, newlines=False)
    shown, letter, state = bool(row[1]), str(row[2]), str(row[3])
    colour = STATE_COLOURS.get(state, MUTED)
    head = Content.assemble(
        (SIGNS[state], colour),
        " ",
        (name, "bold" if shown else ""),
        (f" {letter}", "bold $text-accent") if letter else "",
    )
    if isinstance(run, DamagedRun):
        detail = Content.assemble(("damaged", colour), (", Enter says why", MUTED))
    else:
        val_loss = run.val_loss if run.val_loss is not None else run.best_val_loss
        figure = f" {figures.loss(val_loss)}" if val_loss is not None else ""
        detail = Content.assemble((state, colour), (f" {run.step:,}{figure}", MUTED))
    return Content("\n").join([head, Content.assemble("  ", detail)])
