"""What the system tells the app: that it is to end, that it was stopped and goes on, that its terminal is gone."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from textual.driver import Driver

_ENDING = (signal.SIGTERM, signal.SIGHUP)
_LAST_SECONDS = 5.0
_LOOK_SECONDS = 1.0
_STREAMS = (0, 1, 2)


class SystemSignals:
    """Belongs to the event loop in which it is made."""

    def __init__(self, end: Callable[[int], None]) -> None:
        """`end` leaves the app with an exit code. From here on SIGTERM and SIGHUP end it as a key does."""
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        for signum in _ENDING:
            self._loop.add_signal_handler(signum, end, 128 + signum)

    def mind_terminal(self, driver: Driver, repaint: Callable[[], object]) -> None:
        """Stop and go on with a whole terminal, and end without one. Does nothing where the driver has none.

        Replaces the driver's handlers, so that it must have been made before.
        """
        if not driver.can_suspend:
            return
        for signum in _ENDING:
            # The event loop hears of it all the same, through its file descriptor.
            signal.signal(signum, _end_at_last)
        # The driver's own handlers would start a second reader of the keys at every SIGCONT that followed no SIGTSTP,
        # and wait for ever for the first one when the app ends. The kernel sends one with each SIGHUP.
        self._loop.add_signal_handler(signal.SIGTSTP, self._stop, driver)
        self._loop.add_signal_handler(signal.SIGCONT, self._go_on, driver, repaint)
        threading.Thread(target=_watch_terminal, name="terminal watch", daemon=True).start()

    def _stop(self, driver: Driver) -> None:
        driver.suspend_application_mode()
        self._stopped = True
        os.kill(os.getpid(), signal.SIGSTOP)

    def _go_on(self, driver: Driver, repaint: Callable[[], object]) -> None:
        if not os.isatty(_STREAMS[0]):
            return
        if not self._stopped:
            # SIGSTOP says nothing before, and what the shell did to the terminal meanwhile is not known.
            driver.suspend_application_mode()
        self._stopped = False
        driver.resume_application_mode()
        repaint()


def _end_at_last(signum: int, _frame: FrameType | None) -> None:
    """End the process in a few seconds, whatever it does then.

    A terminal that takes no bytes lets the event loop wait for ever, and it never comes to hear the signal.
    """
    signal.signal(signal.SIGALRM, lambda *_: os._exit(128 + signum))
    signal.setitimer(signal.ITIMER_REAL, _LAST_SECONDS)


def _watch_terminal() -> None:
    """A thread, because SIGHUP may stay with who started the app, and a dead terminal reads like an idle one."""
    while not _hung_up(_STREAMS[0], _LOOK_SECONDS):
        pass
    # What is still written goes nowhere instead of failing, so that the app can end as ever.
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in filter(_hung_up, _STREAMS):
        os.dup2(nothing, descriptor)
    os.close(nothing)
    main = threading.main_thread().ident
    if main is not None:
        with suppress(ProcessLookupError):
            signal.pthread_kill(main, signal.SIGHUP)


def _hung_up(descriptor: int, seconds: float = 0.0) -> bool:
    """Whether the other end of a terminal or pipe is gone, or goes within so many seconds."""
    poll = select.poll()
    poll.register(descriptor, select.POLLHUP)
    return any(event & (select.POLLHUP | select.POLLNVAL) for _, event in poll.poll(1000 * seconds))
