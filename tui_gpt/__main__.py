"""`tui-gpt` and `python -m tui_gpt`."""

from __future__ import annotations

import gc
import sys
from typing import NoReturn


def main() -> NoReturn:
    """The app where nothing else is asked for and there is a terminal, else the command line."""
    if len(sys.argv) == 1:
        from tui_gpt.core.terminal import why_no_screen

        if not why_no_screen():
            # What is imported stays. Looking through it for garbage again and again takes a part of the time until
            # the first tab is there, when the app begins with that.
            gc.disable()
            # Without the command line's parser, whose import a person would wait for.
            from tui_gpt.ui.app import TuiGpt

            app = TuiGpt()
            app.run()
            sys.exit(app.return_code or 0)
    from tui_gpt.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
