"""Real corpora, where they are at hand: read as what they are, and learned from."""

from __future__ import annotations

from pathlib import Path

import pytest
from training_runs import Scene, status_of, tiny

from tui_gpt.core.config import DataConfig
from tui_gpt.engine.text.dialogues.prepared_dialogues import PreparedDialogues
from tui_gpt.engine.text.prepare import prepare

pytestmark = pytest.mark.shared_data


@pytest.mark.parametrize(("name", "conversations"), [("instruct_1100", 1100), ("tinytalks", 301)])
def test_published_sets_of_conversations_are_read_whole(
    shared_data: Path, home: Path, name: str, conversations: int
) -> None:
    file = shared_data / "sft" / f"{name}.messages.jsonl"
    corpus = prepare(DataConfig(corpus=str(file), tokenizer="bpe"))
    assert isinstance(corpus, PreparedDialogues)
    assert (corpus.facts.documents, corpus.facts.answers, corpus.facts.empty_rows) == (conversations, conversations, 0)
    assert 0 < corpus.facts.answer_tokens < corpus.facts.tokens


def test_a_run_learns_from_a_published_set_of_conversations(shared_data: Path, scene: Scene) -> None:
    file = shared_data / "sft" / "tinytalks.messages.jsonl"
    run = scene.begin(tiny(file, max_steps=12))
    assert scene.train_here(run) == 0
    status = status_of(run)
    assert status.state == "finished" and status.best_val_loss is not None


def test_the_stories_of_a_file_are_the_same_as_text_and_as_a_table(shared_data: Path, home: Path) -> None:
    folder = shared_data / "tinystories"
    as_text = DataConfig(
        corpus=str(folder / "tinystories_slice_eot.txt"), separator="<|endoftext|>", tokenizer="bpe", clean="on"
    )
    as_table = DataConfig(corpus=str(folder / "tinystories_slice.jsonl"), tokenizer="bpe", clean="on")
    text, table = prepare(as_text), prepare(as_table)
    assert text.facts.documents == table.facts.documents > 900
    assert text.facts.characters == table.facts.characters
