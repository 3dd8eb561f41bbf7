"""`tui-gpt` and `tui-gpt book.txt`: the full-screen app, where there is a terminal to show it."""

from __future__ import annotations

import click

from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.terminal import why_no_screen


@click.command("app", hidden=True)
@click.argument("corpus", required=False)
def command(corpus: str | None) -> int:
    """Open the full-screen app, with CORPUS chosen to train on."""
    if reason := why_no_screen():
        raise TuiGptError(f"the app cannot be shown, because {reason}; {_instead(corpus)}")
    if corpus is not None:
        from tui_gpt.core.corpora import find

        find(corpus)
    from tui_gpt.ui.app import TuiGpt

    app = TuiGpt(corpus)
    app.run()
    return app.return_code or 0


def _instead(corpus: str | None) -> str:
    if corpus is None:
        return "`tui-gpt --help` lists the commands, which do the same"
    from shlex import quote

    return f"`tui-gpt train {quote(corpus)}` trains without it"
