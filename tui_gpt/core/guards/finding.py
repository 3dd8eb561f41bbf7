"""Where guards come from: files in the home folder, those that come along, and plug-ins of other packages."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import msgspec

from tui_gpt.core import locations
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.guards.guard import Guard
from tui_gpt.core.guards.word_list import load_word_list
from tui_gpt.core.own_files import NAME, all_files, find_file

ENTRY_POINTS = "tui_gpt.guards"
"""The group of entry points that plug-ins announce themselves in."""
_BUILT_IN = Path(__file__).parent


class FoundGuard(msgspec.Struct, frozen=True, kw_only=True):
    """A guard in a list. The title and the problem are foreign text."""

    name: str
    title: str = ""
    about: str = ""
    origin: str = ""
    """`built-in`, the path of a file, or `package NAME`."""
    problem: str = ""
    """Why it cannot be used; empty where it can."""


def find_guard(name: str) -> Guard:
    """The guard of that name: a file of the home folder before a built-in one before a plug-in.

    Raises ConfigError where there is none, or it cannot be used.
    """
    if not NAME.fullmatch(name):
        raise ConfigError("guard", f"{name[:80]!r} is no name of a guard; {_those_there_are()}")
    if (path := find_file(name, _folders())) is not None:
        return load_word_list(path, name)
    for entry in _entry_points():
        if entry.name == name:
            return _load(entry)
    raise ConfigError("guard", f"there is no guard {name!r}; {_those_there_are()}")


def guard_names() -> list[str]:
    """All names, without looking into any."""
    return sorted({*all_files(_folders()), *(entry.name for entry in _entry_points())})


def list_guards() -> list[FoundGuard]:
    """All guards, also those that cannot be used. Plug-ins are imported to ask for their titles."""
    files = all_files(_folders())
    entries = {entry.name: entry for entry in reversed(_entry_points())}
    return [_described(name, files.get(name), entries.get(name)) for name in guard_names()]


def _described(name: str, path: Path | None, entry: metadata.EntryPoint | None) -> FoundGuard:
    origin = "built-in" if path and path.parent == _BUILT_IN else str(path) if path else _package(entry)
    try:
        if path is not None:
            guard = load_word_list(path, name)
            return FoundGuard(name=name, title=guard.title, about=guard.words.about, origin=origin)
        return FoundGuard(name=name, title=str(find_guard(name).title)[:200], origin=origin)
    except ConfigError as error:
        return FoundGuard(name=name, origin=origin, problem=str(error))


def _folders() -> list[Path]:
    return [locations.guards_dir(), _BUILT_IN]


def _entry_points() -> list[metadata.EntryPoint]:
    return [entry for entry in metadata.entry_points(group=ENTRY_POINTS) if NAME.fullmatch(entry.name)]


def _package(entry: metadata.EntryPoint | None) -> str:
    return f"package {entry.dist.name}" if entry is not None and entry.dist is not None else "a package"


def _load(entry: metadata.EntryPoint) -> Guard:
    """What the entry point names: a guard, or what makes one when it is called. Raises ConfigError."""
    try:
        loaded = entry.load()
        guard = loaded() if isinstance(loaded, type) or not hasattr(loaded, "check") else loaded
        usable = isinstance(guard.name, str) and isinstance(guard.title, str) and callable(guard.check)
    except Exception as error:
        # The code of others may raise anything.
        first = str(error).strip().split("\n", 1)[0][:300]
        raise ConfigError("guard", f"{entry.name} of {_package(entry)} cannot be loaded: {first}") from None
    if not usable:
        raise ConfigError("guard", f"{entry.name} of {_package(entry)} lacks a name, a title or check(prompt)")
    checked: Guard = guard
    return checked


def _those_there_are() -> str:
    return f"there are {', '.join(guard_names())}, and more can lie in {locations.guards_dir()} (docs/guards.md)"
