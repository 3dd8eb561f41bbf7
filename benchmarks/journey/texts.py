"""Texts to train on."""

from __future__ import annotations

from pathlib import Path

_SEED = 7


def stories_file(path: Path, megabytes: float) -> Path:
    """A text of so many million bytes in `path`: small stories, another draw than the built-in ones."""
    from tui_gpt.engine.text.stories import generate_stories

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(generate_stories(_SEED, megabytes)), encoding="utf-8")
    return path


def builtin_stories(megabytes: float) -> list[str]:
    """The built-in corpus, story by story."""
    from tui_gpt.engine.text.builtin import builtin_documents

    return list(builtin_documents("stories", megabytes))
