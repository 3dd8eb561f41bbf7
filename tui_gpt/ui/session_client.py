"""The screen's end of the session: requests as coroutines, and a child process that may die and take no one along."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import msgspec

from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.messages import (
    Answer,
    Begin,
    Begun,
    Calibrate,
    Calibrated,
    Cancel,
    Cancelled,
    Event,
    Explore,
    Explored,
    Export,
    Exported,
    Failed,
    Fork,
    Generate,
    Generated,
    Generating,
    Import,
    ListTokens,
    Load,
    Loaded,
    MessageError,
    Progress,
    Publish,
    Published,
    Ready,
    Reply,
    Request,
    TokenRows,
    TokensListed,
    Wrote,
    decode_reply,
    encode,
)
from tui_gpt.core.runs.child_process import trainer_environment
from tui_gpt.core.runs.plain_files import reason
from tui_gpt.core.safe_text import safe_text

SESSION_MODULE = "tui_gpt.engine.session"
START_SECONDS = 30.0
"""For the first line of a session, which takes a tenth of a second on an idle machine."""
END_SECONDS = 1.0
"""From SIGTERM to SIGKILL."""
MOST_DEATHS = 3
DEATHS_WITHIN_SECONDS = 30.0

_LONGEST_LINE = 16 << 20
_LARGEST_LOG = 4 << 20
_LOG_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW


class SessionError(TuiGptError):
    """A request that failed, or that the session could not answer."""


class SessionCancelledError(SessionError):
    """A request that was ended by `Session.cancel`, or because the session ends."""


OnEvent = Callable[[Event], None]


@dataclass(slots=True)
class _Pending:
    """A request without its ending."""

    answer: asyncio.Future[Answer]
    on_event: OnEvent | None
    context: contextvars.Context
    """Of whoever asked: a screen's widgets are found through it."""


class Session:
    """The session process, started when it is needed, and again after its death.

    Belongs to the event loop in which it is used first.
    """

    def __init__(
        self,
        log: Path,
        on_end: Callable[[str], None],
        *,
        command: Sequence[str] = (sys.executable, "-P", "-m"),
        cold: bool = False,
    ) -> None:
        """`log` gets what the process writes to stderr. `on_end` gets a sentence when it dies unasked.

        `command` is how Python runs a module. A `cold` session imports torch only when a request needs it.
        """
        self._cold = cold
        self._log = log
        self._on_end = on_end
        self._command = tuple(command)
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._starting = asyncio.Lock()
        self._writing = asyncio.Lock()
        self._pending: dict[int, _Pending] = {}
        self._last_id = 0
        self._deaths: list[float] = []
        self._closing = False

    @property
    def pid(self) -> int | None:
        """The process id; None while there is none."""
        return self._process.pid if self._process is not None else None

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    # ---- life

    async def start(self) -> None:
        """Start the process, if it does not run, and wait for its first word. Forgets earlier deaths.

        Raises SessionError when it cannot be started.
        """
        self._closing = False
        self._deaths.clear()
        await self._ensure()

    async def close(self) -> None:
        """End the process: it is asked to, and after a second made to. Requests under way fail with SessionError."""
        self._closing = True
        async with self._starting:
            process, listening = self._process, self._listening
            if process is None or listening is None:
                return
            with suppress(ProcessLookupError):
                process.terminate()
            # The listener sees the end of stdout, and does the rest.
            await asyncio.wait([listening], timeout=END_SECONDS)
            if not listening.done():
                with suppress(ProcessLookupError):
                    process.kill()
                await asyncio.wait([listening], timeout=END_SECONDS)

    async def _ensure(self) -> None:
        async with self._starting:
            if self._process is None:
                await self._spawn()
            ready = self._ready
        assert ready is not None
        if not ready.done():
            # Not awaited itself: somebody else may wait for the same word, and one who gives up must not cancel it.
            await asyncio.wait([ready], timeout=START_SECONDS)
        if not ready.done():
            raise SessionError(f"the session gave no sign of life for {START_SECONDS:g} seconds; {self._look()}")
        if self._process is None:
            raise SessionError(f"the session ended as soon as it was started; {self._look()}")

    async def _spawn(self) -> None:
        now = time.monotonic()
        self._deaths = [death for death in self._deaths if now - death < DEATHS_WITHIN_SECONDS]
        if self._closing:
            raise SessionError("the session is closed; start tui-gpt again")
        if len(self._deaths) >= MOST_DEATHS:
            raise SessionError(
                f"the session died {len(self._deaths)} times in a row and stays down for now; {self._look()}"
            )
        stderr = self._open_log()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                SESSION_MODULE,
                "--log",
                str(self._log),
                *(["--cold"] if self._cold else []),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=trainer_environment(),
                # Ctrl+C in the terminal is for the screen alone.
                start_new_session=True,
                limit=_LONGEST_LINE,
            )
        except OSError as error:
            raise SessionError(f"the session cannot be started: {reason(error)}; check the installation") from error
        finally:
            os.close(stderr)
        self._ready = asyncio.get_running_loop().create_future()
        self._listening = asyncio.create_task(self._listen(self._process, self._ready), name="session listener")

    def _open_log(self) -> int:
        """A file descriptor for stderr. A log that cannot be written is done without."""
        flags = _LOG_FLAGS
        try:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            if self._log.is_file() and self._log.stat().st_size > _LARGEST_LOG:
                flags |= os.O_TRUNC
            return os.open(self._log, flags, 0o644)
        except OSError:
            return os.open(os.devnull, os.O_WRONLY)

    def _note(self, text: str) -> None:
        """A line for the log."""
        with suppress(OSError), os.fdopen(os.open(self._log, _LOG_FLAGS, 0o644), "w", encoding="utf-8") as log:
            log.write(safe_text(text, newlines=False) + "\n")

    def _look(self) -> str:
        return f"{self._log} has its last words"

    # ---- listening

    async def _listen(self, process: asyncio.subprocess.Process, ready: asyncio.Future[None]) -> None:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            while True:
                try:
                    line = await process.stdout.readline()
                except ValueError as error:
                    self._note(f"a line of the session was too long and is passed over: {error}")
                    continue
                if not line:
                    break
                self._take(line, ready)
        except OSError as error:
            self._note(f"the session's replies cannot be read: {reason(error)}")
        finally:
            # However this ends (the event loop may cancel it), the process does not stay behind.
            if process.returncode is None and self._listening is not None and self._listening.cancelling():
                with suppress(ProcessLookupError):
                    process.kill()
            process.stdin.close()
        code = await process.wait()
        self._process = self._listening = None
        self._bury(code, ready)

    def _take(self, line: bytes, ready: asyncio.Future[None]) -> None:
        try:
            reply = decode_reply(line)
        except MessageError as error:
            self._note(str(error))
            return
        if isinstance(reply, Ready):
            if not ready.done():
                ready.set_result(None)
            return
        pending = self._pending.get(reply.id)
        if pending is not None and not pending.answer.done():
            self._deliver(reply, pending)

    def _deliver(self, reply: Reply, pending: _Pending) -> None:
        answer = pending.answer
        match reply:
            case Progress() | Generating() | Wrote() | TokenRows():
                if pending.on_event is not None:
                    try:
                        pending.context.run(pending.on_event, reply)
                    except Exception as error:
                        # It belongs to whoever asked, not to the listener.
                        answer.set_exception(error)
                return
            case Failed():
                answer.set_exception(SessionError(reply.message))
            case Cancelled():
                answer.set_exception(SessionCancelledError("the request was cancelled"))
            case Ready():
                return
            case _:
                answer.set_result(reply)
        self._deaths.clear()

    def _bury(self, code: int, ready: asyncio.Future[None]) -> None:
        """What is to be done once the process is gone."""
        how = _how(code)
        if not ready.done():
            ready.set_result(None)
        lost = list(self._pending.values())
        for pending in lost:
            if not pending.answer.done():
                ending = "was closed" if self._closing else f"ended ({how}) before it answered; {self._look()}"
                pending.answer.set_exception(SessionError(f"the session {ending}"))
        if self._closing:
            return
        self._deaths.append(time.monotonic())
        recent = [death for death in self._deaths if self._deaths[-1] - death < DEATHS_WITHIN_SECONDS]
        then = "stays down for now" if len(recent) >= MOST_DEATHS else "starts again with the next request"
        self._on_end(f"the session ended ({how}) and {then}; {self._look()}")

    # ---- asking

    @overload
    async def request(self, request: Explore, on_event: OnEvent | None = None) -> Explored: ...
    @overload
    async def request(self, request: ListTokens, on_event: OnEvent | None = None) -> TokensListed: ...
    @overload
    async def request(self, request: Begin | Fork, on_event: OnEvent | None = None) -> Begun: ...
    @overload
    async def request(self, request: Calibrate, on_event: OnEvent | None = None) -> Calibrated: ...
    @overload
    async def request(self, request: Load, on_event: OnEvent | None = None) -> Loaded: ...
    @overload
    async def request(self, request: Generate, on_event: OnEvent | None = None) -> Generated: ...
    @overload
    async def request(self, request: Publish | Import, on_event: OnEvent | None = None) -> Published: ...
    @overload
    async def request(self, request: Export, on_event: OnEvent | None = None) -> Exported: ...

    async def request(
        self,
        request: Explore | ListTokens | Begin | Fork | Calibrate | Load | Generate | Publish | Import | Export,
        on_event: OnEvent | None = None,
    ) -> Answer:
        """Send a request, whose id is given here, and wait for its answer; `on_event` gets what comes before that.

        Cancelling the task cancels the request. Raises SessionError with the session's sentence, or when the process
        dies meanwhile, SessionCancelledError after `cancel`, and what `on_event` raises.
        """
        await self._ensure()
        self._last_id += 1
        number = self._last_id
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._pending[number] = _Pending(answer, on_event, contextvars.copy_context())
        answered = False
        try:
            await self._send(msgspec.structs.replace(request, id=number))
            result = await answer
            answered = True
            return result
        except SessionError:
            answered = True
            raise
        finally:
            del self._pending[number]
            if not answered:
                self.cancel(number)

    def cancel(self, number: int) -> None:
        """Cancel the request of that id, which its events carry. Does nothing once it has ended."""
        process = self._process
        if process is not None and process.stdin is not None and not process.stdin.is_closing():
            process.stdin.write(encode(Cancel(target=number)))

    async def _send(self, request: Request) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise SessionError(f"the session ended before it was asked; {self._look()}")
        async with self._writing:
            process.stdin.write(encode(request))
            # A process that died is noticed, and said, by the listener.
            with suppress(ConnectionError):
                await process.stdin.drain()


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"killed by signal {-code}"
    return f"killed by signal {-code}, {name}"
