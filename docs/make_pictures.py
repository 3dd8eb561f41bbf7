"""Make the README's pictures from the real app: an empty home, the built-in stories, a run of preset `quick`.

    python docs/make_pictures.py

Takes about two minutes on two cores and writes docs/pictures/*.svg.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PICTURES = Path(__file__).resolve().parent / "pictures"
SIZE = (120, 36)
TRAIN_SECONDS = 60.0


async def until(pilot: Any, condition: Callable[[], Any], seconds: float = 180.0) -> None:
    """Let the app run until `condition` holds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        if loop.time() > deadline:
            raise TimeoutError("the app did not come to where the picture is taken")
        await pilot.pause(0.1)


async def take_pictures(home: Path) -> None:
    """The first keys of the journey, with a picture of each tab on the way."""
    from tui_gpt.ui.app import TuiGpt

    app = TuiGpt()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.tab is not None)
        await until(pilot, lambda: "tokens per parameter" in shown(app) and "reading" not in shown(app))
        await pilot.pause(1.0)
        take(app, "configure", home)

        await pilot.press("f5")
        await until(pilot, lambda: (run := app.board.get(app.active_run)) is not None and run.state == "running")
        await until(pilot, lambda: run_of(app).elapsed_seconds > TRAIN_SECONDS)
        await pilot.pause(1.0)
        take(app, "train", home)

        # The run that was just started is whom Chat talks to, while it trains.
        chat = await app.show_tab("chat")
        await until(pilot, lambda: "context 256" in shown(app))
        chat.focus_first()
        await pilot.press(*"One", "space", *"day", "enter")
        await until(pilot, lambda: re.search(r"seed \d", shown(app)))
        await pilot.pause(0.5)
        take(app, "chat", home)

        await pilot.press("ctrl+s")
        await until(pilot, lambda: len(app.screen_stack) > 1 and app.focused is not None)
        await pilot.press("enter")
        await until(pilot, lambda: any(not entry.read_only for entry in app.models.list()))
        await app.show_tab("models")
        await until(pilot, lambda: "2.16 M" in shown(app))
        app.clear_notifications()
        await pilot.pause(1.0)
        take(app, "models", home)
        await app.runs.command(str(app.active_run), "stop")
        await until(pilot, lambda: not app.board.alive())


def run_of(app: Any) -> Any:
    """The active run on one line."""
    summary = app.board.get(app.active_run)
    assert summary is not None and summary.state in ("running", "finished"), summary
    return summary


def shown(app: Any) -> str:
    """The text on the screen."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


def take(app: Any, name: str, home: Path) -> None:
    """One picture."""
    keep(app.export_screenshot(title="tui-gpt", simplify=True), name, home)


def keep(svg: str, name: str, home: Path) -> None:
    """Write a picture, unless it tells where it was taken."""
    for private in (str(home), str(Path.home())):
        if len(private) > 1 and private in svg:
            raise SystemExit(f"the picture of {name} shows {private}; take it where nothing is private")
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / f"{name}.svg").write_text(svg, encoding="utf-8")
    print(f"{name}.svg: {len(svg) / 1000:.0f} kB")


def in_an_empty_home(work: Callable[[Path], Coroutine[Any, Any, None]]) -> None:
    """Do it with the app of this checkout, in a home that is gone afterwards."""
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TUI_GPT_HOME"] = folder
        asyncio.run(work(Path(folder)))


if __name__ == "__main__":
    in_an_empty_home(take_pictures)
