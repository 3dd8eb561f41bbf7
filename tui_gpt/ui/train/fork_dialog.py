"""A new run from a checkpoint: which one, under what name, with what learning rate, for how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from textual.app import ComposeResult
from textual.containers import Grid, Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from tui_gpt.core import figures
from tui_gpt.core.config import RunConfig, to_dict
from tui_gpt.core.config_loading import build_config
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.runs.checkpoints import CheckpointInfo
from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.dialogs.ask_text import Check
from tui_gpt.ui.dialogs.dialog import Dialog
from tui_gpt.ui.train.run_list import MUTED

_LENGTHS = {"max_steps": "steps", "max_epochs": "epochs", "max_minutes": "minutes"}


class ForkPlan(NamedTuple):
    """What was decided."""

    name: str
    checkpoint: str
    """The step, as text."""
    changes: dict[str, Any]
    """Fields of the train section that differ from the run's."""


class ForkDialog(Dialog[ForkPlan]):
    """Dismissed with a plan that could be carried out as far as can be known here, or with None."""

    DEFAULT_CSS = """
    ForkDialog #checkpoints { height: auto; max-height: 8; border: none; padding: 0; margin-bottom: 1; }
    ForkDialog #checkpoints:focus > .option-list--option-highlighted {
        background: $primary 30%; color: $foreground; text-style: bold;
    }
    ForkDialog .fields { grid-size: 2; grid-columns: 16 1fr; grid-rows: auto; grid-gutter: 0 1; height: auto; }
    ForkDialog .fields Static { color: $text-muted; }
    """

    def __init__(
        self,
        run: str,
        config: RunConfig,
        checkpoints: Sequence[CheckpointInfo],
        val_losses: Mapping[int, float],
        name: str,
        check: Check,
        *,
        done: bool,
    ) -> None:
        """`checkpoints` are there, oldest first; `check` says what is wrong with a name; a run that is `done` is
        suggested to become twice as long."""
        super().__init__()
        self._run, self._config, self._check = run, config, check
        self._checkpoints = list(reversed(checkpoints))
        self._val_losses = val_losses
        self._name = name
        self._length = next(field for field in _LENGTHS if getattr(config.train, field) is not None)
        self._suggested = getattr(config.train, self._length) * (2 if done else 1)

    def compose(self) -> ComposeResult:
        """The checkpoints, three fields, what is wrong with them, two buttons."""
        with VerticalScroll(classes="panel", can_focus=False) as panel:
            panel.border_title = Content(safe_text(f"Fork {self._run}", newlines=False))
            yield Static(
                Content("A new run with the same text and network goes on from a checkpoint; this one stays as it is."),
                classes="detail",
            )
            yield OptionList(
                *(Option(self._row(c), id=str(c.step)) for c in self._checkpoints), id="checkpoints", compact=True
            )
            with Grid(classes="fields"):
                yield Static("name")
                yield Input(self._name, id="name", compact=True)
                yield Static("learning rate")
                yield Input(f"{self._config.train.learning_rate:g}", id="learning_rate", compact=True)
                yield Static(f"length in {_LENGTHS[self._length]}")
                yield Input(f"{self._suggested:.10g}", id="length", compact=True)
            yield Static("", classes="problem", markup=False)
            with Horizontal(classes="answers"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Fork", id="take", variant="primary", compact=True)

    def on_mount(self) -> None:
        """The newest checkpoint is suggested."""
        checkpoints = self.query_one("#checkpoints", OptionList)
        checkpoints.highlighted = 0
        checkpoints.focus()
        self._look()

    def _row(self, checkpoint: CheckpointInfo) -> Content:
        loss = self._val_losses.get(checkpoint.step)
        val_loss = f"val loss {figures.loss(loss)}" if loss is not None else ""
        tags = " ".join(sorted(checkpoint.tags))
        return Content.assemble(f"step {checkpoint.step:>9,}  ", (f"{val_loss:17}  ", MUTED), (tags, "bold"))

    def on_input_changed(self) -> None:
        """Say at once what is wrong."""
        self._look()

    def on_option_list_option_highlighted(self) -> None:
        """Another checkpoint may need another length."""
        self._look()

    def on_option_list_option_selected(self) -> None:
        """Enter on a checkpoint goes on to the name."""
        self.query_one("#name", Input).focus()

    def on_input_submitted(self) -> None:
        """Enter in a field takes the plan."""
        self._take()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """One of the two buttons."""
        event.stop()
        if event.button.id == "take":
            self._take()
        else:
            self.dismiss(None)

    def _take(self) -> None:
        plan, problem = self._plan()
        if plan is not None and not problem:
            self.dismiss(plan)

    def _look(self) -> None:
        _, problem = self._plan()
        self.query_one(".problem", Static).update(Content(safe_text(problem, newlines=False)))
        self.query_one("#take", Button).disabled = bool(problem)

    def _plan(self) -> tuple[ForkPlan | None, str]:
        """What stands in the fields, and what is wrong with it."""
        name = self.query_one("#name", Input).value.strip()
        option = self.query_one("#checkpoints", OptionList).highlighted_option
        if option is None or option.id is None:
            return None, "choose a checkpoint"
        try:
            changes = self._changes()
        except ConfigError as error:
            return None, str(error)
        problem = self._check(name)
        steps = changes.get("max_steps", self._config.train.max_steps)
        if not problem and steps is not None and steps <= int(option.id):
            problem = f"the checkpoint has {int(option.id):,} steps behind it already; give it more steps in all"
        return ForkPlan(name, option.id, changes), problem

    def _changes(self) -> dict[str, Any]:
        """The fields that differ from the run's. Raises ConfigError."""
        texts = {
            "learning_rate": self.query_one("#learning_rate", Input).value.strip(),
            self._length: self.query_one("#length", Input).value.strip(),
        }
        wanted = {field: _number(field, text) for field, text in texts.items()}
        base = to_dict(self._config.train)
        build_config(("run", {"train": base}), ("fork", {"train": wanted}))
        return {field: value for field, value in wanted.items() if value != base.get(field)}


def _number(field: str, text: str) -> int | float:
    """The number that was typed. Raises ConfigError."""
    try:
        return int(text) if field == "max_steps" else float(text)
    except ValueError:
        kind = "a whole number, e.g. 2000" if field == "max_steps" else "a number, e.g. 0.001"
        raise ConfigError(f"train.{field}", f"is {kind}, not {text!r}") from None
