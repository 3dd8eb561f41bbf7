"""Runs that train adapters: less loss on held-out text, an ordinary model, exact after a kill, adapters kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import Call
from safetensors.torch import load_file
from training_runs import Scene, fault, final_weights, last_words, learned, records, status_of, tiny

from tui_gpt.core.config import RunConfig
from tui_gpt.core.errors import ConfigError, ModelError
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.runs.checkpoints import checkpoint_folder
from tui_gpt.core.runs.store import RunStore
from tui_gpt.core.sizes import trained_parameters
from tui_gpt.engine.generation.evaluation import evaluate_tokens
from tui_gpt.engine.interop.huggingface import read_model_folder
from tui_gpt.engine.text.prepare import prepare
from tui_gpt.engine.training.begin import begin_run
from tui_gpt.engine.training.forking import fork_run
from tui_gpt.engine.training.publishing import publish_ended_run

ADAPTER = ("adapter/adapter_config.json", "adapter/adapter_model.safetensors")


@pytest.fixture
def other_text(scene: Scene) -> Path:
    """The same letters, put together another way."""
    path = scene.text.with_name("backwards.txt")
    path.write_text("\n".join(line[::-1] for line in scene.text.read_text("utf-8").split("\n")), encoding="utf-8")
    return path


def adapting(text: Path, **more: Any) -> RunConfig:
    lora = {"lora_rank": 4, "learning_rate": 0.01}
    return tiny(text, **{"max_steps": 8, "eval_interval": 4, "warmup_steps": 0, **lora, **more})


def test_a_few_steps_lower_the_loss_on_held_out_text(
    scene: Scene, other_text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUI_GPT_HOME", str(scene.home))
    assert scene.train_here(scene.begin(tiny(scene.text, max_steps=150, learning_rate=0.01), "fluent")) == 0
    run = begin_run(adapting(other_text, max_steps=40), "on", origin="fluent")
    base = read_model_folder(ModelHandler().load("fluent"))
    held_out = prepare(run.record.config.data, tokenizer=base.tokenizer).validation.tokens
    before = evaluate_tokens(base.network, held_out).loss
    assert scene.train_here(run) == 0, last_words(run)
    after = evaluate_tokens(read_model_folder(ModelHandler().load("on")).network, held_out).loss
    assert after < before - 0.2
    told = [record.values["val_loss"] for record in records(run, "eval")][-1]
    assert told == pytest.approx(after, abs=1e-5), "what is in the library is what was measured"


def test_what_comes_out_is_an_ordinary_model_that_differs_in_the_adapted_matrices_only(
    scene: Scene, mother: Path
) -> None:
    run = begin_run(adapting(scene.text, lora_targets="attention"), "on", origin="bard")
    assert scene.train_here(run) == 0, last_words(run)
    before = load_file(mother / "model.safetensors")
    after = load_file(ModelHandler().load("on") / "model.safetensors")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if "_proj" in name and "self_attn" in name}


def adapter(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ADAPTER}


def test_the_adapters_are_kept_with_the_model_whatever_is_done_to_it(scene: Scene, mother: Path, call: Call) -> None:
    run = begin_run(adapting(scene.text), "on", origin="bard")
    assert scene.train_here(run) == 0, last_words(run)
    handler = ModelHandler()
    kept = adapter(handler.load("on"))
    config = json.loads(kept[ADAPTER[0]])
    assert (config["base_model_name_or_path"], config["revision"], config["r"]) == ("bard", None, 4)
    n_numbers = sum(t.numel() for t in load_file(handler.load("on") / ADAPTER[1]).values())
    assert n_numbers == trained_parameters(run.record.config.model, run.record.config.train)
    assert {*ADAPTER} <= handler.get("on").record.files.keys()  # type: ignore[union-attr]
    assert "LoRA of rank 4 beside the matrices of the blocks" in (handler.load("on") / "README.md").read_text()
    handler.note("on", "a note")
    handler.rename("on", "off")
    handler.fork("off", "copy")
    for name in ("off", "copy"):
        assert handler.verify(name) == []
        assert adapter(handler.load(name)) == kept
    done = call("models", "import", str(handler.load("copy")), "--as", "again")
    assert done.code == 0, done.err
    assert adapter(handler.load("again")) == kept
    path = handler.load("again") / ADAPTER[1]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match=r"adapter_model\.safetensors has .* bytes instead of"):
        handler.load("again")
    (handler.library.root / "off" / "adapter" / "more").write_text("x")
    assert any("more is not among the model's files" in problem for problem in handler.verify("off"))


def test_a_checkpoint_of_a_run_that_ended_becomes_a_model_with_its_adapters(scene: Scene, mother: Path) -> None:
    run = begin_run(adapting(scene.text, checkpoint_interval=2), "on", origin="bard")
    assert scene.train(run, fault("train_step", "kill", step=5)) == -9
    entry = publish_ended_run(run, "rescued")
    assert adapter(entry.folder) == adapter(checkpoint_folder(run.folder, 4))


EVERYTHING = {
    "lora_targets": "mlp",
    "optimizer": "muon",
    "precision": "bf16",
    "weight_average": 0.9,
    "grad_accumulation_steps": 2,
    "checkpoint_interval": 3,
}


@pytest.mark.parametrize("train", [{"checkpoint_interval": 3}, EVERYTHING], ids=["", "everything"])
def test_a_killed_run_goes_on_bit_for_bit_without_the_model_that_it_adapts(
    scene: Scene, mother: Path, train: dict[str, Any]
) -> None:
    reference = begin_run(adapting(scene.text, **train), "reference", origin="bard")
    assert scene.train_here(reference) == 0
    run = begin_run(adapting(scene.text, **train), "on", origin="bard")
    ModelHandler().delete("bard")
    assert scene.train(run, fault("train_step", "kill", step=4)) == -9
    assert scene.train(run, fault("train_step", "kill", step=7)) == -9
    assert scene.train_here(run) == 0, last_words(run)
    assert learned(run) == learned(reference)
    assert final_weights(run) == final_weights(reference)
    assert adapter(ModelHandler().load("on")) == adapter(ModelHandler().load("reference"))


def test_a_fork_takes_the_adapters_and_what_they_adapt_along(scene: Scene, mother: Path) -> None:
    run = begin_run(adapting(scene.text, checkpoint_interval=2), "on", origin="bard")
    assert scene.train_here(run) == 0, last_words(run)
    fork = fork_run(run, checkpoint="4")
    assert scene.train_here(fork) == 0, last_words(fork)
    assert final_weights(fork) == final_weights(run)
    assert fork.record.base_model == "bard"
    with pytest.raises(ConfigError, match="cannot change in a fork: the checkpoint holds adapters of this rank"):
        fork_run(run, checkpoint="4", changes={"lora_rank": 8})


def test_adapters_without_a_model_or_of_too_high_a_rank_are_refused(scene: Scene, mother: Path) -> None:
    with pytest.raises(ConfigError, match="adapters need a model that they adapt"):
        begin_run(adapting(scene.text), "on")
    with pytest.raises(ConfigError, match="49 is more than the model's width of 48"):
        begin_run(adapting(scene.text, lora_rank=49), "on", origin="bard")


@pytest.mark.parametrize("elsewhere", [True, False], ids=["made elsewhere", "made here"])
def test_from_the_command_line(scene: Scene, mother: Path, call: Call, elsewhere: bool) -> None:
    if elsewhere:
        (mother / "tui_gpt.json").unlink()
    line = ("train", str(scene.text), "--from", "bard", "--name", "on", "--steps", "3", "--lora", "2")
    done = call(*line, "--set", "train.sample_tokens=0", "--set", "train.device=cpu", "--set", "train.batch_size=4")
    assert done.code == 0, done.err
    assert "M learn, by LoRA)" in done.err
    run = RunStore().open("on")
    train = run.record.config.train
    assert train.lora_rank == 2
    # Rates that suit what is trained from nothing would undo what others have trained for long.
    assert (train.optimizer, train.learning_rate) == (("adamw", 3e-4) if elsewhere else ("muon", 0.004))
    assert status_of(run).state == "finished"
