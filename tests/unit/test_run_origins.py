"""A run that begins from a model takes its weights, tokenizer and shape, and needs nothing outside its own folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import Call, Trained, tiny_training
from safetensors.torch import load_file
from training_runs import Scene, final_weights, last_words, learned, records, status_of, tiny

from tui_gpt.core.config import RunConfig
from tui_gpt.core.config_loading import build_config
from tui_gpt.core.errors import ConfigError, CorpusError, ModelError, RunError
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.runs.store import RunStore
from tui_gpt.engine.interop.huggingface import write_model_folder
from tui_gpt.engine.network import build_network
from tui_gpt.engine.text.bpe_training import train_bpe
from tui_gpt.engine.text.prepare import prepare
from tui_gpt.engine.training.begin import begin_run
from tui_gpt.engine.training.distributed import Ranks
from tui_gpt.engine.training.forking import fork_run


def continuing(scene: Scene, **more: Any) -> RunConfig:
    return tiny(scene.text, **{"max_steps": 6, "eval_interval": 3, "warmup_steps": 0, **more})


def still(scene: Scene, **more: Any) -> RunConfig:
    """A run of one step that leaves the weights as they are."""
    none = {"learning_rate": 0.0, "muon_learning_rate": 0.0, "max_steps": 1}
    return continuing(scene, **none, **more)


def test_the_model_s_weights_tokenizer_and_shape_are_taken_and_only_the_dropout_is_the_caller_s(
    scene: Scene, mother: Path
) -> None:
    config = continuing(scene, model={"dropout": 0.1, "n_embd": 64, "n_layer": 3})
    run = begin_run(config, "on", origin="bard")
    model = run.record.config.model
    assert (model.n_embd, model.n_layer, model.n_positions, model.dropout) == (48, 1, 32, 0.1)
    assert (run.record.parent, run.record.from_model) == ("bard", True)
    start = run.folder / "start"
    assert (start / "model.safetensors").read_bytes() == (mother / "model.safetensors").read_bytes()
    assert scene.train_here(run) == 0, last_words(run)
    child = ModelHandler().get("on")
    assert child.record is not None and child.record.parent == "bard"
    assert (child.folder / "tokenizer.json").read_bytes() == (mother / "tokenizer.json").read_bytes()
    first = records(run, "train")[0].values["loss"]
    whole = [record.values["val_loss"] for record in records(RunStore().open("bard"), "eval")][-1]
    assert abs(first - whole) < 0.5, "the first batch is met with what the model had learned"  # type: ignore[operator]


@pytest.mark.parametrize(
    "train",
    [
        {},
        {"precision": "bf16", "optimizer": "muon", "weight_average": 0.9, "zero_init_projections": True},
        {"weight_average": 0.99},
    ],
)
def test_training_begins_at_the_model_s_weights_whatever_holds_them(
    scene: Scene, mother: Path, train: dict[str, Any]
) -> None:
    run = begin_run(still(scene, **train), "still", origin="bard")
    assert scene.train_here(run) == 0, last_words(run)
    before = load_file(mother / "model.safetensors")
    after = load_file(run.folder / "checkpoints" / "step-000001" / "model.safetensors")
    assert before.keys() == after.keys()
    for name, weights in before.items():
        torch.testing.assert_close(after[name], weights, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_two_processes_begin_at_the_model_s_weights_too(scene: Scene, mother: Path) -> None:
    alone = begin_run(continuing(scene), "alone", origin="bard")
    assert scene.train_here(alone, Ranks()) == 0
    run = begin_run(continuing(scene), "together", processes=2, origin="bard")
    assert scene.train(run, nproc=2) == 0, last_words(run)
    losses = [[record.values["loss"] for record in records(r, "train")] for r in (alone, run)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_the_run_is_trained_and_resumed_without_the_model_and_without_the_cache(scene: Scene, mother: Path) -> None:
    reference = begin_run(continuing(scene), "reference", origin="bard")
    assert scene.train_here(reference) == 0
    run = begin_run(continuing(scene, checkpoint_interval=2), "on", origin="bard")
    shutil.rmtree(mother)
    shutil.rmtree(scene.home / "cache")
    assert scene.train(run, {"at": "train_step", "do": "kill", "step": 3}) == -9
    shutil.rmtree(scene.home / "cache")
    assert scene.train_here(run) == 0, last_words(run)
    assert learned(run) == learned(reference)
    assert final_weights(run) == final_weights(reference)


def test_a_fork_of_such_a_run_takes_the_tokenizer_along(scene: Scene, mother: Path) -> None:
    text = scene.text.with_name("fewer-letters.txt")
    text.write_text("the cat and the dog and the hen. " * 200, encoding="utf-8")
    run = begin_run(continuing(scene, checkpoint_interval=2), "on", origin="bard")
    other = begin_run(tiny(text, max_steps=6, checkpoint_interval=2), "other", origin="bard")
    assert other.record.data.vocab_size == run.record.data.vocab_size, "not the alphabet of the new text"
    assert scene.train_here(other) == 0, last_words(other)
    fork = fork_run(other, checkpoint="4")
    shutil.rmtree(other.folder)
    shutil.rmtree(mother)
    shutil.rmtree(scene.home / "cache")
    assert scene.train_here(fork) == 0, last_words(fork)
    assert status_of(fork).state == "finished"
    assert fork.record.parent == "run other step 4"


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "MANIFEST.json", ""])
def test_a_damaged_start_ends_the_run_with_a_sentence_and_trains_nothing(scene: Scene, mother: Path, name: str) -> None:
    run = begin_run(continuing(scene), "on", origin="bard")
    path = run.folder / "start" / name
    if name == "MANIFEST.json":
        path.unlink()
    elif name:
        content = bytearray(path.read_bytes())
        content[-2] ^= 1
        path.write_bytes(content)
    else:
        shutil.rmtree(path)
    assert scene.train_here(run) == RunError.exit_code
    error = status_of(run).error or ""
    assert str(run.folder / "start") in error and "bard" in error
    assert not records(run, "train")


def test_a_damaged_model_is_not_begun_from(scene: Scene, mother: Path) -> None:
    weights = mother / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        begin_run(continuing(scene), "on", origin="bard")
    with pytest.raises(ModelError, match="there is no model named nobody"):
        begin_run(continuing(scene), "on", origin="nobody")
    assert [run.name for run in RunStore().list()] == ["bard"]


def test_a_model_that_changes_while_the_run_is_made_leaves_no_run(
    scene: Scene, mother: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copyfile = shutil.copyfile

    def meddle(source: Path, target: Path, **more: Any) -> Any:
        copyfile(source, target, **more)
        with Path(target).open("ab") as handle:
            handle.write(b" ")

    monkeypatch.setattr(shutil, "copyfile", meddle)
    with pytest.raises(ModelError, match="was changed while the run was being made"):
        begin_run(continuing(scene), "on", origin="bard")
    assert [path.name for path in (scene.home / "runs").iterdir()] == ["bard"]


def test_characters_that_the_tokenizer_does_not_know_are_named(scene: Scene, mother: Path) -> None:
    text = scene.text.with_name("strange.txt")
    text.write_text(scene.text.read_text(encoding="utf-8") + "ñandú", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"'ñ' \(U\+00F1.*and 1 more.*tokenizer bpe"):
        begin_run(tiny(text), "on", origin="bard")
    short = scene.text.with_name("short.txt")
    short.write_text("the cat sat", encoding="utf-8")
    with pytest.raises(CorpusError) as refused:
        begin_run(tiny(short), "on", origin="bard")
    assert "n_positions" not in str(refused.value), "the context is the model's"


def test_a_model_from_elsewhere_with_a_padded_vocabulary_in_bf16_trains_and_forks(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUI_GPT_HOME", str(scene.home))
    text = scene.text.read_text(encoding="utf-8")
    tokenizer = train_bpe(iter([text]), 300)
    model = build_config(
        ("m", {"model": {"n_layer": 1, "n_embd": 32, "n_head": 2, "n_positions": 16, "vocab_size": 320}}),
        ("t", {"train": {"max_steps": 1}}),
    ).model
    folder = scene.home / "models" / "foreign"
    folder.mkdir(parents=True)
    write_model_folder(folder, build_network(model, 1), model, tokenizer, dtype=torch.bfloat16)
    run = begin_run(continuing(scene, checkpoint_interval=2), "on", origin="foreign")
    assert (run.record.config.model.vocab_size, run.record.data.vocab_size) == (320, tokenizer.vocab_size)
    assert run.record.config.data.tokenizer == "bpe"
    assert scene.train_here(run) == 0, last_words(run)
    assert json.loads((scene.home / "models" / "on" / "config.json").read_bytes())["vocab_size"] == 320
    assert scene.train_here(fork_run(run, checkpoint="2")) == 0


def test_token_files_of_the_same_tokenizer_are_shared_and_of_another_are_not(scene: Scene, mother: Path) -> None:
    own = RunStore().open("bard").record.data.prepared
    assert begin_run(continuing(scene), "same", origin="bard").record.data.prepared == own
    other = scene.text.with_name("other.txt")
    other.write_text("a cat and a hen " * 100, encoding="utf-8")
    config = tiny(other)
    alone, given = begin_run(config, "alone"), begin_run(config, "given", origin="bard")
    assert alone.record.data.prepared != given.record.data.prepared
    prepared = prepare(config.data)
    assert prepared.folder.name == alone.record.data.prepared, "who gives no tokenizer gets the text's own"


def test_memory_and_device_are_told_with_every_step_and_in_the_status(scene: Scene) -> None:
    run = scene.begin(tiny(scene.text, max_steps=3))
    assert scene.train_here(run) == 0
    told = [record.values["memory"] for record in records(run, "train")]
    assert len(told) == 3
    assert all(isinstance(memory, int) and 20e6 < memory < 200e9 for memory in told)
    summary, execution = run.summary(), run.execution()
    assert execution is not None
    assert (summary.memory_bytes, summary.device) == (told[-1], execution.device_name)


@pytest.fixture
def home_with_toy(trained: Trained, tmp_path: Path) -> Path:
    home = tmp_path / "home"
    shutil.copytree(trained.home, home)
    return home


@pytest.mark.slow
def test_the_command_line_trains_a_model_on_with_its_own_corpus_and_forks_the_run(
    trained: Trained, home_with_toy: Path, call: Call
) -> None:
    arguments = tiny_training(trained.text, "toy-on", "--steps", "4", "--from", "toy", "--json")
    sets = [i for i, a in enumerate(arguments) if a.startswith("model.")]
    refused = call(*arguments, home=home_with_toy)
    assert refused.code == ConfigError("", "").exit_code
    assert "model.n_layer: comes with the model of --from" in refused.err
    for i in reversed(sets):
        del arguments[i - 1 : i + 1]
    arguments.remove(str(trained.text))
    done = call(*arguments, "--set", "model.dropout=0.1", "--set", "train.checkpoint_interval=2", home=home_with_toy)
    assert done.code == 0, done.err
    assert "toy-on from toy" in done.err
    assert done.json["corpus"] == "pets.txt"
    assert done.json["memory_bytes"] > 0
    run = RunStore(home_with_toy / "runs").open("toy-on")
    assert run.record.config.model.dropout == 0.1
    fork = ["runs", "fork", "toy-on", "--as", "aside", "--json"]
    ended = call(*fork)
    assert ended.code == 2 and "train.max_steps: is 4" in ended.err
    other_text = call(*fork, "--set", "data.corpus=x")
    assert other_text.code == 2 and "only train.* can" in other_text.err
    forked = call(*fork, "--checkpoint", "2", "--set", "train.max_steps=5")
    assert forked.code == 0, forked.err
    assert (forked.json["state"], forked.json["step"]) == ("finished", 5)


def test_a_model_whose_corpus_is_gone_or_unknown_asks_for_one(
    home_with_toy: Path, trained: Trained, call: Call
) -> None:
    record = home_with_toy / "models" / "toy" / "tui_gpt.json"
    tree = json.loads(record.read_bytes())
    tree["config"]["data"]["corpus"] = str(home_with_toy / "gone.txt")
    record.write_text(json.dumps(tree))
    gone = call("train", "--from", "toy", "--steps", "1", home=home_with_toy)
    assert gone.code == 3 and "gone.txt, which is not there any more" in gone.err
    record.unlink()
    unknown = call("train", "--from", "toy", "--steps", "1")
    assert unknown.code == 5 and "does not say what it was trained on" in unknown.err
    tokenizer = call("train", str(trained.text), "--from", "toy", "--tokenizer", "bpe")
    assert tokenizer.code == 2 and "--tokenizer: comes with the model" in tokenizer.err
