"""safetensors files, one or several, opened with suspicion: names, shapes and types before a single number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tui_gpt.core.errors import MemoryLimitError, ModelError
from tui_gpt.core.given_files import is_too_deep, read_given

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "model.pth")
_FLOATS = {"F64", "F32", "F16", "BF16"}
# Some 100 bytes per tensor, in an index as in the header of a file: for more tensors than any network has that can be
# opened. No configuration comes near this.
_JSON_MAX_BYTES = 16 << 20


class WeightFiles:
    """The tensors of a model folder, by name. Made by `open_weights`."""

    def __init__(self, places: dict[str, Any]) -> None:
        self._places = places

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes, from the headers. Raises ModelError for a tensor that is not floating point."""
        result: dict[str, tuple[int, ...]] = {}
        for name, handle in self._places.items():
            view = handle.get_slice(name)
            if view.get_dtype() not in _FLOATS:
                raise ModelError(f"the tensor {name!r} holds {view.get_dtype()}, and only floating point can be opened")
            result[name] = tuple(view.get_shape())
        return result

    def read(self, name: str) -> Tensor:
        """One tensor, on the CPU, in the type in which it is stored. Raises ModelError when it cannot be read."""
        try:
            tensor: Tensor = self._places[name].get_tensor(name)
        except SafetensorError as error:
            raise ModelError(f"the tensor {name!r} cannot be read: {error}") from None
        return tensor


def has_weights(folder: Path) -> bool:
    """Whether there are weights that are no pickle."""
    return (folder / WEIGHTS).exists() or (folder / INDEX).exists()


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a model's weights, and their index where there are several. Raises ModelError."""
    shards = list(_shards(folder))
    return shards if shards == [folder / WEIGHTS] else [folder / INDEX, *shards]


@contextmanager
def open_weights(folder: Path) -> Iterator[WeightFiles]:
    """The weights of a model folder: model.safetensors, or the files that model.safetensors.index.json lists.

    Raises ModelError where there are none, where a file is damaged, and for weights that exist only as a pickle, and
    MemoryLimitError where a file is longer than this process may map.
    """
    with ExitStack() as stack:
        places: dict[str, Any] = {}
        for path, listed in _shards(folder).items():
            handle = stack.enter_context(_opened(path))
            names = set(handle.keys())
            absent = sorted(listed - names)
            if absent:
                raise ModelError(f"{INDEX} looks for the tensor {absent[0]!r} in {path.name}, which does not hold it")
            for name in names:
                if name in places:
                    raise ModelError(f"the tensor {name!r} is in more than one of the files that {INDEX} lists")
                places[name] = handle
        yield WeightFiles(places)


def read_json(path: Path) -> dict[str, Any]:
    """The table in a JSON file. Raises ModelError when there is none, or something else."""
    try:
        content = msgspec.json.decode(read_given(path, _JSON_MAX_BYTES))
    except FileNotFoundError:
        raise ModelError(f"there is no {path.name}, so this is not a model folder") from None
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read: {(error.strerror or str(error)).lower()}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"{path.name} is not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path.name} holds no table of fields")
    if is_too_deep(content):
        raise ModelError(f"{path.name} is nested too deeply for such a file")
    return content


def _shards(folder: Path) -> dict[Path, set[str]]:
    """Each file, with the tensors that the index says it holds."""
    if (folder / WEIGHTS).exists():
        return {folder / WEIGHTS: set()}
    if not has_weights(folder):
        pickled = next((name for name in _PICKLES if (folder / name).exists()), None)
        if pickled:
            raise ModelError(
                f"its weights are in {pickled}, a pickle, which can run any code when opened; get them as safetensors"
            )
        raise ModelError(f"there is no {WEIGHTS}")
    places = read_json(folder / INDEX).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise ModelError(f"{INDEX} has no weight_map")
    shards: dict[Path, set[str]] = {}
    for tensor, name in places.items():
        if not isinstance(name, str) or name in ("", ".", "..") or set(name) & set("/\\\0"):
            raise ModelError(f"{INDEX} puts the tensor {tensor!r} into {name!r}, which is not a file name")
        shards.setdefault(folder / name, set()).add(tensor)
    return shards


def _opened(path: Path) -> Any:
    if not path.is_file():
        raise ModelError(f"there is no file {path.name}")
    try:
        with path.open("rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
        if length > _JSON_MAX_BYTES:
            raise ModelError(f"{path.name} is damaged: it has a header of {length:,} bytes, which no such file needs")
        return safe_open(path, framework="pt", device="cpu")
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path.name} is damaged or not a safetensors file: {error}") from None
    except (MemoryError, RuntimeError) as error:
        # What the kernel maps for writing must fit into memory and swap, whether it is ever touched or not.
        if isinstance(error, RuntimeError) and "mmap" not in str(error):
            raise ModelError(f"{path.name} cannot be read: {error}") from None
        raise MemoryLimitError(
            f"{path} has {path.stat().st_size / 1e9:,.1f} GB, more than this process may map; open a smaller model, or "
            "use a machine with more memory (or a higher `ulimit -v`)"
        ) from None
