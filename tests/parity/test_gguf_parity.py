"""GGUF files: every number as it was, read back by the gguf package. What llama.cpp makes of them: test_llama_cpp."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from random_models import TEXT, save_random_model

from tui_gpt.core.errors import ModelError
from tui_gpt.engine.interop.gguf_file import TYPES, GgufType, write_gguf
from tui_gpt.engine.text.bpe_training import train_bpe
from tui_gpt.engine.text.char_tokenizer import CharTokenizer
from tui_gpt.engine.text.dialogues.chat_format import TEMPLATE, with_chat


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUI_GPT_HOME", str(tmp_path / "home"))
    return tmp_path


def fields(reader: gguf.GGUFReader) -> dict[str, Any]:
    return {name: field.contents() for name, field in reader.fields.items()}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(("family", "tied"), [("gpt2", True), ("qwen3", False), ("llama", True)])
def test_every_weight_is_in_the_file_as_far_as_its_type_goes(
    home: Path, family: str, tied: bool, kind: GgufType
) -> None:
    network = save_random_model(family, tied=tied)
    path = home / "fox.gguf"
    assert write_gguf("fox", path, kind) == path.stat().st_size
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    values = {name: gguf.quants.dequantize(tensor.data, tensor.tensor_type) for name, tensor in tensors.items()}
    assert sum(value.size for value in values.values()) == sum(p.numel() for p in network.parameters())
    tolerance = {"f32": 0.0, "f16": 1e-3, "q8_0": 1e-2}[kind]
    embedding = network.token_embedding.weight.detach().numpy()
    np.testing.assert_allclose(values["token_embd.weight"], embedding, atol=tolerance, rtol=tolerance)
    down = network.blocks[1].mlp.down.weight.detach().numpy()  # type: ignore[union-attr]
    np.testing.assert_allclose(values["blk.1.ffn_down.weight"], down, atol=tolerance, rtol=tolerance)
    assert ("output.weight" in values) == (not tied)
    if family == "gpt2":
        assert tensors["position_embd.weight"].tensor_type.name == "F32"


def test_what_readers_need_to_know_is_told(home: Path) -> None:
    tokenizer = train_bpe([TEXT], 300)
    save_random_model("llama", tokenizer=tokenizer, padding=3)
    write_gguf("fox", home / "fox.gguf", "f32")
    told = fields(gguf.GGUFReader(home / "fox.gguf"))
    assert told["general.architecture"] == "llama" and told["general.license"] == "mit"
    assert (told["llama.context_length"], told["llama.block_count"]) == (128, 2)
    assert (told["llama.attention.head_count"], told["llama.attention.head_count_kv"]) == (4, 2)
    assert (told["llama.attention.key_length"], told["llama.rope.dimension_count"]) == (32, 32)
    assert told["tokenizer.ggml.pre"] == "gpt-2" and told["tokenizer.ggml.eos_token_id"] == tokenizer.eot_id
    tokens, types = told["tokenizer.ggml.tokens"], told["tokenizer.ggml.token_type"]
    assert len(tokens) == len(types) == told["llama.vocab_size"] == tokenizer.vocab_size + 3
    assert types.count(gguf.TokenType.UNUSED) == 3 and types.count(gguf.TokenType.CONTROL) == 1


def test_a_model_that_answers_says_how_and_where_its_answers_end(home: Path) -> None:
    tokenizer = with_chat(train_bpe([TEXT], 300))
    save_random_model("qwen3", tokenizer=tokenizer)
    write_gguf("fox", home / "fox.gguf", "f32")
    told = fields(gguf.GGUFReader(home / "fox.gguf"))
    end = tokenizer.specials["<|end|>"]
    assert told["tokenizer.chat_template"] == TEMPLATE
    assert told["tokenizer.ggml.eos_token_id"] == told["tokenizer.ggml.eot_token_id"] == end
    assert told["tokenizer.ggml.bos_token_id"] == tokenizer.eot_id
    assert told["tokenizer.ggml.add_bos_token"] is False
    types = told["tokenizer.ggml.token_type"]
    assert [n for n, kind in enumerate(types) if kind == gguf.TokenType.CONTROL] == sorted(tokenizer.specials.values())
    assert told["tokenizer.ggml.tokens"][end] == "<|end|>"


def test_a_tokenizer_without_merges_has_a_list_of_them_all_the_same(home: Path) -> None:
    save_random_model("gpt2", tokenizer=train_bpe([TEXT], 257))
    write_gguf("fox", home / "fox.gguf", "f32")
    told = fields(gguf.GGUFReader(home / "fox.gguf"))
    assert len(told["tokenizer.ggml.tokens"]) == 257
    (merge,) = told["tokenizer.ggml.merges"]
    assert not set(merge.split()) & set(told["tokenizer.ggml.tokens"])


def test_a_token_per_character_is_refused_with_what_to_do(home: Path) -> None:
    save_random_model("gpt2", tokenizer=CharTokenizer(TEXT))
    with pytest.raises(ModelError, match="which no reader of GGUF knows; train one with the tokenizer bpe"):
        write_gguf("fox", home / "fox.gguf")
    assert list(home.glob("*.gguf")) == []


def test_no_file_is_replaced_and_none_is_left_half_written(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_random_model("gpt2")
    path = home / "fox.gguf"
    path.write_text("mine")
    with pytest.raises(ModelError, match="is there already"):
        write_gguf("fox", path)
    assert path.read_text() == "mine"
    with pytest.raises(ModelError, match="no such file or directory"):
        write_gguf("fox", home / "nowhere" / "fox.gguf")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gguf.GGUFWriter, "write_tensor_data", fail)
    with pytest.raises(ModelError, match="no space left on device"):
        write_gguf("fox", home / "full.gguf")
    assert sorted(entry.name for entry in home.iterdir()) == ["fox.gguf", "home"]


def test_queries_and_keys_of_a_llama_have_the_halves_of_each_head_interleaved(home: Path) -> None:
    network = save_random_model("llama")
    write_gguf("fox", home / "fox.gguf", "f32")
    tensors = {tensor.name: tensor.data for tensor in gguf.GGUFReader(home / "fox.gguf").tensors}
    joint = network.blocks[0].attention.qkv.weight.detach().numpy()  # type: ignore[union-attr]
    size, first = 32, 0
    for name, heads in (("attn_q", 4), ("attn_k", 2)):
        for head in range(heads):
            ours = joint[first + head * size : first + (head + 1) * size]
            theirs = tensors[f"blk.0.{name}.weight"][head * size : (head + 1) * size]
            np.testing.assert_array_equal(theirs[0::2], ours[: size // 2])
            np.testing.assert_array_equal(theirs[1::2], ours[size // 2 :])
        first += heads * size
    np.testing.assert_array_equal(tensors["blk.0.attn_v.weight"], joint[first:])
