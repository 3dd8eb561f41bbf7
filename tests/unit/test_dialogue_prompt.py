"""What a model reads before it answers: all that was said, as it has learned it, or the latest that fits."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_gpt.core.errors import CorpusError, ModelError
from tui_gpt.engine.generation.dialogue import dialogue_prompt
from tui_gpt.engine.text.char_tokenizer import CharTokenizer
from tui_gpt.engine.text.dialogues.chat_format import chat_format, end_ids, with_chat
from tui_gpt.engine.text.dialogues.conversation import Message, in_turns

TOKENIZER = with_chat(CharTokenizer("abc \n"))
messages = st.lists(
    st.tuples(st.sampled_from(["user", "assistant"]), st.text("ab \n", max_size=9)).map(lambda t: Message(*t)),  # type: ignore[arg-type]
    max_size=8,
)


def whole(said: list[Message]) -> list[int]:
    written = chat_format(TOKENIZER)
    assert written is not None
    return written.encode(in_turns(said), answer_next=True).ids


@given(said=messages, system=st.sampled_from(["", "c"]), n_positions=st.integers(4, 60), new=st.integers(1, 30))
def test_the_oldest_questions_go_with_their_answers_until_the_rest_fits(
    said: list[Message], system: str, n_positions: int, new: int
) -> None:
    said = [*said, Message("user", "b")]
    above = [Message("system", system)] if system else []
    prompt = dialogue_prompt(TOKENIZER, [*above, *said], n_positions, new)
    joined = in_turns([*above, *said])
    kept = joined[len(above) + prompt.dropped :]
    assert prompt.ids == whole([*above, *kept])
    assert kept[-1] == joined[-1]
    room = n_positions - min(new, max(1, n_positions // 4))
    questions = [n for n, message in enumerate(joined) if message.role == "user" and n > len(above)]
    # What is there begins with a question, and with one question more it would not fit.
    if prompt.dropped:
        assert kept[0].role == "user"
        before = max([n for n in questions if n < len(above) + prompt.dropped], default=len(above))
        assert len(whole([*above, *joined[before:]])) > room
    assert len(prompt.ids) <= room or not [n for n in questions if n > len(above) + prompt.dropped]


def test_a_talk_of_thousands_of_turns_is_shortened_within_moments() -> None:
    said = [Message("user", "a b"), Message("assistant", "c")] * 5_000
    began = time.process_time()
    prompt = dialogue_prompt(TOKENIZER, [*said, Message("user", "a")], 96, 20)
    assert time.process_time() - began < 5
    assert prompt.dropped > 9_900 and len(prompt.ids) <= 76


def test_messages_are_asked_as_they_were_learned() -> None:
    asked = [Message("user", " a\r\nb "), Message("assistant", " "), Message("user", "c\n")]
    assert TOKENIZER.decode(dialogue_prompt(TOKENIZER, asked, 64, 8).ids) == "<|user|>a\nb\n\nc<|end|><|assistant|>"


def test_what_cannot_be_asked_is_told() -> None:
    with pytest.raises(
        ModelError, match=r"fox has learned from texts .* \(`tui-gpt train conversations --from MODEL`\)"
    ):
        dialogue_prompt(CharTokenizer("abc"), [Message("user", "a")], 64, 8, "fox")
    with pytest.raises(CorpusError, match="the character 'x'"):
        dialogue_prompt(TOKENIZER, [Message("user", "x")], 64, 8)


def test_an_answer_is_over_where_somebody_else_begins() -> None:
    assert end_ids(CharTokenizer("abc")) == frozenset()
    assert end_ids(TOKENIZER) == frozenset(TOKENIZER.specials.values())
