"""Text that every machine with Python has: the source of its standard library, and its documentation."""

from __future__ import annotations

import ast
import inspect
import re
import sysconfig
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tui_gpt.core.errors import CorpusError

_LEFT_OUT = {
    "test",
    "tests",
    "idlelib",
    "idle_test",
    "lib2to3",
    "site-packages",
    "dist-packages",
    "__pycache__",
    "lib-dynload",
}
_SHORTEST_PROSE_WORDS = 12
_SIGNATURE = re.compile(r"^[\w.]+\(.*\)(\s*->.*)?$")


@cache
def standard_library_files() -> tuple[Path, ...]:
    """The standard library's Python files, sorted; tests and what was installed besides left out.

    Raises CorpusError when the interpreter has no library of plain files.
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    found = [path for path in sorted(root.rglob("*.py")) if _LEFT_OUT.isdisjoint(path.relative_to(root).parts)]
    if not found:
        raise CorpusError(
            f"this Python has no standard library of plain files in {root}; choose another corpus, e.g. stories"
        )
    return tuple(found)


def source_documents() -> Iterator[str]:
    """Every source file of the library that is valid UTF-8 and not empty, each text once, line ends as `\\n`."""
    seen: set[str] = set()
    for path in standard_library_files():
        text = _read_source(path)
        if text and text.strip() and text not in seen:
            seen.add(text)
            yield text


def documentation_documents() -> Iterator[str]:
    """Every topic of Python's manual that help() knows, then the docstrings of every public module, one text each."""
    yield from _manual_topics()
    seen: set[str] = set()
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in standard_library_files():
        if any(part.startswith("_") and part != "__init__.py" for part in path.relative_to(root).parts):
            continue
        prose = [text for text in _docstrings(_read_source(path) or "") if text not in seen]
        seen.update(prose)
        if prose:
            yield "\n\n".join(prose)


def _read_source(path: Path) -> str | None:
    try:
        # Universal newlines; utf-8-sig drops the byte-order mark that a few files carry.
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None


def _manual_topics() -> Iterator[str]:
    try:
        from pydoc_data.topics import topics
    except ImportError:  # some distributions leave it out
        return
    seen: set[str] = set()
    for name in sorted(topics):
        text = inspect.cleandoc(topics[name])
        if text not in seen:
            seen.add(text)
            yield text


def _docstrings(source: str) -> Iterator[str]:
    """The docstrings of a module's public names that are prose, in the order of the source. Nothing is imported."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in old source
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return
    yield from _docstrings_below(tree)


def _docstrings_below(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    text = ast.get_docstring(node, clean=True)
    if text and is_prose(text):
        yield text
    if isinstance(node, ast.Module | ast.ClassDef):
        for child in node.body:
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith(
                "_"
            ):
                yield from _docstrings_below(child)


def is_prose(text: str) -> bool:
    """Whether a docstring says something in words: not only signatures, and not very short."""
    lines = [line for line in text.splitlines() if not _SIGNATURE.match(line.strip())]
    return len(re.findall(r"[A-Za-z]{2,}", " ".join(lines))) >= _SHORTEST_PROSE_WORDS
