"""The app in a real terminal: a private tmux server, driven from outside and looked at as a person would."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from tui_gpt.core.runs.child_process import trainer_environment

DEADLINE = 60.0
CURVE = re.compile("[\u2801-\u28ff]")
"""Dots of a plotted line."""
_LOOK_SECONDS = 0.05

Wanted = str | re.Pattern[str] | Callable[[str], Any]
"""What to wait for on the screen: words, a pattern, or a condition on the text."""


class Ending(NamedTuple):
    """How the app left the terminal behind."""

    code: int
    """What the shell saw: 128 and the signal's number where a signal ended it."""
    settings_before: str
    settings_after: str
    """What `stty -a` said before and after the app."""
    alternate_screen: bool
    cursor_visible: bool
    mouse_wanted: bool


class Terminal:
    """A terminal of `size` (columns, lines) in which the app runs with `home` as its TUI_GPT_HOME.

    A shell stays around the app, so that what is left after its end can be looked at.
    """

    def __init__(
        self,
        home: Path,
        *arguments: str,
        size: tuple[int, int] = (120, 40),
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = (sys.executable, "-m", "tui_gpt"),
    ) -> None:
        tmux = shutil.which("tmux")
        if tmux is None:
            pytest.skip("tmux is not installed; it is the terminal of these tests")
        self._tmux = tmux
        self.home = home
        self.folder = Path(tempfile.mkdtemp(prefix="terminal-"))
        self._raw = self.folder / "bytes"
        home.mkdir(parents=True, exist_ok=True)
        self._start([*command, *arguments], size, environment or {})

    def _start(self, command: Sequence[str], size: tuple[int, int], extra: Mapping[str, str]) -> None:
        said = self.folder
        script = (
            f"stty -a > {said}/before\n{shlex.join(command)}\n"
            f'code=$?\nstty -a > {said}/after\necho "$code" > {said}/code.new\nmv {said}/code.new {said}/code\n'
            "while :; do sleep 1000; done"
        )
        environment = trainer_environment({"TUI_GPT_HOME": str(self.home), "OMP_NUM_THREADS": "1", **extra})
        # What the terminal of whoever runs the tests is like must not matter.
        for name in ("NO_COLOR", "COLORTERM", "TMUX", "TMUX_PANE", "TERM", "LINES", "COLUMNS"):
            if name not in extra:
                environment.pop(name, None)
        # tmux gives its panes a TERM of its own; another one is set by the shell.
        term = f"export TERM={shlex.quote(extra['TERM'])}\n" if "TERM" in extra else ""
        columns, lines = size
        self._call(
            *("set-option", "-g", "default-terminal", "tmux-256color", ";"),
            *("set-option", "-g", "remain-on-exit", "on", ";"),
            *("new-session", "-d", "-s", "app", "-x", str(columns), "-y", str(lines), "sh", "-c", term + script, ";"),
            *("pipe-pane", "-t", "app", "-o", f"exec cat >> {shlex.quote(str(self._raw))}"),
            environment=environment,
        )

    def _call(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        command = [self._tmux, "-S", str(self.folder / "socket"), "-f", "/dev/null", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=self.folder, timeout=DEADLINE, check=False
        )
        if done.returncode:
            pytest.fail(f"tmux {arguments[0]}: {done.stderr.strip()}")
        return done.stdout

    # ---- pressing and looking

    def keys(self, *names: str) -> None:
        """Press keys as tmux names them: `Enter`, `F5`, `C-q`, `Escape`, `a`."""
        self._call("send-keys", "-t", "app", *names)

    def type(self, text: str) -> None:
        """Type a text as it is."""
        self._call("send-keys", "-t", "app", "-l", text)

    def paste(self, text: str) -> None:
        """Paste a text, bracketed if the app has asked for it."""
        self._call("set-buffer", text, ";", "paste-buffer", "-p", "-t", "app")

    def resize(self, columns: int, lines: int) -> None:
        """Another size of the window."""
        self._call("resize-window", "-t", "app", "-x", str(columns), "-y", str(lines))

    def text(self, *, styled: bool = False) -> str:
        """What the screen shows, line by line; `styled` with the sequences that colour it."""
        return self._call("capture-pane", "-p", "-t", "app", *(["-e"] if styled else []))

    def wait_for(self, wanted: Wanted, *, seconds: float = DEADLINE) -> Any:
        """Wait until the screen shows it; returns what the condition or the pattern found."""
        deadline = time.monotonic() + seconds
        while not (found := _found(shown := self.text(), wanted)):
            if time.monotonic() > deadline:
                pytest.fail(f"the terminal never showed {wanted!r}, but after {seconds:g} s:\n{shown}{self._log()}")
            time.sleep(_LOOK_SECONDS)
        return found

    def wait_until(self, condition: Callable[[], Any], *, seconds: float = DEADLINE) -> Any:
        """Wait until something holds elsewhere, on the disk for example; returns its value."""
        return self.wait_for(lambda shown: condition(), seconds=seconds)

    def raw(self) -> bytes:
        """Every byte that reached the terminal so far."""
        with suppress(FileNotFoundError):
            return self._raw.read_bytes()
        return b""

    # ---- processes

    @property
    def app(self) -> psutil.Process:
        """The app's process."""
        return self.wait_for(lambda _shown: self._app())

    def _app(self) -> psutil.Process | None:
        """The app's process, once the shell has started it."""
        shell = psutil.Process(int(self._call("display-message", "-p", "-t", "app", "#{pane_pid}")))
        with suppress(psutil.NoSuchProcess):
            return next((child for child in shell.children() if child.name() != "stty"), None)
        return None

    @property
    def session(self) -> psutil.Process | None:
        """The process that computes for the screen, once it is there."""
        children = self.app.children()
        return next((child for child in children if "tui_gpt.engine.session" in _arguments(child)), None)

    def kill(self, signum: int = signal.SIGKILL) -> None:
        """Signal the app."""
        self.app.send_signal(signum)

    def ended(self) -> bool:
        """Whether the app is over."""
        return (self.folder / "code").exists()

    def ending(self) -> Ending:
        """Wait for the app's end, and see how the terminal is afterwards."""
        deadline = time.monotonic() + DEADLINE
        while not self.ended():
            if time.monotonic() > deadline:
                pytest.fail(f"the app did not end; the terminal shows:\n{self.text()}")
            time.sleep(_LOOK_SECONDS)
        flags = self._call("display-message", "-p", "-t", "app", "#{alternate_on} #{cursor_flag} #{mouse_any_flag}")
        alternate, cursor, mouse = (flag == "1" for flag in flags.split())
        # The size is the window's, not the app's.
        before, after = (
            re.sub(r"rows \d+; columns \d+;", "", (self.folder / name).read_text()) for name in ("before", "after")
        )
        return Ending(int((self.folder / "code").read_text()), before, after, alternate, cursor, mouse)

    def assert_whole(self, code: int) -> None:
        """The app has ended with this exit code, and the terminal is as it was before."""
        ending = self.ending()
        assert ending.code == code, f"{self.text()}{self._log()}"
        assert ending.settings_after == ending.settings_before
        assert not ending.alternate_screen
        assert ending.cursor_visible
        assert not ending.mouse_wanted
        assert "Traceback" not in self.text()

    def close(self) -> None:
        """End the server and all that runs in it; trainers, which are detached, are not among them."""
        with suppress(StopIteration, psutil.Error):
            self.app.kill()
        subprocess.run(
            [self._tmux, "-S", str(self.folder / "socket"), "kill-server"], capture_output=True, check=False, timeout=20
        )
        shutil.rmtree(self.folder, ignore_errors=True)

    def _log(self) -> str:
        errors = self.home / "errors.log"
        return f"\n{errors}:\n{errors.read_text()[-4000:]}" if errors.exists() else ""


Open = Callable[..., Terminal]
"""The fixture `open_terminal`: takes what `Terminal` takes, with a home of the test's own if none is given."""


def remember(home: Path, **memory: Any) -> None:
    """What the app finds remembered at its start, as app.json holds it: `tab="models"`, for example."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "app.json").write_text(json.dumps(memory))


def is_running(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def _arguments(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return list(process.cmdline())
    return []


def _found(shown: str, wanted: Wanted) -> Any:
    if isinstance(wanted, str):
        return wanted in shown
    if isinstance(wanted, re.Pattern):
        return wanted.search(shown)
    return wanted(shown)


def clean_environment() -> dict[str, str]:
    """For the app where there is no terminal."""
    return {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
