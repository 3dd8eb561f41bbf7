"""Texts to encode, as documents: real ones where they are at hand, and those that come with the program."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from tui_gpt.engine.text.builtin import builtin_documents

BUILT_IN = {"stories": 16.0, "python": 0.0}
"""With the megabytes of what is generated."""
_FILES = {"tinyshakespeare": "tinyshakespeare.txt", "tinystories": "tinystories/tinystories_slice_eot.txt"}
_MOST_CHARACTERS = 16_000_000
_SCENE_PARAGRAPHS = 40


def names() -> list[str]:
    """Those that are here."""
    return [name for name, file in _FILES.items() if (_folder() / file).is_file()] + list(BUILT_IN)


def documents(name: str) -> list[str]:
    """Its documents; of a play, forty paragraphs each."""
    if name in BUILT_IN:
        return _within(list(builtin_documents(name, BUILT_IN[name])))
    text = (_folder() / _FILES[name]).read_text(encoding="utf-8")
    if "<|endoftext|>" in text:
        return [story.strip() for story in text.split("<|endoftext|>") if story.strip()]
    paragraphs = iter(text.split("\n\n"))
    return ["\n\n".join(scene) for scene in iter(lambda: list(islice(paragraphs, _SCENE_PARAGRAPHS)), [])]


def size(texts: Sequence[str]) -> int:
    """Bytes in UTF-8."""
    return sum(len(text.encode("utf-8")) for text in texts)


def _within(texts: list[str]) -> list[str]:
    characters = 0
    for number, text in enumerate(texts):
        characters += len(text)
        if characters > _MOST_CHARACTERS:
            return texts[:number]
    return texts


def _folder() -> Path:
    shared = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    return Path(os.environ.get("TUI_GPT_SHARED_DATA", shared))
