"""Talking to a model in a real terminal, with the process that computes being killed under it."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
from terminal import Open, Terminal, is_running, remember

PROMPT = "The map led them to"
ANSWERED = re.compile(r"\d+ tokens +[\d,.]+/s")
"""The line under a reply."""


def talk(terminal: Terminal) -> None:
    """Send the prompt, and wait for the first words that follow it."""
    terminal.type(PROMPT)
    terminal.keys("Enter")


@pytest.mark.slow
def test_a_model_answers_and_its_killed_process_is_replaced_at_the_next_prompt(
    open_terminal: Open, empty_home: Path
) -> None:
    remember(empty_home, tab="chat")
    terminal = open_terminal()
    terminal.wait_for("stories")
    session = terminal.wait_until(lambda: terminal.session)
    talk(terminal)
    terminal.wait_for(ANSWERED)
    session.send_signal(signal.SIGKILL)
    terminal.wait_until(lambda: not is_running(session.pid))
    terminal.wait_for("killed by signal 9")
    talk(terminal)
    other = terminal.wait_until(lambda: terminal.session)
    assert other.pid != session.pid
    terminal.wait_for(lambda shown: len(ANSWERED.findall(shown)) > 1)
    terminal.keys("C-q")
    terminal.assert_whole(0)
    terminal.wait_until(lambda: not is_running(other.pid))


def test_the_session_ends_with_a_killed_app(open_terminal: Open, empty_home: Path) -> None:
    remember(empty_home, tab="chat")
    terminal = open_terminal()
    session = terminal.wait_until(lambda: terminal.session)
    terminal.kill(signal.SIGKILL)
    terminal.wait_until(lambda: not is_running(session.pid), seconds=10)
