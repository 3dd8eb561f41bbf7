"""A small text grammar: templates with alternatives, slots and shared rules, compiled once and written out often.

    [one|two|]     one of the alternatives, each equally likely; an empty one makes the part optional
    {name}         the value of a slot; {Name} the same with a capital first letter
    <rule>         one of the phrasings of a shared rule; a story does not use the same one twice in a row
    blank line     a new paragraph (inside an alternative: //)

Spaces and line ends in a template are layout: the text has single spaces, and none for a line end next to a bar.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Draw = Callable[[], float]
"""Source of randomness: numbers in [0, 1), as `random.Random(seed).random` gives them on every Python."""

# "Really?," becomes "Really?", and no space is left before a mark where an optional part was empty.
_PUNCTUATION = re.compile(r"([?!.])[,.!](?=\")| (?=[.,!?])")
_TOKEN = re.compile(r"\{(\w+)\}|<(\w+)>|([\[|\]])")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for a value known only when the story is planned."""

    name: str
    capital: bool


class Choice:
    """Alternatives; those of a shared rule (`remembers`) are not repeated one directly after the other."""

    __slots__ = ("options", "remembers")

    def __init__(self, options: Sequence[Template], remembers: bool = False) -> None:
        self.options = tuple(options)
        self.remembers = remembers


class Template(tuple["str | Slot | Choice", ...]):
    """A compiled text: literal strings, slots and choices, one after the other."""

    __slots__ = ()


Slots = Mapping[str, "str | Template"]


class Grammar:
    """Compiles templates that may use the shared rules given here; a rule may use the rules before it."""

    def __init__(self, rules: Mapping[str, Sequence[str]]) -> None:
        self._rules: dict[str, Choice] = {}
        for name, phrasings in rules.items():
            self._rules[name] = Choice([self.compile(text) for text in phrasings], remembers=True)

    def compile(self, source: str) -> Template:
        """The template that `source` describes; ValueError for unbalanced brackets, KeyError for an unknown rule."""
        tight = re.sub(r"([\[|])\s*\n\s*|\s*\n\s*([|\]])", r"\1\2", source.strip())
        paragraphs = re.split(r"\n\s*\n|\s*//\s*", tight)
        text = "\n".join(re.sub(r"\s+", " ", paragraph) for paragraph in paragraphs)
        tokens = _tokens(text)
        options = self._alternatives(tokens, closing=None)
        if len(options) != 1:
            raise ValueError(f"an alternative outside brackets in {source!r}")
        return options[0]

    def _alternatives(self, tokens: Iterator[tuple[str, str]], closing: str | None) -> list[Template]:
        options: list[Template] = []
        parts: list[str | Slot | Choice] = []
        for kind, value in tokens:
            if kind == "text":
                parts.append(value)
            elif kind == "slot":
                parts.append(Slot(value[0].lower() + value[1:], value[0].isupper()))
            elif kind == "rule":
                parts.append(self._rules[value])
            elif value == "[":
                parts.append(Choice(self._alternatives(tokens, closing="]")))
            elif value == "|":
                options.append(Template(parts))
                parts = []
            elif value == closing:
                return [*options, Template(parts)]
            else:
                raise ValueError("a bracket closes that was never opened")
        if closing:
            raise ValueError("a bracket is never closed")
        return [*options, Template(parts)]


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    for match in _TOKEN.finditer(text):
        if match.start() > position:
            yield "text", text[position : match.start()]
        slot, rule, mark = match.groups()
        if slot:
            yield "slot", slot
        elif rule:
            yield "rule", rule
        else:
            yield "mark", mark
        position = match.end()
    if position < len(text):
        yield "text", text[position:]


def write(template: Template, slots: Slots, draw: Draw) -> str:
    """The text of `template` with its choices drawn and its slots filled; KeyError for a slot without a value."""
    parts: list[str] = []
    _write(template, slots, draw, {}, parts)
    lines = [" ".join(line.split()) for line in "".join(parts).split("\n")]
    return _PUNCTUATION.sub(r"\1", "\n".join(lines))


def _write(template: Template, slots: Slots, draw: Draw, used: dict[Choice, int], parts: list[str]) -> None:
    for part in template:
        if part.__class__ is str:
            parts.append(part)
        elif isinstance(part, Choice):
            options = part.options
            index = int(draw() * len(options))
            if part.remembers:
                if used.get(part) == index:
                    index = (index + 1) % len(options)
                used[part] = index
            _write(options[index], slots, draw, used, parts)
        elif isinstance(part, Slot):
            value = slots[part.name]
            if not isinstance(value, str):
                inner: list[str] = []
                _write(value, slots, draw, used, inner)
                value = "".join(inner)
            parts.append(value[0].upper() + value[1:] if part.capital else value)


def slot_names(template: Template) -> Iterator[str]:
    """The names of all slots that `template` can ask for, in the order of the text, repeated where it repeats them."""
    for part in template:
        if isinstance(part, Slot):
            yield part.name
        elif isinstance(part, Choice):
            for option in part.options:
                yield from slot_names(option)
