"""Conversations to train on, and those kept for the examination: one way of making them, parted by what is reserved."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tui_gpt.engine.text.conversations import instructions, passages, small_talk, tales_outside, tales_together
from tui_gpt.engine.text.conversations.exchange import Check, Exchange, Message
from tui_gpt.engine.text.conversations.tale import Fact, ReadyTale, Told, asked, make_ready, tell
from tui_gpt.engine.text.conversations.wishes import wish
from tui_gpt.engine.text.stories.grammar import Draw
from tui_gpt.engine.text.stories.planner import ReadyPlot
from tui_gpt.engine.text.stories.words import pick

MOST_CHARACTERS = 640
"""Of a conversation: 256 tokens hold it, of the 1,024 trained on the stories, marks of roles and all."""
STORIES, PASSAGES, TASKS = 0.32, 0.3, 0.28
"""Shares of conversations that are told stories, readings and small tasks; the rest is small talk.

Stories take most of the tokens all the same, and a model that comes from `stories` has least to learn in them.
"""
PATIENCE = 400
"""Draws without a new held-out question after which no kind is expected to have more."""
CHARACTERS_PER_MESSAGE = 8
"""What the marks of a role count for, beside the text."""

_SYSTEMS = ("You are a storyteller.", "You tell stories to children.", "Answer in simple words.",
            "You are a kind storyteller for children.")  # fmt: skip
_PASSAGE_LEADS = ("", "", "", "Read this: ", "Listen: ", "Here is a story: ", "Read this and answer: ")


@dataclass(frozen=True, slots=True)
class Case:
    """One held-out question: the messages before its answer, a true answer, and how an answer is judged."""

    kind: str
    prompt: tuple[Message, ...]
    answer: str
    right_form: Check
    is_true: Check


def generate_conversations(seed: int, megabytes: float) -> Iterator[list[Message]]:
    """Conversations of one to five questions and answers, until their contents reach `megabytes` times 1,000,000 bytes.

    Plain ASCII. The same seed gives the same ones on every Python, a smaller size the beginning of a larger one. No
    exchange in them is one that `held_out` may ask for.
    """
    draw = random.Random(seed).random  # noqa: S311  (reproducible, not secret)
    maker = _Maker(draw)
    remaining = megabytes * 1e6
    while remaining > 0:
        messages = maker.conversation()
        if messages:
            remaining -= sum(len(message.content) for message in messages)  # ASCII: one byte for each character
            yield messages


def held_out(count: int, seed: int = 0) -> list[Case]:
    """About `count` different questions whose combinations or wordings `generate_conversations` never makes.

    As many of each kind as of the others, or all that were found where a kind has fewer; interleaved, so that the
    first ones of a longer list are of all kinds too.
    """
    maker = _Maker(random.Random(f"held out {seed}").random)  # noqa: S311
    found: dict[str, dict[tuple[Message, ...], Case]] = {kind: {} for kind in KINDS}
    quota = -(-count // len(KINDS))
    idle = 0
    while idle < PATIENCE:
        idle += 1
        for case in maker.cases():
            of_kind = found[case.kind]
            if len(of_kind) < quota and case.prompt not in of_kind:
                of_kind[case.prompt] = case
                idle = 0
    rows = [list(cases.values()) for cases in found.values()]
    return [row[index] for index in range(quota) for row in rows if index < len(row)][:count]


KINDS = (
    "story", "who (story)", "where (story)", "what (story)", "why (story)", "yes or no (story)", "ending (story)",
    "who (passage)", "where (passage)", "what (passage)", "why (passage)", "yes or no (passage)",
    "list", "animals", "choice", "yes or no (world)", "sentence to finish", "name", "saying",
    "greeting", "about itself", "thanks", "goodbye", "not known",
)  # fmt: skip
"""Kinds of questions, as the figures are parted."""


class _Maker:
    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._tales: tuple[ReadyTale, ...] = tuple(map(make_ready, (*tales_outside.TALES, *tales_together.TALES)))
        self._passages: ReadyPlot = passages.ready_passage()

    def conversation(self) -> list[Message]:
        """The next conversation without anything reserved; empty where nothing was left."""
        turn = self._draw()
        if turn < STORIES:
            exchanges = self._story_and_questions()
        elif turn < STORIES + PASSAGES:
            exchanges = self._passage_and_questions()
        else:
            exchanges = self._tasks() if turn < STORIES + PASSAGES + TASKS else self._talk()
        messages = []
        if exchanges and self._draw() < 0.08:
            messages.append(Message("system", pick(_SYSTEMS, self._draw)))
        for exchange in exchanges:
            two = [Message("user", exchange.question), Message("assistant", exchange.answer)]
            if _size([*messages, *two]) > MOST_CHARACTERS:
                break
            messages += two
        return messages if len(messages) > 1 else []

    def cases(self) -> Iterator[Case]:
        """Reserved exchanges of the next draws, each with what was said before it."""
        draw = self._draw
        ready = pick(self._tales, draw)
        told = tell(ready, draw)
        wished = wish(ready, told, draw)
        before = (Message("user", wished.question), Message("assistant", wished.answer))
        facts = [asked(one, told, draw, "story") for one in told.facts]
        singles = [wished, instructions.instruction(draw), *(talk(draw) for talk in small_talk.TALK)]
        read = passages.passage(self._passages, draw)
        singles += [self._with_passage(asked(one, read, draw, "passage"), read) for one in read.facts]
        for exchange in singles:
            if exchange.reserved:
                yield _case(exchange)
        for exchange in facts:
            case = _case(exchange, before)
            if exchange.reserved and _size([*case.prompt, Message("assistant", exchange.answer)]) <= MOST_CHARACTERS:
                yield case

    def _story_and_questions(self) -> list[Exchange]:
        draw = self._draw
        ready = pick(self._tales, draw)
        told = tell(ready, draw)
        wished = wish(ready, told, draw)
        if wished.reserved:
            return []
        exchanges = [wished, *self._questions(told, int(draw() * 6), "story")]
        if draw() < 0.1:
            exchanges.insert(0, small_talk.greeting(draw))
        if draw() < 0.15:
            exchanges.append(pick((small_talk.thanks, small_talk.farewell), draw)(draw))
        return _free(exchanges)

    def _passage_and_questions(self) -> list[Exchange]:
        read = passages.passage(self._passages, self._draw)
        exchanges = self._questions(read, 1 + int(self._draw() * 4), "passage")
        return [self._with_passage(exchanges[0], read), *exchanges[1:]] if exchanges else []

    def _with_passage(self, exchange: Exchange, read: Told) -> Exchange:
        return replace(exchange, question=f"{pick(_PASSAGE_LEADS, self._draw)}{read.text} {exchange.question}")

    def _questions(self, told: Told, count: int, origin: str) -> list[Exchange]:
        """Up to `count` questions about a text that are not reserved, of as many kinds as there are."""
        facts = list(told.facts)
        exchanges: list[Exchange] = []
        while facts and len(exchanges) < count:
            kind = pick(sorted({one.kind for one in facts}), self._draw)
            one: Fact = pick([one for one in facts if one.kind == kind], self._draw)
            facts.remove(one)
            exchange = asked(one, told, self._draw, origin)
            if not exchange.reserved and exchange.answer not in {earlier.answer for earlier in exchanges}:
                exchanges.append(exchange)
        return exchanges

    def _tasks(self) -> list[Exchange]:
        exchanges = [instructions.instruction(self._draw) for _ in range(1 + int(self._draw() * 4))]
        return _free(exchanges)

    def _talk(self) -> list[Exchange]:
        draw = self._draw
        exchanges = [pick(_MIDDLE, draw)(draw) for _ in range(1 + int(draw() * 3))]
        if draw() < 0.5:
            exchanges.insert(0, small_talk.greeting(draw))
        if draw() < 0.5:
            exchanges.append(pick((small_talk.thanks, small_talk.farewell), draw)(draw))
        return _free(exchanges)


_MIDDLE = (small_talk.about_itself, small_talk.unknown)


def _free(exchanges: Sequence[Exchange]) -> list[Exchange]:
    """Those of `exchanges` that may be trained on, without a question that was asked before."""
    kept: dict[str, Exchange] = {}
    for exchange in exchanges:
        if not exchange.reserved:
            kept.setdefault(exchange.question, exchange)
    return list(kept.values())


def _size(messages: Sequence[Message]) -> int:
    return sum(len(message.content) + CHARACTERS_PER_MESSAGE for message in messages)


def _case(exchange: Exchange, before: tuple[Message, ...] = ()) -> Case:
    prompt = (*before, Message("user", exchange.question))
    return Case(exchange.kind, prompt, exchange.answer, exchange.right_form, exchange.is_true)
