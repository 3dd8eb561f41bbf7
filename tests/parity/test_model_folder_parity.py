"""Folders that transformers saved open here, what is written here reads back, and damage is told in a sentence."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from tui_gpt.core.config import ModelConfig, SampleConfig
from tui_gpt.core.errors import MemoryLimitError, ModelError
from tui_gpt.engine.generation.stream import Generator
from tui_gpt.engine.interop import huggingface
from tui_gpt.engine.interop.huggingface import config_from_hf, read_model_folder, write_model_folder
from tui_gpt.engine.network import GPT, build_network
from tui_gpt.engine.text.bpe_training import train_bpe
from tui_gpt.engine.text.char_tokenizer import CharTokenizer
from tui_gpt.engine.text.tokenizer import Tokenizer

TEXT = "Once upon a time a small fox 🦊 met a café owner. “Hello!”\n  They had 3,14 pies — don't you?\n" * 3


THEIRS: dict[str, Any] = {"qwen3": (Qwen3Config, Qwen3ForCausalLM), "llama": (LlamaConfig, LlamaForCausalLM)}


def tokenizer_named(kind: str) -> Tokenizer:
    return CharTokenizer(TEXT) if kind == "char" else train_bpe([TEXT], 300)


def loud(model: ModelConfig) -> GPT:
    network = build_network(model, 5).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.normal_(1.0 if "norm" in name and name.endswith("weight") else 0.0, 0.2, generator=generator)
    return network


def written(folder: Path, family: str, kind: str, **shape: Any) -> tuple[GPT, Tokenizer]:
    tokenizer = tokenizer_named(kind)
    sizes = {"n_positions": 240, "n_embd": 24, "n_layer": 2, "n_head": 4, "n_kv_head": None if family == "gpt2" else 2}
    model = ModelConfig(family=family, vocab_size=tokenizer.vocab_size, **(sizes | shape))  # type: ignore[arg-type]
    network = loud(model)
    folder.mkdir(exist_ok=True)
    write_model_folder(folder, network, model, tokenizer, sample=SampleConfig(temperature=0.7, top_p=0.9, min_p=0.05))
    return network, tokenizer


def test_the_generation_defaults_reach_transformers(tmp_path: Path) -> None:
    _, tokenizer = written(tmp_path, "gpt2", "bpe")
    defaults = AutoModelForCausalLM.from_pretrained(tmp_path).generation_config
    assert (defaults.do_sample, defaults.temperature, defaults.top_k) == (True, 0.7, 0)
    assert (defaults.top_p, defaults.min_p, defaults.eos_token_id) == (0.9, 0.05, tokenizer.eot_id)
    assert defaults.max_new_tokens == 120, "half the context, which leaves the other half to the prompt"


@pytest.mark.parametrize("family", ["gpt2", "qwen3", "llama"])
def test_a_written_folder_reads_back_to_the_last_bit(tmp_path: Path, family: str) -> None:
    network, tokenizer = written(tmp_path, family, "bpe", tie_word_embeddings=False)
    loaded = read_model_folder(tmp_path)
    ids = torch.tensor([tokenizer.encode(TEXT)[:100]])
    assert loaded.tokenizer.encode(TEXT) == tokenizer.encode(TEXT)
    assert loaded.tokenizer.eot_id == tokenizer.eot_id
    assert not loaded.network.training
    with torch.inference_mode():
        assert torch.equal(loaded.network(ids), network(ids))


def test_weights_can_be_stored_and_read_in_bf16(tmp_path: Path) -> None:
    network, tokenizer = written(tmp_path, "qwen3", "char")
    write_model_folder(tmp_path, network.state_dict(), network.config, tokenizer, dtype=torch.bfloat16)
    assert AutoModelForCausalLM.from_pretrained(tmp_path).dtype == torch.bfloat16
    exact = read_model_folder(tmp_path).network
    assert exact.token_embedding.weight.dtype == torch.float32
    assert torch.equal(exact.token_embedding.weight, network.token_embedding.weight.bfloat16().float())
    short = read_model_folder(tmp_path, dtype=torch.bfloat16).network
    assert short.token_embedding.weight.dtype == torch.bfloat16
    assert short.next_logits(torch.tensor([[1, 2, 3]])).isfinite().all()


def saved_by_transformers(folder: Path, family: str, *, shard: str = "5GB", tied: bool = True) -> Any:
    torch.manual_seed(1)
    tokenizer = tokenizer_named("bpe")
    ids = {"bos_token_id": tokenizer.eot_id, "eos_token_id": tokenizer.eot_id, "tie_word_embeddings": tied}
    if family == "gpt2":
        config = GPT2Config(
            vocab_size=tokenizer.vocab_size + 7,
            n_positions=64,
            n_embd=32,
            n_layer=3,
            n_head=4,
            initializer_range=0.3,
            **ids,
        )
        theirs: Any = GPT2LMHeadModel(config)
    else:
        configuration, network = THEIRS[family]
        theirs = network(
            configuration(
                vocab_size=tokenizer.vocab_size + 7,
                max_position_embeddings=64,
                hidden_size=32,
                intermediate_size=48,
                num_hidden_layers=3,
                num_attention_heads=4,
                num_key_value_heads=2,
                head_dim=10,
                rope_parameters={"rope_type": "default", "rope_theta": 123.0},
                initializer_range=0.3,
                **ids,
            )
        )
    theirs.eval().save_pretrained(folder, max_shard_size=shard)
    tokenizer.save(folder)
    return theirs


@pytest.mark.parametrize("shard", ["5GB", "30KB"])
@pytest.mark.parametrize(("family", "tied"), [("gpt2", True), ("qwen3", True), ("qwen3", False), ("llama", False)])
def test_a_folder_that_transformers_saved_opens_here(tmp_path: Path, family: str, tied: bool, shard: str) -> None:
    theirs = saved_by_transformers(tmp_path, family, shard=shard, tied=tied)
    assert (tmp_path / "model.safetensors.index.json").exists() == (shard == "30KB")
    loaded = read_model_folder(tmp_path)
    ids = torch.arange(64)[None] * 4
    with torch.inference_mode():
        torch.testing.assert_close(loaded.network(ids), theirs(ids).logits, atol=1e-4, rtol=1e-4)
    pieces = list(Generator.of(loaded).stream("Once", SampleConfig(temperature=50.0, max_new_tokens=150, seed=1)))
    assert all(p.token_id is not None and p.token_id < loaded.tokenizer.vocab_size for p in pieces)


def test_the_original_gpt2_layout_without_prefix_and_with_mask_buffers_opens(tmp_path: Path) -> None:
    theirs = saved_by_transformers(tmp_path, "gpt2")
    tensors = {k.removeprefix("transformer."): v for k, v in load_file(tmp_path / "model.safetensors").items()}
    tensors |= {f"h.{n}.attn.bias": torch.ones(1, 1, 64, 64) for n in range(3)}
    save_file(tensors, tmp_path / "model.safetensors")
    change_config(n_ctx=64, dtype=None, torch_dtype="float32")(tmp_path)
    ids = torch.arange(64)[None]
    with torch.inference_mode():
        torch.testing.assert_close(read_model_folder(tmp_path).network(ids), theirs(ids).logits, atol=1e-4, rtol=1e-4)


def test_the_older_form_of_rotary_settings_means_the_same(tmp_path: Path) -> None:
    saved_by_transformers(tmp_path, "qwen3")
    newer = read_model_folder(tmp_path).config
    change_config(rope_parameters=None, rope_theta=123.0, rope_scaling=None)(tmp_path)
    assert read_model_folder(tmp_path).config == newer
    assert newer.rope_theta == 123.0


def change_config(**fields: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = json.loads((folder / "config.json").read_text())
        content.update(fields)
        (folder / "config.json").write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))

    return change


def change_tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return apply


def overwrite(name: str, content: bytes) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return apply


def lying_header(folder: Path) -> None:
    header = json.dumps(
        {"transformer.wte.weight": {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 8]}}
    ).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))


def index_pointing_at(target: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "a.safetensors")
        index = {"weight_map": {"transformer.wte.weight": target}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    return apply


WTE = "transformer.wte.weight"
GPT2_FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "another family": (change_config(model_type="opt"), "model_type is 'opt'"),
    "another activation": (change_config(activation_function="relu"), "activation_function is 'relu'"),
    "layer-wise scaling": (
        change_config(scale_attn_by_inverse_layer_idx=True),
        "scale_attn_by_inverse_layer_idx is True",
    ),
    "unscaled attention": (change_config(scale_attn_weights=False), "scale_attn_weights is False"),
    "quantized": (change_config(quantization_config={"bits": 4}), "quantization_config"),
    "two context lengths": (change_config(n_ctx=32), "n_ctx is 32"),
    "no width": (change_config(n_embd=...), "n_embd is missing"),
    "heads that do not divide": (change_config(n_head=5), "n_head: 5 heads do not divide"),
    "negative": (change_config(n_layer=-1), "n_layer: expected a whole number"),
    "text for a number": (change_config(n_layer="three"), "n_layer: expected a whole number"),
    "true for a number": (change_config(n_layer=True), "n_layer: expected a whole number"),
    "beyond all bounds": (change_config(n_embd=10**15), "n_embd: expected a whole number"),
    "wider than its weights": (change_config(n_embd=65_536, n_layer=3), "has shape"),
    "deeper than its weights": (change_config(n_layer=4), "(and 11 more) is missing"),
    "shallower than its weights": (change_config(n_layer=2), "has no place"),
    "a vocabulary below the tokenizer's": (change_config(vocab_size=20), "vocab_size is 20"),
    "a missing tensor": (change_tensors(lambda t: t.pop(WTE)), f"'{WTE}' is missing"),
    "an unknown tensor": (
        change_tensors(lambda t: t.update(score=torch.ones(2))),
        "'transformer.score'|'score' has no place",
    ),
    "a tensor twice": (change_tensors(lambda t: t.update({"ln_f.bias": torch.ones(32)})), "under two names"),
    "whole numbers": (change_tensors(lambda t: t.update({WTE: t[WTE].int()})), "holds I32"),
    "another head": (
        change_tensors(lambda t: t.update({"lm_head.weight": t[WTE] + 1})),
        "'lm_head.weight' is not the token",
    ),
    "a header that lies": (lying_header, "model.safetensors is damaged"),
    "a header too long": (overwrite("model.safetensors", b"\xff" * 64), "model.safetensors is damaged"),
    "an empty file": (overwrite("model.safetensors", b""), "model.safetensors is damaged"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "there is no model.safetensors"),
    "only a pickle": (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "a pickle"),
    "shards elsewhere": (index_pointing_at("../a.safetensors"), "not a file name"),
    "shards missing": (index_pointing_at("b.safetensors"), "there is no file b.safetensors"),
    "no configuration": (lambda f: (f / "config.json").unlink(), "there is no config.json"),
    "configuration cut short": (overwrite("config.json", b'{"model_type": '), "not valid JSON"),
    "configuration nested a million deep": (overwrite("config.json", b"[" * 1_000_000), "not valid JSON"),
    "configuration in another encoding": (overwrite("config.json", b'{"a": "\xff"}'), "not valid JSON"),
    "configuration that is a list": (overwrite("config.json", b"[]"), "no table"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json"),
}


@pytest.mark.parametrize("fault", GPT2_FAULTS)
def test_a_damaged_or_unsupported_folder_is_refused_in_a_sentence(tmp_path: Path, fault: str) -> None:
    saved_by_transformers(tmp_path, "gpt2")
    damage, words = GPT2_FAULTS[fault]
    damage(tmp_path)
    with pytest.raises(ModelError) as caught:
        read_model_folder(tmp_path)
    message = str(caught.value)
    assert any(word in message for word in words.split("|")), message
    assert str(tmp_path) in message
    assert "\n" not in message
    assert len(message) < 600


def test_an_index_that_lists_a_part_of_a_file_takes_the_whole_file(tmp_path: Path) -> None:
    saved_by_transformers(tmp_path, "gpt2")
    index_pointing_at("a.safetensors")(tmp_path)
    assert read_model_folder(tmp_path).config.n_layer == 3


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
        ({"attention_bias": True}, "attention_bias is True"),
        ({"use_sliding_window": True}, "use_sliding_window is True"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "layer_types is"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling.rope_type is 'linear'"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1.0}}, "rope_parameters.rope_type is 'yarn'"),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}, "partial_rotary_factor is 0.5"),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 1e12}}, "rope_theta: "),
        ({"rope_parameters": "all"}, "rope_parameters is 'all'"),
        ({"num_key_value_heads": 3}, "num_key_value_heads: 3 does not divide"),
        ({"head_dim": 5}, "head_dim: gives 5 numbers per head"),
        ({"rms_norm_eps": "small"}, "rms_norm_eps: "),
        ({"max_position_embeddings": 10**9}, "max_position_embeddings: "),
    ],
)
def test_what_the_qwen3_network_does_not_compute_is_refused_by_field(
    tmp_path: Path, fields: dict[str, Any], words: str
) -> None:
    saved_by_transformers(tmp_path, "qwen3")
    content = json.loads((tmp_path / "config.json").read_text()) | fields
    with pytest.raises(ModelError, match=r"^config\.json: ") as caught:
        config_from_hf(content)
    assert words in str(caught.value)


def test_a_context_whose_tables_cannot_fit_is_refused_before_anything_is_allocated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved_by_transformers(tmp_path, "qwen3")
    change_config(max_position_embeddings=1_048_576)(tmp_path)
    memory = type("Memory", (), {"available": 50_000_000})
    monkeypatch.setattr(huggingface.psutil, "virtual_memory", lambda: memory)
    with pytest.raises(MemoryLimitError, match=r"1,048,576 needs 0\.1 GB on cpu"):
        read_model_folder(tmp_path)


def test_a_tokenizer_that_knows_more_tokens_than_the_network_is_not_written_with_it(tmp_path: Path) -> None:
    model = ModelConfig(vocab_size=10, n_embd=4, n_head=2, n_layer=1)
    with pytest.raises(ModelError, match="do not belong together"):
        write_model_folder(tmp_path, build_network(model, 0), model, tokenizer_named("char"))


def test_a_folder_that_cannot_be_written_is_an_error_in_a_sentence(tmp_path: Path) -> None:
    tokenizer = tokenizer_named("char")
    model = ModelConfig(vocab_size=tokenizer.vocab_size, n_embd=4, n_head=2, n_layer=1)
    with pytest.raises(ModelError, match=r"cannot be written to .*absent"):
        write_model_folder(tmp_path / "absent", build_network(model, 0), model, tokenizer)
    (tmp_path / "config.json").symlink_to("/dev/full")
    with pytest.raises(ModelError, match="No space left"):
        write_model_folder(tmp_path, build_network(model, 0), model, tokenizer)
