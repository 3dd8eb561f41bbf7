"""The command line on a text that arrives: training starts at once, and whatever is done with the run works."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from arriving_text import Arriving, arriving
from commands import Call
from training_runs import Scene, last_words, status_of, until

from tui_gpt.core.config import DataConfig
from tui_gpt.core.runs.store import RunStore
from tui_gpt.engine.text.prepare import prepare
from tui_gpt.engine.text.streaming.corpus import StreamedCorpus
from tui_gpt.engine.text.streaming.making import ChangedTextError
from tui_gpt.engine.text.streaming.parts import read_record, record_file

SETTINGS = [
    argument
    for setting in (
        *("data.bpe_vocab_size=300", "model.n_layer=1", "model.n_embd=32", "model.n_head=2", "model.n_positions=32"),
        *("train.batch_size=4", "train.device=cpu", "train.precision=float32", "train.compile=off", "train.threads=1"),
        *("train.eval_interval=20", "train.sample_tokens=4"),
    )
    for argument in ("--set", setting)
]


@pytest.fixture
def text(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Arriving]:
    with arriving(monkeypatch) as found:
        found.let_through(1)
        yield found


@pytest.mark.slow
def test_train_starts_with_the_first_part_and_what_follows_works(
    text: Arriving, scene: Scene, home: Path, call: Call
) -> None:
    scene.home = home
    began = call("train", "tinystories", "--name", "early", "--steps", "40", "--detach", "--json", *SETTINGS)
    assert began.code == 0, began
    assert "about " in began.err and "tokens (bpe, 300)" in began.err
    run = RunStore().open("early")
    until(lambda: (s := run.status()) is not None and s.activity.startswith("waiting for the text: "), run)
    assert "corpus" in (shown := call("runs", "show", "early")).out and "about " in shown.out
    assert "waiting for the text" in shown.out
    text.let_all_through()
    followed = call("runs", "follow", "early", "--json")
    assert followed.code == 0 and followed.json["state"] == "finished", last_words(run)
    status = status_of(run)
    assert status.step == 40 and not status.warnings
    measured = call("eval", "early", "--json")
    assert measured.code == 0, measured
    assert measured.json["loss"] == pytest.approx(measured.json["trainer_loss"], rel=1e-4)
    facts = call("corpora", "show", "tinystories", "--bpe-vocab-size", "300", "--json")
    assert facts.code == 0 and facts.json["documents"] == 98 + 23
    assert facts.json["changes"][0] == "the first 100 documents of TinyStories-train.txt"
    assert facts.json["sha256"] == run.record.data.sha256
    counted = call("corpora", "tokens", "tinystories", "--bpe-vocab-size", "300", "--json")
    assert counted.code == 0, counted
    assert call("sample", "early", "--prompt", "The fox", "--max-new-tokens", "5").code == 0
    text.train.is_down = True  # everything is here
    later = call("train", "--from", "early", "--name", "later", "--steps", "3", "--json")
    assert later.code == 0, later
    assert json.loads((RunStore().open("later").folder / "run.json").read_text())["data"]["is_estimated"] is False
    assert call("eval", "later", "--json").code == 0
    forked = call("runs", "fork", "early", "--as", "fork", "--set", "train.max_steps=45")
    assert forked.code == 0, forked
    assert (RunStore().open("fork").folder / "parts.json").is_file()


def test_a_given_tokenizer_that_is_its_own_and_one_of_characters(text: Arriving) -> None:
    data = DataConfig(corpus="tinystories", bpe_vocab_size=300)
    own = prepare(data, whole=False)
    assert isinstance(own, StreamedCorpus) and own.parts_here == 1 and not own.is_complete
    assert any("parts that are here; the rest is arriving" in change for change in own.facts.changes)
    given = prepare(data, tokenizer=own.tokenizer, whole=False)
    assert (given.sha256, given.folder) == (own.sha256, own.folder)
    other = prepare(DataConfig(corpus="tinystories", bpe_vocab_size=280), tokenizer=own.tokenizer, whole=False)
    assert (other.sha256, other.tokenizer.vocab_size) == (own.sha256, 300) and other.folder != own.folder
    text.let_all_through()
    characters = prepare(DataConfig(corpus="tinystories", tokenizer="char"))
    assert not isinstance(characters, StreamedCorpus)


def test_parts_made_of_what_was_thrown_away_are_noticed_once_the_file_is_whole(
    text: Arriving, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = DataConfig(corpus="tinystories", bpe_vocab_size=300, max_documents=0)
    begun = prepare(data, whole=False)
    assert isinstance(begun, StreamedCorpus)
    record = record_file(begun.folder, 0)
    record.write_text(record.read_text().replace(read_record(begun.folder, 0).source_sha256, "0" * 64))  # type: ignore[union-attr]
    text.let_all_through()
    with pytest.raises(ChangedTextError, match="part 1 of TinyStories was made of another text"):
        prepare(data)


def test_the_feeder_loads_no_torch() -> None:
    program = (
        "import sys\nimport tui_gpt.engine.text.streaming.feeder\n"
        "sys.exit(','.join(n for n in ('torch', 'transformers', 'textual') if n in sys.modules) or 0)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
