"""The models that come with the program are in the library, whole, and write."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tui_gpt.core.config import SampleConfig
from tui_gpt.core.errors import ModelError
from tui_gpt.core.guards import find_guard, judge
from tui_gpt.core.locations import example_models_dir
from tui_gpt.core.model_folder import read_record
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.notes import describe_losses, describe_model, read_entries
from tui_gpt.engine.generation.stream import generate_text
from tui_gpt.engine.interop.huggingface import read_model_folder

ROOT = Path(__file__).resolve().parent.parent.parent


def test_an_empty_home_has_the_examples_and_each_is_intact(home: Path) -> None:
    entries = ModelHandler().list()
    assert [entry.name for entry in entries] == ["python", "shakespeare", "stories"]
    assert sum(entry.size_bytes for entry in entries) < 40_000_000
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
            told = made[model.name]
            wanted = {
                "model",
                "corpus",
                "tokenizer",
                "training",
                "losses",
                "configuration",
                "command",
                "curve",
                "sample",
            }
            assert wanted <= told.keys()
            record = read_record(model)
            assert record is not None
            assert record.corpus is not None
            assert record.corpus.sha256 in told["corpus"]
            assert describe_model(record) == told["model"]
            assert describe_losses(record) == told["losses"]
            assert len(told["sample"]) > 400


def test_no_example_tells_where_it_was_made() -> None:
    folder = example_models_dir()
    assert folder is not None
    for path in folder.rglob("tui_gpt.json"):
        assert not re.search(r'"/\w', path.read_text(encoding="utf-8")), path


def test_the_python_model_continues_code_and_its_guard_lets_code_through(home: Path) -> None:
    folder = example_models_dir()
    assert folder is not None
    prompt = "def parse_line(line):"
    guard = find_guard("python")
    assert judge(guard, prompt).accepted
    assert not judge(guard, "Who was Henry the Fifth?").accepted
    loaded = read_model_folder(folder / "python")
    (text,) = generate_text(loaded.network, loaded.tokenizer, prompt, SampleConfig(max_new_tokens=60, temperature=0.0))
    assert text.removeprefix(prompt).startswith("\n    "), "the body is not indented"


def test_the_shakespeare_model_knows_how_a_play_is_set() -> None:
    folder = example_models_dir()
    assert folder is not None
    loaded = read_model_folder(folder / "shakespeare")
    settings = SampleConfig(max_new_tokens=1500, seed=1)
    (text,) = generate_text(loaded.network, loaded.tokenizer, "ROMEO:\n", settings)
    assert len(re.findall(r"^[A-Z][A-Z ]+:$", text, flags=re.MULTILINE)) >= 3
