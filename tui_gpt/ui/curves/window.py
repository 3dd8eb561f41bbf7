"""Which part of the x axis is shown: all of it, or a window that is zoomed, panned, and follows the newest step."""

from __future__ import annotations

from tui_gpt.ui.curves.moments import Axis, View

_NARROWEST = {"step": 8.0, "elapsed": 1.0, "tokens": 64.0}
_STEP_OF_ZOOM = 0.5


class Window:
    """A part of [first, last] of an axis. `follows` says that its right edge is the newest place."""

    def __init__(self) -> None:
        self._part: tuple[float, float] | None = None
        self.follows = True

    @property
    def zoomed(self) -> bool:
        """Whether less than the whole is shown."""
        return self._part is not None

    def view(self, axis: Axis, bounds: tuple[float, float]) -> View:
        """What is shown now, never of no width."""
        first, last = self._part or bounds
        if self._part is not None and self.follows:
            first, last = bounds[1] - (last - first), bounds[1]
            self._part = first, last
        if not last > first:
            first, last = first - 0.5, last + 0.5
        return View(axis, first, last)

    def whole(self) -> None:
        """Show everything."""
        self._part, self.follows = None, True

    def zoom(self, factor: float, around: float, axis: Axis, bounds: tuple[float, float]) -> None:
        """Make the window `factor` times as wide; the place `around` stays where it is in the window."""
        now = self.view(axis, bounds)
        width = max((now.last - now.first) * factor, _NARROWEST[axis])
        if width >= bounds[1] - bounds[0]:
            self.whole()
            return
        share = (around - now.first) / (now.last - now.first)
        self._place(around - share * width, width, bounds)

    def pan(self, share: float, axis: Axis, bounds: tuple[float, float]) -> None:
        """Move by a share of the width, to the right if positive."""
        if self._part is None:
            return
        now = self.view(axis, bounds)
        width = now.last - now.first
        self._place(now.first + share * width, width, bounds)

    def show(self, place: float, axis: Axis, bounds: tuple[float, float]) -> None:
        """Move just so far that a place is inside."""
        now = self.view(axis, bounds)
        if place < now.first:
            self._place(place, now.last - now.first, bounds)
        elif place > now.last:
            self._place(place - (now.last - now.first), now.last - now.first, bounds)

    def _place(self, first: float, width: float, bounds: tuple[float, float]) -> None:
        first = max(bounds[0], min(first, bounds[1] - width))
        self._part = first, first + width
        self.follows = first + width >= bounds[1] - 1e-9 * width
