"""Where things are shown and kept: the terminal, the folders, and GPT-2's tokenizer."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tui_gpt.cli.findings import Finding
from tui_gpt.cli.tables import amount
from tui_gpt.core import locations

_LITTLE_SPACE = 1_000_000_000
"""Bytes. A run of a small model keeps a few checkpoints of some ten millions each."""


def place_findings() -> Iterator[Finding]:
    """Everything about terminal and disk."""
    yield _terminal()
    for name, folder in (
        ("models", locations.models_dir()),
        ("runs", locations.runs_dir()),
        ("cache", locations.cache_dir()),
    ):
        yield _folder(name, folder)
    examples = locations.example_models_dir()
    yield Finding(name="examples", value="none" if examples is None else str(examples))
    yield _gpt2_tokenizer()
    yield _fetched_corpora()


def _terminal() -> Finding:
    term = os.environ.get("TERM", "")
    encoding = (sys.stdout.encoding or "unknown").lower()
    size = shutil.get_terminal_size()
    shown = f"{size.columns} x {size.lines}" if sys.stdout.isatty() else "stdout is no terminal"
    advice = ""
    if encoding.replace("-", "") != "utf8":
        advice = f"stdout takes {encoding}, so that other characters are shown as codes; set LANG to a UTF-8 locale"
    elif term in ("", "dumb"):
        advice = "TERM names no terminal that can be drawn on; the commands work, a full screen does not"
    return Finding(name="terminal", value=f"{term or 'no TERM'}, {_colours(term)}, {encoding}, {shown}", advice=advice)


def _colours(term: str) -> str:
    if os.environ.get("NO_COLOR"):
        return "no colours (NO_COLOR)"
    if os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit") or term.endswith("-direct"):
        return "16 million colours"
    if "256color" in term:
        return "256 colours"
    return "no colours" if term in ("", "dumb") else "16 colours"


def _folder(name: str, folder: Path) -> Finding:
    """Whether files can be made in `folder`, or in the nearest one above it that is there."""
    there = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), folder)
    try:
        with tempfile.TemporaryFile(dir=there) as handle:
            handle.write(b"doctor")
        free = shutil.disk_usage(there).free
    except OSError as error:
        advice = f"{there} cannot be written to ({error.strerror}); change that, or set TUI_GPT_HOME to another folder"
        return Finding(name=name, value=f"{folder}, not writable", advice=advice, fatal=True)
    new = "" if there == folder else ", to be made"
    little = f"{amount(free)} are little for checkpoints; delete runs, or set TUI_GPT_HOME to a larger disk"
    return Finding(
        name=name,
        value=f"{folder}, writable{new}, {amount(free)} free",
        advice=little if free < _LITTLE_SPACE else "",
    )


def _gpt2_tokenizer() -> Finding:
    from tui_gpt.engine.text.gpt2_tokenizer import is_available_offline, tiktoken_cache_dir

    if is_available_offline():
        return Finding(name="gpt2 tokenizer", value=f"in {tiktoken_cache_dir()}")
    return Finding(
        name="gpt2 tokenizer",
        value="not in the cache",
        advice="it is downloaded when first used (1.5 MB); without a network choose the tokenizer bpe instead",
    )


def _fetched_corpora() -> Finding:
    from tui_gpt.core.config import DataConfig
    from tui_gpt.core.corpora import CATALOGUE
    from tui_gpt.core.fetched import missing

    fetched = [name for name, corpus in CATALOGUE.items() if corpus.is_fetched]
    here = [name for name in fetched if missing(DataConfig(corpus=name)) is None]
    lack = [name for name in fetched if name not in here]
    value = "; ".join(
        filter(
            None,
            [", ".join(here) and f"here: {', '.join(here)}", ", ".join(lack) and f"to be fetched: {', '.join(lack)}"],
        )
    )
    return Finding(name="corpora", value=value)
