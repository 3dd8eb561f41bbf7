"""Conversations on disk: found again whole, whatever happened to the file, and never more than there is room for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tui_gpt.core import chat_history
from tui_gpt.core.chat_history import (
    Answered,
    ChatHistory,
    ChatHistoryError,
    Chosen,
    Cut,
    Partner,
    Reply,
    Said,
    Turn,
)
from tui_gpt.core.messages import ModelRef

BARD = ModelRef(kind="model", name="bard")


@pytest.fixture
def history(tmp_path: Path) -> ChatHistory:
    return ChatHistory(tmp_path / "chats")


def talk(history: ChatHistory, said: str, *replies: str) -> str:
    number = history.begin(BARD)
    history.append(number, Said(said=said))
    history.append(number, Answered(replies=[Reply(text=text) for text in replies]))
    return number


def file_of(history: ChatHistory, number: str) -> Path:
    return history.folder / f"{number}.jsonl"


def test_a_conversation_reads_back_as_it_happened(history: ChatHistory) -> None:
    number = talk(history, "Once", " upon", " more")
    history.append(number, Chosen(reply=1))
    history.append(number, Partner(model=ModelRef(kind="run", name="first")))
    history.append(number, Said(said="The end", joint="\n"))
    history.append(number, Answered(replies=[Reply(text=".", seed=7, tokens=1, reason="eot")]))
    kept = history.read(number)
    assert kept.model == ModelRef(kind="run", name="first")
    assert "".join(turn.text for turn in kept.turns) == "Once more\nThe end."
    assert kept.turns[1] == Turn(
        said="The end", joint="\n", replies=[Reply(text=".", seed=7, tokens=1, reason="eot")], chosen=0
    )


def test_what_was_taken_back_is_gone_and_a_second_answer_wins(history: ChatHistory) -> None:
    number = talk(history, "a", "1")
    history.append(number, Answered(replies=[Reply(text="2"), Reply(text="3")]))
    history.append(number, Said(said="b"))
    history.append(number, Cut(turns=1))
    (turn,) = history.read(number).turns
    assert [reply.text for reply in turn.replies] == ["1", "2", "3"]
    assert turn.text == "a2"


def test_damaged_lines_are_passed_over(history: ChatHistory) -> None:
    number = talk(history, "one", " two")
    path = file_of(history, number)
    with path.open("ab") as handle:
        handle.write(b'\n\x00\xff{"type":"nobody"}\n[1\n{"type":"chosen","reply":99}\n{"type":"said","sa')
    history.append(number, Said(said=" three"))
    assert "".join(turn.text for turn in history.read(number).turns) == "one two three"


def test_control_characters_survive_as_what_they_are(history: ChatHistory) -> None:
    number = talk(history, "\x1b[2J\u202e", "\x07 \U0001f600")
    assert history.read(number).turns[0].text == "\x1b[2J\u202e\x07 \U0001f600"


def test_half_a_character_is_told_and_not_written(history: ChatHistory) -> None:
    number = history.begin(BARD)
    with pytest.raises(ChatHistoryError, match="half a character"):
        history.append(number, Said(said="\ud800"))
    assert history.read(number).turns == []


def test_search_finds_every_word_whatever_its_case_in_prompts_and_replies(history: ChatHistory) -> None:
    first = talk(history, "The old FOX", " ran into the woods")
    second = talk(history, "A hen", " sat\x1b on the fox")
    os.utime(file_of(history, first), (1, 1))
    assert [found.id for found in history.search("fox")] == [second, first]
    (found,) = history.search("Woods fox")
    assert found.id == first
    assert found.begins == "The old FOX"
    assert "woods" in found.excerpt
    assert found.model == "bard"
    assert history.search("wolf") == []
    assert [found.id for found in history.search()] == [second, first]


def test_conversations_without_a_turn_are_not_listed(history: ChatHistory) -> None:
    history.begin(BARD)
    assert history.search() == []


def test_only_the_newest_conversations_are_kept(history: ChatHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_history, "MOST_CONVERSATIONS", 2)
    numbers = [talk(history, str(i), "") for i in range(4)]
    for age, number in enumerate(numbers):
        os.utime(file_of(history, number), (age, age))
    (history.folder / "notes.jsonl").touch()
    assert history.prune() == 2
    assert {found.id for found in history.search()} == set(numbers[2:])
    assert (history.folder / "notes.jsonl").exists()


def test_a_full_conversation_says_so_and_stays_readable(history: ChatHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    number = talk(history, "a", "b")
    monkeypatch.setattr(chat_history, "LARGEST_CONVERSATION", 1000)
    with pytest.raises(ChatHistoryError, match="begin a new one"):
        history.append(number, Said(said="x" * 1000))
    assert history.read(number).turns[0].text == "ab"


def test_prompts_come_back_in_order_each_once_and_bounded(
    history: ChatHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_history, "MOST_PROMPTS", 3)
    monkeypatch.setattr(chat_history, "_LARGEST_PROMPTS", 200)
    for text in ["a", "b", "a", "c\nd", *["e"] * 50]:
        history.add_prompt(text)
    assert history.prompts() == ["a", "c\nd", "e"]
    assert (history.folder / chat_history.PROMPTS_FILE).stat().st_size < 400


def test_what_cannot_be_written_or_read_is_a_sentence(history: ChatHistory, tmp_path: Path) -> None:
    (tmp_path / "chats").write_text("in the way")
    with pytest.raises(ChatHistoryError, match="check the space and the permissions"):
        history.begin(BARD)
    with pytest.raises(ChatHistoryError, match="check the space and the permissions"):
        history.add_prompt("a")
    assert history.search("x") == []
    assert history.prompts() == []


@pytest.mark.parametrize("number", ["../../etc/passwd", "", "20250131-081500-abcdef/x"])
def test_an_id_leads_nowhere_else(history: ChatHistory, number: str) -> None:
    with pytest.raises(ChatHistoryError, match="not the number"):
        history.read(number)


def test_a_conversation_that_is_gone_is_a_sentence(history: ChatHistory) -> None:
    with pytest.raises(ChatHistoryError, match="no longer there"):
        history.read("20250131-081500-abcdef")
