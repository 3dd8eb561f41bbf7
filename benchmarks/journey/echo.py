"""Sends back what is typed: what a key costs in a terminal whatever the program does with it."""

from __future__ import annotations

import os
import tty

GREETING = "ready"


def main() -> None:
    """Until the terminal is closed."""
    tty.setraw(0)
    os.write(1, GREETING.encode())
    while data := os.read(0, 1024):
        os.write(1, data)


if __name__ == "__main__":
    main()
