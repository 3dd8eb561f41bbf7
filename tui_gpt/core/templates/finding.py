"""Where templates come from: files in the home folder, and those that come along."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tui_gpt.core import locations
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.own_files import NAME, all_files, find_file
from tui_gpt.core.templates.reading import load_template
from tui_gpt.core.templates.template import Template

_BUILT_IN = Path(__file__).parent


class FoundTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """A template in a list. Title, what it is for, and the problem are foreign text."""

    name: str
    title: str = ""
    about: str = ""
    kind: str = ""
    """`zero-shot`, `one-shot` or `few-shot`."""
    blanks: list[str] = []
    origin: str = ""
    """`built-in`, or the path of a file."""
    problem: str = ""
    """Why it cannot be used; empty where it can."""


def find_template(name: str) -> Template:
    """The template of that name: a file of the home folder before a built-in one.

    Raises ConfigError where there is none, or it cannot be used.
    """
    if not NAME.fullmatch(name):
        raise ConfigError("template", f"{name[:80]!r} is no name of a template; {_those_there_are()}")
    if (path := find_file(name, _folders())) is None:
        raise ConfigError("template", f"there is no template {name!r}; {_those_there_are()}")
    return load_template(path, name)


def template_names() -> list[str]:
    """All names, without looking into any."""
    return sorted(all_files(_folders()))


def list_templates() -> list[FoundTemplate]:
    """All templates, also those that cannot be used."""
    return [_described(name, path) for name, path in sorted(all_files(_folders()).items())]


def _described(name: str, path: Path) -> FoundTemplate:
    origin = _origin(path)
    try:
        template = load_template(path, name)
    except ConfigError as error:
        return FoundTemplate(name=name, origin=origin, problem=str(error))
    return FoundTemplate(
        name=name,
        title=template.title,
        about=template.about,
        kind=template.kind,
        blanks=list(template.blanks),
        origin=origin,
    )


def template_origin(name: str) -> str:
    """Where the template of that name comes from: `built-in`, or the path of a file; empty where there is none."""
    path = find_file(name, _folders())
    return _origin(path) if path is not None else ""


def _origin(path: Path) -> str:
    return "built-in" if path.parent == _BUILT_IN else str(path)


def _folders() -> list[Path]:
    return [locations.templates_dir(), _BUILT_IN]


def _those_there_are() -> str:
    names = ", ".join(template_names())
    return f"there are {names}, and more can lie in {locations.templates_dir()} (docs/templates.md)"
