"""LoRA: merging changes nothing in the logits, and peft computes the same from the adapters that are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from tui_gpt.core.config import RunConfig
from tui_gpt.core.config_loading import build_config
from tui_gpt.core.runs.records import ExecutionRecord
from tui_gpt.core.sizes import trained_parameters
from tui_gpt.engine.interop.huggingface import write_model_folder
from tui_gpt.engine.network import GPT, build_network
from tui_gpt.engine.text.batches import WindowBatches
from tui_gpt.engine.text.bpe_training import train_bpe
from tui_gpt.engine.training.learner import Learner

TEXT = "The cat sat on the mat, and the dog sat on the cat. " * 40
TOKENIZER = train_bpe([TEXT], 270)
TOKENS = np.array(TOKENIZER.encode(TEXT), dtype=np.uint16)
IDS = torch.randint(0, 270, (2, 16), generator=torch.Generator().manual_seed(3))
FAMILIES = ("gpt2", "qwen3", "llama")


def config(family: str, targets: str = "all", **train: Any) -> RunConfig:
    shape = {"family": family, "vocab_size": 270, "n_positions": 16, "n_embd": 32, "n_layer": 2, "n_head": 4}
    if family != "gpt2":
        shape |= {"n_kv_head": 2, "head_dim": 16}
    lora = {"lora_rank": 3, "lora_alpha": 5, "lora_targets": targets}
    return build_config(("test", {"model": shape, "train": {"max_steps": 50, "batch_size": 8, **lora, **train}}))


def adapted(settings: RunConfig, precision: str = "float32", steps: int = 5) -> tuple[Learner, dict[str, Tensor]]:
    """A learner after a few steps at a rate that makes loud adapters, and the weights of the model it began from."""
    base = build_network(settings.model, 9)
    with torch.no_grad():
        for name, weight in base.named_parameters():
            weight.normal_(
                1.0 if "norm" in name and name.endswith("weight") else 0.0,
                0.2,
                generator=torch.Generator().manual_seed(len(name)),
            )
    weights = {name: p.detach().clone() for name, p in base.named_parameters()}
    execution = ExecutionRecord(device="cpu", device_name="a CPU", precision=precision, compile=False, threads=1)
    learner = Learner(settings, execution, WindowBatches.of(TOKENS, settings))
    learner.begin_from(weights)
    with torch.enable_grad():
        for step in range(steps):
            assert learner.train_step(step, 50.0).applied
    return learner, weights


def with_weights(settings: RunConfig, weights: dict[str, Tensor]) -> GPT:
    network = build_network(settings.model, 0).eval()
    network.load_state_dict(weights)
    return network


@pytest.mark.parametrize("targets", ["all", "attention", "mlp"])
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_merging_changes_nothing_in_the_logits(family: str, targets: str) -> None:
    settings = config(family, targets)
    learner, before = adapted(settings)
    merged = learner.model_state()
    with learner.evaluation_network() as network:
        ours = network(IDS)
    theirs = with_weights(settings, merged)(IDS)
    torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=1e-5)
    assert (with_weights(settings, before)(IDS) - ours).abs().max() > 0.1, "the adapters have learned something"
    changed = {name for name in before if not torch.equal(before[name], merged[name])}
    places = {"all": ("attention", "mlp"), "attention": ("attention",), "mlp": ("mlp",)}[targets]
    assert changed == {
        name for name in before if name.endswith(("qkv.weight", "out.weight", "up.weight", "down.weight")) and
        any(place in name for place in places)
    }  # fmt: skip


# peft still asks transformers by a name that is about to go.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
@pytest.mark.parametrize("targets", ["all", "attention", "mlp"])
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_peft_computes_the_same_from_the_adapters_on_the_model_they_adapt(
    family: str, targets: str, tmp_path: Path
) -> None:
    settings = config(family, targets)
    learner, before = adapted(settings)
    (tmp_path / "base").mkdir()
    write_model_folder(tmp_path / "base", before, settings.model, TOKENIZER)
    assert learner.adapters is not None
    learner.adapters.write(tmp_path / "adapter", learner.trained_state(), str(tmp_path / "base"))
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    model = peft.PeftModel.from_pretrained(base, str(tmp_path / "adapter"))
    with learner.evaluation_network() as network:
        ours = network(IDS)
    torch.testing.assert_close(model(IDS).logits, ours, atol=1e-4, rtol=1e-5)
    n_ours = sum(p.numel() for p in learner.network.parameters() if p.requires_grad)
    assert sum(p.numel() for name, p in model.named_parameters() if "lora_" in name) == n_ours
    assert n_ours == trained_parameters(settings.model, settings.train)
    told = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (told["r"], told["lora_alpha"], told["base_model_name_or_path"]) == (3, 5, str(tmp_path / "base"))
    # And peft's own merging is ours.
    merged = with_weights(settings, learner.model_state())
    torch.testing.assert_close(model.merge_and_unload()(IDS).logits, merged(IDS), atol=1e-4, rtol=1e-5)


@torch.no_grad()
def test_in_bf16_the_adapters_are_merged_into_the_weights_as_they_were_before_rounding() -> None:
    settings = config("qwen3")
    learner, before = adapted(settings, "bf16", steps=0)
    for name, weights in learner.model_state().items():
        assert torch.equal(weights, before[name]), name
