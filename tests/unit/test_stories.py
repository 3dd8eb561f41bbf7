"""The generated stories are the same everywhere, never repeat, and are correct plain English as far as rules tell."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter

import pytest

from tui_gpt.engine.text.stories import generate_stories
from tui_gpt.engine.text.stories.grammar import Grammar, slot_names, write
from tui_gpt.engine.text.stories.planner import PLOTS, plan, ready_plots
from tui_gpt.engine.text.stories.words import with_article

FIRST_200_KB_OF_SEED_1337 = "d87ea51973ae482845f7a288413d3ebfc7b2ed3bf4917bb427136293fdaee325"
SENTENCE_START = re.compile(r"(?:^|(?<=[.!?] )|(?<=[.!?]\" ))(\"?)(\w)", re.MULTILINE)
SPEECH = re.compile(r"\"[^\"\n]*[.!?]\" [a-z][^.!?\"]*[.!?,]")


@pytest.fixture(scope="module")
def stories() -> list[str]:
    return list(generate_stories(1337, 5.0))


def test_the_first_stories_of_a_seed_are_the_same_on_every_machine(stories: list[str]) -> None:
    text = "\n\n".join(stories).encode("ascii")[:200_000]
    assert hashlib.sha256(text).hexdigest() == FIRST_200_KB_OF_SEED_1337


def test_a_smaller_corpus_is_the_beginning_of_a_larger_one(stories: list[str]) -> None:
    small = list(generate_stories(1337, 0.05))
    assert small == stories[: len(small)]


def test_another_seed_tells_other_stories(stories: list[str]) -> None:
    assert not set(generate_stories(1338, 1.0)) & set(stories)


@pytest.mark.parametrize("megabytes", [0.0, 0.001, 0.3])
def test_stories_end_as_soon_as_the_size_is_reached(megabytes: float) -> None:
    told = list(generate_stories(1, megabytes))
    size = sum(len(story.encode()) for story in told)
    assert size >= megabytes * 1e6
    assert sum(len(story.encode()) for story in told[:-1]) < megabytes * 1e6 or not told


def test_no_story_is_told_twice_in_5_mb(stories: list[str]) -> None:
    assert len(set(stories)) == len(stories)


def test_no_story_is_told_twice_in_20_mb() -> None:
    seen = [hash(story) for story in generate_stories(2, 20.0)]
    assert len(set(seen)) == len(seen)


def test_stories_are_plain_ascii_with_one_newline_between_paragraphs(stories: list[str]) -> None:
    for story in stories:
        assert story.isascii()
        assert re.fullmatch(r"[A-Za-z0-9 .,:;!?'\"\n-]+", story)
        assert all(line and line == line.strip() for line in story.split("\n"))
        assert "  " not in story


def test_every_story_has_60_to_250_words(stories: list[str]) -> None:
    assert all(60 <= len(story.split()) <= 250 for story in stories)


def test_the_vocabulary_is_limited_but_not_poor(stories: list[str]) -> None:
    words = {word for story in stories for word in re.findall(r"[a-z]+", story.lower())}
    assert 1200 <= len(words) <= 1800


def test_sentences_and_wordings_vary(stories: list[str]) -> None:
    sentences = Counter(itertools.chain.from_iterable(re.split(r"(?<=[.!?])\s", story) for story in stories))
    assert len(sentences) > 0.3 * sentences.total()
    eights: set[tuple[str, ...]] = set()
    for story in stories[:1000]:
        words = story.split()
        eights.update(zip(*(words[start:] for start in range(8)), strict=False))
    assert len(eights) > 80_000


def test_sentences_begin_with_capital_letters_and_paragraphs_end(stories: list[str]) -> None:
    for story in stories:
        prose = SPEECH.sub("Speech.", story)
        for match in SENTENCE_START.finditer(prose):
            assert not match.group(2).islower(), prose[match.start() : match.end() + 40]
        assert all(re.search(r"[.!?]\"?$", line) for line in story.split("\n"))


def test_quotes_are_balanced_in_every_paragraph(stories: list[str]) -> None:
    for story in stories:
        for line in story.split("\n"):
            assert line.count('"') % 2 == 0
            inside = line.split('"')[1::2]
            assert all(speech and speech == speech.strip() for speech in inside), line


def test_punctuation_is_neither_doubled_nor_set_apart(stories: list[str]) -> None:
    wrong = re.compile(r"[.,!?][.,!?]| [.,!?]|[.!?,][A-Za-z]|\.\" (?:said|asked|cried|called|whispered)\b")
    for story in stories:
        assert not wrong.search(story), wrong.search(story)


def test_the_indefinite_article_fits_the_next_word(stories: list[str]) -> None:
    for story in stories:
        assert not re.search(r"\b[Aa] [aeio]\w+|\b[Aa]n (?!hour)[^aeiou]\w+", story)


def test_no_word_is_doubled_by_accident(stories: list[str]) -> None:
    for story in stories:
        doubled = re.search(r"\b(\w+) \1\b", story)
        assert not doubled, doubled


def test_every_slot_of_every_plot_has_a_value_in_both_worlds() -> None:
    for ready in ready_plots():
        for draw_value in (0.0, 0.3, 0.6, 0.999):
            numbers = itertools.cycle((draw_value, 0.1, 0.5, 0.9, 0.35, 0.71))
            slots = plan(ready, lambda numbers=numbers: next(numbers))
            wanted = set(slot_names(ready.template))
            for value in slots.values():
                if not isinstance(value, str):
                    wanted |= set(slot_names(value))
            assert wanted <= slots.keys(), ready.plot.name


def test_there_are_many_plots_with_names_of_their_own() -> None:
    assert len({plot.name for plot in PLOTS}) == len(PLOTS) >= 25


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [("apple", "an apple"), ("red ball", "a red ball"), ("hour", "an hour"), ("useful box", "a useful box")],
)
def test_articles_follow_the_sound(phrase: str, expected: str) -> None:
    assert with_article(phrase) == expected


def test_a_template_writes_choices_slots_rules_and_paragraphs() -> None:
    grammar = Grammar({"greet": ("Hello, {name}.",)})
    template = grammar.compile("<greet> [One|\n two] [very |]\n  nice.\n\n{Thing} [end|end].")
    assert write(template, {"name": "Mia", "thing": "the"}, lambda: 0.0) == "Hello, Mia. One very nice.\nThe end."
    assert write(template, {"name": "Mia", "thing": "the"}, lambda: 0.9) == "Hello, Mia. two nice.\nThe end."


def test_a_shared_rule_does_not_use_one_phrasing_twice_in_a_row() -> None:
    grammar = Grammar({"mood": ("glad", "happy")})
    assert write(grammar.compile("<mood> <mood> <mood>"), {}, lambda: 0.0) == "glad happy glad"


@pytest.mark.parametrize("source", ["[open", "close]", "one|two"])
def test_a_template_with_unbalanced_brackets_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match=r"bracket"):
        Grammar({}).compile(source)
