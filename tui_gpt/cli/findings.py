"""What `tui-gpt doctor` tells about one thing."""

from __future__ import annotations

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    name: str
    value: str
    advice: str = ""
    """What to do about it, a sentence; empty where all is well."""
    fatal: bool = False
    """Whether the program cannot be used as it is."""
