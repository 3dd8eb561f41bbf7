"""Core, the screen and the command line stay light: torch is loaded where something is computed, nowhere before."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys

import pytest

import tui_gpt.cli
import tui_gpt.core
import tui_gpt.ui

HEAVY = ("numpy", "pyarrow", "safetensors", "textual", "tiktoken", "tokenizers", "torch", "transformers", "zstandard")

_REPORT_WHO_LOADS_WHAT = """
import importlib, json, sys
modules, heavy = json.loads(sys.argv[1])
found = {}
for module in modules:
    importlib.import_module(module)
    loaded = [name for name in heavy if name in sys.modules and not any(name in names for names in found.values())]
    if loaded:
        found[module] = loaded
print(json.dumps(found))
"""


def _heavy_loaded_by(modules: list[str]) -> dict[str, list[str]]:
    """Which of the modules is the first to load which heavy package, in a fresh interpreter."""
    request = json.dumps([modules, HEAVY])
    result = subprocess.run(
        [sys.executable, "-c", _REPORT_WHO_LOADS_WHAT, request], capture_output=True, text=True, check=True
    )
    found: dict[str, list[str]] = json.loads(result.stdout)
    return found


def test_no_module_of_core_loads_a_heavy_package() -> None:
    found = pkgutil.walk_packages(tui_gpt.core.__path__, "tui_gpt.core.")
    modules = ["tui_gpt.core", *(module.name for module in found)]
    assert len(modules) > 20, f"the walk found only {modules}"
    assert _heavy_loaded_by(modules) == {}


def test_no_module_of_the_screen_loads_what_computes() -> None:
    found = pkgutil.walk_packages(tui_gpt.ui.__path__, "tui_gpt.ui.")
    modules = ["tui_gpt.ui", *(module.name for module in found)]
    assert len(modules) > 30, f"the walk found only {modules}"
    loaded = {name for names in _heavy_loaded_by(modules).values() for name in names}
    assert loaded == {"textual"}


def test_no_command_loads_a_heavy_package_before_it_computes() -> None:
    modules = [
        "tui_gpt.__main__",
        "tui_gpt.cli",
        *(f"tui_gpt.cli.{module}" for module, _ in tui_gpt.cli.COMMANDS.values()),
    ]
    assert _heavy_loaded_by(modules) == {}


def test_the_look_at_sys_modules_notices_a_heavy_package() -> None:
    found = _heavy_loaded_by(["tui_gpt.core.config", "tui_gpt.engine.network"])
    assert list(found) == ["tui_gpt.engine.network"]
    assert "torch" in found["tui_gpt.engine.network"]


@pytest.mark.parametrize("arguments", [[], ["--help"], ["--version"], ["runs", "list"]])
def test_a_command_that_computes_nothing_runs_without_heavy_packages(arguments: list[str], home: object) -> None:
    program = (
        "import sys\n"
        "from tui_gpt.cli import run\n"
        "run(sys.argv[2:])\n"
        "sys.exit(','.join(name for name in sys.argv[1].split(',') if name in sys.modules) or 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, ",".join(HEAVY), *arguments], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
