"""config.toml in the home folder: what a person decides about the app itself, such as its keys."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from tui_gpt.core import locations
from tui_gpt.core.errors import ConfigError

FILE_NAME = "config.toml"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What config.toml may hold. Everything is optional."""

    theme: str | None = None
    """Name of a theme, which then wins over the one that was chosen last."""
    animations: Literal["none", "basic", "full"] = "none"
    keys: dict[str, str] = msgspec.field(default_factory=dict)
    """Binding id to one key or several, separated by commas: `"train.pause" = "p"`."""


def settings_file() -> Path:
    """Where config.toml lies."""
    return locations.home() / FILE_NAME


def read_settings(path: Path | None = None) -> Settings:
    """The settings, all defaults where there is no file. Raises ConfigError that names the file and the field."""
    path = path or settings_file()
    if not path.exists():
        return Settings()
    if not path.is_file():
        # A FIFO would be waited for, and nothing is shown before its keys are known.
        raise ConfigError(str(path), "is not a file; move it out of the way")
    # The configuration of runs comes along, and most people have no such file.
    from tui_gpt.core.config_loading import convert, read_toml

    tree = read_toml(path)
    try:
        return convert(tree, Settings)
    except ConfigError as error:
        raise ConfigError(str(path), f"{error.path} {error.message}") from None
