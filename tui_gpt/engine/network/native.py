"""decoding.c as a library for this processor: compiled where it is first needed, and kept in the cache.

Nothing depends on it but speed: without a C compiler, torch computes the same.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from tui_gpt.core.locations import cache_dir

_SOURCE = Path(__file__).with_name("decoding.c")
_FLAGS = ("-std=gnu11", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
_THREADS = ("-fopenmp", "-fopenmp-simd")
"""The second is for compilers that know no threads."""
_COMPILE_SECONDS = 60


@functools.cache
def library() -> ctypes.CDLL | None:
    """The library, compiled within a second or two if it was not before; None where that cannot be done."""
    try:
        path = library_path()
        if not path.exists():
            _compile(path)
        try:
            return ctypes.CDLL(str(path))
        except OSError:  # half a file, after a power failure
            path.unlink()
            _compile(path)
            return ctypes.CDLL(str(path))
    except (OSError, subprocess.SubprocessError):
        return None


def library_path() -> Path:
    """Where the library of this source for this processor lies; a home folder may be shared by several."""
    identity = hashlib.sha256(_SOURCE.read_bytes())
    identity.update(repr((_FLAGS, platform.system(), platform.machine(), _processor())).encode())
    return cache_dir() / "native" / f"decoding-{identity.hexdigest()[:16]}.so"


def _processor() -> str:
    """What it is able to do, where the system says so."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            return next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        return platform.processor()


def _compile(path: Path) -> None:
    """Raises OSError or SubprocessError where there is no library afterwards."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise FileNotFoundError("no C compiler")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        for number, threads in enumerate(_THREADS):
            command = [*compiler.split(), *_FLAGS, threads, "-o", str(made), str(_SOURCE), "-lm"]
            try:
                subprocess.run(
                    command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=_COMPILE_SECONDS
                )
                break
            except subprocess.CalledProcessError:
                if number == len(_THREADS) - 1:
                    raise
        made.replace(path)
