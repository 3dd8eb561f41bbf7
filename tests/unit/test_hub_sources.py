"""How a repository of the Hub is named."""

from __future__ import annotations

import pytest

from tui_gpt.core.errors import ModelError
from tui_gpt.engine.interop.hub import HubSource, parse_source


@pytest.mark.parametrize(
    ("text", "repository", "revision"),
    [
        ("hub:gpt2", "gpt2", None),
        ("hub:openai-community/gpt2", "openai-community/gpt2", None),
        ("hub:Qwen/Qwen3-0.6B@main", "Qwen/Qwen3-0.6B", "main"),
        ("hub:a/b@refs/pr/7", "a/b", "refs/pr/7"),
    ],
)
def test_a_repository_may_have_a_revision(text: str, repository: str, revision: str | None) -> None:
    assert parse_source(text) == HubSource(repository, revision)
    assert str(parse_source(text)) == text


@pytest.mark.parametrize("text", ["hub:", "hub:a/b/c", "hub:../x", "hub:a b", "hub:a/b@", "hub:a/b@x y", "hub:é/b"])
def test_what_is_no_repository_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ModelError, match=r"names no repository|is no revision"):
        parse_source(text)
