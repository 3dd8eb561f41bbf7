"""Files as nobody should trust them: damage, values that no program of ours writes, and both of them at random."""

from __future__ import annotations

import copy
import json
import os
import resource
import shutil
import signal
import socket
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
import pytest
from hypothesis import strategies as st
from training_runs import Scene, tiny

from tui_gpt.core.runs.store import Run

# ---- damage to what lies on the disk


def _cut_to(share: float) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        os.truncate(path, int(path.stat().st_size * share))

    return damage


def _flip_at(share: float) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[min(int(len(content) * share), len(content) - 1)] ^= 1 << 3
        path.write_bytes(content)

    return damage


def _lose_last_bytes(path: Path) -> None:
    """Two, for the last one of a JSON file is a line end that it means the same without."""
    os.truncate(path, path.stat().st_size - 2)


def _punch_hole(path: Path) -> None:
    """The middle third reads as zeros, as after a power loss."""
    content = bytearray(path.read_bytes())
    third = len(content) // 3
    content[third : 2 * third] = bytes(third)
    path.write_bytes(content)


def _grow(path: Path) -> None:
    with path.open("ab") as handle:
        handle.write(b"\0")


def _swell(path: Path) -> None:
    """A terabyte that takes no room on the disk."""
    os.truncate(path, 1 << 40)


def _link(path: Path) -> None:
    """The same bytes, reached through a link out of the folder."""
    aside = path.parents[1] / f"aside-{path.name}"
    path.rename(aside)
    path.symlink_to(aside)


def _link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("not-there"))


def _link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _link_to_zeros(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _make_socket(path: Path) -> None:
    path.unlink()
    # The name of a socket may have some hundred bytes only, and paths of tests are longer.
    with socket.socket(socket.AF_UNIX) as bound, inside(path.parent):
        bound.bind(path.name)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "emptied": _cut_to(0),
    "cut to a half": _cut_to(0.5),
    "two bytes short": _lose_last_bytes,
    "flipped in the first byte": _flip_at(0),
    "flipped in the middle": _flip_at(0.5),
    "flipped in the last byte": _flip_at(1),
    "holed": _punch_hole,
    "a byte longer": _grow,
    "swollen to a terabyte": _swell,
    "missing": Path.unlink,
    "a link to its bytes": _link,
    "a link to nothing": _link_to_nothing,
    "a link to itself": _link_to_itself,
    "a link to endless zeros": _link_to_zeros,
    "a folder": _make_folder,
    "a fifo": _make_fifo,
    "a socket": _make_socket,
}
"""By what the file is afterwards. None of them leaves a regular file with the bytes that were written."""


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in another folder for a while."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Fail if the block takes longer, even where it waits inside a system call (a FIFO nobody writes into, say).

    Nor may it take more than two gigabytes of memory, which an endless file would fill before the time is over.
    """

    def give_up(signum: int, frame: FrameType | None) -> None:
        raise AssertionError(f"it took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    unlimited = resource.getrlimit(resource.RLIMIT_AS)
    now = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (now + (2 << 30), unlimited[1]))
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, unlimited)
        signal.signal(signal.SIGALRM, before)


def slow_but(chosen: Collection[str], names: Iterable[str]) -> list[Any]:
    """Parameters of a test: the chosen ones belong to every run of the tests, the others to the long one."""
    return [pytest.param(name, marks=() if name in chosen else pytest.mark.slow) for name in names]


def files_of(folder: Path) -> list[str]:
    """The names of the regular files right below a folder."""
    return sorted(path.name for path in folder.iterdir() if path.is_file() and not path.is_symlink())


def contents(folder: Path, *left_out: str) -> dict[str, bytes | str | None]:
    """Everything below a folder: bytes of files, where links lead, and None for the rest."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file() and path.name not in left_out and path.stat().st_size < 1 << 30:
            found[name] = path.read_bytes()
        else:
            found[name] = None
    return found


# ---- a real home to damage

_MADE: dict[str, Path] = {}


def trained_home(factory: pytest.TempPathFactory) -> Path:
    """A folder with a home in it: the finished run `bard` with checkpoints of steps 10 and 20, and the model `bard`.

    Really trained, once for each process of the tests. Whoever changes something takes a copy: see `copied`.
    """
    if "home" not in _MADE:
        folder = factory.mktemp("trained")
        scene = Scene(folder)
        run = scene.begin(tiny(scene.text, max_steps=20, checkpoint_interval=10, model={"n_embd": 16}), "bard")
        assert scene.train_here(run) == 0
        assert [checkpoint.step for checkpoint in run.checkpoints()] == [10, 20]
        _MADE["home"] = folder
    return _MADE["home"]


def copied(original: Path, folder: Path) -> Scene:
    """A copy of `trained_home`, with its text where the run looks for it."""
    shutil.copytree(original / "home", folder / "home", symlinks=True)
    scene = Scene(folder)
    scene.text = original / "text" / "stories.txt"
    return scene


def run_of(scene: Scene, name: str = "bard") -> Run:
    """The run as it lies on the disk now."""
    from tui_gpt.core.runs.store import RunStore

    return RunStore(scene.home / "runs").open(name)


# ---- values that nobody of ours writes


_RAW = {
    f"@{name}@": text
    for name, text in {
        "900 lists": b"[" * 900 + b"]" * 900,
        "980 lists": b"[" * 980 + b"]" * 980,
        "300 tables": b'{"a":' * 300 + b"0" + b"}" * 300,
        "infinity": b"1e999",
        "nan": b"NaN",
        "a surrogate": b'"\\ud800"',
        "a long number": b"9" * 4400,
    }.items()
}
"""What Python's own encoder does not write, by what stands for it in a tree."""

_NUMBERS = (
    0,
    -1,
    1 << 31,
    1 << 53,
    (1 << 63) - 1,
    1 << 63,
    1 << 64,
    10**30,
    10**400,
    10**4299,
    0.5,
    -0.5,
    1e308,
    -1e308,
)
_TEXTS = (
    "",
    "../../../etc/passwd",
    "/dev/zero",
    "\x1b]52;c;ZXZpbA==\x07\x1b[2J\u202e[@click=app.bell]x[/]\x9b31m\0",
    "x" * 20_000,
    "9999-99-99T99:99:99Z",
    "0001-01-01T00:00:00Z",
    "cuda:99",
    "-1",
    "toy\nname",
)
_OTHERS = (None, True, False, [], {}, [None] * 50, {"": {"": []}}, *_RAW)


def encoded(tree: Any) -> bytes:
    """As JSON, with what stands for raw text replaced by it."""
    content = json.dumps(tree).encode()
    for name, text in _RAW.items():
        content = content.replace(json.dumps(name).encode(), text)
    return content


def _values_like(value: Any) -> tuple[Any, ...]:
    """Values that get further than most, for they are of the kind that was there."""
    if isinstance(value, bool) or value is None:
        return _NUMBERS + _TEXTS
    return _NUMBERS if isinstance(value, int | float) else _TEXTS if isinstance(value, str) else _OTHERS


def each_value_replaced(tree: Any) -> Iterator[tuple[str, Any]]:
    """Every leaf of a tree, with each impossible, absurd or dangerous value of its kind in its place, one at a time."""
    for place in _places(tree):
        leaf = _at(tree, place)
        if place and not isinstance(leaf, dict | list):
            for value in _values_like(leaf):
                changed = copy.deepcopy(tree)
                _at(changed, place[:-1])[place[-1]] = value
                yield f"{'.'.join(map(str, place))} = {str(value)[:40]}", changed


_SNIPPETS = (
    b"",
    b"\0",
    b"\0" * 4096,
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b'"\\ud800"',
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-",
    b"9" * 400,
    b"9" * 5000,
    b"[" * 5000,
    b'{"a":' * 2000,
    b'"',
    b"\n",
    b"\r\n",
    b",",
    b"}",
    b"{}",
    b"null",
    b"true",
    b"\x1b[2J",
)


def _places(tree: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, child in children:
        yield from _places(child, (*place, key))


def _at(tree: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        tree = tree[key]
    return tree


@st.composite
def mutated_trees(draw: st.DrawFn, tree: Any) -> Any:
    """`tree` with one to three of its values replaced, left out, or joined by others."""
    tree = [copy.deepcopy(tree)]
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 3)))):
        *way, key = draw(st.sampled_from([place for place in _places(tree) if place]))
        holder = _at(tree, tuple(way))
        likely = _values_like(holder[key])
        value = copy.deepcopy(draw(st.one_of(st.sampled_from(likely), st.sampled_from(_NUMBERS + _TEXTS + _OTHERS))))
        match draw(st.sampled_from(("replace", "replace", "replace", "leave out", "join"))):
            case "replace":
                holder[key] = value
            case "leave out" if way:
                del holder[key]
            case "join" if isinstance(holder[key], dict):
                holder[key]["unheard of"] = value
            case "join" if isinstance(holder[key], list):
                holder[key].append(value)
            case _:
                holder[key] = [holder[key], value]
    return tree[0]


@st.composite
def mutated_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """`content` with one to four cuts, flips, insertions or doublings."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        to = min(len(content), at + draw(st.sampled_from((0, 1, 2, 8, 64, 1024))))
        match draw(st.sampled_from(("cut", "flip", "put", "put", "random", "double"))):
            case "cut":
                content = content[:at]
            case "flip" if at < len(content):
                content = content[:at] + bytes([content[at] ^ (1 << draw(st.integers(0, 7)))]) + content[at + 1 :]
            case "put":
                content = content[:at] + draw(st.sampled_from(_SNIPPETS)) + content[to:]
            case "random":
                content = content[:at] + draw(st.binary(max_size=16)) + content[to:]
            case "double":
                content = content[:to] + content[at:]
    return content


def mutated_json(content: bytes) -> st.SearchStrategy[bytes]:
    """A JSON file with other values in it, or other bytes."""
    tree = json.loads(content)
    return st.one_of(mutated_trees(tree).map(encoded), mutated_bytes(content))
