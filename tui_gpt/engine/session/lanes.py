"""Lanes: requests that wait for each other, one thread each, so that a person can talk while a corpus is prepared."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.messages import Cancelled, Ending, Event, Failed, Progress, Reply, Request

IDLE_SECONDS = 3.0
"""How long a lane has nothing to do before it does its idle work."""

_PROGRESS_SECONDS = 0.1
_LONGEST_REASON = 300

Send = Callable[[Reply], None]


class Cancellation(Exception):  # noqa: N818 - it is none
    """Raised where a request notices that it was cancelled."""


class Turn:
    """A request whose turn it is, or will be: how its handler speaks, and learns that nobody waits any more."""

    def __init__(self, request: Request, send: Send, overheard: Callable[[Progress], None] | None = None) -> None:
        """`overheard` gets the progress that is told, for those who wait for this one."""
        self.request = request
        self.told: Progress | None = None
        """How far it had come when it was told last."""
        self._send = send
        self._overheard = overheard
        self._cancel = threading.Event()
        self._when = 0.0

    def cancel(self) -> None:
        """Ask the handler to end. From any thread."""
        self._cancel.set()

    def cancelled(self) -> bool:
        """Whether it was asked to."""
        return self._cancel.is_set()

    def check(self) -> None:
        """Raise Cancellation if it was asked to end."""
        if self._cancel.is_set():
            raise Cancellation

    def send(self, event: Event) -> None:
        """Send what belongs to this request."""
        self._send(event)

    def progress(self, what: str, share: float) -> None:
        """Tell how far it has come, at most ten times a second. Raises Cancellation."""
        self.check()
        now = time.monotonic()
        if self.told is None or what != self.told.what or now - self._when >= _PROGRESS_SECONDS:
            self._when = now
            self.told = Progress(id=self.request.id, what=what, share=min(1.0, max(0.0, share)))
            self._send(self.told)
            if self._overheard is not None:
                self._overheard(self.told)


Handler = Callable[[Any, Turn], Ending]
"""Answers a request. It may raise TuiGptError, whose sentence is the reply, and Cancellation."""


class Lane:
    """A thread that answers requests one after the other."""

    def __init__(
        self,
        name: str,
        handlers: Mapping[type, Handler],
        send: Send,
        *,
        log: Path | None = None,
        idle: Callable[[], None] | None = None,
        beside: Lane | None = None,
    ) -> None:
        """`idle` is called once, when the lane, and the one `beside` it, first had nothing to do for a moment."""
        self._handlers = handlers
        self._send = send
        self._log = log
        self._idle = idle
        self._beside = beside
        self._waiting: deque[Turn] = deque()
        self._current: Turn | None = None
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, request: Request) -> None:
        """Queue a request. Until its turn it is told how far the one before it has come."""
        with self._changed:
            self._waiting.append(Turn(request, self._send, self._tell_waiting))
            if self._current is not None and self._current.told is not None:
                self._send(msgspec.structs.replace(self._current.told, id=request.id))
            self._changed.notify()

    def _tell_waiting(self, progress: Progress) -> None:
        # Within the lock, so that nothing more is heard of a request that was cancelled meanwhile.
        with self._changed:
            for turn in self._waiting:
                self._send(msgspec.structs.replace(progress, id=turn.request.id))

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return self._current is not None

    def cancel(self, target: int) -> None:
        """Cancel the request with that id, if it is here."""
        with self._changed:
            if self._current is not None and self._current.request.id == target:
                self._current.cancel()
            found = [turn for turn in self._waiting if turn.request.id == target]
            for turn in found:
                self._waiting.remove(turn)
        for _ in found:
            self._send(Cancelled(id=target))

    def end(self) -> None:
        """Take up nothing more, and ask the current request to end. Returns at once."""
        with self._changed:
            self._ended = True
            self._waiting.clear()
            if self._current is not None:
                self._current.cancel()
            self._changed.notify()

    def join(self, timeout: float) -> None:
        """After `end`, wait for the current request, for at most `timeout` seconds. Idle work is not waited for."""
        if self._current is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while (turn := self._next()) is not None:
            ending = self._answer(turn)
            with self._changed:
                self._current = None
            self._send(ending)

    def _next(self) -> Turn | None:
        with self._changed:
            while not self._waiting and not self._ended:
                notified = self._changed.wait(IDLE_SECONDS if self._idle else None)
                quiet = self._idle and not notified and not self._waiting
                if quiet and (self._beside is None or not self._beside.busy):
                    self._be_idle()
            if self._ended:
                return None
            self._current = self._waiting.popleft()
            return self._current

    def _be_idle(self) -> None:
        work, self._idle = self._idle, None
        assert work is not None
        # Who queues or cancels meanwhile must not wait for it.
        self._changed.release()
        try:
            work()
        except Exception:
            # Whatever it is, the request that needs it will meet it again and say so.
            traceback.print_exc()
        finally:
            self._changed.acquire()

    def _answer(self, turn: Turn) -> Ending:
        number = turn.request.id
        try:
            turn.check()
            return self._handlers[type(turn.request)](turn.request, turn)
        except Cancellation:
            return Cancelled(id=number)
        except TuiGptError as error:
            return Failed(id=number, message=str(error))
        except BaseException as error:
            # A panic in native code is no Exception, and the lane must outlive it.
            traceback.print_exc()
            sys.stderr.flush()
            return Failed(id=number, message=self._sentence(error))

    def _sentence(self, error: BaseException) -> str:
        where = f"; {self._log} has the details" if self._log else ""
        first = (str(error).strip().splitlines() or ["no more is known"])[0][:_LONGEST_REASON]
        # torch's own kind of it, without importing torch to say so.
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate" in first:
            return f"there is not enough memory for this ({first}); take a smaller model, or end what else takes memory"
        return f"an unexpected {type(error).__name__}: {first}{where}"
