"""Who the stories are about: children and animals, their parents, and older neighbours, with their pronouns."""

from __future__ import annotations

from dataclasses import dataclass

from tui_gpt.engine.text.stories.grammar import Draw
from tui_gpt.engine.text.stories.words import pick, with_article

GIRLS = (
    "Anna", "Mia", "Lily", "Ella", "Rosa", "Nora", "Ida", "Emma", "Clara", "Lucy", "Ruby", "Zoe",
    "Maya", "Sara", "Ivy", "Hanna", "Molly", "Alice", "Tess", "Julia", "Nina", "Eva", "Daisy", "Lena",
    "Marie", "Olive", "Jane", "Kate", "Betty", "Polly", "Greta", "Amy", "Leah", "Sofie", "Wendy",
    "Tina",
)  # fmt: skip
BOYS = (
    "Tom", "Ben", "Max", "Leo", "Sam", "Jack", "Finn", "Paul", "Oscar", "Theo", "Noah", "Adam", "Luke",
    "Tim", "Emil", "Hugo", "Felix", "Otto", "Henry", "Jonas", "Peter", "Will", "Anton", "Nick", "Toby",
    "Carl", "Mark", "Eric", "Simon", "Dan", "Joe", "Martin", "Alex", "Oliver", "David", "Milo",
)  # fmt: skip
SHE_ANIMALS = (
    "Poppy", "Hazel", "Tilly", "Berry", "Clover", "Maple", "Dotty", "Bella", "Lulu", "Penny", "Fern",
    "Honey", "Rosie", "Minnie",
)  # fmt: skip
HE_ANIMALS = (
    "Pip", "Bruno", "Rusty", "Nibbles", "Barley", "Moss", "Teddy", "Basil", "Fuzzy", "Bobo", "Hopper",
    "Pepper", "Biscuit", "Alfie",
)  # fmt: skip

# Animals that can hold a spoon in a picture book; the colours are those of their fur or skin.
ANIMALS: dict[str, tuple[str, ...]] = {
    "rabbit": ("brown", "white", "gray"),
    "mouse": ("gray", "white", "brown"),
    "fox": ("red", "young"),
    "bear": ("brown", "young"),
    "squirrel": ("red", "brown"),
    "hedgehog": ("brown", "round"),
    "badger": ("gray", "young"),
    "mole": ("black", "round"),
    "beaver": ("brown", "young"),
    "otter": ("brown", "young"),
    "raccoon": ("gray", "young"),
    "kitten": ("black", "white", "orange"),
    "puppy": ("brown", "white", "spotted"),
    "frog": ("green", "young"),
    "lamb": ("white", "woolly"),
    "piglet": ("pink", "round"),
}
ANIMAL_HOMES = {
    "rabbit": "burrow",
    "mouse": "nest",
    "fox": "den",
    "bear": "cave",
    "squirrel": "nest",
    "badger": "den",
    "mole": "burrow",
    "otter": "den",
    "raccoon": "den",
}

TRAITS = (
    ("curious", "{He} always wanted to know how things worked."),
    ("curious", "{He} asked a hundred questions a day."),
    ("cheerful", "{He} hummed a song from morning to night."),
    ("cheerful", "{He} could laugh about almost anything."),
    ("kind", "{He} had a good word for everybody."),
    ("kind", "{He} never forgot to say thank you."),
    ("lively", "{He} could not sit still for long."),
    ("merry", "{He} liked to make other people laugh."),
    ("dreamy", "{He} often looked at the clouds and thought of far places."),
    ("friendly", "{He} said hello to everyone on the road."),
    ("clever", "{He} liked riddles and new ideas."),
    ("busy", "{He} always had something to do."),
    ("gentle", "{He} was careful even with the smallest bug."),
    ("happy", "{He} woke up every day with a smile."),
)

HOBBIES = (
    "paint pictures", "sing songs", "collect smooth stones", "look at the stars", "pick flowers",
    "build little houses of sticks", "listen to stories", "play hide and seek", "draw funny faces",
    "watch the birds", "jump over puddles", "dance in the kitchen", "roll down the hill",
    "count the clouds", "make up rhymes", "play in the sand", "read books in the shade", "bake cookies",
    "whistle happy tunes", "look for snails after the rain", "walk along the river", "fold paper birds",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class World:
    """What differs between stories about children and stories about animals."""

    name: str
    words: dict[str, str]
    mothers: str
    fathers: str
    she_elders: tuple[str, ...]
    he_elders: tuple[str, ...]
    elder_homes: tuple[str, ...]
    homes: tuple[str, ...]


CHILDREN = World(
    name="children",
    words={"others": "children", "hand": "hand", "hands": "hands", "an_old_one": "an old woman"},
    mothers="Mom",
    fathers="Dad",
    she_elders=("Grandma", "Aunt May", "Miss Lily", "Aunt Flora", "Granny Brown", "Miss Green", "Granny Bell"),
    he_elders=("Grandpa", "Uncle Bill", "Farmer Hill", "Old Fred", "Uncle Jim", "Captain Gray", "Farmer Wood"),
    elder_homes=(
        "by the mill", "next to the bakery", "behind the church", "at the end of the street", "near the bridge",
        "in the yellow house on the corner", "on the other side of the road", "in the house with the green door",
    ),
    homes=(
        "in a small house by the sea", "in a white house on a hill", "in a little town near the mountains",
        "in a house with a red roof", "on a farm outside the village", "at the end of a quiet street",
        "in a village by a wide river", "in a tall house next to the park", "above the bakery in a busy street",
    ),
)  # fmt: skip
ANIMAL_FOLK = World(
    name="animals",
    words={"others": "animals", "hand": "paw", "hands": "paws", "an_old_one": "an old sheep"},
    mothers="Mama",
    fathers="Papa",
    she_elders=("Grandma Badger", "Aunt Goose", "Old Mother Hen", "Granny Goat", "Aunt Hedgehog", "Granny Duck"),
    he_elders=("Old Owl", "Grandpa Turtle", "Uncle Toad", "Old Goat", "Grandpa Mole", "Uncle Beaver", "Old Crow"),
    elder_homes=(
        "by the pond", "near the old oak", "behind the waterfall", "at the edge of the woods", "under the hill",
        "next to the berry bushes", "on the far side of the meadow", "where the two paths meet",
    ),
    homes=(
        "in a cozy {den} under an old oak", "in a warm {den} by the stream", "in a snug {den} near the meadow",
        "in a little {den} at the edge of the woods", "in a {den} between two big rocks",
        "in a dry {den} under the hill", "in a quiet {den} deep in the green forest",
    ),
)  # fmt: skip
WORLDS = (CHILDREN, ANIMAL_FOLK)

_NEIGHBOURS = ("who lived next door", "who lived across the street", "who lived nearby", "who went to the same school")
_PRONOUNS = {True: ("she", "her", "her", "herself"), False: ("he", "him", "his", "himself")}


@dataclass(frozen=True, slots=True)
class Person:
    """One character: `kind` is a noun ("girl", "fox"), `look` an adjective that fits it."""

    name: str
    female: bool
    kind: str
    look: str


def draw_cast(world: World, draw: Draw) -> tuple[Person, Person, Person]:
    """A hero and two friends with three different names and, among animals, three different kinds."""
    people: list[Person] = []
    while len(people) < 3:
        person = _draw_person(world, draw)
        if any(person.name == other.name for other in people):
            continue
        if len(people) == 1 and person.female == people[0].female and draw() < 0.7:
            continue  # "he" and "she" are easier to follow than two of the same
        if world is ANIMAL_FOLK and any(person.kind == other.kind for other in people):
            continue
        people.append(person)
    return people[0], people[1], people[2]


def _draw_person(world: World, draw: Draw) -> Person:
    female = draw() < 0.5
    if world is CHILDREN:
        kind = "girl" if female else "boy"
        return Person(pick(GIRLS if female else BOYS, draw), female, kind, pick(("little", "young", "small"), draw))
    kind = pick(_ANIMAL_KINDS, draw)
    return Person(pick(SHE_ANIMALS if female else HE_ANIMALS, draw), female, kind, pick(ANIMALS[kind], draw))


_ANIMAL_KINDS = tuple(ANIMALS)


def hero_slots(hero: Person, world: World, draw: Draw) -> dict[str, str]:
    """Slots of the one whom the story is about: {h}, {he}, {him}, {his}, {himself}, {a_hero}, {home_in} and more."""
    he, him, his, himself = _PRONOUNS[hero.female]
    trait, trait_sentence = pick(TRAITS, draw)
    den = ANIMAL_HOMES.get(hero.kind, "home")
    look = hero.look if world is CHILDREN else pick(("little", "small", hero.look), draw)
    return {
        "h": hero.name,
        "he": he,
        "him": him,
        "his": his,
        "himself": himself,
        "hkind": hero.kind,
        "the_hero": f"the {hero.kind}" if world is CHILDREN else f"the little {hero.kind}",
        "a_hero": with_article(f"{trait} {look} {hero.kind}" if draw() < 0.5 else f"{trait} {hero.kind}"),
        "a_plain_hero": with_article(f"{look} {hero.kind}"),
        "trait_sentence": trait_sentence.replace("{He}", he.capitalize()),
        "hobby": pick(HOBBIES, draw),
        "home_in": pick(world.homes, draw).replace("{den}", den),
        **world.words,
    }


def friend_slots(friend: Person, world: World, prefix: str, draw: Draw) -> dict[str, str]:
    """Slots of a friend under `prefix` ("f" gives {f}, {fhe}, {fhim}, {fhis}, {fkind}, {a_f}, {f_who})."""
    he, him, his, _ = _PRONOUNS[friend.female]
    return {
        prefix: friend.name,
        f"{prefix}he": he,
        f"{prefix}him": him,
        f"{prefix}his": his,
        f"{prefix}kind": friend.kind,
        f"a_{prefix}": with_article(f"{friend.look} {friend.kind}"),
        f"{prefix}_who": pick(_NEIGHBOURS, draw) if world is CHILDREN else with_article(f"{friend.look} {friend.kind}"),
    }


def grown_up_slots(world: World, draw: Draw) -> dict[str, str]:
    """Slots of a parent ({p}, {phe}, {phim}, {phis}) and an older neighbour ({e}, {ehe}, ..., {e_home})."""
    mother, grandmother = draw() < 0.5, draw() < 0.5
    phe, phim, phis, _ = _PRONOUNS[mother]
    ehe, ehim, ehis, _ = _PRONOUNS[grandmother]
    return {
        "p": world.mothers if mother else world.fathers,
        "phe": phe,
        "phim": phim,
        "phis": phis,
        "e": pick(world.she_elders if grandmother else world.he_elders, draw),
        "ehe": ehe,
        "ehim": ehim,
        "ehis": ehis,
        "e_home": pick(world.elder_homes, draw),
    }
