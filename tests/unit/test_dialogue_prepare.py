"""Conversations become token files once: their tokens, marks and ends, by a tokenizer that has seen all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dialogue_sets import ANSWERS, write_talks

from tui_gpt.core.config import DataConfig
from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text.dialogues import prepare_dialogues
from tui_gpt.engine.text.dialogues.chat_format import CHAT_TOKENS, chat_format
from tui_gpt.engine.text.dialogues.conversation import Message
from tui_gpt.engine.text.dialogues.packing import ANSWER, TURN
from tui_gpt.engine.text.dialogues.prepared_dialogues import PreparedDialogues
from tui_gpt.engine.text.prepare import prepare
from tui_gpt.engine.text.prepared import open_prepared


def prepared(path: Path, cache: Path, **data: Any) -> PreparedDialogues:
    found = prepare(DataConfig(corpus=str(path), **data), cache=cache, verify=True)
    assert isinstance(found, PreparedDialogues)
    return found


@pytest.mark.parametrize("tokenizer", ["char", "bpe"])
def test_every_conversation_is_there_with_its_marks(tokenizer: str, tmp_path: Path) -> None:
    path = write_talks(tmp_path / "talks.jsonl", rounds=2)
    corpus = prepared(path, tmp_path / "cache", tokenizer=tokenizer, bpe_vocab_size=300)
    written = chat_format(corpus.tokenizer)
    assert written is not None and corpus.tokenizer.vocab_size <= 300
    rows = [json.loads(line)["messages"] for line in path.read_text("utf-8").splitlines()]
    talks = [[Message(m["role"], m["content"]) for m in row] for row in rows]
    assert [part.record.n_conversations for part in corpus.parts] == [36, 4]
    begin, number = 0, 0
    for part in corpus.parts:
        begin = 0
        for end in part.ends.tolist():
            encoded = written.encode(talks[number])
            assert part.tokens.tokens[begin:end].tolist() == encoded.ids
            assert ((part.marks[begin:end] & ANSWER) > 0).tolist() == encoded.answers
            assert np.flatnonzero(part.marks[begin:end] & TURN).tolist() == encoded.turns
            begin, number = end, number + 1
        assert part.record.n_answer_tokens == int((part.marks & ANSWER).sum())
    assert number == len(talks)
    assert corpus.question == next(m.content for m in talks[36] if m.role == "user")
    answers = [m.content for talk in talks[36:] for m in talk if m.role == "assistant"]
    assert corpus.parts[1].record.answer_bytes == sum(map(len, answers))


def test_token_files_are_made_once_and_anew_where_anything_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_talks(tmp_path / "talks.jsonl", rounds=2)
    first = prepared(path, tmp_path / "cache", tokenizer="char")
    made = []
    real = prepare_dialogues.DialoguePreparation._write
    monkeypatch.setattr(
        prepare_dialogues.DialoguePreparation, "_write", lambda self, *args: (made.append(1), real(self, *args))
    )
    assert prepared(path, tmp_path / "cache", tokenizer="char").folder == first.folder
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(path.read_bytes())
    assert prepared(copy, tmp_path / "cache", tokenizer="auto").folder == first.folder and not made
    for data in ({"validation_fraction": 0.2}, {"tokenizer": "bpe", "bpe_vocab_size": 300}):
        assert prepared(path, tmp_path / "cache", **({"tokenizer": "char"} | data)).folder != first.folder
    assert len(made) == 2
    path.write_text(path.read_text("utf-8").replace("fox", "dog"), encoding="utf-8")
    assert prepared(path, tmp_path / "cache", tokenizer="char").sha256 != first.sha256
    assert isinstance(open_prepared(first.folder, verify=True), PreparedDialogues)


@pytest.mark.parametrize("file", ["train_marks.bin", "validation_ends.bin", "train.bin", "tokenizer.json"])
def test_damage_is_noticed(file: str, tmp_path: Path) -> None:
    corpus = prepared(write_talks(tmp_path / "talks.jsonl", rounds=2), tmp_path / "cache", tokenizer="char")
    whole = (corpus.folder / file).read_bytes()
    for damaged in (whole[:-1], bytes([whole[0] ^ 1]) + whole[1:]):
        (corpus.folder / file).write_bytes(damaged)
        with pytest.raises(CorpusError, match="prepare the corpus again"):
            open_prepared(corpus.folder, verify=True)
    (corpus.folder / file).unlink()
    with pytest.raises(CorpusError, match="prepare the corpus again"):
        open_prepared(corpus.folder)


def test_a_bpe_learns_from_all_over_a_sorted_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare_dialogues, "_BPE_SAMPLE_CHARACTERS_PER_TOKEN", 10)
    rows = [{"question": "aaaa aaaa", "answer": "aaaa"}] * 600 + [{"question": "zqzq zqzq", "answer": "zqzq"}] * 600
    path = tmp_path / "sorted.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    corpus = prepared(path, tmp_path / "cache", tokenizer="bpe", bpe_vocab_size=270)
    assert len(corpus.tokenizer.encode("zqzq")) < 4
    assert list(corpus.tokenizer.specials)[-4:] == list(CHAT_TOKENS)


def test_a_set_that_is_written_to_meanwhile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_talks(tmp_path / "talks.jsonl", rounds=2)
    real = prepare_dialogues.DialoguePreparation._tokenizer

    def meddled(self: Any, *arguments: Any) -> Any:
        path.write_text(path.read_text("utf-8").replace(ANSWERS["Who are you?"], "A small owl."), encoding="utf-8")
        return real(self, *arguments)

    monkeypatch.setattr(prepare_dialogues.DialoguePreparation, "_tokenizer", meddled)
    with pytest.raises(CorpusError, match=r"talks\.jsonl changed while it was being read"):
        prepared(path, tmp_path / "cache", tokenizer="char")
    assert not list((tmp_path / "cache").glob(".*.tmp"))
