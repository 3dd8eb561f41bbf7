"""Tokenizer files are read back exactly; foreign, damaged and hostile ones are refused with a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui_gpt.core.errors import ModelError
from tui_gpt.engine.text.bpe_tokenizer import derive_merges
from tui_gpt.engine.text.bpe_training import train_bpe
from tui_gpt.engine.text.char_tokenizer import CharTokenizer
from tui_gpt.engine.text.tokenizer import Tokenizer
from tui_gpt.engine.text.tokenizer_files import load_tokenizer

TEXT = "Once upon a time there was a small cat. It's 3 o'clock!\n\nnaïve 漢字 😀\t" * 30
MADE: dict[str, Tokenizer] = {"char": CharTokenizer(TEXT), "bpe": train_bpe([TEXT], 350)}


@pytest.mark.parametrize("kind", MADE)
def test_a_saved_tokenizer_comes_back_equal_and_saves_the_same_files(kind: str, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir(), second.mkdir()
    MADE[kind].save(first, model_max_length=128)
    loaded = load_tokenizer(first)
    assert (loaded.kind, loaded.vocab_size, loaded.eot_id) == (kind, MADE[kind].vocab_size, MADE[kind].eot_id)
    assert loaded.encode(TEXT) == MADE[kind].encode(TEXT)
    assert json.loads((first / "tokenizer_config.json").read_text())["model_max_length"] == 128
    loaded.save(second, model_max_length=128)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (second / name).read_bytes() == (first / name).read_bytes()


def test_a_loaded_tokenizer_saves_its_configuration_without_foreign_code(tmp_path: Path) -> None:
    MADE["bpe"].save(tmp_path)
    configuration = tmp_path / "tokenizer_config.json"
    configuration.write_text(
        json.dumps({"chat_template": "{{ x }}", "auto_map": {"AutoTokenizer": ["evil.Code", None]}})
    )
    load_tokenizer(tmp_path).save(tmp_path, model_max_length=7)
    saved = json.loads(configuration.read_text())
    assert saved["chat_template"] == "{{ x }}"
    assert saved["model_max_length"] == 7
    assert "auto_map" not in saved


def test_merges_derived_from_the_tokens_are_those_of_the_training() -> None:
    tokenizer = train_bpe([TEXT], 350)
    tokens = [tokenizer.token_bytes(number) for number in range(tokenizer.vocab_size - 1)]
    assert derive_merges(tokens) == tokenizer.merges


def saved_json(folder: Path, kind: str) -> dict[str, Any]:
    MADE[kind].save(folder)
    content: dict[str, Any] = json.loads((folder / "tokenizer.json").read_text())
    return content


def put(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(tree: dict[str, Any]) -> None:
        for key in path[:-1]:
            tree = tree[key]
        tree[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        ("bpe", put("model", "type", value="Unigram"), "Unigram"),
        ("bpe", put("model", "vocab", value=[1]), "not a readable tokenizer file"),
        ("bpe", put("model", "vocab", "a", value=10**12), "outside 0 to"),
        ("bpe", put("model", "vocab", "a", value=-1), "outside 0 to"),
        ("bpe", put("model", "vocab", "a", value=0), "same id"),
        ("bpe", put("model", "merges", value=["ab"]), "not of two tokens"),
        ("bpe", put("model", "merges", value=[["zz", "q"]]), "not there"),
        ("bpe", put("model", "byte_fallback", value=True), "byte fallback"),
        ("bpe", put("pre_tokenizer", value=None), "neither GPT-2's nor Qwen2's"),
        ("bpe", put("pre_tokenizer", "add_prefix_space", value=True), "a space before the text"),
        ("bpe", put("pre_tokenizer", value={"type": "Sequence", "pretokenizers": [1, 2]}), "neither GPT-2's"),
        ("bpe", put("normalizer", value={"type": "Lowercase"}), "changes the text"),
        ("bpe", put("decoder", value=None), "not byte-level"),
        ("bpe", put("post_processor", value={"type": "TemplateProcessing"}), "around the text"),
        ("bpe", put("added_tokens", 0, "id", value=3), "has the id of another token"),
        ("bpe", put("added_tokens", 0, "id", value=1 << 40), "outside 0 to"),
        ("bpe", put("model", "vocab", value={"a": 0}), "1 of the 256 single bytes"),
        ("char", put("model", "vocab", "ab", value=99), "not one character"),
        ("char", put("model", "vocab", value={}), "not one character"),
        ("char", put("model", "vocab", "a", value=0), "not numbered"),
        ("char", put("pre_tokenizer", value={"type": "Whitespace"}), "splits text into words"),
    ],
)
def test_what_is_not_a_supported_tokenizer_is_a_sentence(
    kind: str, change: Callable[[dict[str, Any]], None], words: str, tmp_path: Path
) -> None:
    content = saved_json(tmp_path, kind)
    change(content)
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match=words):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"model": {"vocab": {}}}', b"null"]
)
def test_a_file_that_is_no_tokenizer_is_a_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(ModelError):
        load_tokenizer(tmp_path)


def test_a_missing_file_and_a_huge_file_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        load_tokenizer(tmp_path)
    with (tmp_path / "tokenizer.json").open("wb") as handle:
        handle.truncate(1 << 30)
    with pytest.raises(ModelError, match="more than 64 MB"):
        load_tokenizer(tmp_path)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_truncated_file_is_a_sentence(tmp_path: Path, data: st.DataObject) -> None:
    MADE["bpe"].save(tmp_path)
    path = tmp_path / "tokenizer.json"
    content = path.read_bytes().rstrip()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(ModelError):
        load_tokenizer(tmp_path)
