"""Built-in corpora are found by name and are real text; anything else is a path."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_gpt.core.corpora import BUILT_IN, CATALOGUE, find
from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text.builtin import builtin_documents, builtin_version
from tui_gpt.engine.text.interpreter_text import is_prose, standard_library_files


def test_a_name_wins_over_a_file_and_a_path_reaches_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("stories").write_text("mine")
    assert find("stories").kind == "generated"
    assert find("./stories").path == Path("stories")
    assert find("./stories").kind == "file"
    assert find(str(tmp_path)).name == tmp_path.name


@pytest.mark.parametrize("asked", ["storys", "missing.txt", "a\0b", "x" * 9000, "~nobody-here/x"])
def test_what_is_neither_is_a_sentence_with_the_names(asked: str) -> None:
    with pytest.raises(CorpusError, match="stories, python, python-docs") as refused:
        find(asked)
    assert ("did you mean stories?" in str(refused.value)) == (asked == "storys")
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize("name", ["python", "python-docs"])
def test_the_interpreter_brings_more_than_a_megabyte_of_distinct_documents(name: str) -> None:
    documents = list(builtin_documents(name, 1.0))
    assert sum(len(text.encode()) for text in documents) > 1_000_000
    assert len(set(documents)) == len(documents)
    assert not any("\r" in text or "\ufeff" in text for text in documents)


def test_the_standard_library_comes_without_its_tests_and_without_what_was_installed() -> None:
    paths = standard_library_files()
    assert paths == tuple(sorted(paths))
    assert any(path.name == "argparse.py" for path in paths)
    assert not any({"test", "site-packages", "idlelib"} & set(path.parts) for path in paths)


def test_stories_are_the_same_every_time_and_as_long_as_asked() -> None:
    stories = list(builtin_documents("stories", 0.05))
    assert stories == list(builtin_documents("stories", 0.05))
    assert 50_000 <= sum(len(story.encode()) for story in stories) < 60_000


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_version_stands_for_the_text(name: str) -> None:
    assert builtin_version(name) == builtin_version(name)
    assert CATALOGUE[name].tokenizer == "bpe"


def test_an_unknown_built_in_corpus_is_a_sentence() -> None:
    with pytest.raises(CorpusError, match="no built-in corpus"):
        builtin_documents("poems", 1.0)


def test_signatures_and_very_short_docstrings_are_not_prose() -> None:
    assert not is_prose("Return x.")
    assert not is_prose(
        "first(one, two, three, four) -> five\nsecond(one, two, three, four, five, six, seven, eight, nine)"
    )
    assert is_prose("Return the number of elements that are in the list and that are greater than the given one.")
