"""A line to type into that leaves alt and a letter to whoever has a key of that name."""

from __future__ import annotations

from textual import events
from textual.widgets import Input


class LineInput(Input):
    """Textual's own, for dialogs."""

    async def _on_key(self, event: events.Key) -> None:
        if event.key.startswith("alt+"):
            # A terminal tells the letter too, and it would be typed; not stopped, the key finds its binding.
            event.prevent_default()
            return
        await super()._on_key(event)
