"""A configuration from a TOML file into the form, and from the form into one that the command line reads too."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from tui_gpt.core.config import RunConfig
from tui_gpt.core.config_loading import build_config, read_toml, to_toml
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.files import write_bytes
from tui_gpt.core.presets import PRESETS
from tui_gpt.ui.configure.form_state import DEFAULT_PRESET
from tui_gpt.ui.dialogs.ask_text import AskText
from tui_gpt.ui.dialogs.choice import confirm

if TYPE_CHECKING:
    from tui_gpt.ui.app import TuiGpt

_SUGGESTED = "tui-gpt.toml"


async def load(app: TuiGpt) -> tuple[str, RunConfig] | None:
    """Ask for a path and read the file over the default preset, as the command line does.

    None if it was left, or where the file cannot be used, which is told. Belongs into a worker.
    """
    detail = "The path of a TOML file, as this tab or `tui-gpt config show` writes it."
    path = await app.push_screen_wait(
        AskText("Load a configuration", detail, _SUGGESTED, action="Load", check=_path_problem)
    )
    if path is None:
        return None
    try:
        tree = await asyncio.to_thread(read_toml, Path(path).expanduser())
        return path, build_config(("preset", PRESETS[DEFAULT_PRESET].tree), (path, tree))
    except ConfigError as error:
        app.say_problem(str(error))
        return None


async def write(app: TuiGpt, config: RunConfig) -> None:
    """Ask for a path, write the file there, and tell what came of it. Belongs into a worker."""
    path = await app.push_screen_wait(
        AskText(
            "Write the configuration", "The path of the TOML file.", _SUGGESTED, action="Write", check=_path_problem
        )
    )
    if path is None:
        return
    target = Path(path).expanduser()
    if await asyncio.to_thread(target.exists):
        question = confirm(f"Replace {path}?", "There is a file of that name already.", "Replace it")
        if await app.push_screen_wait(question) != "yes":
            return
    try:
        await asyncio.to_thread(write_bytes, target, to_toml(config).encode("utf-8"))
    except OSError as error:
        app.say_problem(f"{path} cannot be written: {error.strerror or error}; choose another place")
    else:
        app.say(f"written to {path}")


def _path_problem(text: str) -> str:
    """What is wrong with a path, empty when nothing is."""
    if not text.strip():
        return "a path is needed"
    try:
        Path(text).expanduser()
    except RuntimeError:
        return "there is no such user"
    return "" if "\0" not in text else "a path cannot hold a null character"
