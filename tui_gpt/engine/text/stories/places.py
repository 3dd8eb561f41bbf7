"""Where and in what weather: places with their hiding spots and sights, and days with their skies and evenings."""

from __future__ import annotations

from dataclasses import dataclass

from tui_gpt.engine.text.stories.grammar import Draw
from tui_gpt.engine.text.stories.words import pick, with_article


@dataclass(frozen=True, slots=True)
class Place:
    """`at` says where one is; spots follow verbs such as looked, lay, played; sights are whole sentences."""

    name: str
    at: str
    spots: tuple[str, ...]
    sights: tuple[str, ...]


PARK = Place(
    "the park", "in the park",
    ("under the old bench", "behind the swings", "near the slide", "beside the fountain", "under the big tree",
     "behind the rose bush"),
    ("The swings went up and down.", "Ducks swam on the pond.", "A man was selling balloons by the gate.",
     "Children were playing on the grass.", "The flowers smelled sweet."),
)  # fmt: skip
BEACH = Place(
    "the beach", "on the beach",
    ("behind the tall rocks", "under the old pier", "beside the sand castle", "near the little boats",
     "between two big shells", "behind the dune"),
    ("The waves rolled softly over the sand.", "White birds flew over the water.", "A crab ran sideways into its hole.",
     "The sea was blue and wide.", "The sand was warm under their feet."),
)  # fmt: skip
FARM = Place(
    "the farm", "on the farm",
    ("behind the barn", "under the hay", "near the hen house", "beside the well", "under the apple tree",
     "next to the old cart"),
    ("The cows were eating grass.", "The hens ran around the yard.", "A sleepy cat sat on the fence.",
     "The hay smelled sweet.", "A pony looked over the gate."),
)  # fmt: skip
GARDEN = Place(
    "the garden", "in the garden",
    ("under the rose bush", "behind the shed", "between the cabbages", "beside the pond", "under the pear tree",
     "next to the watering can"),
    ("Bees hummed in the flowers.", "A butterfly sat on a leaf.", "The tomatoes were red and round.",
     "A bird sang on the fence.", "A snail crept slowly over a stone."),
)  # fmt: skip
FOREST = Place(
    "the forest", "in the forest",
    ("under a fern", "behind a fallen log", "between the roots of an oak", "beside a mossy stone", "near the old stump",
     "under a pile of leaves"),
    ("The trees were tall and green.", "A bird tapped on a tree far away.", "Soft moss grew on the stones.",
     "The leaves whispered in the wind.", "Light fell through the branches."),
)  # fmt: skip
MEADOW = Place(
    "the meadow", "in the meadow",
    ("in the tall grass", "behind a big stone", "under the willow", "next to the fence", "beside the old path",
     "between the daisies"),
    ("The grass was full of flowers.", "Crickets sang in the grass.", "Butterflies danced over the clover.",
     "A lark sang high up in the sky.", "The daisies moved in the wind."),
)  # fmt: skip
RIVER = Place(
    "the river", "by the river",
    ("under the bridge", "behind the reeds", "between two rocks", "beside the old boat", "under the willow",
     "near the water"),
    ("The water ran over the stones.", "Small fish jumped out of the water.", "A dragonfly flew over the reeds.",
     "The water was clear and cool.", "A duck swam by with her ducklings."),
)  # fmt: skip
HILL = Place(
    "the hill", "on the hill",
    ("behind the tall rock", "in the long grass", "under the lonely tree", "beside the path", "near the stone wall",
     "next to the wooden sign"),
    ("From the top they could see the whole valley.", "The grass was soft and green.", "Far below, the river shone.",
     "Two goats climbed over the rocks.", "The clouds seemed very near."),
)  # fmt: skip
MARKET = Place(
    "the market", "at the market",
    ("under the fruit stand", "behind the bread stand", "next to the flower cart", "between two barrels",
     "beside the fountain", "near the big gate"),
    ("There were apples, cheese and flowers everywhere.", "People talked and laughed.",
     "A woman was selling fresh bread.", "Somebody played the violin.", "The fish stand smelled of the sea."),
)  # fmt: skip
POND = Place(
    "the pond", "by the pond",
    ("under the lily leaves", "behind the reeds", "beside a flat stone", "near the old log", "under the willow",
     "between the tall flowers"),
    ("The water was as smooth as glass.", "A turtle sat on a log.", "Water lilies swam on the pond.",
     "Little fish swam in circles.", "A dragonfly rested on a reed."),
)  # fmt: skip

PLACES = {
    "children": (PARK, BEACH, FARM, GARDEN, FOREST, MEADOW, RIVER, HILL, MARKET),
    "animals": (FOREST, MEADOW, RIVER, HILL, POND, GARDEN),
}
WILD_PLACES = {"children": (FOREST, MEADOW, RIVER, HILL), "animals": (FOREST, MEADOW, RIVER, HILL, POND)}


def place_slots(place: Place, draw: Draw) -> dict[str, str]:
    """{place}, {at}, {to}, three different spots {spot}, {spot2}, {spot3}, and two different sights."""
    spots, sights = place.spots, place.sights
    start, turn = int(draw() * len(spots)), 1 + int(draw() * 2)
    view = int(draw() * len(sights))
    return {
        "place": place.name,
        "at": place.at,
        "to": f"to {place.name}",
        "spot": spots[start],
        "spot2": spots[(start + turn) % len(spots)],
        "spot3": spots[(start + 2 * turn) % len(spots)],
        "sight": sights[view],
        "sight2": sights[(view + 1) % len(sights)],
    }


@dataclass(frozen=True, slots=True)
class Weather:
    """`days` are adjectives ("One ... morning"); skies and evenings are whole sentences."""

    days: tuple[str, ...]
    skies: tuple[str, ...]
    evenings: tuple[str, ...]


WEATHER = {
    "sunny": Weather(
        ("sunny", "bright", "warm", "fine", "lovely"),
        ("The sun was shining and the sky was blue.", "There was not one cloud in the sky.",
         "The air was warm and smelled of flowers.", "The birds were singing in the trees.",
         "The sun felt warm on {his} face."),
        ("The sun went down, and the sky turned pink.", "The sky turned gold and the birds became quiet.",
         "The evening was warm and still.", "The first stars came out.", "The sun sank slowly behind the hills."),
    ),
    "windy": Weather(
        ("windy", "breezy", "fresh"),
        ("The wind blew through the trees.", "The clouds ran quickly across the sky.",
         "The wind played with the leaves.", "The wind was strong and fresh."),
        ("In the evening the wind became quiet.", "The wind hummed a soft song in the trees.",
         "The wind went to sleep, and the stars came out."),
    ),
    "cloudy": Weather(
        ("cloudy", "gray", "cool", "quiet"),
        ("Soft gray clouds covered the sky.", "The sun was hiding behind the clouds.", "The air was cool and still."),
        ("In the evening the clouds went away and the moon came out.", "The clouds turned pink in the evening light.",
         "The moon looked out from behind the clouds."),
    ),
    "autumn": Weather(
        ("golden autumn", "cool autumn", "bright autumn"),
        ("The leaves were red and gold.", "Leaves fell from the trees like yellow rain.",
         "The air smelled of apples and wet leaves."),
        ("The evening came early, and the windows shone yellow.", "The moon rose, big and orange.",
         "A cool mist came up in the evening."),
    ),
    "spring": Weather(
        ("fresh spring", "mild spring", "green spring"),
        ("The first flowers were out.", "The trees had small green leaves.", "The birds were building their nests."),
        ("The evening smelled of grass and flowers.", "A blackbird sang its evening song.",
         "The sky was pink over the green fields."),
    ),
}  # fmt: skip
_WEATHERS = tuple(WEATHER)


def weather_slots(draw: Draw, his: str) -> dict[str, str]:
    """{day}, {sky} and {evening} of one and the same day, and its {time}."""
    weather = WEATHER[pick(_WEATHERS, draw)]
    day = pick(weather.days, draw)
    return {
        "day": day,
        "a_day": with_article(day),
        "sky": pick(weather.skies, draw).replace("{his}", his),
        "evening": pick(weather.evenings, draw),
        "time": pick(("morning", "afternoon", "morning"), draw),
    }
