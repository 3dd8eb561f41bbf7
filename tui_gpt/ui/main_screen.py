"""The screen under all dialogs."""

from __future__ import annotations

from typing import Any

from textual.binding import BindingsMap
from textual.dom import DOMNode
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import ContentSwitcher

from tui_gpt.ui.tabs.tab import TabBody


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
    def _tab(self) -> TabBody | None:
        bodies = next(self.query("#bodies").results(ContentSwitcher), None)
        shown = bodies.visible_content if bodies else None
        return shown if isinstance(shown, TabBody) else None

    def show_too_small(self, too_small: bool) -> None:
        """Hide the tabs' bodies behind one sentence, or show them again, the focus where it was."""
        if too_small == self.has_class("-too-small"):
            return
        if too_small:
            self._held = self.focused or self._held
            self.set_focus(None)
        self.set_class(too_small, "-too-small")
        if not too_small:
            self.call_after_refresh(self._focus_again)

    def _focus_again(self) -> None:
        if self.has_class("-too-small"):
            return
        held, self._held = self._held, None
        if self.focused is not None:
            return
        if held is not None and held in self.focus_chain:
            held.focus()
        elif (tab := self._tab) is not None:
            tab.focus_first()

    def _reset_focus(self, widget: Widget, avoiding: list[Widget] | None = None) -> None:
        # Of sizes that follow each other fast: a widget may hear that it is hidden when it is shown again.
        if avoiding or widget not in self.focus_chain:
            super()._reset_focus(widget, avoiding)
