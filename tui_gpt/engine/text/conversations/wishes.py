"""Asking for a story: in many wordings, by its hero's name or kind, a friend, a place, a thing, or what happens."""

from __future__ import annotations

from tui_gpt.engine.text.conversations import forms
from tui_gpt.engine.text.conversations.exchange import Exchange, says, telling
from tui_gpt.engine.text.conversations.tale import ReadyTale, Told
from tui_gpt.engine.text.stories.grammar import Draw, write
from tui_gpt.engine.text.stories.words import pick

_WORDINGS = (
    "Tell me a story about {}.",
    "Please tell me a story about {}.",
    "Can you tell me a story about {}?",
    "Could you tell me a story about {}?",
    "I want to hear a story about {}.",
    "I would like a story about {}.",
    "Write a story about {}.",
    "Tell a story about {}.",
    "Do you know a story about {}?",
    "A story about {}, please.",
    "Tell us a story about {}.",
    "Make up a story about {}.",
    "Tell me about {}.",
    "Tell me a short story about {}.",
)


def wish(ready: ReadyTale, told: Told, draw: Draw) -> Exchange:
    """The exchange that asks for the story told, by one to three things that are in it.

    Its key is the combination of these things, whatever the wording; for a single one the wording belongs to it.
    """
    slots = told.slots
    features: list[tuple[str, str]] = []  # as asked for, and the word the story must have
    hero = draw()
    if hero < 0.4:
        features.append((str(slots["a_kind"]), str(slots["hkind"])))
    elif hero < 0.75:
        named = pick(("named", "called"), draw)
        features += [(str(slots["a_kind"]), str(slots["hkind"])), (f"{named} {slots['h']}", str(slots["h"]))]
    else:
        features.append((str(slots["h"]), str(slots["h"])))
    heroes = [word for _, word in features]
    needs = list(heroes)
    more = draw()
    if hero >= 0.75 and more < 0.35 and says(told.text, str(slots["f"])):
        features.append((f"and {slots['f']}", str(slots["f"])))
        needs.append(str(slots["f"]))
        heroes.append(str(slots["f"]))
    elif more < 0.3 and "place" in ready.tale.asks:
        place = str(slots["place"]).removeprefix("the ")
        features.append((str(slots["at"]), place))
        needs.append(place)
    elif more < 0.75:
        topic = pick(ready.topics, draw)
        text = write(topic.text, slots, draw)
        features.append((text, text))
        needs += [write(need, slots, draw) for need in topic.needs]
    question = pick(_WORDINGS, draw).format(" ".join(text for text, _ in features))
    combination = ", ".join(word for _, word in features)
    key = f"story: {combination}" if len(features) > 1 else question
    return Exchange("story", question, told.text, key, forms.story(heroes), telling(needs))
