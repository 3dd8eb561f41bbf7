"""Small tasks and questions from the stories' world, with closed sets of right answers."""

from __future__ import annotations

from collections.abc import Callable, Collection

from tui_gpt.engine.text.conversations import forms, world_facts
from tui_gpt.engine.text.conversations.exchange import Check, Exchange, says, telling
from tui_gpt.engine.text.conversations.tale import NAMES
from tui_gpt.engine.text.stories import people
from tui_gpt.engine.text.stories.grammar import Draw
from tui_gpt.engine.text.stories.words import pick, with_article

COUNTS = {"two": 2, "three": 3}
_LIST_WORDINGS = (
    "Name {n} {things}.",
    "Can you name {n} {things}?",
    "Please name {n} {things}.",
    "Tell me {n} {things}.",
    "Which {n} {things} do you know?",
    "Give me {n} {things}.",
    "I want to know {n} {things}.",
    "Could you tell me {n} {things}?",
    "Say {n} {things}.",
    "Do you know {n} {things}?",
)
_NAME_WORDINGS = (
    "Give me a name for {who}.",
    "What is a good name for {who}?",
    "Do you know a name for {who}?",
    "What can I call {who}?",
    "Tell me a name for {who}.",
    "I need a name for {who}.",
    "Find a name for {who}, please.",
    "What would you call {who}?",
)
_GOODNESS = ("Say {what} to {name}.", "Please say {what} to {name}.", "Can you say {what} to {name}?")
_PHRASES = {
    "hello": "Hello, {name}!",
    "good morning": "Good morning, {name}!",
    "good night": "Good night, {name}!",
    "thank you": "Thank you, {name}!",
    "goodbye": "Goodbye, {name}!",
}
_FINISH = (
    "Finish the sentence: {text}",
    "Finish this sentence: {text}",
    "How does this sentence go on? {text}",
    "Please finish the sentence: {text}",
    "Complete the sentence: {text}",
    "Go on: {text}",
)
SENTENCES = world_facts.known_sentences()
ALL_NAMES = tuple(name for names in NAMES.values() for name in names)


def instruction(draw: Draw) -> Exchange:
    """One task of any sort."""
    return pick(_SORTS, draw)(draw)


def _named_in(text: str, members: Collection[str]) -> list[str]:
    bare = {member.removeprefix("a ").removeprefix("an ").removeprefix("the ") for member in members}
    return [item for item in forms.listed(text) if item in bare]


def _lists(members: Collection[str], count: int) -> Check:
    """Accepts sentences that list `count` different ones of `members` and nothing else."""

    def check(text: str) -> bool:
        found = _named_in(text, members)
        return len(found) == len(set(found)) == count == len(forms.listed(text))

    return check


def enumerate_in_words(items: list[str]) -> str:
    """ "A ball, a kite and a drum." """
    text = f"{', '.join(items[:-1])} and {items[-1]}."
    return text[0].upper() + text[1:]


def _draw_different(members: tuple[str, ...], count: int, draw: Draw) -> list[str]:
    items: list[str] = []
    while len(items) < count:
        item = pick(members, draw)
        if item not in items:
            items.append(item)
    return items


def _list(draw: Draw) -> Exchange:
    thing = pick(tuple(world_facts.PLURALS), draw)
    number = pick(tuple(COUNTS), draw)
    members = world_facts.MEMBERS[thing]
    question = pick(_LIST_WORDINGS, draw).format(n=number, things=world_facts.PLURALS[thing])
    return _listing(question, members, COUNTS[number], draw)


def _listing(question: str, members: tuple[str, ...], count: int, draw: Draw) -> Exchange:
    answer = enumerate_in_words(_draw_different(members, count, draw))
    return Exchange("list", question, answer, question, forms.listing(count), _lists(members, count))


def _seen(draw: Draw) -> Exchange:
    at = pick(tuple(world_facts.SEEN), draw)
    number = pick(tuple(COUNTS), draw)
    wording = pick(
        ("Name {n} things that one can see {at}.", "Which {n} things can I see {at}?", "Tell me {n} things {at}.",
         "Name {n} things {at}.", "Can you name {n} things {at}?", "Please name {n} things that are {at}."),
        draw,
    )  # fmt: skip
    return _listing(wording.format(n=number, at=at), world_facts.SEEN[at], COUNTS[number], draw)


def _worn(draw: Draw) -> Exchange:
    when = pick(tuple(world_facts.WORN), draw)
    wording = pick(
        ("What can one wear {when}?", "What can I wear {when}?", "What do you wear {when}?",
         "Name two things to wear {when}.", "What should I wear {when}?", "What is good to wear {when}?",
         "Which two things can I wear {when}?", "Tell me two things to wear {when}."),
        draw,
    )  # fmt: skip
    return _listing(wording.format(when=when), world_facts.WORN[when], 2, draw)


def _is_a(draw: Draw) -> Exchange:
    kind = pick(tuple(world_facts.MEMBERS), draw)
    item = pick(world_facts.MEMBERS[kind], draw)
    other = kind if draw() < 0.5 else pick([name for name in world_facts.MEMBERS if name != kind], draw)
    one, of, really = item, world_facts.SINGULARS[other], world_facts.SINGULARS[kind]
    plural = item in world_facts.FOOD_AND_DRINK_PLURALS
    verb = "are" if plural else "is"
    question = pick((f"{verb.capitalize()} {one} {of}?", f"Tell me, {verb} {one} {of}?"), draw)
    yes = other == kind
    answer = f"{'Yes' if yes else 'No'}, {one} {verb} {really}."
    needs = ("yes" if yes else "no", really)
    key = f"is a: {one}: {of}"
    return Exchange("yes or no (world)", question, answer, key, forms.yes_or_no, telling(needs))


def _which(draw: Draw) -> Exchange:
    kinds = [kind for kind in world_facts.MEMBERS if kind != "color"]
    kind = pick(kinds, draw)
    other = pick([name for name in kinds if name != kind], draw)
    right, wrong = pick(world_facts.MEMBERS[kind], draw), pick(world_facts.MEMBERS[other], draw)
    verb = "are" if right in world_facts.FOOD_AND_DRINK_PLURALS else "is"
    pair = (right, wrong) if draw() < 0.5 else (wrong, right)
    of = world_facts.SINGULARS[kind]
    wording = pick(
        ("Which one is {of}, {a} or {b}?", "What is {of}, {a} or {b}?", "Which of them is {of}: {a} or {b}?"), draw
    )
    question = wording.format(of=of, a=pair[0], b=pair[1])
    answer = f"{right[0].upper()}{right[1:]} {verb} {of}."
    key = f"which: {of}: {' '.join(sorted(pair))}"
    return Exchange("choice", question, answer, key, forms.choosing(right, wrong), telling((right, of), (wrong,)))


def _home(draw: Draw) -> Exchange:
    home = pick(tuple(world_facts.HOMES), draw)
    kind = pick(world_facts.HOMES[home], draw)
    if draw() < 0.5:
        wording = pick(
            ("Where does {a} live?", "What is the home of {a}?", "Where is the home of {a}?", "Where can I find {a}?",
             "Do you know where {a} lives?", "Tell me where {a} lives.", "In what home does {a} live?"),
            draw,
        )  # fmt: skip
        question = wording.format(a=with_article(kind))
        needs: Check = telling((kind, home))
        form = forms.where
    else:
        wording = pick(
            ("Who lives in {a}?", "Which animal lives in {a}?", "Name an animal that lives in {a}.",
             "Do you know who lives in {a}?", "Tell me who lives in {a}.", "What animal lives in {a}?",
             "Whose home is {a}?"),
            draw,
        )  # fmt: skip
        question = wording.format(a=with_article(home))
        form = forms.where
        needs = _any_of(world_facts.HOMES[home], home)
    answer = f"{with_article(kind).capitalize()} lives in {with_article(home)}."
    return Exchange("animals", question, answer, question, form, needs)


def _any_of(members: Collection[str], and_also: str) -> Check:
    def check(text: str) -> bool:
        return says(text, and_also) and any(says(text, member) for member in members)

    return check


def _colour(draw: Draw) -> Exchange:
    kind = pick([kind for kind, colours in world_facts.COLOURED.items() if colours], draw)
    colours = world_facts.COLOURED[kind]
    wording = pick(
        ("What color is {a}?", "Which color does {a} have?", "What is the color of {a}?", "What color does {a} have?",
         "Tell me the color of {a}.", "Do you know the color of {a}?"),
        draw,
    )  # fmt: skip
    question = wording.format(a=with_article(kind))
    answer = f"{with_article(kind).capitalize()} is {pick(colours, draw)}."
    others = [colour for colour in world_facts.COLOURS if colour not in colours]

    def is_true(text: str) -> bool:
        return _any_of(colours, kind)(text) and telling((), others)(text)

    def right_form(text: str) -> bool:
        return forms.what(text) and any(says(text, colour) for colour in world_facts.COLOURS)

    return Exchange("animals", question, answer, question, right_form, is_true)


def _name(draw: Draw) -> Exchange:
    kind = pick(tuple(world_facts.NAMED) if draw() < 0.6 else ("girl", "boy"), draw)
    who = with_article(
        kind if draw() < 0.3 or kind not in people.ANIMALS else f"{pick(people.ANIMALS[kind], draw)} {kind}"
    )
    names = world_facts.NAMED[kind]
    question = pick(_NAME_WORDINGS, draw).format(who=who)
    answer = f"{pick(names, draw)} is a good name for {who}."

    def right_form(text: str) -> bool:
        return forms.what(text) and any(says(text, name) for name in ALL_NAMES)

    def is_true(text: str) -> bool:
        return any(says(text, name) for name in names) and says(text, kind)

    return Exchange("name", question, answer, question, right_form, is_true)


def _say(draw: Draw) -> Exchange:
    what = pick(tuple(_PHRASES), draw)
    name = pick(ALL_NAMES, draw)
    question = pick(_GOODNESS, draw).format(what=what, name=name)
    answer = _PHRASES[what].format(name=name)

    def right_form(text: str) -> bool:
        return forms.proper(text) and len(text.split()) <= 6 and says(text, what)

    return Exchange("saying", question, answer, f"say: {what}: {name}", right_form, telling((what, name)))


def _finish(draw: Draw) -> Exchange:
    sentence = pick(SENTENCES, draw)
    parts = sentence.split()
    kept = 4 + int(draw() * (len(parts) - 4))
    beginning = " ".join(parts[:kept])
    question = pick(_FINISH, draw).format(text=beginning)
    key = f"finish: {beginning}"
    return Exchange("sentence to finish", question, sentence, key, forms.completing(beginning), _is_one_of(beginning))


def _is_one_of(beginning: str) -> Check:
    allowed = {sentence for sentence in SENTENCES if sentence.startswith(beginning + " ")}
    return lambda text: text in allowed


_SORTS: tuple[Callable[[Draw], Exchange], ...] = (
    _list, _list, _seen, _worn, _is_a, _is_a, _is_a, _which, _which, _which, _home, _colour, _name, _say, _say,
    _finish, _finish, _finish,
)  # fmt: skip
