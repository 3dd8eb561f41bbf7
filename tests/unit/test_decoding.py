"""One token at a time: what a decoder computes is what the network computes, in torch and in C, in every family."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from tui_gpt.core.config import ModelConfig, SampleConfig, WritingPrecision
from tui_gpt.core.errors import ConfigError
from tui_gpt.core.locations import example_models_dir
from tui_gpt.engine.generation.stream import Generator
from tui_gpt.engine.generation.windows import window_start
from tui_gpt.engine.interop.huggingface import read_model_folder
from tui_gpt.engine.network import GPT, KVCache, build_network, native, native_decoding
from tui_gpt.engine.network.decoding import Decoder
from tui_gpt.engine.network.lora import add_adapters
from tui_gpt.engine.network.native_decoding import NativeDecoder, int8_rows, panels
from tui_gpt.engine.network.pace import Pace
from tui_gpt.engine.text.char_tokenizer import CharTokenizer

CHARACTERS = CharTokenizer("\n abcdefghijklmnopqrstuvwxyz.,")
SHAPES: dict[str, dict[str, Any]] = {
    "gpt2": {"family": "gpt2"},
    "gpt2 untied": {"family": "gpt2", "tie_word_embeddings": False},
    "qwen3": {"family": "qwen3"},
    "qwen3 grouped": {"family": "qwen3", "n_kv_head": 2, "head_dim": 10},
    "qwen3 untied": {"family": "qwen3", "tie_word_embeddings": False},
    "llama": {"family": "llama", "n_kv_head": 1},
    "odd sizes": {"family": "llama", "n_embd": 66, "n_head": 3, "n_inner": 101, "vocab_size": 131},
}
needs_compiler = pytest.mark.skipif(native.library() is None, reason="no C compiler")


def loud(n_positions: int = 24, **shape: Any) -> GPT:
    sizes = {"vocab_size": 40, "n_embd": 24, "n_layer": 2, "n_head": 4, "n_positions": n_positions}
    network = build_network(ModelConfig(**(sizes | shape)), 3).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.normal_(1.0 if "norm" in name and name.endswith("weight") else 0.0, 0.2, generator=generator)
    return network


def some_ids(network: GPT, batch: int, length: int) -> torch.Tensor:
    return torch.randint(network.config.vocabulary, (batch, length), generator=torch.Generator().manual_seed(length))


def assert_same(decoder: Decoder | NativeDecoder, network: GPT, ids: torch.Tensor, **tolerance: float) -> None:
    """Token by token after a prompt of three, up to a full context, and again after the cache was cut."""
    cache = KVCache(network.config, len(ids))
    with torch.inference_mode():
        network.next_logits(ids[:, :3], cache)
        for again_from in (3, 5):
            cache.truncate(min(again_from, cache.length))
            for place in range(again_from, ids.size(1)):
                logits = decoder.next_logits(ids[:, place], cache)
                assert cache.length == place + 1
                torch.testing.assert_close(logits, network.next_logits(ids[:, : place + 1]), **tolerance)
        with pytest.raises(ValueError, match="exceed the context of 24"):
            decoder.next_logits(ids[:, 0], cache)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_of_torch_gives_the_networks_logits(shape: str, batch: int) -> None:
    network = loud(**SHAPES[shape])
    assert_same(Decoder(network), network, some_ids(network, batch, 24), atol=1e-4, rtol=1e-4)


@needs_compiler
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_of_c_gives_the_networks_logits(shape: str, batch: int) -> None:
    network = loud(**SHAPES[shape])
    assert_same(NativeDecoder(network), network, some_ids(network, batch, 24), atol=1e-4, rtol=1e-4)


@needs_compiler
@pytest.mark.parametrize("precision", ["bf16", "int8"])
@pytest.mark.parametrize("shape", SHAPES)
def test_weights_in_fewer_bits_compute_what_rounded_weights_do(shape: str, precision: WritingPrecision) -> None:
    network = loud(**SHAPES[shape])
    decoder = network.decoder(precision)
    embedding = network.token_embedding.weight.clone()
    rounded = {id(w): w for w in network.parameters() if w.dim() == 2}
    positions = network.position_embedding.weight if network.position_embedding is not None else None
    with torch.no_grad():
        for weight in rounded.values():
            if weight is positions or (weight is network.token_embedding.weight and network.head is not None):
                continue
            if precision == "bf16":
                weight.copy_(weight.bfloat16())
            else:
                parts = weight.chunk(2) if weight.size(0) == 2 * network.config.inner else (weight,)
                for part in parts:
                    steps, scales = int8_rows(part)
                    part.copy_(steps * scales.unsqueeze(1))
    # What is looked up stays as it is; the decoder reads it from the network, where a tied head has been rounded now.
    ids = some_ids(network, 2, 8)
    cache = KVCache(network.config, 2)
    with torch.inference_mode():
        network.next_logits(ids[:, :3], cache)
        close = decoder.next_logits(ids[:, 3], cache)
        torch.testing.assert_close(close, network.next_logits(ids[:, :4]), atol=1e-3, rtol=1e-3)
    assert not torch.equal(embedding, network.token_embedding.weight) or network.head is not None


@needs_compiler
def test_how_many_threads_there_are_changes_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    network = loud(n_embd=128, n_head=4, n_positions=24)
    ids = some_ids(network, 1, 24)[0]
    results = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(native_decoding, "pace_of", lambda _bytes, _most, n=threads: FixedPace(n))
        decoder, cache = NativeDecoder(network, "int8"), KVCache(network.config)
        results.append(torch.stack([decoder.next_logits(token.view(1), cache) for token in ids]))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


class FixedPace:
    def __init__(self, threads: int) -> None:
        self.number = threads

    def threads(self) -> int:
        return self.number

    def took(self, threads: int, seconds: float) -> None:
        assert threads == self.number
        assert seconds > 0


def test_adapters_that_are_not_merged_count_in_every_token() -> None:
    network = loud(family="qwen3")
    adapted = add_adapters(network, {"blocks.0.attention.qkv": [24, 24, 24]}, rank=2, alpha=4.0, seed=1)
    with torch.no_grad():
        for layer in adapted.values():
            layer.lora_b.normal_(0.0, 0.5, generator=torch.Generator().manual_seed(2))
    decoder = network.decoder()
    assert isinstance(decoder, Decoder)
    assert_same(decoder, network, some_ids(network, 2, 24), atol=1e-4, rtol=1e-4)
    with pytest.raises(ConfigError, match="int8 cannot be had here: the model has adapters that are not merged"):
        network.decoder("int8")


@needs_compiler
@pytest.mark.parametrize("precision", ["float32", "bf16", "int8"])
def test_a_text_goes_on_beyond_the_context_as_its_window_says(precision: WritingPrecision) -> None:
    """The prompt is longer than the context, and the window moves while text is written."""
    network = loud(vocab_size=CHARACTERS.vocab_size, family="qwen3")
    prompt = CHARACTERS.encode("a long beginning that is more than the context holds")
    settings = SampleConfig(temperature=0, max_new_tokens=60)
    ids = list(prompt)
    for piece in Generator(network, CHARACTERS, precision).stream(prompt, settings):
        assert piece.token_id is not None
        window = torch.tensor([ids[window_start(len(ids), 24) :]])
        logprobs = network.next_logits(window)[0].log_softmax(-1)
        bound = {"float32": 1e-3, "bf16": 0.1, "int8": 0.4}[precision]
        assert piece.logprob == pytest.approx(logprobs[piece.token_id].item(), abs=bound)
        assert logprobs.max().item() - logprobs[piece.token_id].item() < bound
        ids.append(piece.token_id)


def test_weights_that_change_between_two_streams_are_the_ones_that_write() -> None:
    network = loud(vocab_size=CHARACTERS.vocab_size, family="gpt2")
    generator = Generator(network, CHARACTERS)
    settings = SampleConfig(temperature=0, max_new_tokens=12)
    before = [piece.token_id for piece in generator.stream("so", settings)]
    with torch.no_grad():
        for weight in network.parameters():
            weight.data = weight.data * 0.5 + 0.01 * torch.randn(
                weight.shape, generator=torch.Generator().manual_seed(weight.numel())
            )
    after = [piece.token_id for piece in generator.stream("so", settings)]
    assert after == [piece.token_id for piece in Generator(network, CHARACTERS).stream("so", settings, use_cache=False)]
    assert before != after


@needs_compiler
@pytest.mark.parametrize(("precision", "most"), [("bf16", 0.002), ("int8", 0.005)])
def test_fewer_bits_cost_a_learned_model_little(precision: WritingPrecision, most: float) -> None:
    """Nats per token over a text like the ones that the model learned, every token predicted by the decoder."""
    from tui_gpt.engine.text.stories import generate_stories

    examples = example_models_dir()
    assert examples is not None
    loaded = read_model_folder(examples / "stories")
    text = "".join(generate_stories(12_000, 0.05))
    ids = loaded.tokenizer.encode(text)[:1500]
    assert abs(decoded_loss(loaded.network, ids, precision) - decoded_loss(loaded.network, ids, "float32")) < most


def decoded_loss(network: GPT, ids: list[int], precision: WritingPrecision) -> float:
    decoder, cache = network.decoder(precision), KVCache(network.config)
    total = 0.0
    for token, following in itertools.pairwise(ids):
        if cache.length == network.config.n_positions:
            cache.truncate(0)
        logits = decoder.next_logits(torch.tensor([token]), cache)
        total -= logits[0].log_softmax(-1)[following].item()
    return total / (len(ids) - 1)


def test_without_a_compiler_torch_writes_and_fewer_bits_are_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TUI_GPT_HOME", str(tmp_path))
    monkeypatch.setenv("CC", "/nowhere/cc")
    native.library.cache_clear()
    try:
        network = loud()
        assert isinstance(network.decoder(), Decoder)
        with pytest.raises(ConfigError, match=r"bf16 cannot be had here: no C compiler is installed.*install gcc"):
            network.decoder("bf16")
    finally:
        native.library.cache_clear()


@needs_compiler
def test_half_a_library_is_compiled_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TUI_GPT_HOME", str(tmp_path))
    native.library.cache_clear()
    try:
        made = native.library_path()
        made.parent.mkdir(parents=True)
        made.write_bytes(b"\x7fELF, and no more")
        assert native.library() is not None
        assert list(made.parent.iterdir()) == [made]
        assert made.stat().st_size > 1000
    finally:
        native.library.cache_clear()


def test_panels_hold_64_rows_column_after_column() -> None:
    weight = torch.arange(70 * 3).view(70, 3)
    packed = panels(weight)
    assert packed.shape == (2, 3, 64)
    assert packed[1, 2, 5] == weight[69, 2]
    assert packed[1, :, 6:].abs().sum() == 0


def test_a_pace_keeps_the_faster_number_of_threads_and_tries_the_other_again() -> None:
    pace = Pace(2)

    def write(tokens: int, seconds: dict[int, float]) -> list[int]:
        used = []
        for _ in range(tokens):
            used.append(pace.threads())
            pace.took(used[-1], seconds[used[-1]])
        return used

    assert write(20, {1: 1.0, 2: 0.6}) == [1, 1, 1, *[2] * 17]
    # Busy when it is tried again: one try is enough, and the next comes later.
    assert write(300, {1: 1.0, 2: 50.0}).count(2) == 256 - 20 + 1
    assert write(1000, {1: 1.0, 2: 50.0}).count(2) == 0
    assert {Pace(1).threads() for _ in range(3)} == {1}
