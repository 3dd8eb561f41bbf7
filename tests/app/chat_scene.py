"""The Chat tab with a real session and the example model, as its tests drive it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from screen import run_screen, until
from textual.pilot import Pilot

from tui_gpt.core.chat_history import Reply
from tui_gpt.ui.app import TuiGpt
from tui_gpt.ui.tabs.chat import ChatTab

Chat = Callable[[ChatTab, Pilot[Any]], Awaitable[None]]


def run_chat(body: Chat, *, size: tuple[int, int] = (120, 40), load: bool = True) -> TuiGpt:
    """Run the app with the Chat tab in front; with `load`, its model is there when `body` begins."""

    async def at_chat(app: TuiGpt, pilot: Pilot[Any]) -> None:
        tab = await app.show_tab("chat")
        assert isinstance(tab, ChatTab)
        tab.focus_first()
        if load:
            await until(pilot, lambda: tab.model_line.loaded)
        await pilot.pause()
        await body(tab, pilot)

    return run_screen(at_chat, size=size)


async def say(tab: ChatTab, pilot: Pilot[Any], text: str) -> None:
    """Type a text and send it, without waiting for the reply."""
    tab.prompt.focus()
    await pilot.press(*("space" if letter == " " else letter for letter in text), "enter")


async def answer(tab: ChatTab, pilot: Pilot[Any], replies: int = 1) -> Reply:
    """Wait until the last turn has that many replies and nothing is written; the one that the text goes on from."""

    def there() -> Reply | None:
        last = tab.conversation.last
        return last.reply if last and len(last.replies) >= replies and not tab.talk.writing else None

    await pilot.pause()
    reply = await until(pilot, there)
    assert isinstance(reply, Reply)
    await pilot.pause()
    return reply


def told(tab: ChatTab) -> str:
    """What the app has said lately."""
    return "\n".join(notification.message for notification in tab.app._notifications)


def settle(tab: ChatTab, **values: Any) -> None:
    """Set sampling fields as if they were typed."""
    for name, value in values.items():
        tab.sampling.set_value(name, value)
