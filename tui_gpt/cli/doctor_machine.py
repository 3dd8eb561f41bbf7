"""What computes here: versions, devices, types and the compiler, each tried out."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata

from tui_gpt import __version__
from tui_gpt.cli.findings import Finding
from tui_gpt.cli.tables import amount
from tui_gpt.core.errors import TuiGptError

_PACKAGES = ("torch", "numpy", "tokenizers", "tiktoken", "safetensors", "msgspec", "click", "textual", "plotext")
_COMPILE_SECONDS = 120.0
_LITTLE_MEMORY = 1_000_000_000
"""Bytes. PyTorch itself takes a few hundred million."""


def machine_findings(*, quick: bool) -> Iterator[Finding]:
    """Everything about processors and what runs on them. With `quick` nothing is compiled."""
    yield Finding(name="tui-gpt", value=f"{__version__}, in Python {platform.python_version()} ({sys.executable})")
    yield from _packages()
    yield Finding(name="system", value=f"{platform.system()} {platform.release()}, {platform.machine()}")
    try:
        import torch  # noqa: F401
    except (ImportError, OSError) as error:
        first = str(error).split("\n", 1)[0]
        yield Finding(
            name="torch", value="broken", advice=f"it cannot be loaded ({first}); install it anew", fatal=True
        )
        return
    yield from _device(quick=quick)


def _packages() -> Iterator[Finding]:
    found, missing = [], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    advice = f"{', '.join(missing)} not installed; install tui-gpt again with pip" if missing else ""
    yield Finding(name="packages", value=", ".join(found), advice=advice, fatal=bool(missing))


def _device(*, quick: bool) -> Iterator[Finding]:
    import torch

    from tui_gpt.engine.cores import physical_threads
    from tui_gpt.engine.training.devices import available_memory, choose_device, device_name

    device = choose_device("auto")
    count = f", {torch.cuda.device_count()} of them" if device == "cuda" and torch.cuda.device_count() > 1 else ""
    yield Finding(name="device", value=f"{device}: {device_name(device)}{count}")
    if device != "cpu":
        yield Finding(name="processor", value=device_name("cpu"))
    yield Finding(name="threads", value=f"{physical_threads()} of {os.cpu_count()} logical processors")
    free = available_memory("cpu")
    yield Finding(
        name="memory",
        value=f"{amount(free)} free"
        + (f", {amount(available_memory(device))} on the device" if device == "cuda" else ""),
        advice="little memory is free; end other programs before training" if free < _LITTLE_MEMORY else "",
    )
    yield _precision(device)
    yield _compiler(device, quick=quick)


def _precision(device: str) -> Finding:
    import torch

    from tui_gpt.engine.training.devices import attention_is_causal, bf16_gain

    parts, advice = ["float32"], ""
    gain = bf16_gain(device)
    if gain:
        parts.append(f"bf16 ({gain:.1f} times as fast)")
    for name, dtype in (("float32", torch.float32), ("bf16", torch.bfloat16)):
        try:
            causal = attention_is_causal(device, dtype)
        except RuntimeError:  # the device has no attention of this type
            continue
        if not causal:
            advice = (
                f"this PyTorch's {name} attention looks into the future here; update torch, or train with --device cpu"
            )
    return Finding(name="types", value=", ".join(parts), advice=advice)


def _compiler(device: str, *, quick: bool) -> Finding:
    from tui_gpt.engine.training.devices import compiler_missing

    missing = compiler_missing(device)
    if missing:
        advice = "training works without it; for long runs on the CPU, a C++ compiler (g++ or clang++) makes it faster"
        return Finding(name="compile", value=f"no: {missing}", advice=advice if device == "cpu" else "")
    if quick:
        return Finding(name="compile", value="a compiler is there; not tried, because of --quick")
    try:
        seconds = compile_seconds(device)
    except TuiGptError as error:
        advice = f"torch.compile does not work ({error}); training goes on without it"
        return Finding(name="compile", value="no", advice=advice)
    return Finding(name="compile", value=f"works; a tiny function took {seconds:.0f} s")


def compile_seconds(device: str, limit: float = _COMPILE_SECONDS) -> float:
    """How long it takes to compile a tiny function, PyTorch's start included. Raises TuiGptError where it fails."""
    started = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "tui_gpt.cli.compile_probe", device],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            _, errors = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            raise TuiGptError(f"it took more than {limit:.0f} seconds") from None
        finally:
            # The compiler has workers of its own, which go with it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        lines = errors.decode(errors="replace").strip().split("\n")
        raise TuiGptError(lines[-1][:200] or f"exit code {process.returncode}")
    return time.monotonic() - started
