"""Plans a story (who, where, when, with what), then writes it: one plot drawn, one record of each of its tables."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tui_gpt.engine.text.stories import (
    people,
    places,
    plots_adventures,
    plots_friends,
    plots_growing,
    plots_neighbours,
    plots_searching,
    words,
)
from tui_gpt.engine.text.stories.grammar import Draw, Grammar, Slots, Template, write
from tui_gpt.engine.text.stories.phrases import RULES
from tui_gpt.engine.text.stories.plot import Plot

PLOTS: tuple[Plot, ...] = (
    *plots_searching.PLOTS,
    *plots_friends.PLOTS,
    *plots_neighbours.PLOTS,
    *plots_growing.PLOTS,
    *plots_adventures.PLOTS,
)
FEWEST_WORDS, MOST_WORDS = 60, 250


@dataclass(frozen=True, slots=True)
class ReadyPlot:
    """A plot with everything compiled; `tables` holds, for each world, its tables of records."""

    plot: Plot
    template: Template
    tables: dict[str, tuple[tuple[Slots, ...], ...]]


def ready_plots() -> tuple[ReadyPlot, ...]:
    """All plots compiled, each as often as its weight says."""
    grammar = Grammar(RULES)
    return tuple(ready for plot in PLOTS for ready in [_ready(plot, grammar)] * plot.weight)


def _ready(plot: Plot, grammar: Grammar) -> ReadyPlot:
    tables: dict[str, tuple[tuple[Slots, ...], ...]] = {}
    for world in people.WORLDS:
        tables[world.name] = tuple(
            tuple(
                {key: grammar.compile(value) for key, value in record.items() if key != "world"}
                for record in records
                if record.get("world", "any") in ("any", world.name)
            )
            for records in plot.tables
        )
    return ReadyPlot(plot, grammar.compile(plot.text), tables)


def generate_stories(seed: int, megabytes: float) -> Iterator[str]:
    """Children's stories, one at a time, until their UTF-8 bytes together reach `megabytes` times 1,000,000.

    Each is 60 to 250 words of plain ASCII, paragraphs parted by one newline, without a newline at the end. The same
    seed gives the same stories on every Python; a smaller size gives the beginning of a larger one.
    """
    draw = random.Random(seed).random  # noqa: S311  (reproducible, not secret)
    plots = ready_plots()
    remaining = megabytes * 1e6
    previous: Plot | None = None
    while remaining > 0:
        ready = words.pick(plots, draw)
        if ready.plot is previous:
            continue
        text = _story(ready, draw)
        if not FEWEST_WORDS <= text.count(" ") + text.count("\n") + 1 <= MOST_WORDS:
            continue
        previous = ready.plot
        remaining -= len(text)  # ASCII: one byte for each character
        yield text


def _story(ready: ReadyPlot, draw: Draw) -> str:
    return write(ready.template, plan(ready, draw), draw)


def plan(ready: ReadyPlot, draw: Draw) -> Slots:
    """The values of all slots of one story: cast, place, weather, things, and the plot's own details."""
    world = words.pick(people.WORLDS, draw)
    hero, friend, other = people.draw_cast(world, draw)
    slots: dict[str, str | Template] = {}
    slots.update(people.hero_slots(hero, world, draw))
    slots.update(people.friend_slots(friend, world, "f", draw))
    slots.update(people.friend_slots(other, world, "g", draw))
    slots.update(people.grown_up_slots(world, draw))
    candidates = places.WILD_PLACES if ready.plot.wild else places.PLACES
    slots.update(places.place_slots(words.pick(candidates[world.name], draw), draw))
    slots.update(places.weather_slots(draw, str(slots["his"])))
    slots.update(words.pick(words.TOY_SLOTS if ready.plot.things == "toys" else words.THING_SLOTS, draw))
    slots.update(words.table_slots(draw))
    for records in ready.tables[world.name]:
        slots.update(words.pick(records, draw))
    return slots
