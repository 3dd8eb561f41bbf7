"""What is shipped: version, types, entry point, pins, the README's two commands, and nothing private."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import tui_gpt
from tui_gpt.__main__ import main
from tui_gpt.core.locations import example_models_dir

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = Path(tui_gpt.__file__).parent


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """The [project] table of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


@pytest.fixture(scope="module")
def pins() -> dict[str, str]:
    """Canonical name to version, as constraints.txt has them."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    entries = [line for line in lines if line and not line.startswith("#")]
    pairs = [re.fullmatch(r"([A-Za-z0-9._-]+)==([^\s;@]+)", line) for line in entries]
    assert all(pairs), f"only NAME==VERSION belongs here: {[e for e, p in zip(entries, pairs, strict=True) if not p]}"
    return {canonicalize_name(pair[1]): pair[2] for pair in pairs if pair}


@pytest.fixture(scope="module")
def installed() -> metadata.Distribution:
    """What the interpreter knows of the program; a checkout on the path alone is not installed."""
    try:
        return metadata.distribution("tui-gpt")
    except metadata.PackageNotFoundError:
        pytest.skip("tui-gpt is not installed here; `pip install -e .` installs this checkout")


def test_the_version_is_one_and_the_same_everywhere(installed: metadata.Distribution) -> None:
    assert str(Version(tui_gpt.__version__)) == tui_gpt.__version__
    assert installed.version == tui_gpt.__version__
    result = subprocess.run([sys.executable, "-m", "tui_gpt", "--version"], capture_output=True, text=True, check=True)
    assert tui_gpt.__version__ in result.stdout


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


def test_the_command_is_the_entry_point(installed: metadata.Distribution) -> None:
    [entry] = installed.entry_points.select(group="console_scripts", name="tui-gpt")
    assert entry.load() is main
    script = Path(sysconfig.get_path("scripts")) / "tui-gpt"
    assert script.is_file()


def test_the_examples_are_found_where_the_program_is_installed() -> None:
    folder = example_models_dir()
    assert folder in (PACKAGE / "example_models", ROOT / "models")


def test_every_dependency_is_pinned_and_the_pins_are_allowed(project: dict[str, Any], pins: dict[str, str]) -> None:
    direct = [Requirement(text) for text in [*project["dependencies"], *project["optional-dependencies"]["test"]]]
    assert _unpinned(direct, pins) == set()
    pinned = [(requirement, pins[canonicalize_name(requirement.name)]) for requirement in direct]
    assert [(str(requirement), pin) for requirement, pin in pinned if pin not in requirement.specifier] == []


def test_every_direct_dependency_says_its_least_version(project: dict[str, Any]) -> None:
    for text in [*project["dependencies"], *project["optional-dependencies"]["test"]]:
        assert any(part.operator == ">=" for part in Requirement(text).specifier), text


def test_the_pins_name_no_build_of_one_kind_of_machine(pins: dict[str, str]) -> None:
    assert [f"{name}=={version}" for name, version in pins.items() if Version(version).local] == []


def _unpinned(direct: list[Requirement], pins: dict[str, str]) -> set[str]:
    """Packages that the requirements lead to in this environment, and that have no pin.

    A package of another version than its pin may need others, and is not looked into.
    """
    waiting, seen, missing = list(direct), set(), set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if (name, frozenset(requirement.extras)) in seen:
            continue
        seen.add((name, frozenset(requirement.extras)))
        # torch pins what its builds for NVIDIA GPUs need, and only those need it.
        if name.startswith(("nvidia-", "cuda-", "triton")):
            continue
        if name not in pins:
            missing.add(name)
            continue
        if _installed_version(name) != pins[name]:
            continue
        for text in metadata.requires(name) or []:
            needed = Requirement(text)
            extras = requirement.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)
    return missing


def _installed_version(name: str) -> str | None:
    """The version without the mark of a local build, None where the package is not installed."""
    try:
        return Version(metadata.version(name)).public
    except metadata.PackageNotFoundError:
        return None


@pytest.mark.parametrize("name", ["app", "run", "test"])
def test_the_readme_opens_with_two_commands_of_one_line_each(name: str) -> None:
    opening = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:30])
    [line] = re.findall(rf"^<!-- {name} -->\n```sh\n([^\n]+)\n```$", opening, flags=re.MULTILINE)
    assert "-c constraints.txt" in line


# Written in pieces, so that this file does not contain what it looks for.
_PRIVATE = [
    r"(?<![\w.])/(?:work|root|opt)" + r"/",
    r"(?<![\w.])/(?:home|Users)" + r"/\w",
    "find" + r"-links",
    "index" + r"-url",
    "python" + "hosted",
    r"\bpy" + r"pi\.",
    "download.py" + r"torch\.org",
]


def test_no_file_names_a_folder_of_somebodys_machine_or_a_registry() -> None:
    found = []
    pattern = re.compile("|".join(_PRIVATE))
    for path in _files_of_the_project():
        for number, line in enumerate(path.read_bytes().decode("utf-8", errors="replace").splitlines(), start=1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    assert found == []


def _files_of_the_project() -> list[Path]:
    """Tracked files; where there is no git, all but what tools leave behind."""
    git = shutil.which("git")
    if git and (ROOT / ".git").exists():
        names = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        paths = [ROOT / name for name in names.split("\0") if name]
    else:
        made = {"__pycache__", "venv", "build", "dist"}
        paths = [
            path
            for path in ROOT.rglob("*")
            if not any(
                part in made or (part.startswith(".") and part != ".ci") for part in path.relative_to(ROOT).parts
            )
        ]
    return [path for path in paths if path.is_file() and path.suffix != ".safetensors"]
