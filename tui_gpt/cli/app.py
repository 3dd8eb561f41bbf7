"""`tui-gpt` and `tui-gpt book.txt`: the full-screen app, where there is a terminal to show it."""

from __future__ import annotations

import os
import sys

import click

from tui_gpt.core.errors import TuiGptError


@click.command("app", hidden=True)
@click.argument("corpus", required=False)
def command(corpus: str | None) -> int:
    """Open the full-screen app, with CORPUS chosen to train on."""
    if reason := why_not():
        raise TuiGptError(f"the app cannot be shown, because {reason}; {_instead(corpus)}")
    if corpus is not None:
        from tui_gpt.core.corpora import find

        find(corpus)
    from tui_gpt.ui.app import TuiGpt

    app = TuiGpt(corpus)
    app.run()
    return app.return_code or 0


def why_not() -> str:
    """What keeps a full-screen program from running here, in words; empty when nothing does."""
    for name in ("stdin", "stdout", "stderr"):
        if not getattr(sys, name).isatty():
            return f"{name} is not a terminal"
    terminal = os.environ.get("TERM", "")
    if terminal in ("", "dumb", "unknown"):
        return f"TERM={terminal} names a terminal that can only print lines"
    return ""


def _instead(corpus: str | None) -> str:
    if corpus is None:
        return "`tui-gpt --help` lists the commands, which do the same"
    from shlex import quote

    return f"`tui-gpt train {quote(corpus)}` trains without it"
