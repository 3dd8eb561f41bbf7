"""Talk with a storyteller: hello, who are you, thank you, goodbye; and what such a one does not know."""

from __future__ import annotations

from collections.abc import Callable

from tui_gpt.engine.text.conversations import forms
from tui_gpt.engine.text.conversations.exchange import Check, Exchange, telling
from tui_gpt.engine.text.conversations.tale import NAMES
from tui_gpt.engine.text.stories.grammar import Draw
from tui_gpt.engine.text.stories.words import pick

ALL_NAMES = tuple(name for names in NAMES.values() for name in names)

_HELLOS = ("Hello", "Hi", "Hey", "Good morning", "Good day", "Good evening", "Hello there", "Hi there")
_TO_WHOM = ("", ", storyteller", ", my friend", ", dear storyteller", ", friend")
_LEADS = ("", "", "", "Tell me, ", "Please tell me, ", "So, ", "And ", "I wonder, ")

_WHO = ("who are you?", "what are you?", "what is your name?", "what do they call you?", "who is there?",
        "who am I talking to?", "are you a storyteller?", "what should I call you?", "are you a child?",
        "are you a person?", "what kind of thing are you?")  # fmt: skip
_WHO_ANSWERS = ("I am a storyteller. I tell small stories about children and animals.",
                "I am a little storyteller, and I know many stories.")  # fmt: skip
_ABLE = ("what can you do?", "what do you know?", "how can you help me?", "what can I ask you?", "what do you do?",
         "what are you good at?", "can you tell stories?", "do you know stories?", "what do you do all day?",
         "what can we do together?")  # fmt: skip
_ABLE_ANSWERS = ("I can tell you a story and answer questions about it.",
                 "I can tell stories about children and animals. Shall I tell you one?")  # fmt: skip
_LIKE = ("what do you like?", "do you like stories?", "what do you love?", "what makes you happy?",
         "what do you like most?", "do you like animals?", "what is your favorite thing?")  # fmt: skip
_LIKE_ANSWERS = ("I like stories about children and animals.",)
_FEEL = ("how are you?", "how do you feel?", "how are you today?", "are you well?", "are you happy?",
         "did you sleep well?", "is everything well?")  # fmt: skip
_FEEL_ANSWERS = ("I am well, thank you. Shall I tell you a story?",)

_THANKS = ("Thank you", "Thanks", "Thank you so much", "Thank you very much", "Many thanks", "Oh, thank you")
_FOR = ("", " for the story", ", storyteller", " for your help", ", my friend", " for everything", " for your time",
        ", that was nice", ", that was a good story", ", I liked that")  # fmt: skip
_WELCOME_ANSWERS = ("You are welcome.", "You are welcome. I am glad that you liked it.")

_BYES = ("Goodbye", "Bye", "Good night", "See you tomorrow", "I have to go now", "See you soon", "I must go home now",
         "It is late, goodbye", "Bye bye", "I am tired now, good night")  # fmt: skip
_BYE_ANSWERS = {
    "Good night": "Good night! Sleep well.",
    "other": "Goodbye! Come back soon.",
}

_COUNTRIES = ("France", "Spain", "Italy", "Japan", "China", "India", "Brazil", "Canada", "Norway", "Egypt", "Peru",
              "Kenya", "Poland", "Greece", "Mexico", "Turkey", "Germany", "Sweden", "Cuba", "Chile")  # fmt: skip
_CITIES = ("Paris", "London", "Rome", "Tokyo", "Berlin", "Madrid", "New York", "Moscow", "Cairo", "Vienna", "Oslo",
           "Boston")  # fmt: skip
_NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "12", "15", "20", "37", "100")
_STARS = ("the moon", "the sun", "Mars", "Venus", "Jupiter", "the North Star", "Saturn")
_JOBS = ("repair a car", "install a program", "build a computer", "cook rice", "fly a plane", "play chess",
         "learn French", "make money", "buy a house", "solve an equation", "write a letter to a bank",
         "fix my phone")  # fmt: skip
_EVENTS = ("the war end", "the first train run", "the first man walk on the moon", "Columbus sail to America",
           "the king die", "the city of Rome begin", "the last ice age end")  # fmt: skip
_UNKNOWN: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = (
    ("What is the capital of {0}?", (_COUNTRIES,)),
    ("Who is the president of {0}?", (_COUNTRIES,)),
    ("How many people live in {0}?", ((*_COUNTRIES, *_CITIES),)),
    ("What language do they speak in {0}?", (_COUNTRIES,)),
    ("What is the weather in {0}?", (_CITIES,)),
    ("How far is it to {0}?", ((*_CITIES, *_STARS, *_COUNTRIES),)),
    ("What is {0} times {1}?", (_NUMBERS, _NUMBERS)),
    ("What is {0} plus {1}?", (_NUMBERS, _NUMBERS)),
    ("What is {0} minus {1}?", (_NUMBERS, _NUMBERS)),
    ("How do I {0}?", (_JOBS,)),
    ("Can you {0}?", (_JOBS,)),
    ("When did {0}?", (_EVENTS,)),
    ("How big is {0}?", ((*_STARS, *_COUNTRIES, *_CITIES),)),
    ("Where is {0}?", ((*_COUNTRIES, *_CITIES),)),
)
_UNKNOWN_ANSWERS = ("I am sorry, I do not know that. I only know my stories.",
                    "I do not know that. But I can tell you a story.")  # fmt: skip


def _exchange(kind: str, question: str, answer: str, form: Check, truth: Check | None = None) -> Exchange:
    question = question[0].upper() + question[1:]
    return Exchange(kind, question, answer, question, form, truth or form)


def greeting(draw: Draw) -> Exchange:
    """A hello, sometimes with a name or a question after one's health."""
    hello = pick(_HELLOS, draw)
    back = hello if hello.startswith("Good") else "Hello"
    turn = draw()
    if turn < 0.4:
        name = pick(ALL_NAMES, draw)
        said = pick(("I am {}.", "My name is {}."), draw).format(name)
        question, answer = f"{hello}! {said}", f"{back}, {name}! Shall I tell you a story?"
        key = f"hello: {name}"
        return Exchange("greeting", question, answer, key, forms.greeting, telling((back, name)))
    whom = pick(_TO_WHOM, draw)
    if turn < 0.6:
        return _exchange("greeting", f"{hello}{whom}! How are you?", f"{back}! I am well, thank you.", forms.greeting,
                         telling((back, "well")))  # fmt: skip
    mark = pick(("!", ".", "! It is nice to meet you."), draw)
    return _exchange("greeting", f"{hello}{whom}{mark}", f"{back}! Shall I tell you a story?", forms.greeting,
                     telling((back,)))  # fmt: skip


def about_itself(draw: Draw) -> Exchange:
    """Who it is, what it can, what it likes, how it is."""
    questions, answers, words_needed = pick(
        (
            (_WHO, _WHO_ANSWERS, "storyteller"),
            (_ABLE, _ABLE_ANSWERS, "I can"),
            (_LIKE, _LIKE_ANSWERS, "I like"),
            (_FEEL, _FEEL_ANSWERS, "well"),
        ),
        draw,
    )
    question = pick(_LEADS, draw) + pick(questions, draw)
    return _exchange("about itself", question, pick(answers, draw), forms.about_itself, telling((words_needed,)))


def thanks(draw: Draw) -> Exchange:
    """A thank you."""
    question = pick(_THANKS, draw) + pick(_FOR, draw) + pick((".", "!"), draw)
    return _exchange("thanks", question, pick(_WELCOME_ANSWERS, draw), forms.thanked)


def farewell(draw: Draw) -> Exchange:
    """A goodbye; "good night" is answered with "good night"."""
    bye = pick(_BYES, draw)
    question = bye + pick(("", ", storyteller", ", my friend", ", friend"), draw) + pick((".", "!"), draw)
    night = "good night" in bye.lower()
    answer = _BYE_ANSWERS["Good night" if night else "other"]
    return _exchange("goodbye", question, answer, forms.farewell, telling(("good night" if night else "goodbye",)))


def unknown(draw: Draw) -> Exchange:
    """Something of the wide world, which the storyteller does not know."""
    template, fillers = pick(_UNKNOWN, draw)
    question = template.format(*(pick(options, draw) for options in fillers))
    return _exchange("not known", pick(("", "", "", "Tell me: "), draw) + question, pick(_UNKNOWN_ANSWERS, draw),
                     forms.not_known, telling(("do not know",)))  # fmt: skip


TALK: tuple[Callable[[Draw], Exchange], ...] = (
    greeting,
    about_itself,
    about_itself,
    thanks,
    farewell,
    unknown,
    unknown,
)
