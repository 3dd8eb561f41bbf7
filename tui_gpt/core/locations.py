"""Where things live: one data folder and one cache folder, both overridable by TUI_GPT_HOME."""

from __future__ import annotations

import os
from pathlib import Path

HOME_VARIABLE = "TUI_GPT_HOME"


def home() -> Path:
    """The folder of everything a person would miss: models, runs, notes and settings."""
    override = os.environ.get(HOME_VARIABLE)
    if override:
        return Path(override).expanduser().absolute()
    import platformdirs

    return platformdirs.user_data_path("tui-gpt")


def models_dir() -> Path:
    """The library of models."""
    return home() / "models"


def runs_dir() -> Path:
    """One folder per training run."""
    return home() / "runs"


def notes_file() -> Path:
    """The library's diary: every saved model appends an entry."""
    return home() / "notes.txt"


def guards_dir() -> Path:
    """Guards of a person's own: one TOML file each."""
    return home() / "guards"


def templates_dir() -> Path:
    """Templates of a person's own: one TOML file each."""
    return home() / "templates"


def cache_dir() -> Path:
    """The folder of what can be made again: token files, generated corpora, downloads, device probes."""
    if os.environ.get(HOME_VARIABLE):
        return home() / "cache"
    import platformdirs

    return platformdirs.user_cache_path("tui-gpt")


def example_models_dir() -> Path | None:
    """The trained examples that come with the program: in the wheel, or in a source checkout. None when absent."""
    package = Path(__file__).resolve().parent.parent
    checkout = package.parent
    # Beside an installed package, a folder named models would be somebody else's.
    in_checkout = [checkout / "models"] if (checkout / "pyproject.toml").is_file() else []
    return next((folder for folder in (package / "example_models", *in_checkout) if folder.is_dir()), None)
