"""What the app remembers from one start to the next: the tab, the theme, the forms. Losing it costs only comfort."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from tui_gpt.core import locations
from tui_gpt.core.files import write_bytes
from tui_gpt.core.given_files import is_too_deep, read_given

FILE_NAME = "app.json"
_LARGEST = 4 << 20


class Memory(msgspec.Struct, kw_only=True):
    """The contents of app.json."""

    tab: str = "configure"
    theme: str | None = None
    run: str | None = None
    """The run that was looked at."""
    tabs: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    """What each tab wants to find again, by the tab's name."""


def memory_file() -> Path:
    """Where app.json lies."""
    return locations.home() / FILE_NAME


def read_memory() -> Memory:
    """What was remembered; nothing where the file is missing, damaged or from another version."""
    try:
        memory = msgspec.json.decode(read_given(memory_file(), _LARGEST), type=Memory)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Memory()
    # What cannot be written down again would be met at every attempt to.
    return Memory() if is_too_deep(memory.tabs) else memory


def encode_memory(memory: Memory) -> bytes:
    """As it stands in the file."""
    return msgspec.json.encode(memory)


def write_memory(content: bytes) -> None:
    """Keep it. Raises OSError."""
    path = memory_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content, durable=False)
