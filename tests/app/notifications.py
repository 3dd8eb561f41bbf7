"""What the app says in the corner of its screen."""

from __future__ import annotations

from typing import Any

from screen import until
from textual.app import App
from textual.pilot import Pilot


def told(app: App[Any]) -> str:
    """The sentences that are still shown, one in a line."""
    return "\n".join(notification.message for notification in app._notifications)


async def hears(pilot: Pilot[Any], words: str) -> None:
    """Wait for a sentence with these words."""
    await until(pilot, lambda: words in told(pilot.app))


async def hears_after(pilot: Pilot[Any], key: str, words: str) -> None:
    """Press a key and wait for a sentence that was not there before."""
    pilot.app.clear_notifications()
    await pilot.press(key)
    await hears(pilot, words)
