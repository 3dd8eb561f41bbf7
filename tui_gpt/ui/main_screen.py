"""The screen under all dialogs."""

from __future__ import annotations

from typing import Any

from textual.binding import BindingsMap
from textual.dom import DOMNode
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import ContentSwitcher


class MainScreen(Screen[Any]):
    """Moves the focus without painting everything anew: the two widgets concerned do so themselves.

    Where nothing has the focus, the keys are those of the tab that is shown.
    """

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    _held: Widget | None = None
    """What had the focus before the window became too small to show it."""

    @property
    def _binding_chain(self) -> list[tuple[DOMNode, BindingsMap]]:
        chain = super()._binding_chain
        if self.focused is None and (tab := self._tab) is not None:
            bindings = tab._bindings.copy()
            bindings.apply_keymap(self.app._keymap)
            chain.insert(0, (tab, bindings))
        return chain

    @property
    def _tab(self) -> Widget | None:
        bodies = next(self.query("#bodies").results(ContentSwitcher), None)
        return bodies.visible_content if bodies else None

    def show_too_small(self, too_small: bool) -> None:
        """Hide the tabs' bodies behind one sentence, or show them again, the focus where it was."""
        if too_small == self.has_class("-too-small"):
            return
        self.set_class(too_small, "-too-small")
        if too_small:
            self._held = self.focused
        else:
            self.call_after_refresh(self._focus_again)

    def _focus_again(self) -> None:
        held, self._held = self._held, None
        if held is not None and self.focused is None and held in self.focus_chain:
            held.focus()
