"""The generated conversations are the same everywhere, hold nothing of the held-out questions, and answer truly."""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.conversations import examine, table, total
from tui_gpt.engine.text.conversations import KINDS, Case, Message, forms, generate_conversations, held_out
from tui_gpt.engine.text.conversations.exchange import Exchange, says, telling
from tui_gpt.engine.text.conversations.generator import MOST_CHARACTERS
from tui_gpt.engine.text.conversations.instructions import SENTENCES, instruction
from tui_gpt.engine.text.conversations.small_talk import TALK
from tui_gpt.engine.text.conversations.tale import asked, make_ready, tell
from tui_gpt.engine.text.conversations.tales_outside import TALES as OUTSIDE
from tui_gpt.engine.text.conversations.tales_together import TALES as TOGETHER
from tui_gpt.engine.text.conversations.wishes import wish
from tui_gpt.engine.text.stories import people, places
from tui_gpt.engine.text.tokenizer_files import load_tokenizer

FIRST_2000_OF_SEED_1337 = "5c45ee0bbc991c9e15bb4464af53d80f7fdffaba039114d3a3d099fb715a9a21"
STORIES_MODEL = Path(__file__).resolve().parents[2] / "models" / "stories"
MARKS_PER_MESSAGE = 3
"""Tokens for the mark of a role and the end of a message, and one to spare."""


@pytest.fixture(scope="module")
def conversations() -> list[list[Message]]:
    return list(generate_conversations(1337, 3.0))


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return held_out(480)


def _questions(conversations: list[list[Message]]) -> list[str]:
    return [message.content for messages in conversations for message in messages if message.role == "user"]


def test_the_first_conversations_of_a_seed_are_the_same_on_every_machine(conversations: list[list[Message]]) -> None:
    text = "\n".join(f"{role}: {content}" for messages in conversations[:2000] for role, content in messages)
    assert hashlib.sha256(text.encode("ascii")).hexdigest() == FIRST_2000_OF_SEED_1337


def test_a_smaller_set_is_the_beginning_of_a_larger_one(conversations: list[list[Message]]) -> None:
    small = list(generate_conversations(1337, 0.05))
    assert small == conversations[: len(small)]


@pytest.mark.parametrize("megabytes", [0.0, 0.001, 0.2])
def test_conversations_end_as_soon_as_the_size_is_reached(megabytes: float) -> None:
    sizes = [sum(len(message.content) for message in messages) for messages in generate_conversations(1, megabytes)]
    assert sum(sizes) >= megabytes * 1e6
    assert not sizes or sum(sizes[:-1]) < megabytes * 1e6


def test_user_and_assistant_take_turns_in_plain_ascii(conversations: list[list[Message]]) -> None:
    for messages in conversations:
        roles = [message.role for message in messages]
        if roles[0] == "system":
            roles = roles[1:]
        assert roles and roles == ["user", "assistant"] * (len(roles) // 2)
        for message in messages:
            assert re.fullmatch(r"[A-Za-z0-9 .,:;!?'\"-]+", message.content), message.content
            assert message.content == " ".join(message.content.split())


def test_every_conversation_fits_into_256_tokens_of_the_stories_model(conversations: list[list[Message]]) -> None:
    tokenizer = load_tokenizer(STORIES_MODEL)
    longest = max(
        sum(len(tokenizer.encode(message.content)) + MARKS_PER_MESSAGE for message in messages)
        for messages in conversations
    )
    assert longest <= 256


def test_a_held_out_question_and_its_answer_fit_into_256_tokens_too(cases: list[Case]) -> None:
    tokenizer = load_tokenizer(STORIES_MODEL)
    for case in cases:
        parts = [*(message.content for message in case.prompt), case.answer]
        assert sum(len(tokenizer.encode(part)) + MARKS_PER_MESSAGE for part in parts) <= 256


def test_questions_are_many_and_conversations_seldom_the_same(conversations: list[list[Message]]) -> None:
    questions = _questions(conversations)
    assert len(set(questions)) > 0.6 * len(questions) > 9_000
    different = {tuple(messages) for messages in conversations}
    assert len(different) > 0.97 * len(conversations)
    stories = [m.content for messages in conversations for m in messages if forms.story(())(m.content)]
    assert len(set(stories)) > 0.99 * len(stories) > 2_000


def test_conversations_have_one_to_five_turns_and_every_count_is_met(conversations: list[list[Message]]) -> None:
    turns = Counter(len(messages) // 2 for messages in conversations)
    assert {1, 2, 3, 4} <= turns.keys()
    assert turns[1] < 0.5 * len(conversations)


def test_the_words_are_those_of_the_stories_as_far_as_questions_allow(conversations: list[list[Message]]) -> None:
    words = {word for messages in conversations for m in messages for word in re.findall(r"[a-z]+", m.content.lower())}
    assert len(words) < 1300


def test_no_held_out_prompt_begins_a_conversation_of_the_set(conversations: list[list[Message]]) -> None:
    beginnings = {
        tuple(m for m in messages if m.role != "system")[: 2 * turn + 1]
        for messages in conversations
        for turn in range(len(messages) // 2)
    }
    questions = set(_questions(conversations))
    for case in held_out(300, seed=5):
        assert case.prompt not in beginnings
        assert len(case.prompt) > 1 or case.prompt[0].content not in questions, case.prompt


def test_a_wished_combination_that_is_held_out_is_not_wished_in_other_words(
    conversations: list[list[Message]], cases: list[Case]
) -> None:
    endings = {re.sub(r"[.?!]|, please", "", re.split(r"\babout ", text)[-1]) for text in _questions(conversations)}
    combined = [case.prompt[0].content for case in cases if case.kind == "story" and len(case.prompt) == 1]
    combined = [re.sub(r"[.?!]|, please", "", re.split(r"\babout ", text)[-1]) for text in combined]
    combined = [text for text in combined if re.search(r"(?:named|called) \w+", text)]
    assert len(combined) >= 5
    assert not endings & set(combined)


def test_a_held_out_answer_with_a_name_in_it_is_no_answer_of_the_set(
    conversations: list[list[Message]], cases: list[Case]
) -> None:
    answers = {m.content for messages in conversations for m in messages if m.role == "assistant"}
    of_texts = [case for case in cases if case.kind.endswith(("(story)", "(passage)"))]
    named = [case for case in of_texts if any(says(case.answer.replace("Miss Lily", ""), name) for name in forms.NAMES)]
    assert len(named) >= 100
    assert not [case.answer for case in named if case.answer in answers]


def test_every_true_answer_has_the_right_form_and_is_found_true(cases: list[Case]) -> None:
    for case in cases:
        assert case.right_form(case.answer), (case.kind, case.prompt[-1].content, case.answer)
        assert case.is_true(case.answer), (case.kind, case.prompt[-1].content, case.answer)


def _exchanges() -> list[Exchange]:
    draw = random.Random(11).random
    made: list[Exchange] = []
    for plot in (*OUTSIDE, *TOGETHER):
        ready = make_ready(plot)
        for _ in range(8):
            told = tell(ready, draw)
            made += [wish(ready, told, draw), *(asked(one, told, draw, "story") for one in told.facts)]
    for _ in range(1500):
        made += [instruction(draw), *(talk(draw) for talk in TALK)]
    return made


def test_every_exchange_that_is_trained_on_passes_its_own_checks() -> None:
    for exchange in _exchanges():
        assert exchange.right_form(exchange.answer), exchange
        assert exchange.is_true(exchange.answer), exchange


def test_held_out_questions_are_of_all_kinds_the_same_each_time_and_never_twice(cases: list[Case]) -> None:
    assert {case.kind for case in cases} == set(KINDS)
    assert [case.kind for case in cases[: len(KINDS)]] == list(KINDS)
    assert [case.prompt for case in held_out(480)] == [case.prompt for case in cases]
    assert len({case.prompt for case in cases}) == len(cases) > 400
    assert {case.prompt for case in held_out(48, seed=1)} != {case.prompt for case in cases[:48]}


WRONG_FOR_EVERYBODY = (
    "",
    " ",
    "Mia went to the park and",
    "mia went to the park.",
    "Mia went to the park.<|end|>",
    "Mia went to the park. user: Who?",
    "The ball the ball the ball the ball.",
    "Mia was happy very happy very happy very happy very happy.",
    "Hello. " * 12,
)


@pytest.mark.parametrize("answer", WRONG_FOR_EVERYBODY)
def test_answers_that_are_empty_unfinished_looping_or_marked_have_no_right_form(answer: str, cases: list[Case]) -> None:
    assert not any(case.right_form(answer) for case in cases)


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("story", "Yes, I know a story about a fox."),
        ("who (story)", "It was in the park."),
        ("who (passage)", "Yes, Mia helped Tom."),
        ("where (story)", "Mia was happy."),
        ("where (passage)", "I do not know that. I only know my stories."),
        ("what (passage)", "Yes, it was a red ball."),
        ("what (story)", "You are welcome."),
        ("why (story)", "The red ball was gone."),
        ("yes or no (story)", "Mia went to the park."),
        ("yes or no (world)", "A fox is an animal."),
        ("ending (story)", "What a day?"),
        ("list", "A ball."),
        ("list", "Yes, a ball and a kite."),
        ("animals", "Yes, it does."),
        ("choice", "Hello! Shall I tell you a story?"),
        ("sentence to finish", "Once upon a time, there was a fox."),
        ("name", "A little fox."),
        ("saying", "You are welcome."),
        ("greeting", "A ball and a kite."),
        ("about itself", "A ball and a kite."),
        ("thanks", "Mia lost the red ball."),
        ("goodbye", "Mia lost the red ball."),
        ("not known", "The capital of France is Paris."),
    ],
)
def test_an_answer_of_another_kind_has_not_the_right_form(kind: str, answer: str, cases: list[Case]) -> None:
    of_kind = [case for case in cases if case.kind == kind]
    assert of_kind and not any(case.right_form(answer) for case in of_kind)


def test_an_answer_taken_from_another_kind_of_question_is_mostly_refused(cases: list[Case]) -> None:
    families = {"who": "fact", "what": "fact", "where": "fact", "why": "fact", "ending": "fact", "animals": "fact",
                "name": "fact", "choice": "fact", "thanks": "talk", "greeting": "talk", "about": "talk",
                "not": "talk", "goodbye": "talk"}  # fmt: skip
    refused, tried = 0, 0
    for case in cases[:: len(cases) // 90]:
        for other in cases[:: len(cases) // 70]:
            one, two = (families.get(each.kind.split()[0], each.kind) for each in (case, other))
            if one != two:
                tried += 1
                refused += not case.right_form(other.answer)
    assert refused >= 0.9 * tried


def test_the_right_form_says_nothing_about_truth_but_truth_does() -> None:
    draw = random.Random(3).random
    ready = make_ready(OUTSIDE[0])
    told = tell(ready, draw)
    hero, friend = str(told.slots["h"]), str(told.slots["f"])
    who = next(
        exchange
        for exchange in (asked(one, told, draw, "story") for one in told.facts)
        if exchange.kind == "who (story)" and exchange.answer.startswith(friend)
    )
    liar = who.answer.replace(friend, "Pepper")
    assert who.right_form(liar) and not who.is_true(liar)
    assert not who.is_true(f"{hero} helped {hero}.")


def test_a_story_must_be_about_what_was_asked_for() -> None:
    draw = random.Random(4).random
    ready = make_ready(TOGETHER[0])
    told = tell(ready, draw)
    about_a_dragon = forms.story(("dragon",))
    assert forms.story((str(told.slots["h"]),))(told.text)
    assert not about_a_dragon(told.text)
    assert not forms.story(())(f"{told.text[:-1]}")


def test_words_are_found_as_words_only() -> None:
    assert telling(("fox",), ("Mia",))("A Fox came.")
    assert not telling(("fox",))("The foxes came.")
    assert not telling(("fox",), ("mia",))("The fox saw Mia.")
    assert not says("Mia ate berry pie.", "Berry")
    assert says("Berry pie", "berry")


def test_the_sentences_to_finish_stand_in_the_stories() -> None:
    known = [sight for group in places.PLACES.values() for place in group for sight in place.sights]
    assert set(known) & set(SENTENCES)
    assert len(SENTENCES) >= 40


def test_heroes_are_of_both_worlds_and_of_all_kinds(conversations: list[list[Message]]) -> None:
    asked_for = Counter(
        kind
        for question in _questions(conversations)
        for kind in ("girl", "boy", *people.ANIMALS)
        if re.search(rf"about an? {kind}\b", question)
    )
    assert asked_for.keys() == {"girl", "boy", *people.ANIMALS}


def test_no_conversation_is_longer_than_the_limit(conversations: list[list[Message]]) -> None:
    assert max(sum(len(m.content) + 8 for m in messages) for messages in conversations) <= MOST_CHARACTERS


def test_the_examination_counts_form_and_truth_for_each_kind(cases: list[Case]) -> None:
    answers = {case.prompt: case.answer for case in cases}
    perfect = examine(cases, lambda messages: answers[tuple(messages)])
    assert set(perfect) == set(KINDS)
    assert total(perfect).formed == total(perfect).true == total(perfect).asked == len(cases)
    silent = examine(cases, lambda messages: "")
    assert total(silent).formed == total(silent).true == 0
    assert "| all |" in table(perfect)
