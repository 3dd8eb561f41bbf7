"""The real app without a terminal, for tests that press its keys and look at what it shows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import textual.app
import textual.pilot
from textual._context import active_app
from textual.pilot import Pilot
from textual.widget import Widget

from tui_gpt.core import locations
from tui_gpt.ui.app import TuiGpt
from tui_gpt.ui.session_client import Session

DEADLINE = 60.0

Body = Callable[[TuiGpt, Pilot[Any]], Awaitable[None]]


def run_screen(body: Body, *, size: tuple[int, int] = (120, 40), app: TuiGpt | None = None) -> TuiGpt:
    """Run the app at `size` until `body` returns; its first tab is there when `body` begins."""

    async def run() -> TuiGpt:
        screen = app or TuiGpt()
        if "session" not in vars(screen):
            # Importing torch takes two seconds of a core, and most tests end before anybody would want it.
            screen.session = Session(locations.home() / "session.log", screen.say_problem, cold=True)
            screen.stands_by = False
        async with screen.run_test(size=size) as pilot:
            await until(pilot, lambda: screen.tab is not None)
            await body(screen, pilot)
        return screen

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(textual.app, "wait_for_idle", _until_messages_are_processed)
        patch.setattr(textual.pilot, "wait_for_idle", _until_messages_are_processed)
        return asyncio.run(run())


async def _until_messages_are_processed(_at_least: float = 0.0, at_most: float = 1.0) -> None:
    """Textual's own waits until the process uses no processor time, which on a busy machine is never."""
    app = active_app.get()
    deadline = time.monotonic() + at_most
    quiet = 0
    while quiet < 3 and time.monotonic() < deadline:
        await asyncio.sleep(0.001)
        waiting = any(widget.message_queue_size for widget in (app, *app.screen.walk_children(with_self=True)))
        quiet = 0 if waiting else quiet + 1


async def until(pilot: Pilot[Any], condition: Callable[[], Any], *, seconds: float = DEADLINE) -> Any:
    """Let the app run until `condition` holds; returns its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"it did not come to pass within {seconds:g} s; the screen shows:\n{text_of(pilot.app.screen)}")
        # Not pilot.pause each time, which waits for up to a second until the whole process uses no processor time.
        await asyncio.sleep(0.02)
    await pilot.pause()
    return value


def text_of(widget: Widget) -> str:
    """What a widget (or a screen) shows, line by line, as plain text."""
    lines = widget.screen._compositor.render_strips() if widget is widget.screen else None
    if lines is None:
        region = widget.content_region
        strips = widget.screen._compositor.render_strips()
        return "\n".join(strip.crop(region.x, region.right).text.rstrip() for strip in strips[region.y : region.bottom])
    return "\n".join(strip.text.rstrip() for strip in lines)
