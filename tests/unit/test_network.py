"""What must hold of the network beside computing what transformers computes (tests/parity)."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tui_gpt.core.config import ModelConfig
from tui_gpt.engine.network import GPT, KVCache, build_network
from tui_gpt.engine.network import loss as loss_module
from tui_gpt.engine.network.loss import IGNORED, sum_loss

FAMILIES = ("gpt2", "qwen3")


def shape(family: str, **fields: Any) -> ModelConfig:
    sizes = {"vocab_size": 40, "n_positions": 20, "n_embd": 24, "n_layer": 2, "n_head": 4}
    return ModelConfig(family=family, **(sizes | fields))  # type: ignore[arg-type]


def ids(batch: int = 2, length: int = 20, vocab_size: int = 40) -> Tensor:
    return torch.randint(vocab_size, (batch, length), generator=torch.Generator().manual_seed(length))


@pytest.mark.parametrize(
    ("n_embd", "n_layer", "n_head", "parameters"),
    [
        (768, 12, 12, 124_439_808),
        (1024, 24, 16, 354_823_168),
        (1280, 36, 20, 774_030_080),
        (1600, 48, 25, 1_557_611_200),
    ],
)
def test_the_published_gpt2_sizes_have_their_published_parameters(
    n_embd: int, n_layer: int, n_head: int, parameters: int
) -> None:
    model = ModelConfig(vocab_size=50257, n_positions=1024, n_embd=n_embd, n_layer=n_layer, n_head=n_head)
    with torch.device("meta"):
        assert GPT(model).count_parameters() == parameters


@pytest.mark.parametrize("family", FAMILIES)
def test_no_token_sees_what_comes_after_it(family: str) -> None:
    network = build_network(shape(family), 1).eval()
    before = ids()
    after = before.clone()
    after[:, 10] = (after[:, 10] + 1) % 40
    with torch.inference_mode():
        one, other = network(before), network(after)
    torch.testing.assert_close(one[:, :10], other[:, :10], atol=0, rtol=0)
    assert (one[:, 10:] != other[:, 10:]).any(dim=-1).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_seed_gives_the_same_weights_and_another_seed_others(family: str) -> None:
    first, same, other = (build_network(shape(family), seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["token_embedding.weight"], other["token_embedding.weight"])


@pytest.mark.parametrize("family", FAMILIES)
def test_fresh_weights_leave_the_first_loss_at_that_of_a_uniform_guess(family: str) -> None:
    network = build_network(shape(family, vocab_size=1000, n_embd=64), 1)
    x = ids(4, 20, 1000)
    loss = F.cross_entropy(network(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten())
    assert loss.item() == pytest.approx(math.log(1000), abs=0.1)


@pytest.mark.parametrize("family", FAMILIES)
def test_with_projections_at_zero_every_block_begins_as_an_identity(family: str) -> None:
    network = build_network(shape(family, tie_word_embeddings=False), 1, zero_init_projections=True)
    x = torch.randn(1, 20, 24)
    rotary = None if network.rotary_cos is None else (network.rotary_cos, network.rotary_sin)
    for block in network.blocks:
        assert torch.equal(block(x, rotary), x)
    assert not network(ids()).any()


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_checkpointing_changes_no_gradient(family: str) -> None:
    gradients: list[dict[str, Tensor]] = []
    for checkpointing in (False, True):
        network = build_network(shape(family), 1).train()
        network.gradient_checkpointing = checkpointing
        network(ids()).square().mean().backward()
        gradients.append({name: p.grad for name, p in network.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys() == dict(network.named_parameters()).keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)


@pytest.mark.parametrize("family", FAMILIES)
def test_dropout_acts_in_training_only(family: str) -> None:
    network = build_network(shape(family, dropout=0.5), 1)
    network.train()
    assert not torch.equal(network(ids()), network(ids()))
    network.eval()
    assert torch.equal(network(ids()), network(ids()))


@pytest.mark.parametrize("family", FAMILIES)
def test_more_tokens_than_the_context_are_refused(family: str) -> None:
    network = build_network(shape(family), 1).eval()
    with pytest.raises(ValueError, match="21 tokens exceed the context of 20"):
        network(ids(1, 21))
    cache = KVCache(network.config)
    with torch.inference_mode():
        network(ids(1, 20), cache)
    with pytest.raises(ValueError, match="21 tokens exceed"):
        network(ids(1, 1), cache)


@pytest.mark.parametrize("family", FAMILIES)
@torch.inference_mode()
def test_a_truncated_cache_continues_as_if_the_rest_had_never_been_read(family: str) -> None:
    network = build_network(shape(family), 1).eval()
    x = ids(1, 20)
    cache = KVCache(network.config)
    network(x[:, :12].flip(1), cache)
    fresh = KVCache(network.config)
    cache.truncate(0)
    assert cache.length == 0
    network(x[:, :15], cache)
    cache.truncate(9)
    torch.testing.assert_close(network(x[:, 9:12], cache), network(x[:, :12], fresh)[:, 9:])
    for length in (-1, 13):
        with pytest.raises(ValueError, match=f"cannot keep {length} of 12"):
            cache.truncate(length)


@pytest.mark.parametrize("rows", [1, 7, 512])
def test_the_chunked_loss_and_its_gradients_equal_the_plain_ones(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(3, 11, 8, generator=generator)
    weight = torch.randn(50, 8, generator=generator)
    targets = torch.randint(50, (3, 11), generator=generator)
    targets[1, 4:] = IGNORED
    results = []
    for vocabulary in (10_000, 0):  # plain below the limit, chunked above it
        monkeypatch.setattr(loss_module, "_PLAIN_MAX_VOCABULARY", vocabulary)
        monkeypatch.setattr(loss_module, "_CHUNK_ROWS", rows)
        h, w = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
        loss = sum_loss(h, w, targets)
        loss.backward()
        assert h.grad is not None and w.grad is not None
        results.append((loss.detach(), h.grad, w.grad))
        with torch.no_grad():
            torch.testing.assert_close(sum_loss(hidden, weight, targets), loss.detach())
    expected = F.cross_entropy((hidden @ weight.T).flatten(0, 1), targets.flatten(), reduction="sum")
    torch.testing.assert_close(results[0][0], expected)
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("frozen", ["hidden", "head"])
def test_the_chunked_loss_leaves_out_a_gradient_that_nobody_wants(frozen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_module, "_CHUNK_ROWS", 5)
    generator = torch.Generator().manual_seed(0)
    hidden, weight = torch.randn(2, 9, 8, generator=generator), torch.randn(50, 8, generator=generator)
    targets = torch.randint(50, (2, 9), generator=generator)
    wanted = weight if frozen == "hidden" else hidden
    found = []
    for vocabulary in (10_000, 0):
        monkeypatch.setattr(loss_module, "_PLAIN_MAX_VOCABULARY", vocabulary)
        wanted.requires_grad_().grad = None
        (sum_loss(hidden, weight, targets) * 0.25).backward()
        found.append(wanted.grad)
    assert (hidden if frozen == "hidden" else weight).grad is None
    torch.testing.assert_close(*found)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # what torch imports to compile
def test_the_compiled_chunked_loss_equals_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_module, "_CHUNK_ROWS", 64)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(1, 150, 16, generator=generator, requires_grad=True)
    weight = torch.randn(9000, 16, generator=generator, requires_grad=True)
    targets = torch.randint(9000, (1, 150), generator=generator)
    found = []
    for way in (sum_loss, torch.compile(sum_loss)):
        hidden.grad = weight.grad = None
        loss = way(hidden, weight, targets)
        loss.backward()
        found.append((loss.detach(), hidden.grad, weight.grad))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)
