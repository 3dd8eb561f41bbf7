"""A run on a mix: killed anywhere it learns what it would have learned, and its figures tell of every corpus."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from training_runs import Scene, fault, final_weights, last_words, learned, records, status_of, tiny

from tui_gpt.core.config import RunConfig
from tui_gpt.core.errors import CorpusError
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.runs.records import DataRecord
from tui_gpt.core.runs.store import Run
from tui_gpt.engine.generation.evaluation import evaluate_tokens
from tui_gpt.engine.interop.huggingface import read_model_folder
from tui_gpt.engine.text.prepare import prepare
from tui_gpt.engine.training.forking import fork_run
from tui_gpt.engine.training.opening import damage_to_tokens
from tui_gpt.engine.training.origins import origin_data
from tui_gpt.engine.training.publishing import bits_per_byte

FIGURES = "".join(f"{number} and {number + 1} are {2 * number + 1}.\n" for number in range(400))
LIST = "".join(f"- item {number}\n" for number in range(300))
PARTS = ("stories.txt", "figures.txt", "list.txt")
SHARES = (0.6, 0.3, 0.1)


def mixed(scene: Scene, **train: Any) -> RunConfig:
    for name, text in zip(PARTS[1:], (FIGURES, LIST), strict=True):
        scene.text.with_name(name).write_text(text, encoding="utf-8")
    config = tiny(scene.text, **{"max_steps": 20, "eval_interval": 8, "batch_size": 4, **train})
    mix = tuple(f"{scene.text.with_name(name)}={share}" for name, share in zip(PARTS[1:], SHARES[1:], strict=True))
    data = msgspec.structs.replace(config.data, mix=mix)
    changed: RunConfig = msgspec.structs.replace(config, data=data)
    return changed


def assert_same(run: Run, reference: Run) -> None:
    assert learned(run) == learned(reference)
    assert final_weights(run) == final_weights(reference)


def part_losses(values: dict[str, Any]) -> dict[str, float]:
    return {name.removeprefix("val_loss/"): loss for name, loss in values.items() if name.startswith("val_loss/")}


@pytest.mark.slow
def test_killed_in_a_step_a_checkpoint_and_after_an_evaluation_and_with_its_cache_gone(scene: Scene) -> None:
    config = mixed(scene, model={"dropout": 0.1}, weight_average=0.9, grad_accumulation_steps=2, checkpoint_interval=3)
    reference = scene.begin(config, "reference")
    assert scene.train_here(reference) == 0, last_words(reference)
    run = scene.begin(config, "killed")
    kills = [fault("weights", "kill", 6), fault("state", "kill", 2), fault("evaluation", "kill-after", 1)]
    for number, kill in enumerate(kills):
        assert scene.train(run, kill) == -signal.SIGKILL, last_words(run)
        if number == 1:
            shutil.rmtree(scene.home / "cache")
    assert scene.train_here(run) == 0, last_words(run)
    assert status_of(run).state == "finished"
    assert_same(run, reference)


def test_an_evaluation_tells_the_loss_on_each_corpus_and_their_mean_by_shares(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUI_GPT_HOME", str(scene.home))
    run = scene.begin(mixed(scene))
    assert scene.train_here(run) == 0, last_words(run)
    told = [record.values for record in records(run, "eval")]
    assert [values["whole"] for values in told] == [False, False, True]
    for values in told:
        losses = part_losses(values)
        assert tuple(losses) == PARTS
        mean = sum(share * losses[name] for share, name in zip(SHARES, PARTS, strict=True))
        assert values["val_loss"] == pytest.approx(mean)
    corpus, model = prepare(run.record.config.data), ModelHandler().get("bard")
    network = read_model_folder(model.folder).network
    found = {part.source: evaluate_tokens(network, part.validation.tokens).loss for part in corpus.corpora}
    assert part_losses(told[-1]) == found
    data: DataRecord = run.record.data
    assert data.source == "stories.txt with 30 % figures.txt and 10 % list.txt"
    assert data.n_train_tokens == sum(part.train.n_tokens for part in corpus.corpora)
    assert data.rows_per_epoch == pytest.approx(((corpus.corpora[0].train.n_tokens - 1) // 32 - 1) / 0.6)
    assert told[-1]["bits_per_byte"] == bits_per_byte(data, told[-1]["val_loss"])  # type: ignore[arg-type]
    assert model.record is not None and model.record.val_loss == told[-1]["val_loss"]
    assert "(stories.txt " in capsys.readouterr().out


def test_a_fork_learns_what_its_source_does_and_an_epoch_is_the_main_corpus_once(scene: Scene) -> None:
    run = scene.begin(mixed(scene, max_epochs=0.02, checkpoint_interval=4, max_steps=None))
    assert scene.train_here(run) == 0, last_words(run)
    rows = run.record.data.rows_per_epoch
    assert status_of(run).total_steps == status_of(run).step == -(-int(0.02 * rows * 1e9) // (4 * 10**9))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUI_GPT_HOME", str(scene.home))
        fork = fork_run(run, "aside", checkpoint="4")
    assert scene.train_here(fork) == 0, last_words(fork)
    assert_same(fork, run)


def test_a_part_that_has_changed_stops_the_run_and_one_that_is_gone_is_named(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUI_GPT_HOME", str(scene.home))
    run = scene.begin(mixed(scene, checkpoint_interval=5))
    assert scene.train(run, fault("weights", "kill", 8)) == -signal.SIGKILL
    figures = Path(run.record.config.data.mix[0].rpartition("=")[0])
    assert figures.is_absolute()
    figures.write_text(FIGURES + "1 and 1 are 2.\n", encoding="utf-8")
    assert scene.train_here(run) != 0
    assert "is not the text that run bard began with" in (status_of(run).error or "")
    figures.write_text(FIGURES, encoding="utf-8")
    assert scene.train_here(run) == 0, last_words(run)
    assert origin_data("bard")["mix"] == run.record.config.data.mix
    figures.unlink()
    with pytest.raises(CorpusError, match=r"model bard was trained on .*figures\.txt, which is not there any more"):
        origin_data("bard")


def test_token_files_of_a_part_that_are_damaged_under_a_trainer_are_named(scene: Scene) -> None:
    run = scene.begin(mixed(scene))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUI_GPT_HOME", str(scene.home))
        assert damage_to_tokens(run, IndexError()) == ""
        part = prepare(run.record.config.data).corpora[2].train.path
        part.write_bytes(b"\xff" * part.stat().st_size)
        assert "were changed while run bard learned from them" in damage_to_tokens(run, IndexError())


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one(scene: Scene) -> None:
    config = mixed(scene)
    alone = scene.begin(config, "alone")
    assert scene.train_here(alone) == 0
    run = scene.begin(config, "together", processes=2)
    assert scene.train(run, nproc=2) == 0, last_words(run)
    losses = [[r.values["loss"] for r in records(each, "train")] for each in (run, alone)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
