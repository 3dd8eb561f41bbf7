"""The screen under all dialogs."""

from __future__ import annotations

from typing import Any

from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget


class MainScreen(Screen[Any]):
    """Moves the focus without painting everything anew: the two widgets concerned do so themselves."""

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
