"""Messages to the session are answered by a model that has learned from conversations, and continued by another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dialogue_sets import ANSWERS, write_talks
from random_models import save_random_model
from session_talk import Talk

from tui_gpt.core.config import DataConfig, SampleConfig
from tui_gpt.core.messages import (
    Explore,
    Explored,
    Failed,
    Generate,
    Generated,
    Generating,
    Load,
    Loaded,
    ModelRef,
    Utterance,
    Wrote,
)
from tui_gpt.engine.text.char_tokenizer import CharTokenizer
from tui_gpt.engine.text.dialogues.chat_format import with_chat

LETTERS = "".join(ANSWERS) + "\n"
SETTINGS = SampleConfig(max_new_tokens=20, temperature=0, seed=1)


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    folder = tmp_path_factory.mktemp("session")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUI_GPT_HOME", str(folder / "home"))
        save_random_model("qwen3", tokenizer=with_chat(CharTokenizer(LETTERS)), name="chatty")
        save_random_model("qwen3", tokenizer=CharTokenizer(LETTERS), name="plain")
    with Talk(folder / "home", folder) as session:
        yield session


def asked(model: str, *said: str) -> Generate:
    roles = ("user", "assistant")
    messages = [Utterance(role=roles[n % 2], content=text) for n, text in enumerate(said)]  # type: ignore[arg-type]
    ref = ModelRef(kind="model", name=model)
    return Generate(id=7, model=ref, prompt="Who", settings=SETTINGS, messages=messages)


def test_a_model_says_whether_it_speaks_in_turns(talk: Talk) -> None:
    for name, speaks in (("chatty", True), ("plain", False)):
        loaded = talk.ask(Load(id=1, model=ModelRef(kind="model", name=name)))
        assert isinstance(loaded, Loaded) and loaded.speaks_turns == speaks


@pytest.mark.parametrize(("model", "answers"), [("chatty", True), ("plain", False)])
def test_messages_are_answered_by_who_can(talk: Talk, model: str, answers: bool) -> None:
    talk.send(asked(model, "Who are you?"))
    replies = talk.until(Generated, Failed)
    begun = next(reply for reply in replies if isinstance(reply, Generating))
    assert begun.answers == answers
    assert begun.prompt_tokens == (len("Who are you?") + 3 if answers else len("Who"))
    assert any(isinstance(reply, Wrote) for reply in replies)


def test_what_no_longer_fits_is_told(talk: Talk) -> None:
    said = ["Who are you?", "Are you well?"] * 20
    talk.send(asked("chatty", *said, "Where do you live?"))
    begun = next(reply for reply in talk.until(Generated, Failed) if isinstance(reply, Generating))
    assert begun.dropped % 2 == 0 and 30 < begun.dropped < 40
    assert begun.prompt_tokens <= 128 - 20


def test_characters_that_it_does_not_know_are_told(talk: Talk) -> None:
    failed = talk.ask(asked("chatty", "漢?"))
    assert isinstance(failed, Failed) and "is not among the" in failed.message


def test_conversations_are_explored_with_the_tokens_around_them(talk: Talk, tmp_path: Path) -> None:
    data = DataConfig(corpus=str(write_talks(tmp_path / "talks.jsonl", rounds=2)), tokenizer="char")
    facts = talk.ask(Explore(id=1, data=data))
    assert isinstance(facts, Explored), facts
    assert (facts.documents, facts.answers) == (40, 64)
    assert facts.line.startswith("<|user|>Who are you?<|end|><|assistant|>")
    assert facts.line_tokens[0].text == "<|user|>" and not facts.line_problem
    typed = talk.ask(Explore(id=2, data=data, text="Who: <|user|>"))
    assert isinstance(typed, Explored) and "is not among the" in typed.line_problem
