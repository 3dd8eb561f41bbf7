"""Reading: one to three sentences given by the one who asks, and what is true of them."""

from __future__ import annotations

from dataclasses import dataclass

from tui_gpt.engine.text.conversations.tale import GRAMMAR, Fact, Told, cast, fact, rivals, yes_and_no
from tui_gpt.engine.text.stories import words
from tui_gpt.engine.text.stories.grammar import Draw, Template, write
from tui_gpt.engine.text.stories.planner import ReadyPlot
from tui_gpt.engine.text.stories.plot import Plot


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a passage, about {subj}; `order` is its place, one of each is taken at most.

    `friend` says that the friend is in it, after whom "he" or "she" may be the friend.
    """

    order: int
    text: Template
    facts: tuple[Fact, ...]
    friend: bool = False


def _sentence(order: int, text: str, *facts: Fact, friend: bool = False) -> Sentence:
    return Sentence(order, GRAMMAR.compile(text), facts, friend)


SENTENCES: tuple[Sentence, ...] = (
    _sentence(
        0,
        "{Subj} was {a_hero}.",
        fact("what", "What was {h}?",
             "{h} was {a_kind}.", "{hkind}"),
        *yes_and_no("Was {h} {?}? = {h} was {?}", "{a_kind}", "{hkind}", "{a_wkind}"),
    ),
    _sentence(1, "{Subj} lived {home_in}.",
              fact("where", "[Where did {h} live?|Where was the home of {h}?]", "{h} lived {home_in}.", "{home_in}")),
    _sentence(1, "{Subj} liked to {hobby}.",
              fact("what", "[What did {h} like to do?|What did {h} like?]", "{h} liked to {hobby}.", "{hobby}")),
    _sentence(2, "It was {a_day} day.",
              fact("what", "[What kind of day was it?|How was the day?]", "It was {a_day} day.", "{day}")),
    _sentence(
        3,
        "[<one_day> {subj} went {to}.|{Subj} went {to}.]",
        fact("where", "Where did {h} go?",
             "{h} went {to}.", "{place}"),
        fact("who", "[Who went {to}?|Who was it that went {to}?]", "{h} went {to}.", "{h}"),
        *yes_and_no("Did {h} go {?}? = {h} went {?}", "{to}", "{place}", "{wto}"),
    ),
    _sentence(
        3,
        "[<one_day> {subj} and {his} friend {f} were {at}.|{Subj} and {his} friend {f} played {at}.]",
        fact("where", "[Where were {h} and {f}?|Where were they?]", "They were {at}.", "{place}"),
        fact("who", "[Who was with {h}?|Who was there with {h}?]", "{f} was with {h}.", "{f}"),
        fact("who", "[Who was the friend of {h}?|What was the name of the friend?]", "The friend of {h} was {f}.",
             "{f}"),
        *yes_and_no("[Were {h} and {f} {?}?|Were they {?}?] = they were {?}", "{at}", "{place}", "{wat}"),
        friend=True,
    ),
    _sentence(
        3,
        "[<one_day> {subj} visited {e}, who lived {e_home}.|{Subj} visited {e}, who lived {e_home}.]",
        fact("who", "Whom did {h} visit?",
             "{h} visited {e}.", "{e}"),
        fact("where", "[Where did {e} live?|Where was the house of {e}?]", "{e} lived {e_home}.", "{e_home}"),
        *yes_and_no("Did {h} visit {?}? = {h} visited {e}", "{e}", "{e}", "{w}"),
        friend=True,
    ),
    _sentence(
        4,
        "{Subj} had {a_toy}.",
        fact("what", "[What did {h} have?|What was it that {h} had?]", "{h} had {a_toy}.", "{ctoy}"),
        fact("who", "[Who had {a_toy}?|Who had the {toy}?]", "{h} had the {toy}.", "{h}"),
        *yes_and_no("Did {h} have {?}? = {h} had {a_toy}", "{a_toy}", "{ctoy}", "{a_wtoy}"),
    ),
    _sentence(
        4,
        "{Subj} found {a_toy} {spot}.",
        fact("what", "What did {h} find?", "{h} found {a_toy}.",
             "{ctoy}"),
        fact("where", "[Where was the {toy}?|Where did {h} find the {toy}?]", "The {toy} was {spot}.", "{spot}"),
        fact("who", "[Who found the {toy}?|Who found {a_toy}?]", "{h} found the {toy}.", "{h}"),
        *yes_and_no("Did {h} find {?}? = {h} found {a_toy}", "{a_toy}", "{ctoy}", "{a_wtoy}"),
    ),
    _sentence(
        4,
        "{h} had {a_toy}, and {f} had {a_wtoy}.",
        fact("who", "[Who had {a_toy}?|Who had the {toy}?]", "{h} had the {toy}.", "{h}"),
        fact("who", "[Who had {a_wtoy}?|Who had the {wtoy}?]", "{f} had the {wtoy}.", "{f}"),
        fact("what", "[What did {h} have?|What was it that {h} had?]", "{h} had {a_toy}.", "{ctoy}"),
        fact("what", "[What did {f} have?|What was it that {f} had?]", "{f} had {a_wtoy}.", "{wctoy}"),
        *yes_and_no("Did {f} have {?}? = {f} had {a_wtoy}", "{a_wtoy}", "{wctoy}", "{a_toy}"),
        friend=True,
    ),
    _sentence(
        4,
        "{f} gave {h} {a_toy}.",
        fact("who", "[Who gave {h} {a_toy}?|Who gave {h} the {toy}?]", "{f} gave {h} the {toy}.", "{f} gave"),
        fact("who", "[Who got the {toy}?|Who got {a_toy}?]", "{h} got the {toy}.", "{h}"),
        fact("what", "[What did {f} give {h}?|What did {h} get?]", "{f} gave {h} {a_toy}.", "{ctoy}"),
        friend=True,
    ),
    _sentence(
        5,
        "{Subj} ate {food} and drank {drink}.",
        fact("what", "What did {h} eat?", "{h} ate {food}.", "{food}"),
        fact("what", "What did {h} drink?", "{h} drank {drink}.", "{drink}"),
        fact("who", "Who ate {food}?", "{h} ate {food}.", "{h}"),
        *yes_and_no("Did {h} eat {?}? = {h} ate {food}", "{food}", "{food}", "{wfood}"),
    ),
    _sentence(
        5,
        "{h} was [happy|glad] because {f} came.",
        fact("why", "[Why was {h} happy?|Why was {h} so happy?]", "{h} was happy because {f} came.", "{f}"),
        fact("who", "[Who came?|Who came in the end?]", "{f} came.", "{f} came"),
        friend=True,
    ),
    _sentence(
        5,
        "{h} was sad because {his} {xtoy} was {state}.",
        fact("why", "[Why was {h} sad?|Why was {h} so sad?]", "{h} was sad because {his} {xtoy} was {state}.",
             "{xtoy} / {state}"),
        fact("what", "What was {state}?", "The {xtoy} was {state}.", "{xtoy}"),
    ),
)  # fmt: skip

_DAY = 2
"""The order of the sentence about the day, which has nobody in it and is neither first nor alone."""
_CAST_ONLY = Plot("passage", "")
_STATES = ("gone", "broken", "wet")


def ready_passage() -> ReadyPlot:
    """What draws the cast of a passage."""
    return ReadyPlot(_CAST_ONLY, GRAMMAR.compile(""), {"children": (), "animals": ()})


def passage(ready: ReadyPlot, draw: Draw) -> Told:
    """One to three sentences about one hero."""
    slots = cast(ready, draw)
    slots["state"] = words.pick(_STATES, draw)
    nouns = [noun for noun in words.TOYS if noun not in (slots["toy"], slots["wtoy"])]
    slots["xtoy"] = words.pick(nouns, draw)
    chosen = _choose(draw)
    told: list[str] = []
    friend_seen = False
    for sentence in chosen:
        pronoun = bool(told) and not friend_seen and draw() < 0.7
        slots["subj"] = slots["he"] if pronoun else slots["h"]
        told.append(write(sentence.text, slots, draw))
        friend_seen = friend_seen or sentence.friend
    text = " ".join(told)
    facts = [one for sentence in chosen for one in sentence.facts]
    return Told(text, slots, facts, rivals(text, slots))


def _choose(draw: Draw) -> list[Sentence]:
    """One to three sentences of different order; no thing is named twice, and the first names the hero."""
    count = words.pick((1, 2, 2, 3, 3), draw)
    by_order: dict[int, Sentence] = {}
    while len(by_order) < count or [*by_order] == [_DAY]:
        sentence = words.pick(SENTENCES, draw)
        by_order.setdefault(sentence.order, sentence)
    chosen = [by_order[order] for order in sorted(by_order)]
    return chosen if chosen[0].order != _DAY else [*chosen[1:], *chosen[:1]]
