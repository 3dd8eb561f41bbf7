"""What everybody in the stories' world knows: what things are, where animals live, what one sees and wears."""

from __future__ import annotations

from tui_gpt.engine.text.stories import people, places, words
from tui_gpt.engine.text.stories.words import with_article

COLOURS = ("red", "blue", "green", "yellow", "white", "purple", "orange", "pink", "brown", "black", "gray")
CLOTHES = ("a hat", "a scarf", "a cap", "a coat", "boots", "mittens")

MEMBERS: dict[str, tuple[str, ...]] = {
    "toy": tuple(with_article(noun) for noun in words.TOYS),
    "animal": tuple(with_article(noun) for noun in people.ANIMALS),
    "food": tuple(food for food in words.FOODS if " and " not in food),
    "drink": words.DRINKS,
    "color": COLOURS,
    "place": tuple(place.name for group in places.PLACES.values() for place in group),
}
"""Each kind of thing with its members as they stand in a sentence."""
MEMBERS["place"] = tuple(dict.fromkeys(MEMBERS["place"]))

PLURALS = {
    "toy": "toys",
    "animal": "animals",
    "food": "things to eat",
    "drink": "things to drink",
    "color": "colors",
    "place": "places",
}
SINGULARS = {"toy": "a toy", "animal": "an animal", "food": "food", "drink": "a drink", "color": "a color",
             "place": "a place"}  # fmt: skip

HOMES: dict[str, tuple[str, ...]] = {
    home: tuple(kind for kind, where in people.ANIMAL_HOMES.items() if where == home)
    for home in dict.fromkeys(people.ANIMAL_HOMES.values())
}
"""Homes of animals, with those who live in them."""

SEEN: dict[str, tuple[str, ...]] = {
    "on the beach": ("white birds", "waves", "a crab", "shells", "sand"),
    "on the farm": ("cows", "hens", "a pony", "hay", "a sleepy cat"),
    "in the park": ("swings", "ducks", "a fountain", "balloons", "children"),
    "in the garden": ("bees", "tomatoes", "a butterfly", "a snail", "roses"),
    "in the forest": ("tall trees", "moss", "leaves", "a fern", "an oak"),
    "in the meadow": ("daisies", "butterflies", "tall grass", "clover", "crickets"),
    "by the river": ("small fish", "a dragonfly", "reeds", "a bridge", "an old boat"),
    "on the hill": ("goats", "a tall rock", "long grass", "clouds", "a stone wall"),
    "at the market": ("apples", "cheese", "flowers", "fresh bread", "a fish stand"),
    "by the pond": ("a turtle", "water lilies", "little fish", "reeds", "a flat stone"),
}
"""What one can see at each place of the stories; every place has its own."""

WORN: dict[str, tuple[str, ...]] = {
    "when it rains": ("a coat", "boots", "a hat"),
    "when it snows": ("a warm coat", "mittens", "a scarf", "a woolly hat"),
    "when it is cold": ("a scarf", "mittens", "a warm coat"),
    "when it is windy": ("a cap", "a coat", "a scarf"),
    "when the sun shines": ("a straw hat", "a cap"),
}

COLOURED: dict[str, tuple[str, ...]] = {
    kind: tuple(look for look in looks if look in COLOURS) for kind, looks in people.ANIMALS.items()
}
"""The colours that an animal can have, in the stories."""

NAMED = {
    "girl": people.GIRLS,
    "boy": people.BOYS,
    **dict.fromkeys(people.ANIMALS, (*people.SHE_ANIMALS, *people.HE_ANIMALS)),
}
"""Names that fit a girl, a boy or an animal."""


def known_sentences() -> tuple[str, ...]:
    """Sentences about places and weather that stand in many stories as they are, of six words or more."""
    found = [sight for group in places.PLACES.values() for place in group for sight in place.sights]
    for weather in places.WEATHER.values():
        found += [*weather.skies, *weather.evenings]
    found = [text for text in dict.fromkeys(found) if "{" not in text and "their" not in text]
    return tuple(text for text in found if text.count(" ") >= 5)


FOOD_AND_DRINK_PLURALS = frozenset(food for food in words.FOODS if food.endswith("s"))
"""Foods that "are", where the others "is"."""
