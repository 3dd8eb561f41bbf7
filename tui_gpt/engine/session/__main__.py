"""`python -m tui_gpt.engine.session [--log FILE] [--cold]`: answers requests on stdin until it closes.

`--log` names the file that stderr goes to, for the sentence that sends a person there. Leaves with 0 when stdin closes,
143 after SIGTERM. SIGINT is for the screen, and means nothing here.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
from pathlib import Path
from types import FrameType

from tui_gpt.core.messages import Ready
from tui_gpt.engine.session.channel import Channel
from tui_gpt.engine.session.serving import Serving


class _Terminated(BaseException):
    """SIGTERM arrived."""


def _terminate(_signum: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Terminated


def main() -> int:
    """Serve until nobody listens any more; returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = Channel.on_standard_streams()
    channel.send(Ready(pid=os.getpid(), python=platform.python_version()))
    parser = argparse.ArgumentParser(prog="tui_gpt.engine.session")
    parser.add_argument("--log", type=Path, help="where stderr goes")
    parser.add_argument("--cold", action="store_true", help="import torch only when a request needs it")
    arguments = parser.parse_args()
    serving = Serving(channel, arguments.log, warm_up=not arguments.cold)
    code = 0
    try:
        signal.signal(signal.SIGTERM, _terminate)
        serving.run()
    except _Terminated:
        code = 143
    serving.end()
    return code


if __name__ == "__main__":
    exit_code = main()
    sys.stderr.flush()
    # Not sys.exit: a lane that is deep in a computation would be waited for.
    os._exit(exit_code)
