"""Stop texts, found in a stream: text that may be the beginning of one is held back until it is clear."""

from __future__ import annotations

from collections.abc import Sequence


class StopFilter:
    """Passes text on, up to the first stop text. Where the text is cut into pieces makes no difference."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.stopped = False

    def push(self, text: str) -> str:
        """What may be shown after `text` arrived. Sets `stopped` when a stop text is complete; nothing follows it."""
        if not self._stops:
            return text
        buffer = self._held + text
        # Whichever is complete first, as if the text came letter by letter; of two that end together, the longer.
        ends = [(at + len(stop), at) for stop in self._stops if (at := buffer.find(stop)) >= 0]
        if ends:
            self.stopped, self._held = True, ""
            return buffer[: min(ends)[1]]
        keep = max(self._overlap(buffer, stop) for stop in self._stops)
        self._held = buffer[len(buffer) - keep :]
        return buffer[: len(buffer) - keep]

    def flush(self) -> str:
        """The text held back, when nothing follows that could complete a stop text."""
        held, self._held = self._held, ""
        return held

    @staticmethod
    def _overlap(buffer: str, stop: str) -> int:
        """Length of the longest end of `buffer` that is a beginning of `stop`."""
        longest = min(len(buffer), len(stop) - 1)
        return next((n for n in range(longest, 0, -1) if buffer.endswith(stop[:n])), 0)
