"""Weights from a pickle, on request: read by a process of its own that can lose nothing but itself.

A pickle is a program. torch reads one with a list of what it may do, which has been got round before
(CVE-2025-32434, CVE-2026-24747). So nothing is opened unless a person asked for it by name, there is no second try with
fewer bounds, and the process that opens it has an empty environment, limits of memory, time and what it may write, and
ends when anything in it tries to start another process, to reach the network or to write a file. What it leaves is a
safetensors file, which is then looked at like any other.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tui_gpt.core.errors import ModelError
from tui_gpt.engine.interop.weights import INDEX, WEIGHTS, read_json

WHOLE = "pytorch_model.bin"
_SECONDS = 1800
_SPARE_BYTES = 8 << 30
"""What importing torch may map beside the weights."""
_HARMLESS = {"os.scandir", "os.listdir", "os.fspath"}


def has_pickles(folder: Path) -> bool:
    """Whether weights lie there as older versions of transformers saved them."""
    return (folder / WHOLE).exists() or (folder / f"{WHOLE}.index.json").exists()


def convert_pickles(source: Path, target: Path) -> None:
    """Write what `pytorch_model.bin`, or the files of its index, hold into `target` as safetensors.

    Raises ModelError when there is no such file, or it asks for more than tensors.
    """
    index = source / f"{WHOLE}.index.json"
    if (source / WHOLE).exists():
        names = [WHOLE]
    elif index.exists():
        places = read_json(index).get("weight_map")
        if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
            raise ModelError(f"{index.name} has no weight_map")
        names = sorted(set(places.values()))
    else:
        raise ModelError(f"there is neither {WEIGHTS} nor {WHOLE}")
    weight_map: dict[str, str] = {}
    for number, name in enumerate(names, 1):
        if Path(name).name != name:
            raise ModelError(f"{index.name} speaks of {name!r}, which is not a file name")
        into = WEIGHTS if len(names) == 1 else f"model-{number:05d}-of-{len(names):05d}.safetensors"
        for tensor in _converted(source / name, target / into):
            weight_map[tensor] = into
    if len(names) > 1:
        (target / INDEX).write_bytes(msgspec.json.format(msgspec.json.encode({"weight_map": weight_map}), indent=2))


def _converted(source: Path, target: Path) -> list[str]:
    """The names of the tensors in `source`, which are in `target` then."""
    if not source.is_file():
        raise ModelError(f"there is no file {source.name}")
    with tempfile.TemporaryDirectory() as nowhere:
        command = [sys.executable, "-I", "-m", "tui_gpt.engine.interop.pickles", str(source.resolve()), str(target)]
        try:
            done = subprocess.run(
                command,
                cwd=nowhere,
                env={"PATH": os.defpath, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ModelError(f"{source.name} took more than {_SECONDS // 60} minutes to read, so it was left") from None
    if done.returncode:
        target.unlink(missing_ok=True)
        why = done.stdout.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise ModelError(f"{source.name} cannot be read as plain weights: {why[0][:300]}")
    names: list[str] = msgspec.json.decode(done.stdout)
    return names


def _bound(size: int) -> None:
    """Limits for this process, by the bytes of the file that it is to open."""
    import resource

    for limit, most in (
        (resource.RLIMIT_AS, 4 * size + _SPARE_BYTES),
        (resource.RLIMIT_FSIZE, 2 * size + (1 << 20)),
        (resource.RLIMIT_CPU, _SECONDS),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(limit)
        resource.setrlimit(limit, (most if hard == resource.RLIM_INFINITY else min(most, hard),) * 2)


def main(arguments: Sequence[str]) -> int:
    """In the process of its own: read the first path, write the second one, print the tensors' names as JSON."""
    import torch
    from safetensors.torch import save_file

    source, target = map(Path, arguments)
    _bound(source.stat().st_size)
    _guard(target)
    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
        if not isinstance(content, dict) or not all(
            isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in content.items()
        ):
            raise ValueError("it holds something else than named tensors")
        # What shares its memory, as a tied head does, is written once for each name.
        tensors = {name: tensor.detach().clone().contiguous() for name, tensor in content.items()}
        save_file(tensors, target, metadata={"format": "pt"})
    except BaseException as error:
        text = str(error).strip()
        # torch's own advice is to open it without the list of what it may do.
        first = "it asks for more than tensors" if "weights_only" in text or "Weights only" in text else text
        print(" ".join(first.split())[:300] or type(error).__name__)  # noqa: T201
        return 1
    print(msgspec.json.encode(sorted(tensors)).decode())  # noqa: T201
    return 0


def _guard(target: Path) -> None:
    """From here on this process starts no other one, talks to nobody, and opens no file to write but the target."""
    refused = ("subprocess.", "os.", "pty.", "socket.", "ctypes.", "shutil.", "webbrowser.", "urllib.", "sys.set")

    def refuse(event: str, arguments: tuple[object, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (event.startswith(refused) and event not in _HARMLESS) or (writes and arguments[0] != str(target)):
            raise PermissionError(f"it asks for more than tensors ({event})")

    sys.addaudithook(refuse)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
