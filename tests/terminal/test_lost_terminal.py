"""What becomes of the app, of its session and of its runs when the terminal goes away."""

from __future__ import annotations

import fcntl
import os
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from terminal import DEADLINE, Open, is_running, remember
from test_terminal_journeys import a_form, step, store, trainer_pid
from training_runs import Scene, until

from tui_gpt.core.runs.child_process import trainer_environment
from tui_gpt.core.runs.ownership import signal_trainer
from tui_gpt.core.runs.store import Run

F2, F4, F5 = b"\x1bOQ", b"\x1bOS", b"\x1b[15~"
TAKES_OVER = b"\x1b[?1049h"
ENDS_WITHIN = 10.0
"""Seconds from the end of the terminal, or from a signal, to the end of the app."""
CODE = 128 + signal.SIGHUP


class Line:
    """A terminal with nothing behind it: a pair of descriptors, of which this side can be closed at any moment."""

    def __init__(self, home: Path, *, keeps_hangup: bool) -> None:
        """`keeps_hangup`: the app is the child of a shell that gets SIGHUP in its place, and ignores it."""
        self._ours, theirs = os.openpty()
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        # The first terminal that the leader of a session opens is the one whose end the kernel tells it.
        line = f"exec 0<>{os.ttyname(theirs)} 1>&0 2>&0; "
        app = shlex.join([sys.executable, "-m", "tui_gpt"])
        line += f"trap '' HUP; {app}; exit $?" if keeps_hangup else f"exec {app}"
        environment = trainer_environment({"TUI_GPT_HOME": str(home), "OMP_NUM_THREADS": "1", "TERM": "xterm-256color"})
        self._shell = subprocess.Popen(["sh", "-c", line], start_new_session=True, cwd=home, env=environment)
        self.seen = b""
        self.wait_for(b"Start training")
        os.close(theirs)
        leader = psutil.Process(self._shell.pid)
        self.app = leader.children()[0] if keeps_hangup else leader

    def wait_for(self, wanted: bytes) -> None:
        """Wait until these bytes have been written."""
        self.wait_until(lambda: wanted in self.seen)

    def wait_until(self, condition: Callable[[], Any]) -> None:
        """Wait for something while the app can write as much as it likes."""
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline, self.seen[-3000:]
            ready, _, _ = select.select([self._ours], [], [], 0.02)
            if ready:
                self.seen += os.read(self._ours, 1 << 16)

    def press(self, key: bytes) -> None:
        """Press a key."""
        os.write(self._ours, key)

    def hang_up(self) -> None:
        """The window is closed, the connection is lost."""
        ours, self._ours = self._ours, -1
        os.close(ours)

    def ending(self, seconds: float) -> int:
        """Wait for the end of the app, and of the shell around it; returns the exit code."""
        return self._shell.wait(seconds)

    def close(self) -> None:
        """Nothing outlives the test."""
        for process in (self.app, self._shell):
            with suppress(psutil.Error):
                process.kill()
        self._shell.wait(DEADLINE)
        if self._ours >= 0:
            self.hang_up()


@pytest.fixture
def open_line(scene: Scene) -> Iterator[Callable[..., Line]]:
    """Opens the app, in front of a form whose run takes milliseconds a step, on a terminal that can be cut off."""
    opened: list[Line] = []

    def open_one(**more: Any) -> Line:
        a_form(scene.home, scene.text)
        line = Line(scene.home, **more)
        opened.append(line)
        return line

    yield open_one
    for line in opened:
        line.close()
    for run in store(scene.home).list():
        if isinstance(run, Run):
            signal_trainer(run.folder, signal.SIGKILL)


@pytest.mark.parametrize("keeps_hangup", [False, True], ids=["SIGHUP arrives", "SIGHUP stays with the shell"])
def test_an_app_whose_terminal_is_gone_ends_and_the_run_that_it_began_goes_on(
    scene: Scene, open_line: Callable[..., Line], keeps_hangup: bool
) -> None:
    line = open_line(keeps_hangup=keeps_hangup)
    line.press(F5)
    runs = store(scene.home)
    line.wait_until(lambda: runs.list() and step(runs.open("bard")) > 0)
    run = runs.open("bard")
    trainer = trainer_pid(run)
    with_it = [child.pid for child in line.app.children() if child.pid != trainer]
    assert any("tui_gpt.engine.session" in psutil.Process(pid).cmdline() for pid in with_it)

    line.hang_up()
    assert line.ending(ENDS_WITHIN) == CODE
    until(lambda: not any(map(is_running, with_it)))
    assert not (scene.home / "errors.log").exists()
    left = step(run)
    until(lambda: step(run) > left)
    assert trainer_pid(run) == trainer


def computes(process: psutil.Process, begun: float) -> bool:
    """Whether a process takes the time of the processor within two seconds, beyond what it had taken at `begun`."""
    deadline = time.monotonic() + 2.0
    while (still := cpu_seconds(process) - begun < 0.03) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not still


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@pytest.mark.parametrize("ending", ["the terminal goes away", pytest.param("SIGTERM", marks=pytest.mark.slow)])
def test_an_app_that_waits_for_a_stalled_terminal_can_be_ended(open_line: Callable[..., Line], ending: str) -> None:
    line = open_line(keeps_hangup=True)
    session = next(child for child in line.app.children() if "tui_gpt.engine.session" in child.cmdline())
    # Nobody reads what these write; when there is no more room for it, the app stands still.
    for _ in range(200):
        begun = cpu_seconds(line.app)
        line.press(F4 + F2)
        if not computes(line.app, begun):
            break
    else:
        pytest.fail("the app is never stopped by a terminal that takes nothing")
    if ending == "SIGTERM":
        line.app.terminate()
        assert line.ending(ENDS_WITHIN) == 128 + signal.SIGTERM
    else:
        line.hang_up()
        assert line.ending(ENDS_WITHIN) == CODE
    until(lambda: not is_running(session.pid))


def test_a_stopped_app_that_goes_on_shows_its_screen_takes_keys_and_ends(open_terminal: Open, empty_home: Path) -> None:
    remember(empty_home, tab="models")
    terminal = open_terminal()
    terminal.wait_for("stories  example")
    for times, stopping in enumerate((signal.SIGSTOP, signal.SIGTSTP), start=2):
        terminal.kill(stopping)
        terminal.wait_until(lambda: terminal.app.status() == psutil.STATUS_STOPPED)
        terminal.kill(signal.SIGCONT)
        # Keys that came before it has the terminal again are not for the app.
        terminal.wait_until(lambda wanted=times: terminal.raw().count(TAKES_OVER) == wanted)
        terminal.wait_for("stories  example")
        terminal.keys("F6")
        terminal.wait_for(lambda shown: "stories  example" not in shown)
        terminal.keys("F4")
        terminal.wait_for("stories  example")
    terminal.keys("C-q")
    terminal.assert_whole(0)
