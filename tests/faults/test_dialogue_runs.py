"""Runs on conversations: exact after any kill, from nothing, from a model of texts that grows, and by adapters."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dialogue_sets import ANSWERS, MODEL, write_talks
from hostile_files import slow_but
from training_runs import Scene, fault, final_weights, last_words, learned, records, status_of, tiny

from tui_gpt.core.config import RunConfig, to_dict
from tui_gpt.core.config_loading import build_config
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.runs.store import Run
from tui_gpt.engine.generation.evaluation import evaluate_corpus
from tui_gpt.engine.interop.huggingface import read_model_folder
from tui_gpt.engine.text.dialogues.chat_format import CHAT_TOKENS, chat_format
from tui_gpt.engine.text.prepare import prepare
from tui_gpt.engine.training.begin import begin_run
from tui_gpt.engine.training.forking import fork_run
from tui_gpt.engine.training.origins import start_folder, start_tokenizer

SMALL = {**MODEL, "n_layer": 1, "n_embd": 32, "dropout": 0.1}
EVERYTHING: dict[str, Any] = {
    "optimizer": "muon",
    "precision": "bf16",
    "weight_average": 0.9,
    "grad_accumulation_steps": 2,
    "gradient_checkpointing": True,
}
CASES: dict[str, tuple[bool, dict[str, Any]]] = {
    "from nothing": (False, {}),
    "from nothing with everything": (False, EVERYTHING),
    "from a model of texts": (True, {}),
    "by adapters": (True, {"lora_rank": 4, "optimizer": "muon"}),
}
KILLS = [fault("weights", "kill", 5), fault("state", "kill", 2), fault("evaluation", "kill-after", 1)]


@pytest.fixture
def talks(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUI_GPT_HOME", str(scene.home))
    return write_talks(scene.text.with_name("talks.jsonl"), rounds=4)


@pytest.fixture
def base(scene: Scene, talks: Path) -> str:
    """A model of texts that knows every character of the talks."""
    scene.text.write_text(scene.text.read_text("utf-8") + talks.read_text("utf-8"), encoding="utf-8")
    run = scene.begin(tiny(scene.text, max_steps=4, model=SMALL), "base")
    assert scene.train_here(run) == 0
    return "base"


def chatty(talks: Path, **train: Any) -> RunConfig:
    quick = {"max_steps": 14, "checkpoint_interval": 3, "eval_interval": 5}
    return tiny(talks, model=SMALL, **(quick | train))


def assert_same(run: Run, reference: Run) -> None:
    assert learned(run) == learned(reference)
    assert final_weights(run) == final_weights(reference)


@pytest.mark.parametrize("case", slow_but(["from nothing", "by adapters"], CASES))
def test_a_killed_run_learns_bit_for_bit_what_it_would_have(
    scene: Scene, talks: Path, case: str, request: pytest.FixtureRequest
) -> None:
    grown, train = CASES[case]
    origin = request.getfixturevalue("base") if grown else None
    config = chatty(talks, **train)
    reference = begin_run(config, "reference", origin=origin)
    assert scene.train_here(reference) == 0, last_words(reference)
    run = begin_run(config, "killed", origin=origin)
    if origin:
        ModelHandler().delete(origin)  # the run has all that it needs
    for kill in KILLS:
        assert scene.train_forked(run, kill) == -signal.SIGKILL, last_words(run)
    assert scene.train_here(run) == 0, last_words(run)
    assert status_of(run).state == "finished"
    assert_same(run, reference)
    assert [sample for kind, _, sample in learned(run) if kind == "sample"]
    # What is in the library is what was measured, and speaks in turns.
    loaded = read_model_folder(ModelHandler().load("killed"))
    assert chat_format(loaded.tokenizer) is not None
    corpus = prepare(run.record.config.data, tokenizer=start_tokenizer(run))
    told = [record.values["val_loss"] for record in records(run, "eval")][-1]
    assert told == pytest.approx(evaluate_corpus(loaded.network, corpus).loss, abs=1e-5)


def test_a_model_of_texts_begins_with_what_it_was_and_four_tokens_more(scene: Scene, talks: Path, base: str) -> None:
    before = read_model_folder(ModelHandler().load(base))
    run = begin_run(chatty(talks), "on", origin=base)
    after = read_model_folder(start_folder(run))
    n_tokens = before.tokenizer.vocab_size
    assert after.tokenizer.vocab_size == n_tokens + 4 == run.record.data.vocab_size
    assert [after.tokenizer.specials[token] for token in CHAT_TOKENS] == list(range(n_tokens, n_tokens + 4))
    old, new = (dict(each.network.named_parameters()) for each in (before, after))
    for name, weights in old.items():
        kept = new[name][:n_tokens] if "token_embedding" in name else new[name]
        assert np.array_equal(kept.detach().numpy(), weights.detach().numpy()), name
    assert run.record.config.data.form == "conversations"
    again = begin_run(chatty(talks), "again", origin=base)
    for file in ("model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        assert (start_folder(again) / file).read_bytes() == (start_folder(run) / file).read_bytes()


@pytest.mark.slow
def test_a_model_that_answers_is_trained_on_as_it_is(scene: Scene, talks: Path) -> None:
    first = begin_run(chatty(talks), "first")
    assert scene.train_here(first) == 0, last_words(first)
    run = begin_run(chatty(talks), "second", origin="first")
    folder = ModelHandler().load("first")
    for file in ("model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        assert (start_folder(run) / file).read_bytes() == (folder / file).read_bytes()
    assert scene.train_here(run) == 0, last_words(run)


@pytest.mark.slow
def test_a_fork_goes_on_with_the_rows_of_the_run(scene: Scene, talks: Path) -> None:
    run = begin_run(chatty(talks), "whole")
    assert scene.train_here(run) == 0, last_words(run)
    fork = fork_run(run, checkpoint="6")
    assert scene.train_here(fork) == 0, last_words(fork)
    assert final_weights(fork) == final_weights(run)


@pytest.mark.slow
def test_epochs_are_counted_in_rows(scene: Scene, talks: Path) -> None:
    config = chatty(talks, max_steps=None, max_epochs=2)
    run = begin_run(config, "epochs")
    rows = run.record.data.rows_per_epoch
    assert 0 < rows < 4 * 20
    assert scene.train_here(run) == 0, last_words(run)
    assert status_of(run).step == round(2 * rows / config.train.batch_size)


@pytest.mark.slow
def test_a_run_that_no_longer_gets_better_ends(scene: Scene, talks: Path) -> None:
    config = chatty(talks, max_steps=200, eval_interval=2, early_stopping_patience=2, learning_rate=0.0)
    run = begin_run(config, "stuck")
    assert scene.train_here(run) == 0, last_words(run)
    assert status_of(run).state == "finished" and status_of(run).step < 20


def test_what_no_row_holds_is_told(scene: Scene, talks: Path) -> None:
    long = {"role": "user", "content": "Who are you?"}, {"role": "assistant", "content": "A small fox. " * 20}
    with talks.open("r+") as file:
        rest = file.read()
        file.seek(0)
        file.write(json.dumps({"messages": long}) + "\n" + rest)
    run = begin_run(chatty(talks, max_steps=2), "long")
    assert scene.train_here(run) == 0, last_words(run)
    (warning,) = status_of(run).warnings
    assert warning.startswith("an answer ends beyond 96 tokens from the beginning of the question; what is beyond, 1")
    assert "tokens of answers, is not learned" in warning


@pytest.mark.parametrize("change", ["other", "gone"])
def test_a_run_whose_conversations_changed_is_not_resumed(scene: Scene, talks: Path, change: str) -> None:
    run = begin_run(chatty(talks), "bard")
    assert scene.train_forked(run, fault("train_step", "kill", step=6)) == -signal.SIGKILL
    if change == "gone":
        talks.unlink()
    else:
        talks.write_text(talks.read_text("utf-8").replace(ANSWERS["Who are you?"], "A small dog."), encoding="utf-8")
    assert scene.train(run) != 0
    status = status_of(run)
    assert status.state == "failed"
    assert status.error is not None
    assert ("is not the text that run bard began with" if change == "other" else "talks.jsonl") in status.error


@pytest.mark.slow
def test_token_files_that_are_damaged_are_made_again_when_resumed(scene: Scene, talks: Path) -> None:
    reference = begin_run(chatty(talks), "reference")
    assert scene.train_here(reference) == 0, last_words(reference)
    run = begin_run(chatty(talks), "bard")
    assert scene.train_forked(run, fault("train_step", "kill", step=6)) == -signal.SIGKILL
    folder = prepare(run.record.config.data).folder
    for file in ("train_marks.bin", "validation_ends.bin"):
        content = bytearray((folder / file).read_bytes())
        content[3] ^= 1
        (folder / file).write_bytes(content)
    assert scene.train_here(run) == 0, last_words(run)
    assert_same(run, reference)
    (folder / "train_ends.bin").unlink()
    assert prepare(run.record.config.data).folder == folder
    assert (folder / "train_ends.bin").exists()


@pytest.mark.slow
def test_two_processes_learn_what_one_does(scene: Scene, talks: Path) -> None:
    config = chatty(talks, grad_accumulation_steps=2)
    config = build_config(("test", to_dict(config)), ("test", {"model": {"dropout": 0.0}}))
    alone = begin_run(config, "alone")
    assert scene.train_here(alone) == 0, last_words(alone)
    together = begin_run(config, "together", processes=2)
    assert scene.train(together, nproc=2) == 0, last_words(together)
    for kind, name in (("train", "loss"), ("eval", "val_loss")):
        losses = [[record.values[name] for record in records(run, kind)] for run in (together, alone)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)
