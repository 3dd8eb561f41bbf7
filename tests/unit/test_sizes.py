"""What the arithmetic says about a configuration is what building and running it gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

import msgspec
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peak_memory import PEAK_BYTES

from tui_gpt.core.config import ModelConfig, RunConfig, TrainConfig
from tui_gpt.core.errors import ConfigError, MemoryLimitError
from tui_gpt.core.presets import PRESETS, preset_config
from tui_gpt.core.published import PUBLISHED
from tui_gpt.core.sizes import (
    assumed_vocabulary,
    flops_per_token,
    generation_memory,
    parameters,
    require_memory,
    time_to_finish,
    training_memory,
)
from tui_gpt.engine.network import GPT


def built(model: ModelConfig) -> int:
    with torch.device("meta"):
        return GPT(model).count_parameters()


@pytest.mark.parametrize("name", PRESETS)
def test_parameters_equal_the_built_network_of_every_preset(name: str) -> None:
    config = preset_config(name)
    model = msgspec.structs.replace(config.model, vocab_size=assumed_vocabulary(config))
    assert parameters(model).total == built(model)


@pytest.mark.parametrize(("name", "size"), PUBLISHED.items())
def test_the_published_sizes_have_their_published_parameters(name: str, size: msgspec.Struct) -> None:
    assert parameters(preset_config(name).model).total == size.parameters  # type: ignore[attr-defined]


@st.composite
def models(draw: st.DrawFn) -> ModelConfig:
    family = draw(st.sampled_from(["gpt2", "qwen3"]))
    n_head = draw(st.integers(1, 6))
    kv = draw(st.sampled_from([None, *(k for k in range(1, n_head + 1) if n_head % k == 0)]))
    return ModelConfig(
        family=family,
        vocab_size=draw(st.integers(2, 500)),
        n_positions=draw(st.integers(2, 600)),
        n_embd=n_head * 2 * draw(st.integers(1, 9)),
        n_layer=draw(st.integers(1, 4)),
        n_head=n_head,
        n_kv_head=kv if family == "qwen3" else None,
        head_dim=draw(st.sampled_from([None, 4, 10])) if family == "qwen3" else None,
        n_inner=draw(st.sampled_from([None, 7, 64])),
        tie_word_embeddings=draw(st.booleans()),
        dropout=draw(st.sampled_from([0.0, 0.1])),
    )


@given(models())
@settings(max_examples=60, deadline=None)
def test_parameters_equal_the_built_network_of_any_shape(model: ModelConfig) -> None:
    assert parameters(model).total == built(model)


@given(models(), st.sampled_from(["float32", "bf16"]), st.sampled_from(["adamw", "muon"]))
@settings(deadline=None)
def test_memory_and_flops_are_positive_and_grow_with_the_model(
    model: ModelConfig, precision: str, optimizer: str
) -> None:
    train = TrainConfig(max_steps=1, batch_size=8, optimizer=optimizer)  # type: ignore[arg-type]
    larger = msgspec.structs.replace(model, n_layer=model.n_layer + 1)
    small = training_memory(model, train, precision)  # type: ignore[arg-type]
    large = training_memory(larger, train, precision)  # type: ignore[arg-type]
    assert small.total > 0
    assert small.weights < large.weights
    assert flops_per_token(model).forward < flops_per_token(larger).forward
    assert generation_memory(model).total < generation_memory(larger).total
    assert all(remedy.total < small.total for remedy in small.remedies)


def test_flops_follow_the_six_n_convention_with_the_attention_term() -> None:
    model = preset_config("gpt2").model
    flops = flops_per_token(model)
    weights = 124_439_808 - 1024 * 768
    assert flops.training == 6 * weights + 12 * 12 * 768 * 1024
    assert flops.training == 3 * flops.forward


def test_the_vocabulary_to_reckon_with_is_the_tokenizers() -> None:
    assert assumed_vocabulary(preset_config("tinystories")) == 50257
    assert assumed_vocabulary(preset_config("nanogpt-shakespeare")) == 256
    assert assumed_vocabulary(preset_config("quick")) == RunConfig().data.bpe_vocab_size


def test_the_time_to_finish_follows_the_way_of_ending() -> None:
    def config(**end: float) -> RunConfig:
        return RunConfig(model=ModelConfig(n_positions=100), train=TrainConfig(batch_size=10, **end))  # type: ignore[arg-type]

    assert time_to_finish(config(max_minutes=3.0), 1.0) == 180
    assert time_to_finish(config(max_steps=50), 1000.0) == 50
    assert time_to_finish(config(max_epochs=2.0), 1000.0, 7000) == 14
    with pytest.raises(ConfigError, match="depends on the corpus"):
        time_to_finish(config(max_epochs=2.0), 1000.0)


def test_what_fits_is_not_refused() -> None:
    needed = generation_memory(preset_config("gpt2").model)
    require_memory(needed, needed.total, "gpt2")


def test_what_cannot_fit_is_refused_with_the_change_that_makes_it_fit() -> None:
    model, train = preset_config("gpt2").model, TrainConfig(max_steps=1, batch_size=64)
    needed = training_memory(model, train, "bf16")
    with pytest.raises(MemoryLimitError) as caught:
        require_memory(needed, needed.total // 3, "training gpt2")
    assert str(caught.value).startswith("training gpt2 needs about ")
    assert "train.grad_accumulation_steps=4 brings it down to" in str(caught.value)
    assert caught.value.exit_code == 6


def test_what_no_setting_makes_fit_is_refused_with_a_smaller_model() -> None:
    needed = training_memory(preset_config("gpt2-xl").model, TrainConfig(max_steps=1, batch_size=1), "bf16")
    with pytest.raises(MemoryLimitError, match="choose a smaller model"):
        require_memory(needed, 1_000_000_000, "training gpt2-xl")


def test_every_remedy_can_be_set_as_it_is_written() -> None:
    from tui_gpt.core.config_loading import build_config, parse_setting

    model, train = preset_config("gpt2").model, TrainConfig(max_steps=1, batch_size=12)
    remedies = training_memory(model, train, "float32").remedies
    assert len(remedies) > 3
    for remedy in remedies:
        layers = [("--set", parse_setting(setting)) for setting in remedy.change.split()]
        build_config(("run", {"train": {"max_steps": 1, "batch_size": 12}}), *layers)


# A process of its own per size: resident memory never shrinks. The network of no size takes what libraries load once.
PEAK = (
    PEAK_BYTES
    + r"""
import json, resource, sys
import msgspec, torch
from tui_gpt.core.config import ModelConfig, RunConfig, TrainConfig
from tui_gpt.engine.network import KVCache, build_network
from tui_gpt.engine.network.loss import sum_loss
from tui_gpt.engine.training.adapters import Adapters
from tui_gpt.engine.training.optimizer import Optimizer

torch.set_num_threads(1)
model, train = ModelConfig(**json.loads(sys.argv[1])), TrainConfig(**json.loads(sys.argv[2]))
dtype = {"float32": torch.float32, "bf16": torch.bfloat16}[sys.argv[3]]

def learn(model, train, steps):
    network = build_network(model, 0)
    adapters = Adapters(network, RunConfig(model=model, train=train)) if train.lora_rank else None
    network.to(dtype).train()
    if adapters:
        adapters.set_base(dict(build_network(model, 1).named_parameters()))
    network.gradient_checkpointing = train.gradient_checkpointing
    optimizer = Optimizer(network, train)
    shape = (train.batch_size // train.grad_accumulation_steps, model.n_positions)
    for step in range(steps):
        for _ in range(train.grad_accumulation_steps):
            ids, targets = torch.randint(0, model.vocab_size, (2, *shape))
            (sum_loss(network.hidden(ids), network.head_weight, targets) / ids.numel()).backward()
        optimizer.step(step, 1.0)
    if adapters:
        adapters.merged(optimizer.master_state())

def write(model, batch):
    network = build_network(model, 0).eval()
    with torch.inference_mode():
        cache = KVCache(model, batch)
        logits = network.next_logits(torch.randint(0, model.vocab_size, (batch, model.n_positions - 4)), cache)
        for _ in range(4):
            kept = logits.sort(descending=True)[0].softmax(-1).cumsum(-1)
            logits = network.next_logits(torch.multinomial(logits.softmax(-1), 1), cache)

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

none = msgspec.structs.replace(model, n_embd=2 * model.n_head, n_layer=1, n_positions=8, vocab_size=50, n_inner=None)
if sys.argv[4] == "train":
    learn(none, msgspec.structs.replace(train, batch_size=2, grad_accumulation_steps=1), 1)
    before = resident()
    learn(model, train, 3)
else:
    write(none, 1)
    before = resident()
    write(model, train.batch_size)
print(peak_bytes() - before)
"""
)

SHAKESPEARE = {"n_layer": 6, "n_embd": 384, "n_head": 6, "n_positions": 256, "vocab_size": 65, "dropout": 0.2}
STORIES = {"n_layer": 4, "n_embd": 256, "n_head": 4, "n_positions": 512, "vocab_size": 50257}
MODERN = {"family": "qwen3", "n_layer": 8, "n_embd": 512, "n_head": 8, "n_positions": 512, "vocab_size": 1024}


def assert_within_a_quarter(estimate: int, measure: Callable[[], int]) -> None:
    """Of three measurements one: the kernel gives huge pages, or not, as memory is free, and whole ones count."""
    measured: list[int] = []
    while not measured or estimate != pytest.approx(measured[-1], rel=0.25):
        assert len(measured) < 3, f"estimated {estimate:,}, measured {measured}"
        measured.append(measure())


def peak(model: dict[str, object], train: dict[str, object], precision: str, what: str) -> int:
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "17179869184"}
    arguments = [sys.executable, "-c", PEAK, json.dumps(model), json.dumps(train), precision, what]
    return int(subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="measures resident memory by /proc")
@pytest.mark.parametrize(
    ("model", "train", "precision"),
    [
        (SHAKESPEARE, {"batch_size": 16}, "float32"),
        (STORIES, {"batch_size": 4}, "float32"),
        (STORIES, {"batch_size": 4}, "bf16"),
        (MODERN, {"batch_size": 4, "optimizer": "muon"}, "bf16"),
        (MODERN, {"batch_size": 4, "lora_rank": 16}, "bf16"),
        (SHAKESPEARE, {"batch_size": 16, "lora_rank": 16}, "float32"),
    ],
    ids=["shakespeare", "stories in float32", "stories", "modern", "adapters", "adapters of shakespeare"],
)
def test_training_memory_is_within_a_quarter_of_the_measured_peak(
    model: dict[str, object], train: dict[str, object], precision: str
) -> None:
    estimate = training_memory(ModelConfig(**model), TrainConfig(**train), precision)  # type: ignore[arg-type]
    assert_within_a_quarter(estimate.total, lambda: peak(model, train, precision, "train"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="measures resident memory by /proc")
@pytest.mark.parametrize(("model", "batch"), [(SHAKESPEARE, 16), (STORIES, 8), (MODERN, 4)])
def test_generation_memory_is_within_a_quarter_of_the_measured_peak(model: dict[str, object], batch: int) -> None:
    estimate = generation_memory(ModelConfig(**model), batch)  # type: ignore[arg-type]
    assert_within_a_quarter(estimate.total, lambda: peak(model, {"batch_size": batch}, "float32", "write"))
