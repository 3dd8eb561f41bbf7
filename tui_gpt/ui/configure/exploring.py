"""What is in the corpus of the form, found out by the session a moment after the last change.

What has to be fetched first is fetched only when somebody says so: nobody who looks through a list means to download.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tui_gpt.core.config import DataConfig
from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.fetched import Missing, missing
from tui_gpt.core.messages import Explore, Explored, Progress
from tui_gpt.ui.session_client import Session

QUIET_SECONDS = 0.5
"""How long nothing must have changed."""
_MOST_KEPT = 20


class Exploration:
    """The facts of one corpus at a time; asking for another one ends the former request."""

    def __init__(self, session: Session, changed: Callable[[], None]) -> None:
        """`changed` is called whenever there is something new to show."""
        self._session = session
        self._changed = changed
        self._kept: dict[DataConfig, Explored] = {}
        self._task: asyncio.Task[None] | None = None
        self.data: DataConfig | None = None
        """What the rest is about."""
        self.line = ""
        """What to show as tokens; empty: the first line of the corpus."""
        self.progress = ""
        self.problem = ""
        self.lacking: Missing | None = None
        """What has to be fetched before there can be facts."""
        self._permitted: tuple[str, int | None] | None = None
        """The corpus that may be fetched, and how many documents of it."""
        self._lacked: Missing | None = None
        """What was lacking when somebody said so."""

    @property
    def facts(self) -> Explored | None:
        """What is known; None before it is."""
        return self._kept.get(self.data) if self.data is not None else None

    def explore(self, data: DataConfig, line: str = "") -> None:
        """Find out about this corpus, and show this line in its tokens, unless that is known or under way."""
        if data == self.data and line == self.line and not self.problem:
            return
        self.stop()
        self.data, self.line, self.problem, self.lacking = data, line, "", None
        self.progress = "" if self.facts else "reading"
        known = self.facts
        if known is not None and line == "" and known.line and known.line in known.sample:
            self._changed()
            return
        self._task = asyncio.create_task(self._ask(data, line), name="explore")
        self._changed()

    def fetch(self) -> None:
        """Fetch what is lacking, and find out about it."""
        if self.data is None or self.lacking is None:
            return
        self._permitted, self._lacked = _what(self.data), self.lacking
        self.stop()
        self.lacking, self.problem, self.progress = None, "", "fetching"
        self._task = asyncio.create_task(self._ask(self.data, self.line), name="explore")
        self._changed()

    def stop(self) -> None:
        """Give up what is under way."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _ask(self, data: DataConfig, line: str) -> None:
        await asyncio.sleep(QUIET_SECONDS)
        may_fetch = _what(data) == self._permitted
        try:
            lacking = None if may_fetch else await asyncio.to_thread(missing, data)
            if lacking is not None:
                self.lacking, self.progress, self._task = lacking, "", None
                self._changed()
                return
            facts = await self._session.request(Explore(id=0, data=data, text=line, fetch=may_fetch), self._hear)
        except TuiGptError as error:
            self.problem = str(error)
            if may_fetch:
                # Trying again is for the person to say, too.
                self._permitted, self.lacking = None, self._lacked
        else:
            self._kept.pop(data, None)
            self._kept[data] = facts
            while len(self._kept) > _MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))
        self.progress = ""
        self._task = None
        self._changed()

    def _hear(self, event: object) -> None:
        if isinstance(event, Progress) and self.facts is None:
            self.progress = f"{event.what} {event.share:.0%}"
            self._changed()


def _what(data: DataConfig) -> tuple[str, int | None]:
    return data.corpus, data.max_documents
