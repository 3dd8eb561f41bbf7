"""Things of the stories, their adjectives, food, and the indefinite article."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from tui_gpt.engine.text.stories.grammar import Draw

T = TypeVar("T")


def pick(items: Sequence[T], draw: Draw) -> T:
    """One of `items`, each equally likely."""
    return items[int(draw() * len(items))]


# Written with a vowel and spoken with a consonant, or the other way round.
_SPOKEN_WITH_CONSONANT = ("uni", "use", "usu", "one", "eu")
_SPOKEN_WITH_VOWEL = ("hour", "honest")


def with_article(phrase: str) -> str:
    """`phrase` with "a" or "an" before it, after the sound it begins with."""
    vowel = phrase[0] in "aeiou" and not phrase.startswith(_SPOKEN_WITH_CONSONANT)
    return f"an {phrase}" if vowel or phrase.startswith(_SPOKEN_WITH_VOWEL) else f"a {phrase}"


_COLOURS = ("red", "blue", "green", "yellow", "white", "purple", "orange", "pink")

# Toys: noun and the adjectives that go with it.
TOYS: dict[str, tuple[str, ...]] = {
    "ball": (*_COLOURS, "bouncy", "striped"),
    "kite": (*_COLOURS, "striped"),
    "drum": ("red", "blue", "little", "shiny"),
    "doll": ("little", "soft", "old", "pretty"),
    "train": ("red", "green", "wooden", "shiny"),
    "wagon": ("red", "blue", "wooden", "little"),
    "puppet": ("funny", "little", "wooden", "soft"),
    "truck": ("red", "yellow", "green", "little"),
    "robot": ("silver", "little", "shiny", "blue"),
    "whistle": ("silver", "wooden", "little", "red"),
    "teddy bear": ("brown", "soft", "old", "little"),
    "toy boat": ("red", "white", "wooden", "blue"),
    "toy horse": ("brown", "white", "wooden", "spotted"),
    "top": ("red", "striped", "wooden", "shiny"),
    "music box": ("tiny", "golden", "old", "pretty"),
    "picture book": ("old", "big", "blue", "pretty"),
}

# Small things that one keeps in a pocket or wears: easily lost, happily found.
KEEPSAKES: dict[str, tuple[str, ...]] = {
    "hat": (*_COLOURS, "straw", "woolly"),
    "scarf": (*_COLOURS, "striped", "warm"),
    "cap": (*_COLOURS,),
    "mitten": ("red", "blue", "green", "woolly", "warm"),
    "ribbon": ("red", "blue", "yellow", "silver"),
    "shell": ("white", "pink", "shiny", "smooth"),
    "button": ("golden", "silver", "blue", "round"),
    "key": ("little", "silver", "old", "golden"),
    "bell": ("silver", "golden", "little", "tiny"),
    "coin": ("golden", "silver", "old", "shiny"),
    "marble": ("blue", "green", "glass", "shiny"),
    "feather": ("white", "blue", "golden", "long"),
    "stone": ("round", "smooth", "shiny", "green"),
    "basket": ("little", "brown", "round", "old"),
    "lantern": ("little", "red", "old", "yellow"),
}


def _phrases(things: dict[str, tuple[str, ...]]) -> tuple[dict[str, str], ...]:
    return tuple(
        {"toy": noun, "ctoy": f"{adjective} {noun}", "a_toy": with_article(f"{adjective} {noun}")}
        for noun, adjectives in things.items()
        for adjective in adjectives
    )


TOY_SLOTS = _phrases(TOYS)
THING_SLOTS = TOY_SLOTS + _phrases(KEEPSAKES)

FOODS = (
    "warm bread", "apple cake", "berry pie", "carrot soup", "hot pancakes", "honey cookies", "nut bread",
    "pear cake", "pumpkin soup", "cherry pie", "corn bread", "mushroom soup", "lemon cake", "oat cookies",
    "plum cake", "bread and jam", "bread with honey", "sweet buns", "fresh strawberries", "baked apples",
)  # fmt: skip
DRINKS = ("milk", "hot cocoa", "apple juice", "mint tea", "lemonade", "warm milk", "berry juice", "cold water")


def table_slots(draw: Draw) -> dict[str, str]:
    """{food} and {drink}, both to be eaten or drunk without an article."""
    return {"food": pick(FOODS, draw), "drink": pick(DRINKS, draw)}
