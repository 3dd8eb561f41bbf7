"""The models that come with the program are in the library, whole, and write."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_gpt.core.config import SampleConfig
from tui_gpt.core.errors import ModelError
from tui_gpt.core.locations import example_models_dir
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.notes import read_entries
from tui_gpt.engine.generation.stream import generate_text
from tui_gpt.engine.interop.huggingface import read_model_folder

ROOT = Path(__file__).resolve().parent.parent.parent


def test_an_empty_home_has_the_examples_and_each_is_intact(home: Path) -> None:
    entries = ModelHandler().list()
    assert "stories" in [entry.name for entry in entries]
    assert not home.exists(), "looking at the library made something"
    for entry in entries:
        assert entry.read_only
        assert ModelHandler().verify(entry.name) == []


def test_examples_stay_as_they_are_and_can_be_forked(home: Path) -> None:
    handler = ModelHandler()
    with pytest.raises(ModelError):
        handler.delete("stories")
    fork = handler.fork("stories", "mine")
    assert fork.record is not None
    assert fork.record.parent == "stories"
    assert handler.verify("mine") == []


def test_the_stories_model_writes_words_of_its_corpus() -> None:
    folder = example_models_dir()
    assert folder is not None
    loaded = read_model_folder(folder / "stories")
    settings = SampleConfig(max_new_tokens=80, temperature=0.0)
    (text,) = generate_text(loaded.network, loaded.tokenizer, "One day", settings)
    from tui_gpt.engine.text.stories import generate_stories

    def words(of: str) -> list[str]:
        return [word.strip('.,!?":;') for word in of.split()]

    known = {word for story in generate_stories(1, 0.5) for word in words(story)}
    written = words(text)[:-1]  # the last one may be cut
    assert sum(word in known for word in written) >= 0.9 * len(written) > 20


def test_notes_tell_how_each_example_was_made() -> None:
    folder = example_models_dir()
    assert folder is not None
    made = {entry.name: entry.fields for entry in read_entries(ROOT / "notes.txt")}
    for model in folder.iterdir():
        if model.is_dir():
            assert {"command", "corpus", "training", "losses"} <= made[model.name].keys()
