"""One line on what would be trained, or on what has to be put right first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from textual.content import Content
from textual.widgets import Static

from tui_gpt.core import figures
from tui_gpt.core.config import TrainConfig
from tui_gpt.core.corpora import is_named
from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.configure.weighing import Weights


class Summary(Static):
    """Below the start button."""

    DEFAULT_CSS = """
    Summary { height: 2; color: $text-muted; }
    Summary.-wrong { color: $text-error; }
    """

    def show(self, weights: Weights, wrong: Sequence[str]) -> None:
        """`wrong` are the paths of the fields that have a problem."""
        self.set_class(bool(wrong), "-wrong")
        if wrong:
            more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            text = f"✗ to be put right: {wrong[0]}{more}"
        else:
            text = _in_words(weights)
        self.update(Content(safe_text(text, newlines=False)), layout=False)


def _in_words(weights: Weights) -> str:
    model, corpus = weights.config.model, weights.config.data.corpus
    size = f"{'~' if weights.assumed else ''}{figures.amount(weights.parameters.total)} parameters"
    text = corpus if is_named(corpus) else Path(corpus).name
    others = len(weights.config.data.mix)
    text += f" and {others} other{'s' if others > 1 else ''}" if others else ""
    return f"{model.family} {model.n_layer} x {model.n_embd}, {size}, on {text}, {_length(weights.config.train)}"


def _length(train: TrainConfig) -> str:
    if train.max_minutes is not None:
        return f"{train.max_minutes:g} minutes"
    return f"{train.max_steps:,} steps" if train.max_steps is not None else f"{train.max_epochs:g} epochs"
