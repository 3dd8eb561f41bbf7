"""What the app's screens look like to whoever waits for them: the only place that knows their words."""

from __future__ import annotations

import re

from benchmarks.journey.replay import Picture

_BRAILLE = re.compile("[\u2801-\u28ff]")
_LEGEND = "⢕⢕ train"


def tab_names(picture: Picture) -> bool:
    """The frame is painted."""
    return picture.shows("1 Configure", "2 Train", "3 Models", "4 Chat")


def configure_tab(picture: Picture) -> bool:
    """The Configure tab is shown, with its first fields."""
    return picture.shows("Start training", "n_layer")


def train_tab(picture: Picture) -> bool:
    """The Train tab is shown, with a curve or the words that await one."""
    return _plot(picture) is not None or picture.shows("the first loss comes with the first step")


def models_tab(picture: Picture) -> bool:
    """The Models tab is shown."""
    return picture.shows("by name") or picture.shows("No model yet.")


def chat_tab(picture: Picture) -> bool:
    """The Chat tab is shown."""
    return picture.shows("repetition_penalty", "top_k")


def top_line(picture: Picture) -> str:
    """Name, state and figures of the active run."""
    return picture.lines[0]


def running(picture: Picture) -> bool:
    """The top line says that the active run trains."""
    return "  running  " in top_line(picture)


# ---- the loss plot


def _plot(picture: Picture) -> tuple[int, int, int] | None:
    """First row, row of the x axis, and column of the y axis of the loss plot; None where no curve is drawn."""
    for top, line in enumerate(picture.lines):
        if _LEGEND in line:
            for row in range(top + 1, len(picture.lines)):
                if "└" in picture.lines[row]:
                    return top + 1, row, picture.lines[row].index("└")
    return None


def first_point(picture: Picture) -> bool:
    """There is something on the loss plot."""
    plot = _plot(picture)
    if plot is None:
        return False
    top, axis, left = plot
    return any(_BRAILLE.search(line[left:]) or "●" in line[left:] for line in picture.lines[top:axis])


def whole_curve(picture: Picture) -> bool:
    """The curve reaches from one end of the plot to the other, nothing is still being read, and both ends are labelled.

    The axis counts as labelled where its last number stands within an eighth of the plot's width from the right end,
    and its first one within a quarter from the left: round numbers need not fall on the first step.
    """
    plot = _plot(picture)
    if plot is None or picture.shows("reading "):
        return False
    top, axis, left = plot
    rows = [line[left + 1 :] for line in picture.lines[top:axis]]
    right = max(map(len, rows))
    drawn = {match.start() for row in rows for match in _BRAILLE.finditer(row)}
    labels = [match.start() for match in re.finditer(r"\S+", picture.lines[axis + 1][left:])]
    ends = bool(drawn) and min(drawn) <= 2 and max(drawn) >= right - 3 and len(drawn) > right * 0.9
    return ends and len(labels) > 1 and min(labels) <= right / 4 and max(labels) >= right * 7 / 8


def crosshair_step(picture: Picture) -> str:
    """The step in the line below the plot; empty where there is no crosshair."""
    plot = _plot(picture)
    if plot is None or plot[1] + 2 >= len(picture.lines):
        return ""
    found = re.search(r"step ([\d,]+)  ", picture.lines[plot[1] + 2])
    return found[1] if found else ""


# ---- the form


def focused_field(picture: Picture) -> str:
    """The path of the field with the focus, which the line below the form explains; empty where there is none."""
    for line in reversed(picture.lines):
        if found := re.search(r"\b((?:model|data|train|sample)\.[a-z0-9_]+)  ", line):
            return found[1]
    return ""


# ---- the chat


def _after(picture: Picture, prompt: str) -> str:
    """What stands between a prompt that was sent and the box for the next one."""
    sent = next((row for row, line in enumerate(picture.lines) if f"█ {prompt}" in line), None)
    if sent is None:
        return ""
    rest = picture.lines[sent + 1 :]
    box = next((row for row, line in enumerate(rest) if "╭" in line), len(rest))
    return "\n".join(line.partition("│")[0].rstrip() for line in rest[:box])


def answer_begun(picture: Picture, prompt: str) -> bool:
    """The first letter of the answer is there."""
    return bool(_after(picture, prompt).strip())


def answer_complete(picture: Picture, prompt: str) -> bool:
    """The line with the answer's figures is there."""
    return "  seed " in _after(picture, prompt)
