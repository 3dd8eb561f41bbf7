"""In a real terminal: the app comes up, answers keys and sizes, and leaves the terminal as it was."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from terminal import Open, clean_environment, remember

READY = re.compile(r"1 Configure\s+2 Train\s+3 Models\s+4 Chat")


def test_quitting_leaves_the_terminal_as_it_was(open_terminal: Open) -> None:
    terminal = open_terminal()
    terminal.wait_for(READY)
    terminal.keys("C-q")
    terminal.assert_whole(0)
    for turned_off in (b"\x1b[?1049l", b"\x1b[?1000l", b"\x1b[?2004l", b"\x1b[?25h"):
        assert turned_off in terminal.raw()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP], ids=lambda signum: signum.name)
def test_a_signal_that_ends_the_app_leaves_the_terminal_whole(
    open_terminal: Open, empty_home: Path, signum: signal.Signals
) -> None:
    remember(empty_home, tab="models")
    terminal = open_terminal()
    terminal.wait_for("stories  example")
    terminal.kill(signum)
    terminal.assert_whole(128 + signum)


def test_a_signal_during_the_start_leaves_the_terminal_whole(open_terminal: Open) -> None:
    terminal = open_terminal()
    terminal.wait_until(lambda: b"\x1b[?1049h" in terminal.raw())
    terminal.kill(signal.SIGTERM)
    terminal.assert_whole(128 + signal.SIGTERM)


def test_function_keys_and_numbers_switch_tabs(open_terminal: Open, empty_home: Path) -> None:
    remember(empty_home, tab="models")
    terminal = open_terminal()
    terminal.wait_for("stories  example")
    terminal.keys("F6")
    terminal.wait_for(lambda shown: "stories  example" not in shown)
    terminal.keys("F4")
    terminal.wait_for("stories  example")
    terminal.keys("2")
    terminal.wait_for(lambda shown: "stories  example" not in shown)


def test_a_window_too_small_says_what_is_needed_and_recovers(open_terminal: Open, empty_home: Path) -> None:
    remember(empty_home, tab="models")
    terminal = open_terminal(size=(60, 20))
    terminal.wait_for("needs 80 x 24")
    terminal.wait_for("has 60 x 20")
    terminal.resize(80, 24)
    terminal.wait_for("stories  example")
    terminal.resize(20, 5)
    terminal.wait_for(lambda shown: "needs 80 x 24" in " ".join(shown.split()))
    terminal.resize(200, 60)
    terminal.wait_for("stories  example")
    terminal.keys("C-q")
    terminal.assert_whole(0)


def test_without_colour_everything_can_be_read(open_terminal: Open, empty_home: Path) -> None:
    remember(empty_home, tab="models")
    terminal = open_terminal(environment={"NO_COLOR": "1", "COLORTERM": "truecolor"})
    terminal.wait_for("stories  example")
    terminal.wait_for("best val loss")
    colours = {match[1] for match in re.finditer(rb"\x1b\[[0-9;]*?[34]8;2;(\d+;\d+;\d+)", terminal.raw())}
    assert all(len(set(colour.split(b";"))) == 1 for colour in colours), "greys are all that NO_COLOR leaves"


def test_a_terminal_that_can_only_print_lines_gets_the_commands_and_the_reason(open_terminal: Open) -> None:
    terminal = open_terminal(environment={"TERM": "dumb"})
    terminal.assert_whole(0)
    shown = " ".join(terminal.text().split())
    assert "the app is not opened, because TERM=dumb names a terminal that can only print lines" in shown
    assert "Commands:" in shown
    assert b"\x1b[" not in terminal.raw()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ([], 0, "the app is not opened, because stdin is not a terminal"),
        (["stories"], 1, "the app cannot be shown, because stdin is not a terminal; `tui-gpt train stories` trains"),
    ],
)
def test_a_pipe_is_pointed_to_the_command_line(
    empty_home: Path, arguments: list[str], code: int, sentence: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui_gpt", *arguments],
        env={**clean_environment(), "TERM": "xterm", "TUI_GPT_HOME": str(empty_home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code
    assert sentence in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
