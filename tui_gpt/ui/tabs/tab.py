"""What every tab is to the app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import Vertical
from textual.widget import Widget

if TYPE_CHECKING:
    from tui_gpt.ui.app import TuiGpt


class TabBody(Vertical):
    """The body of a tab: made when it is first shown, and kept from then on."""

    PARTS_WITH_KEYS: ClassVar[tuple[type[Widget], ...]] = ()
    """Widgets within, one of each, whose named keys the palette offers too."""

    DEFAULT_CSS = """
    TabBody { height: 1fr; width: 1fr; }
    """

    @property
    def gpt(self) -> TuiGpt:
        """The app, with its board of runs, its control over them, its models and its session."""
        from tui_gpt.ui.app import TuiGpt

        assert isinstance(self.app, TuiGpt)
        return self.app

    def shown(self) -> None:
        """It is the active tab from now on. Called after mounting too, once it can be seen."""

    def hidden(self) -> None:
        """Another tab is shown now."""

    def board_changed(self) -> None:
        """The runs were looked at again. Called a few times a second while the tab is shown."""

    def focus_first(self) -> None:
        """Give the focus to what a person most likely wants to use first."""
        for widget in self.query("*"):
            if widget.focusable:
                widget.focus()
                return

    def recall(self, remembered: dict[str, Any]) -> None:
        """Take up what `remember` returned at the end of an earlier start. It may be of another version, or damaged."""

    def remember(self) -> dict[str, Any]:
        """What to find again at the next start, as JSON types."""
        return {}
