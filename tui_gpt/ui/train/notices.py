"""The lines above the plot: the run's state, what it warns of, and the one key that does something about it."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static

from tui_gpt.core.advice import Advice
from tui_gpt.core.runs.states import ALIVE
from tui_gpt.core.runs.store import RunSummary
from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.train.possible import KeyOf
from tui_gpt.ui.train.run_list import MUTED, SIGNS, STATE_COLOURS

_MOST_WARNINGS = 3
_SIGN = ("! ", "bold $text-warning")
ACTION_OF = {"resume": "resume", "log": "log", "lower_rate": "lower_rate", "raise_rate": "raise_rate", "stop": "stop"}
"""The tab's action for each remedy of `core.advice`."""

_POSSIBLE: dict[str, list[tuple[str, str]]] = {
    "new": [("resume", "starts it"), ("delete", "deletes")],
    "starting": [("stop", "stops it"), ("log", "what it does")],
    "preparing": [("stop", "stops it"), ("log", "what it does")],
    "running": [("pause", "pauses"), ("stop", "stops with a checkpoint")],
    "paused": [("pause", "goes on"), ("step", "one step"), ("stop", "stops")],
    "hung": [("log", "its log"), ("stop", "ends it")],
    "finished": [("chat", "talks to it"), ("fork", "forks it for longer")],
}


class Notices(Static):
    """As many lines as there is something to say."""

    DEFAULT_CSS = """
    Notices { height: auto; max-height: 9; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__("", id=id, markup=False)
        self._shown: Content | None = None

    def show(self, content: Content) -> None:
        """Show it, if it is not what stands there."""
        if content != self._shown or (self._shown is not None and content.spans != self._shown.spans):
            self._shown = content
            self.update(content)


def notices(
    run: RunSummary | None,
    advice: Sequence[Advice],
    warnings: Sequence[str],
    last_words: Sequence[str],
    note: str,
    key_of: KeyOf,
) -> Content:
    """The lines. `warnings` and `note` are foreign; `last_words` are safe already."""
    if run is None:
        return Content("no run yet: F5 starts one with what Configure says, and its curve appears here")
    lines = [_state(run, key_of)]
    if note:
        lines.append(Content.styled(safe_text(note, newlines=False), MUTED))
    for item in advice[:_MOST_WARNINGS]:
        key = key_of(ACTION_OF[item.remedy])
        text = safe_text(item.sentence, newlines=False)
        lines.append(Content.assemble(_SIGN, (text, "$text-warning"), ": ", (key, "bold"), f" {item.effect}"))
    for warning in warnings[-_MOST_WARNINGS:]:
        lines.append(Content.assemble(_SIGN, safe_text(warning, newlines=False)))
    if last_words:
        lines.append(Content.styled("its last words:", MUTED))
        lines += [Content.styled(f"  {word}", MUTED) for word in last_words]
    return Content("\n").join(lines)


def _state(run: RunSummary, key_of: KeyOf) -> Content:
    can = [part for action, what in _possible(run) for part in ("  ", (key_of(action), "bold"), (f" {what}", MUTED))]
    doing = f" {safe_text(run.activity, newlines=False)}" if run.activity and run.state in ALIVE else ""
    colour = STATE_COLOURS.get(run.state, MUTED)
    return Content.assemble((f"{SIGNS[run.state]} {run.state}{doing}", colour), *can)


def _possible(run: RunSummary) -> list[tuple[str, str]]:
    """Actions that make sense now, with what they do, the likeliest first."""
    if run.state in _POSSIBLE:
        return _POSSIBLE[run.state]
    where = "from the beginning" if run.last_checkpoint is None else f"from step {run.last_checkpoint:,}"
    return [("resume", f"goes on {where}"), ("fork", "forks it"), ("delete", "deletes")]
