"""The last line: the keys that work here. Drawn as one widget, because it changes with every move of the focus."""

from __future__ import annotations

from typing import NamedTuple

from textual import events
from textual.app import RenderResult
from textual.binding import ActiveBinding
from textual.content import Content
from textual.reactive import reactive
from textual.screen import Screen
from textual.widget import Widget

_GAP = 2


class _Key(NamedTuple):
    key: str
    shown: str
    label: str

    @property
    def width(self) -> int:
        return len(self.shown) + 1 + len(self.label)


class KeyLine(Widget, can_focus=False):
    """Keys of the tab from the left, as many as fit; those of the app, which work everywhere, on the right."""

    DEFAULT_CSS = """
    KeyLine { height: 1; dock: bottom; background: $panel; color: $foreground; padding: 0 1; }
    """
    ALLOW_SELECT = False
    keys: reactive[tuple[tuple[_Key, ...], tuple[_Key, ...]]] = reactive(((), ()))

    def __init__(self) -> None:
        super().__init__()
        self._places: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        """Follow the bindings of the screen."""
        self.screen.bindings_updated_signal.subscribe(self, self._look)
        self._look(self.screen)

    def _look(self, screen: Screen[object]) -> None:
        if not self.is_attached or screen is not self.screen:
            return
        here: dict[str, _Key] = {}
        everywhere: dict[str, _Key] = {}
        for active in screen.active_bindings.values():
            if active.binding.show and active.enabled:
                of = everywhere if active.node is self.app else here
                of.setdefault(active.binding.action, self._key(active))
        self.keys = tuple(here.values()), tuple(everywhere.values())

    def _key(self, active: ActiveBinding) -> _Key:
        binding = active.binding
        return _Key(binding.key, self.app.get_key_display(binding), binding.description)

    def render(self) -> RenderResult:
        """One line of keys, each followed by what it does."""
        width = self.content_size.width
        here, everywhere = self.keys
        fixed = sum(key.width + _GAP for key in everywhere)
        shown: list[_Key] = []
        room = width - fixed
        for key in here:
            room -= key.width + _GAP
            if room < 0:
                break
            shown.append(key)
        # Padding between the two groups, so that the keys of the app stay in their place.
        gap = max(0, width - fixed + _GAP - sum(key.width + _GAP for key in shown))
        self._places.clear()
        parts: list[Content] = []
        column = 0
        for group, before in ((shown, 0), (everywhere, gap)):
            column += before
            parts.append(Content(" " * before))
            for key in group:
                self._places.append((column, column + key.width, key.key))
                parts.append(Content.assemble((key.shown, "$footer-key-foreground bold"), " ", key.label, " " * _GAP))
                column += key.width + _GAP
        return Content.assemble(*parts)

    async def on_click(self, event: events.Click) -> None:
        """A click on a key presses it."""
        event.stop()
        column = event.get_content_offset(self)
        if column is None:
            return
        for first, end, key in self._places:
            if first <= column.x < end:
                self.app.simulate_key(key)
