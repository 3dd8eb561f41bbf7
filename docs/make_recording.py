"""Film the first minute from the real app: an empty home, the built-in stories, F5, and a word with the run.

    python docs/make_recording.py

Takes about two minutes on two cores and writes docs/pictures/first_minute.svg. Keys and streaming play as fast as they
were; waiting plays faster, and the line below the terminal has the real time.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from animated_svg import Frame, Piece, Row, animated_svg
from make_pictures import in_an_empty_home, keep, run_of, shown, until
from rich.color import Color
from rich.style import Style

SIZE = (100, 30)
TRAIN_SECONDS = 55.0
BACKGROUND = "#121212"


class Film:
    """Frames of the app, one after the other."""

    def __init__(self, app: Any, pilot: Any) -> None:
        self._app, self._pilot = app, pilot
        self.frames: list[Frame] = []
        self.caption = ""

    def shoot(self, seconds: float) -> None:
        """What is on the screen now, shown for so long."""
        rows = tuple(_row(strip) for strip in self._app.screen._compositor.render_strips())
        if self.frames and self.frames[-1][:2] == (rows, self.caption):
            seconds += self.frames.pop().seconds
        self.frames.append(Frame(rows, self.caption, seconds))

    async def watch(self, condition: Any, every: float, faster: float, clock: str = "") -> None:
        """Film until `condition` holds, a frame `every` so many seconds, played `faster` times as fast."""
        began = time.monotonic()
        while not condition():
            if clock:
                self.caption = f"{clock}   {int(time.monotonic() - began)} s"
            self.shoot(every / faster)
            await self._pilot.pause(every)
            if time.monotonic() - began > 240:
                raise TimeoutError("the app did not come to where the film goes on")

    async def press(self, key: str, caption: str = "") -> None:
        """Press a key, and say so below."""
        self.caption = caption or self.caption
        await self._pilot.press(key)
        self.shoot(0.12)


async def film(app: Any, pilot: Any) -> list[Frame]:
    """The first minute."""
    reel = Film(app, pilot)
    reel.caption = "$ tui-gpt"
    await until(pilot, lambda: app.tab is not None)
    await reel.watch(lambda: "characters" in shown(app) and "reading" not in shown(app), 0.25, 4)
    reel.shoot(2.5)
    await reel.press("f5", "F5 trains")
    reel.shoot(0.8)
    await until(pilot, lambda: (run := app.board.get(app.active_run)) is not None and run.state == "running")
    await reel.watch(lambda: run_of(app).elapsed_seconds > TRAIN_SECONDS, 1.0, 5, "F5 trains")
    reel.shoot(2.0)
    await reel.press("4", "4 talks to the model while it trains")
    await until(pilot, lambda: "context 256" in shown(app))
    app.tab.focus_first()
    reel.shoot(1.0)
    for key in ("O", "n", "e", "space", "d", "a", "y"):
        await reel.press(key)
    reel.shoot(0.6)
    await reel.press("enter")
    await reel.watch(lambda: re.search(r"seed \d", shown(app)), 0.1, 1)
    reel.shoot(5.0)
    await app.runs.command(str(app.active_run), "stop")
    await until(pilot, lambda: not app.board.alive())
    return reel.frames


def _row(strip: Any) -> Row:
    pieces: list[Piece] = []
    for segment in strip:
        colour, background, bold = _look(segment.style or Style.null())
        if pieces and pieces[-1][1:] == (colour, background, bold):
            pieces[-1] = Piece(pieces[-1].text + segment.text, colour, background, bold)
        else:
            pieces.append(Piece(segment.text, colour, background, bold))
    return tuple(pieces)


def _look(style: Style) -> tuple[str, str, bool]:
    colour, background = _rgb(style.color, (224, 224, 224)), _rgb(style.bgcolor, (18, 18, 18))
    if style.reverse:
        colour, background = background, colour
    if style.dim:
        colour = tuple((a + b) // 2 for a, b in zip(colour, background, strict=True))
    return _hex(colour), _hex(background), bool(style.bold)


def _rgb(colour: Color | None, default: tuple[int, ...]) -> tuple[int, ...]:
    return default if colour is None or colour.is_default else tuple(colour.get_truecolor())


def _hex(colour: tuple[int, ...]) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)


async def main(home: Path) -> None:
    """Film, and write the file."""
    from tui_gpt.ui.app import TuiGpt

    app = TuiGpt()
    async with app.run_test(size=SIZE) as pilot:
        frames = await film(app, pilot)
    keep(animated_svg(frames, SIZE[0], BACKGROUND, "The first minute with tui-gpt"), "first_minute", home)


if __name__ == "__main__":
    in_an_empty_home(main)
