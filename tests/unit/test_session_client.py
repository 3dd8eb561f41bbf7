"""The screen's end of the session: whatever happens to the process, each request ends in an answer or in a sentence."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
from commands import Trained

from tui_gpt.core.config import DataConfig, SampleConfig
from tui_gpt.core.messages import Event, Explore, Generate, Generated, Load, ModelRef, Wrote
from tui_gpt.ui.session_client import MOST_DEATHS, Session, SessionCancelledError, SessionError

T = TypeVar("T")

DEADLINE = 60.0
TOY = ModelRef(kind="model", name="toy")
ENDLESS = Generate(model=TOY, prompt="", settings=SampleConfig(max_new_tokens=1_000_000, seed=1))
SHORT = Generate(model=TOY, prompt="The", settings=SampleConfig(max_new_tokens=5, seed=1))
LONG = Explore(data=DataConfig(corpus="stories", corpus_megabytes=64))
"""Takes long, tells how far it is, and needs no torch."""
QUICK = Explore(data=DataConfig(corpus="stories", corpus_megabytes=0.01))

# Sessions of another kind, put in the place of the real one by `python -c`.
_DEAF = "import signal, sys, time; signal.signal(15, signal.SIG_IGN); print({first!r}, flush=True); time.sleep(600)"
_DYING = "import sys; print('last words', file=sys.stderr); sys.exit(3)"
_CHATTERING = (
    "import runpy, os, sys; os.write(1, b'not a message\\n' + b'x' * (17 << 20) + b'\\n'); del sys.argv[0];"
    "runpy.run_module('tui_gpt.engine.session', run_name='__main__')"
)
_READY = '{"type":"ready","id":0,"pid":1,"python":"3"}'


class Stage:
    """A session, and what it said about its ends."""

    def __init__(self, folder: Path, program: str | None = None) -> None:
        self.log = folder / "deep" / "session.log"
        self.ends: list[str] = []
        replaced = {} if program is None else {"command": (sys.executable, "-P", "-c", program)}
        self.session = Session(self.log, self.ends.append, **replaced)

    def kill(self) -> None:
        assert self.session.pid is not None
        os.kill(self.session.pid, signal.SIGKILL)


async def until(condition: Callable[[], T]) -> T:
    async with asyncio.timeout(DEADLINE):
        while not (value := condition()):
            await asyncio.sleep(0.005)
        return value


@asynccontextmanager
async def on_stage(folder: Path, program: str | None = None) -> AsyncIterator[Stage]:
    stage = Stage(folder, program)
    try:
        yield stage
    finally:
        await stage.session.close()
        assert not stage.session.running


@pytest.fixture
def play(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> Callable[[Awaitable[None]], None]:
    """Runs a coroutine in an event loop of its own, with the trained model at hand."""
    monkeypatch.setenv("TUI_GPT_HOME", str(trained.home))

    def played(scene: Awaitable[None]) -> None:
        async def limited() -> None:
            async with asyncio.timeout(2 * DEADLINE):
                await scene

        asyncio.run(limited(), debug=False)

    return played


Play = Callable[[Awaitable[None]], None]


def test_requests_are_answered_side_by_side_and_tell_on_the_way(play: Play, trained: Trained, tmp_path: Path) -> None:
    async def scene() -> None:
        async with on_stage(tmp_path) as stage:
            await stage.session.start()
            assert psutil.pid_exists(stage.session.pid or 0)
            events: list[Event] = []
            written, explored = await asyncio.gather(
                stage.session.request(SHORT, events.append),
                stage.session.request(Explore(data=DataConfig(corpus=str(trained.text)))),
            )
            assert isinstance(written, Generated)
            assert explored.source == "pets.txt"
            assert sum(len(event.pieces) for event in events if isinstance(event, Wrote)) == written.tokens == 5
            assert {event.id for event in events} == {written.id}
            with pytest.raises(SessionError, match="nobody"):
                await stage.session.request(Load(model=ModelRef(kind="model", name="nobody")))
            pid = stage.session.pid
            assert pid is not None
            await stage.session.close()
            assert not psutil.pid_exists(pid)
            assert stage.ends == []
            with pytest.raises(SessionError, match="closed"):
                await stage.session.request(SHORT)

    play(scene())


def test_killed_during_a_request_it_says_so_and_the_next_request_starts_it_again(play: Play, tmp_path: Path) -> None:
    async def scene() -> None:
        async with on_stage(tmp_path) as stage:
            with pytest.raises(SessionError, match=r"killed by signal 9, SIGKILL.*session\.log has its last words"):
                await stage.session.request(LONG, lambda _: stage.kill())
            await until(lambda: stage.ends)
            assert "starts again with the next request" in stage.ends[0]
            assert (await stage.session.request(QUICK)).source == "stories"
            assert len(stage.ends) == 1

    play(scene())


def test_cancelling_the_task_cancels_the_request_and_spares_the_session(play: Play, tmp_path: Path) -> None:
    async def scene() -> None:
        async with on_stage(tmp_path) as stage:
            wrote = asyncio.Event()
            events: list[Event] = []

            def note(event: Event) -> None:
                events.append(event)
                if isinstance(event, Wrote):
                    wrote.set()

            task = asyncio.create_task(stage.session.request(ENDLESS, note))
            await wrote.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            known = len(events)
            # One lane speaks, so that this answer means that the other request has ended.
            assert (await stage.session.request(SHORT)).tokens == 5
            assert len(events) == known
            assert stage.ends == []

    play(scene())


def test_a_request_cancelled_by_its_number_ends_in_an_error_of_its_own(play: Play, tmp_path: Path) -> None:
    async def scene() -> None:
        async with on_stage(tmp_path) as stage:
            with pytest.raises(SessionCancelledError):
                await stage.session.request(LONG, lambda event: stage.session.cancel(event.id))

    play(scene())


def test_an_error_of_whoever_listens_is_raised_where_the_request_was_made(play: Play, tmp_path: Path) -> None:
    def stumble(_event: Event) -> None:
        raise ZeroDivisionError

    async def scene() -> None:
        async with on_stage(tmp_path) as stage:
            with pytest.raises(ZeroDivisionError):
                await stage.session.request(LONG, stumble)
            assert (await stage.session.request(QUICK)).source == "stories"

    play(scene())


def test_a_session_that_dies_at_every_start_stays_down(play: Play, tmp_path: Path) -> None:
    async def scene() -> None:
        async with on_stage(tmp_path, _DYING) as stage:
            for _ in range(MOST_DEATHS):
                with pytest.raises(SessionError, match="session"):
                    await stage.session.request(SHORT)
            with pytest.raises(SessionError, match="died 3 times in a row"):
                await stage.session.request(SHORT)
            assert len(stage.ends) == MOST_DEATHS
            assert "exit code 3" in stage.ends[0]
            assert "stays down for now" in stage.ends[-1]
            assert stage.log.read_text().count("last words") == MOST_DEATHS
            with pytest.raises(SessionError, match="as soon as it was started"):
                await stage.session.start()

    play(scene())


def test_lines_that_are_no_messages_are_logged_and_passed_over(play: Play, tmp_path: Path) -> None:
    async def scene() -> None:
        async with on_stage(tmp_path, _CHATTERING) as stage:
            assert (await stage.session.request(QUICK)).source == "stories"
            log = stage.log.read_text()
            assert "not a message" in log
            assert "too long" in log
            assert len(log) < 10_000

    play(scene())


def test_a_session_that_does_not_listen_is_killed_when_it_is_closed(play: Play, tmp_path: Path) -> None:
    async def scene() -> None:
        async with on_stage(tmp_path, _DEAF.format(first=_READY)) as stage:
            await stage.session.start()
            task = asyncio.create_task(stage.session.request(SHORT))
            await asyncio.sleep(0)
            pid = stage.session.pid
            assert pid is not None
            await stage.session.close()
            assert not psutil.pid_exists(pid)
            with pytest.raises(SessionError, match="closed"):
                await task
            assert stage.ends == []

    play(scene())


def test_a_session_that_cannot_be_started_or_write_its_log_is_a_sentence_or_works_without(
    play: Play, tmp_path: Path
) -> None:
    async def scene() -> None:
        nowhere = Session(tmp_path / "log", lambda _: None, command=("/nowhere/python",))
        with pytest.raises(SessionError, match="cannot be started: no such file"):
            await nowhere.start()
        (tmp_path / "deep").write_text("a file where a folder should be")
        async with on_stage(tmp_path) as stage:
            await stage.session.start()
            assert stage.session.running

    play(scene())


def test_a_log_that_grew_large_begins_anew(play: Play, tmp_path: Path) -> None:
    async def scene() -> None:
        async with on_stage(tmp_path) as stage:
            stage.log.parent.mkdir()
            stage.log.write_bytes(b"x" * (5 << 20))
            await stage.session.start()
            assert stage.log.stat().st_size < 1 << 20

    play(scene())


def test_it_works_within_a_textual_app(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from textual.app import App, ComposeResult
    from textual.widgets import Static

    monkeypatch.setenv("TUI_GPT_HOME", str(trained.home))
    stage = Stage(tmp_path)

    class Shown(App[None]):
        def compose(self) -> ComposeResult:
            yield Static("", id="text", markup=False)

        def on_mount(self) -> None:
            self.run_worker(self.write())

        async def write(self) -> None:
            def show(event: Event) -> None:
                if isinstance(event, Wrote):
                    static = self.query_one("#text", Static)
                    static.update(str(static.content) + "".join(piece.text for piece in event.pieces))

            await stage.session.request(SHORT, show)

        async def on_unmount(self) -> None:
            await stage.session.close()

    async def scene() -> None:
        app = Shown()
        async with app.run_test() as pilot:
            await app.workers.wait_for_complete()
            await pilot.pause()
            assert len(str(app.query_one("#text", Static).content)) == 5

    asyncio.run(scene())
    assert not stage.session.running
