"""llama.cpp for the tests that compare with it: the one that is installed, or one built from source."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

LLAMA_CPP = "llama-cpp-python==0.3.36"
PACKAGES = (LLAMA_CPP, "diskcache==5.6.3")
"""With what it needs and neither this project nor torch brings along."""

# Fewer optimizations make it build in three minutes on two cores, and the tests' models are tiny.
BUILD_SETTINGS = (
    "-DLLAVA_BUILD=OFF -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF -DGGML_OPENMP=OFF "
    "-DCMAKE_C_FLAGS_RELEASE=-O2 -DCMAKE_CXX_FLAGS_RELEASE=-O1"
)
# What pip says when the index did not answer; with an answer, `from versions` lists some.
UNREACHABLE = ("(from versions: none)", "NewConnectionError", "ConnectTimeout", "ReadTimeout", "ProxyError", "SSLError")


@pytest.fixture(scope="session")
def llama_cpp(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The module llama_cpp, built once for all workers where it is not installed.

    Skips where a compiler or the package index is missing, and fails when the build breaks.
    """
    if importlib.util.find_spec("llama_cpp") is None:
        root = tmp_path_factory.getbasetemp()
        if "PYTEST_XDIST_WORKER" in os.environ:
            root = root.parent  # every worker's own folder lies in it
        site = root / "llama-cpp"
        outcome = root / "llama-cpp.json"
        with FileLock(root / "llama-cpp.lock"):
            if not outcome.exists():
                outcome.write_text(json.dumps(build(site)))
        match json.loads(outcome.read_text()):
            case {"skip": reason}:
                pytest.skip(reason)
            case {"fail": reason}:
                pytest.fail(reason, pytrace=False)
        sys.path.append(str(site))
        importlib.invalidate_caches()
    return importlib.import_module("llama_cpp")


def build(site: Path) -> dict[str, str]:
    """Build and install into `site`; returns why it did not work, under `skip` or `fail`, or nothing."""
    if not any(map(shutil.which, filter(None, (os.environ.get("CXX"), "c++", "g++", "clang++")))):
        return {"skip": f"{LLAMA_CPP} cannot be built: no C++ compiler on the PATH"}
    if importlib.util.find_spec("pip") is None:
        return {"skip": f"{LLAMA_CPP} cannot be fetched: no pip beside {sys.executable}"}
    fetched = pip("download", "--no-deps", "--dest", site.with_name("llama-cpp-source"), *PACKAGES)
    if fetched.returncode:
        said = fetched.stdout
        if any(sign in said for sign in UNREACHABLE):
            return {"skip": f"{LLAMA_CPP} cannot be fetched, the package index does not answer: {last_lines(said, 1)}"}
        return {"fail": f"{LLAMA_CPP} cannot be fetched:\n{last_lines(said, 30)}"}
    # By name and not from what was just fetched, so that pip keeps the wheel and the next session need not build it.
    built = pip("install", "--no-deps", "--target", site, *PACKAGES)
    if built.returncode:
        return {"fail": f"{LLAMA_CPP} does not build:\n{last_lines(built.stdout, 40)}"}
    return {}


def pip(command: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Takes no more than this worker's share of the machine, because tests that measure time may run in the others."""
    jobs = max(1, (os.cpu_count() or 1) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
    return subprocess.run(
        ["nice", sys.executable, "-m", "pip", command, "--retries=1", "--timeout=30", *map(str, arguments)],
        env=os.environ | {"CMAKE_ARGS": BUILD_SETTINGS, "CMAKE_BUILD_PARALLEL_LEVEL": str(jobs), "PIP_NO_INPUT": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def last_lines(text: str, count: int) -> str:
    return "\n".join(text.strip().splitlines()[-count:])
