"""What counts as an answer of the right form: of the kind asked for, ended properly, without loops or marks of roles.

Form is not truth: "Mia helped Tom." has the right form for "Who helped Tom?" whoever it was.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tui_gpt.engine.text.conversations.exchange import Check, says
from tui_gpt.engine.text.stories import people

NAMES = frozenset((*people.GIRLS, *people.BOYS, *people.SHE_ANIMALS, *people.HE_ANIMALS))
ELDERS = frozenset(
    name
    for world in people.WORLDS
    for name in (*world.she_elders, *world.he_elders, world.mothers, world.fathers)
)  # fmt: skip

FEWEST_STORY_WORDS, MOST_STORY_WORDS = 30, 200
MOST_SENTENCE_WORDS = 30

_ROLE_MARKS = re.compile(r"<\||\|>|(?:^|\n)\s*(?:user|assistant|system)\s*:", re.IGNORECASE)
_ENDED = re.compile(r"[.!?]\"?$")
_BEGUN = re.compile(r"\"?[A-Z]")
_SENTENCE_END = re.compile(r"[.!?]\"?(?=\s|$)")
_FIRST_OR_SECOND = re.compile(r"\b(?:I|[Yy]ou|[Yy]our|[Mm]y)\b")
_PLACE = re.compile(
    r"\b(?:in|on|at|to|by|under|behind|near|beside|between|above|next to|where|inside|into|from) \w+", re.IGNORECASE
)


def proper(text: str) -> bool:
    """Whether `text` begins with a capital letter, ends a sentence, does not loop and holds no mark of a role."""
    words = text.split()
    return (
        bool(words)
        and text == text.strip()
        and _BEGUN.match(text) is not None
        and _ENDED.search(text) is not None
        and _ROLE_MARKS.search(text) is None
        and not _loops(words)
    )


def _loops(words: Sequence[str]) -> bool:
    """Whether one to eight words come three times in a row, or a sentence of five words comes three times at all."""
    for size in range(1, 9):
        for start in range(len(words) - 3 * size + 1):
            piece = words[start : start + size]
            if piece == words[start + size : start + 2 * size] == words[start + 2 * size : start + 3 * size]:
                return True
    sentences = re.split(r"(?<=[.!?]) ", " ".join(words))
    return any(sentences.count(sentence) > 2 for sentence in set(sentences) if sentence.count(" ") >= 4)


def sentences(text: str) -> int:
    """How many sentences `text` has."""
    return len(_SENTENCE_END.findall(text))


def _short(text: str) -> bool:
    return proper(text) and sentences(text) <= 2 and 1 < len(text.split()) <= MOST_SENTENCE_WORDS and "\n" not in text


def _statement(text: str) -> bool:
    """One or two short sentences about somebody else, that are not a yes or no."""
    return (
        _short(text)
        and not text.endswith("?")
        and not _FIRST_OR_SECOND.search(text)
        and not re.match(r"(?:Yes|No)\b", text)
    )


def story(asked_for: Sequence[str]) -> Check:
    """A story of several sentences that mentions each of `asked_for` (a name, a kind of animal, a place, a thing)."""

    def check(text: str) -> bool:
        return (
            proper(text)
            and sentences(text) >= 4
            and FEWEST_STORY_WORDS <= len(text.split()) <= MOST_STORY_WORDS
            and text.count('"') % 2 == 0
            and all(says(text, wanted) for wanted in asked_for)
        )

    return check


def what(text: str) -> bool:
    """A short statement."""
    return _statement(text)


def who(text: str) -> bool:
    """A short statement that names somebody."""
    return _statement(text) and any(says(text, name) for name in (*NAMES, *ELDERS))


def where(text: str) -> bool:
    """A short statement with a place or a direction in it."""
    return _statement(text) and _PLACE.search(text) is not None


def why(text: str) -> bool:
    """A short statement that gives a reason."""
    return _statement(text) and says(text, "because")


def yes_or_no(text: str) -> bool:
    """ "Yes" or "No", a comma, and what is so."""
    return _short(text) and re.match(r"(?:Yes|No), \w", text) is not None and not text.endswith("?")


def ending(text: str) -> bool:
    """One to three sentences that tell how things came out."""
    return proper(text) and sentences(text) <= 3 and 3 < len(text.split()) <= 40 and not text.endswith("?")


def listing(count: int) -> Check:
    """One sentence with `count` things, parted by commas and "and"."""

    def check(text: str) -> bool:
        items = listed(text)
        return _short_list(text) and len(items) == count and all(items) and items[0] not in ("yes", "no")

    return check


def _short_list(text: str) -> bool:
    return proper(text) and sentences(text) == 1 and len(text.split()) <= MOST_SENTENCE_WORDS and text.endswith(".")


def listed(text: str) -> list[str]:
    """The things that a sentence like "A ball, a kite and a drum." names, in small letters and without articles."""
    parts = re.split(r", and |, | and ", text.strip().rstrip(".").lower())
    return [re.sub(r"^(?:a|an|the) ", "", part.strip()) for part in parts]


def completing(beginning: str) -> Check:
    """One sentence that begins with the words given and goes on."""

    def check(text: str) -> bool:
        return (
            proper(text)
            and sentences(text) == 1
            and text.lower().startswith(beginning.lower() + " ")
            and len(text.split()) <= MOST_SENTENCE_WORDS
        )

    return check


def choosing(one: str, other: str) -> Check:
    """A short statement that names exactly one of two things."""

    def check(text: str) -> bool:
        return _short(text) and says(text, one) != says(text, other)

    return check


def _talk(*marks: str) -> Check:
    pattern = re.compile(rf"\b(?:{'|'.join(marks)})\b", re.IGNORECASE)

    def check(text: str) -> bool:
        return proper(text) and sentences(text) <= 4 and len(text.split()) <= 40 and pattern.search(text) is not None

    return check


greeting = _talk("hello", "hi", "good (?:morning|day|evening|afternoon)", "welcome")
farewell = _talk("goodbye", "good night", "see you", "sleep well", "until (?:next time|tomorrow)", "farewell")
thanked = _talk("you are welcome", "glad", "happy", "pleasure")
about_itself = _talk("I am", "I tell", "I can", "my", "I know", "I like", "I live")
not_known = _talk("do not know", "cannot", "only know")
