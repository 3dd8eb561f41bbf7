"""One reply from beginning to end: a run's first checkpoint is waited for, and the pieces are collected."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tui_gpt.core.errors import RunError
from tui_gpt.core.messages import Event, Generate, Generated, Generating, ModelRef, Progress, Wrote
from tui_gpt.core.runs.states import ALIVE
from tui_gpt.core.runs.store import RunStore
from tui_gpt.ui.chat.writing import Writing
from tui_gpt.ui.session_client import Session

_POLL_SECONDS = 0.5
_START_SECONDS = 20.0
"""How long a run that was begun may be without a trainer before that is not coming."""

WAITING = "the first checkpoint comes with the first evaluation; waiting"

Tell = Callable[[str], None]
"""Told what is waited for, in a few words; an empty text when it is over."""


async def first_checkpoint(store: RunStore, ref: ModelRef, tell: Tell) -> None:
    """Return when there is something to load. Raises RunError where that will not come."""
    if ref.kind != "run":
        return
    deadline = time.monotonic() + _START_SECONDS
    while True:
        run = await asyncio.to_thread(store.open, ref.name)
        if await asyncio.to_thread(run.checkpoints):
            return
        state = await asyncio.to_thread(run.effective_state)
        coming = state in ALIVE or (state == "new" and time.monotonic() < deadline)
        # Its last act may have been a checkpoint.
        if not coming and not await asyncio.to_thread(run.checkpoints):
            raise RunError(f"run {ref.name} has ended ({state}) without a checkpoint; choose another model")
        tell(WAITING)
        await asyncio.sleep(_POLL_SECONDS)


async def write_reply(
    session: Session,
    store: RunStore,
    request: Generate,
    writing: Writing,
    tell: Tell,
) -> Generated:
    """Let a model write what is asked for. Raises TuiGptError; `writing` has what came until then."""

    def on_event(event: Event) -> None:
        match event:
            case Generating():
                tell("")
                writing.begin(event)
            case Wrote():
                writing.add(event)
            case Progress():
                tell(f"{event.what} the model")

    await first_checkpoint(store, request.model, tell)
    return await session.request(request, on_event)
