"""Short stories that know what is true of them: a plot, and the questions that can be asked about it afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tui_gpt.engine.text.conversations import forms
from tui_gpt.engine.text.conversations.exchange import Check, Exchange, says, telling
from tui_gpt.engine.text.stories import people, places, words
from tui_gpt.engine.text.stories.grammar import Draw, Grammar, Slots, Template, write
from tui_gpt.engine.text.stories.phrases import RULES
from tui_gpt.engine.text.stories.planner import ReadyPlot, plan
from tui_gpt.engine.text.stories.plot import Plot

GRAMMAR = Grammar(RULES)

FORMS: dict[str, Check] = {
    "who": forms.who,
    "where": forms.where,
    "what": forms.what,
    "why": forms.why,
    "yes or no": forms.yes_or_no,
    "ending": forms.ending,
}


@dataclass(frozen=True, slots=True)
class Fact:
    """Something true of a text: its questions, its answer, and the words that a true answer cannot do without."""

    kind: str
    question: Template
    answer: Template
    needs: tuple[Template, ...]


def fact(kind: str, question: str, answer: str, needs: str) -> Fact:
    """A fact from templates; the words needed are parted by " / ". KeyError for a kind without a form."""
    _ = FORMS[kind]
    compiled = tuple(GRAMMAR.compile(need) for need in needs.split(" / "))
    return Fact(kind, GRAMMAR.compile(question), GRAMMAR.compile(answer), compiled)


def yes_and_no(question: str, so: str, needs: str, wrong: str) -> tuple[Fact, Fact]:
    """Two facts from one question with a gap `{?}` in it: `so` fills it truly, `wrong` falsely; so does the answer.

    The answer is `question` as a statement, after its own " = ".
    """
    asked, stated = question.split(" = ")
    answer = stated.replace("{?}", so)
    return (
        fact("yes or no", asked.replace("{?}", so), f"Yes, {answer}.", f"yes / {needs}"),
        fact("yes or no", asked.replace("{?}", wrong), f"No, {answer}.", f"no / {needs}"),
    )


@dataclass(frozen=True, slots=True)
class Tale:
    """A short plot. `topics` are ends of "a story about a fox ...", true of every story of this plot.

    Behind the " = " of a topic stand the words, parted by " / ", that a story cannot do without if it keeps to it.
    """

    plot: Plot
    topics: tuple[str, ...]
    facts: tuple[Fact, ...]
    asks: tuple[str, ...] = ("place", "toy")
    """Slots besides the hero's that a wish may name, for the story always names them."""


class Topic(NamedTuple):
    """What a story may be wished to be about besides its hero, and the words it needs then."""

    text: Template
    needs: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class ReadyTale:
    """A tale with everything compiled."""

    tale: Tale
    ready: ReadyPlot
    topics: tuple[Topic, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """One text and its truth: slots, and the people and places in it."""

    text: str
    slots: Slots
    facts: Sequence[Fact]
    rivals: Sequence[str] = field(default=())


def make_ready(tale: Tale) -> ReadyTale:
    """`tale` compiled."""
    tables: dict[str, tuple[tuple[Slots, ...], ...]] = {}
    for world in people.WORLDS:
        tables[world.name] = tuple(
            tuple({key: GRAMMAR.compile(value) for key, value in record.items()} for record in records)
            for records in tale.plot.tables
        )
    ready = ReadyPlot(tale.plot, GRAMMAR.compile(tale.plot.text), tables)
    return ReadyTale(tale, ready, tuple(_topic(source) for source in tale.topics))


def _topic(source: str) -> Topic:
    text, needs = source.split(" = ")
    return Topic(GRAMMAR.compile(text), tuple(GRAMMAR.compile(need) for need in needs.split(" / ")))


def tell(ready: ReadyTale, draw: Draw) -> Told:
    """A story of this plot, in one paragraph."""
    slots = cast(ready.ready, draw)
    text = write(ready.ready.template, slots, draw).replace("\n", " ")
    return Told(text, slots, (*ready.tale.facts, *SHARED_FACTS), rivals(text, slots))


def cast(ready: ReadyPlot, draw: Draw) -> dict[str, str | Template]:
    """All slots of a text: only one person is "the girl", and Lily meets no Miss Lily, so that answers are clear."""
    planned = plan(ready, draw)
    while planned["hkind"] == planned["fkind"] or _namesakes(planned):
        planned = plan(ready, draw)
    return {**planned, **wrong_slots(planned, draw)}


def _namesakes(slots: Slots) -> bool:
    return any(says(str(slots["e"]), str(slots[key])) for key in ("h", "f"))


def wrong_slots(slots: Slots, draw: Draw) -> dict[str, str]:
    """What is not in the story, for questions answered with no: {wto}, {wat}, {a_wkind}, {a_wtoy}, {w} and more."""
    place = words.pick([place for place in ALL_PLACES if place.name != slots["place"]], draw)
    kinds = [*people.ANIMALS] if slots["hkind"] not in ("girl", "boy") else ["girl", "boy"]
    kind = words.pick([kind for kind in kinds if kind != slots["hkind"]], draw)
    thing = words.pick(words.THING_SLOTS, draw)
    while thing["toy"] == slots["toy"]:
        thing = words.pick(words.THING_SLOTS, draw)
    here = {str(slots[key]) for key in ("h", "f", "g")}
    child, female = slots["hkind"] in ("girl", "boy"), slots["he"] == "she"
    names = NAMES[child, female]
    return {
        "wto": f"to {place.name}",
        "wat": place.at,
        "a_wkind": words.with_article(kind),
        "a_kind": words.with_article(str(slots["hkind"])),
        "wtoy": thing["toy"],
        "a_wtoy": thing["a_toy"],
        "wctoy": thing["ctoy"],
        "w": words.pick([name for name in names if name not in here], draw),
        "wfood": words.pick([food for food in words.FOODS if food != slots["food"]], draw),
    }


NAMES = {
    (True, True): people.GIRLS,
    (True, False): people.BOYS,
    (False, True): people.SHE_ANIMALS,
    (False, False): people.HE_ANIMALS,
}
"""Names by whether they are a child's and a girl's."""

ALL_PLACES = tuple({place.name: place for group in places.PLACES.values() for place in group}.values())


def rivals(text: str, slots: Slots) -> tuple[str, ...]:
    """The people and places of a text: an answer that names one of them where another is asked for is not true."""
    persons = [str(slots[key]) for key in ("h", "f", "g", "e", "p") if says(text, str(slots[key]))]
    return (*persons, *(place.name for place in ALL_PLACES))


def asked(one: Fact, told: Told, draw: Draw, origin: str) -> Exchange:
    """The exchange about one fact of a text; `origin` keeps the figures of stories and passages apart.

    Its key is the answer, which has a name in it, or else the hero together with the answer: when it is reserved, it is
    no answer to any question of the training set.
    """
    question, answer = write(one.question, told.slots, draw), write(one.answer, told.slots, draw)
    needs = [write(need, told.slots, draw) for need in one.needs]
    # "Who helped Mia?" asks for somebody other than Mia, who may be named all the same.
    others = [rival for rival in told.rivals if not says(answer, rival) and not says(question, rival)]
    named = any(says(answer, str(told.slots[key])) for key in ("h", "f"))
    key = f"fact: {answer}" if named else f"fact: {told.slots['h']}: {answer}"
    return Exchange(f"{one.kind} ({origin})", question, answer, key, FORMS[one.kind], telling(needs, others))


SHARED_FACTS: tuple[Fact, ...] = (
    fact(
        "who",
        "[Who was the story about?|Who is the story about?|Whom was the story about?|Who was it about?]",
        "[The story was about {h}, {a_kind}.|It was about {a_kind} named {h}.]",
        "{h}",
    ),
    fact(
        "who",
        "[What was the name of the {hkind}?|What was the {hkind} called?|What is the name of the {hkind}?]",
        "[The name of the {hkind} was {h}.|The {hkind} was called {h}.]",
        "{h}",
    ),
    *yes_and_no("[Was {h} {?}?|Is {h} {?}?] = {h} was {?}", "{a_kind}", "{hkind}", "{a_wkind}"),
    *yes_and_no("[Was the {hkind} called {?}?|Was the name of the {hkind} {?}?] = the name of the {hkind} was {?}",
                "{h}", "{h}", "{w}"),
)  # fmt: skip
