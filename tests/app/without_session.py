"""The app for tests that ask nothing of the process that loads models."""

from __future__ import annotations

import pytest
from screen import Body, run_screen

from tui_gpt.ui.app import TuiGpt
from tui_gpt.ui.session_client import Session


def run_without_session(body: Body, *, size: tuple[int, int] = (120, 40), app: TuiGpt | None = None) -> TuiGpt:
    """As `run_screen`; a session, which takes a while of a core, is started only for a request."""

    async def start(session: Session) -> None:
        return None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "start", start)
        return run_screen(body, size=size, app=app)
