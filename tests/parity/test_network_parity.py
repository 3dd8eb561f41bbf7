"""The network computes what transformers computes, with random weights that are far from their initial values."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
import torch
from torch import Tensor
from transformers import GPT2LMHeadModel, LlamaForCausalLM, Qwen3ForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from tui_gpt.core.config import ModelConfig, model_problems
from tui_gpt.engine.interop.config_json import config_from_hf, config_to_hf
from tui_gpt.engine.interop.state_names import state_from_hf, state_to_hf
from tui_gpt.engine.network import GPT, KVCache, build_network

THEIRS: dict[str, Any] = {"gpt2": GPT2LMHeadModel, "qwen3": Qwen3ForCausalLM, "llama": LlamaForCausalLM}
FAMILIES = ("gpt2", "qwen3", "llama")
CASES = [(family, seed) for family in FAMILIES for seed in range(12)]


def drawn_config(family: str, seed: int) -> ModelConfig:
    chance = random.Random(f"{family} {seed}")
    n_head = chance.choice([1, 2, 3, 4, 6])
    head_dim = chance.choice([2, 4, 6, 8, 10])
    shape: dict[str, Any] = {
        "family": family,
        "vocab_size": chance.randint(2, 300),
        "n_positions": chance.choice([7, 32, 33, 300]),
        "n_embd": n_head * head_dim,
        "n_layer": chance.randint(1, 3),
        "n_head": n_head,
        "n_inner": chance.choice([None, 1, 17, 96]),
        "layer_norm_epsilon": chance.choice([1e-6, 1e-5, 1e-2]),
        "tie_word_embeddings": chance.random() < 0.5,
        "dropout": chance.choice([0.0, 0.3]),
    }
    if family != "gpt2":
        shape["n_kv_head"] = chance.choice([None, *(k for k in range(1, n_head + 1) if n_head % k == 0)])
        shape["head_dim"] = chance.choice([None, 2, 12])
        shape["rope_theta"] = chance.choice([10.0, 10_000.0, 1e6])
    model = ModelConfig(**shape)
    assert not list(model_problems(model))
    return model


def with_loud_weights(model: ModelConfig, seed: int) -> GPT:
    """A network whose every number, norms and biases too, matters to the outcome."""
    network = build_network(model, seed).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.normal_(1.0 if "norm" in name and name.endswith("weight") else 0.0, 0.2, generator=generator)
    return network


def reference(network: GPT) -> Any:
    content = config_to_hf(network.config)
    config = CONFIG_MAPPING[content["model_type"]].from_dict(content)
    theirs = THEIRS[network.config.family](config).eval()
    missing, unexpected = theirs.load_state_dict(state_to_hf(network.state_dict(), network.config), strict=False)
    assert not unexpected
    assert missing == (["lm_head.weight"] if network.config.tie_word_embeddings else [])
    return theirs


def drawn_ids(model: ModelConfig, batch: int, length: int) -> Tensor:
    return torch.randint(model.vocabulary, (batch, length), generator=torch.Generator().manual_seed(length))


def assert_close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("family", "seed"), CASES)
@torch.inference_mode()
def test_logits_equal_those_of_transformers(family: str, seed: int) -> None:
    network = with_loud_weights(drawn_config(family, seed), seed)
    theirs = reference(network)
    for length in {1, 2, network.config.n_positions // 2, network.config.n_positions}:
        ids = drawn_ids(network.config, 2, length)
        expected = theirs(ids, use_cache=False).logits
        assert_close(network(ids), expected)
        assert_close(network.next_logits(ids), expected[:, -1])


@pytest.mark.parametrize(("family", "seed"), CASES[::3])
@torch.inference_mode()
def test_rows_of_ragged_length_are_untouched_by_padding_on_the_right(family: str, seed: int) -> None:
    network = with_loud_weights(drawn_config(family, seed), seed)
    theirs = reference(network)
    lengths = [network.config.n_positions, network.config.n_positions // 2, 1]
    padded = drawn_ids(network.config, len(lengths), network.config.n_positions)
    mask = torch.arange(network.config.n_positions) < torch.tensor(lengths)[:, None]
    expected = theirs(padded, attention_mask=mask.long(), use_cache=False).logits
    ours = network(padded)
    for row, length in enumerate(lengths):
        assert_close(ours[row, :length], expected[row, :length])
        assert_close(ours[row, :length], network(padded[row : row + 1, :length])[0])


@pytest.mark.parametrize("chunks", ["token by token", "prefill then tokens", "uneven chunks"])
@pytest.mark.parametrize(("family", "seed"), CASES[::3])
@torch.inference_mode()
def test_cached_logits_equal_those_of_transformers(family: str, seed: int, chunks: str) -> None:
    network = with_loud_weights(drawn_config(family, seed), seed)
    length = min(network.config.n_positions, 40)
    ids = drawn_ids(network.config, 3, length)
    sizes = {
        "token by token": [1] * length,
        "prefill then tokens": [length - 4, 1, 1, 1, 1],
        "uneven chunks": [2, 1, length - 5, 2],
    }[chunks]
    cache = KVCache(network.config, 3)
    ours = torch.cat([network(part, cache) for part in ids.split(sizes, dim=1)], dim=1)
    assert cache.length == length
    assert_close(ours, reference(network)(ids, use_cache=True).logits)


@pytest.mark.parametrize("family", FAMILIES)
@torch.inference_mode()
def test_long_contexts_agree_where_attention_changes_its_kernel(family: str) -> None:
    model = ModelConfig(family=family, vocab_size=50, n_positions=600, n_embd=24, n_layer=1, n_head=4)  # type: ignore[arg-type]
    network = with_loud_weights(model, 1)
    ids = drawn_ids(model, 1, 600)
    expected = reference(network)(ids, use_cache=False).logits
    assert_close(network(ids), expected)
    cache = KVCache(model)
    assert_close(torch.cat([network(part, cache) for part in ids.split([200, 100, 299, 1], dim=1)], dim=1), expected)


@pytest.mark.parametrize(("family", "seed"), CASES[::2])
def test_weights_and_configuration_survive_the_way_out_and_back(family: str, seed: int) -> None:
    network = with_loud_weights(drawn_config(family, seed), seed)
    back = state_from_hf(state_to_hf(network.state_dict(), network.config), network.config)
    for name, tensor in network.state_dict().items():
        assert torch.equal(back[name], tensor), name
    model = config_from_hf(config_to_hf(network.config))
    resolved = {"n_inner": model.inner, "n_kv_head": model.kv_heads, "head_dim": model.head_size}
    if family == "gpt2":
        resolved = {}
    assert model == msgspec.structs.replace(network.config, **resolved)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_equal_those_of_transformers(family: str) -> None:
    network = with_loud_weights(msgspec.structs.replace(drawn_config(family, 3), dropout=0.0), 3)
    theirs = reference(network)
    ids = drawn_ids(network.config, 2, 7)
    network(ids).square().mean().backward()
    theirs(ids, use_cache=False).logits.square().mean().backward()
    mapped = state_to_hf({n: p.grad for n, p in network.named_parameters() if p.grad is not None}, network.config)
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(mapped[name], parameter.grad, atol=1e-4, rtol=1e-3)
