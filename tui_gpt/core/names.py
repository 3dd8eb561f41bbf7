"""Which names runs and models may have: one plain folder name on every system, and nothing outside the library."""

from __future__ import annotations

import re

from tui_gpt.core.errors import ConfigError

LONGEST = 80
_SHAPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_RESERVED = {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10))}


def check_name(name: str, what: str = "name") -> str:
    """Return `name` if it can name a run or a model, else raise ConfigError saying why not."""
    if not name:
        reason = "is empty"
    elif len(name) > LONGEST:
        reason = f"has {len(name)} characters, and at most {LONGEST} are possible"
    elif not _SHAPE.fullmatch(name):
        reason = (
            f"{name!r} may hold only letters A-Z, digits, '-', '_' and '.', and must begin with a letter or a digit"
        )
    elif name.endswith("."):
        reason = f"{name!r} ends in a dot, which some systems drop"
    elif name.split(".", 1)[0].lower() in _RESERVED:
        reason = f"{name!r} is a device name on some systems"
    else:
        return name
    raise ConfigError(what, f"{reason}; choose another, e.g. my-model")


def name_from(text: str, fallback: str) -> str:
    """A valid name that resembles `text` (a file name, say), or `fallback` where nothing of it can be kept."""
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:LONGEST].rstrip("-._")
    try:
        return check_name(kept)
    except ConfigError:
        return fallback
