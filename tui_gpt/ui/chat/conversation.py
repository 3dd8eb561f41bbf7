"""What a person and a model write in turns: a text that the model continues, or messages that it answers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

import msgspec

from tui_gpt.core.chat_history import (
    Answered,
    ChatEvent,
    ChatHistory,
    ChatHistoryError,
    Chosen,
    Cut,
    Kept,
    Partner,
    Reply,
    Said,
    Turn,
)
from tui_gpt.core.config import SampleConfig
from tui_gpt.core.messages import ModelRef, Utterance

_SEEDS = 1 << 63
_SHORT_SEEDS = 1_000_000
"""What is drawn where no seed is given: enough of them, and a person can copy one by hand."""


class Conversation:
    """The turns so far, each written to the history as it happens.

    What cannot be written is told once, and the talk goes on.
    """

    def __init__(self, history: ChatHistory, on_problem: Callable[[str], None]) -> None:
        self.history = history
        self.id: str | None = None
        """In the history; None before the first turn."""
        self.turns: list[Turn] = []
        self._undone: list[Turn] = []
        self._on_problem = on_problem
        self._told = False
        self._model: ModelRef | None = None

    @property
    def last(self) -> Turn | None:
        """The turn that is written, or was written last."""
        return self.turns[-1] if self.turns else None

    @property
    def text(self) -> str:
        """Everything, as a model reads it."""
        return "".join(turn.text for turn in self.turns)

    @property
    def prompt(self) -> str:
        """Everything but the last turn's reply: what that continues."""
        if not self.turns:
            return ""
        last = self.turns[-1]
        return "".join(turn.text for turn in self.turns[:-1]) + last.joint + last.said

    def messages(self, system: str = "") -> list[Utterance]:
        """What was said, up to the last turn's reply, for a model that answers; empty where nothing was asked last."""
        if not self.turns or not self.turns[-1].said.strip():
            return []
        said = [Utterance(role="system", content=system)] if system.strip() else []
        for turn in self.turns:
            is_last = turn is self.turns[-1]
            if not is_last and turn.reply is not None and turn.reply.declined:
                continue  # the model hears of neither
            said.append(Utterance(role="user", content=turn.said))
            if not is_last and turn.reply is not None:
                said.append(Utterance(role="assistant", content=turn.reply.text))
        return said

    # ---- what happens

    def say(self, said: str, model: ModelRef | None) -> Turn:
        """A new turn. Empty: the model goes on.

        A line of a person is a line of the text, also where the reply before it broke off in the middle of one; one
        that begins with a space goes on in the same line.
        """
        before = self.text
        joint = "\n" if said and before and not before.endswith("\n") and not said.startswith(" ") else ""
        turn = Turn(said=said, joint=joint)
        self.turns.append(turn)
        self._undone.clear()
        self._keep_model(model)
        self._keep(Said(said=said, joint=joint))
        if said:
            self._attempt(lambda: self.history.add_prompt(said))
        return turn

    def answered(self, replies: Sequence[Reply]) -> None:
        """More replies to the last turn, of which the first is chosen."""
        if self.turns and replies:
            last = self.turns[-1]
            last.chosen = len(last.replies)
            last.replies += replies
            self._keep(Answered(replies=list(replies)))

    def choose(self, reply: int) -> bool:
        """Go on from another reply of the last turn; False where there is none of that number."""
        last = self.last
        if last is None or not 0 <= reply < len(last.replies):
            return False
        if reply != last.chosen:
            last.chosen = reply
            self._keep(Chosen(reply=reply))
        return True

    def undo(self) -> Turn | None:
        """Take the last turn away; None where there is none."""
        if not self.turns:
            return None
        turn = self.turns.pop()
        self._undone.append(turn)
        self._keep(Cut(turns=len(self.turns)))
        return turn

    def redo(self) -> Turn | None:
        """Put back what was taken away last; None where there is nothing, or something else was said since."""
        if not self._undone:
            return None
        turn = self._undone.pop()
        self.turns.append(turn)
        self._keep(Said(said=turn.said, joint=turn.joint))
        if turn.replies:
            self._keep(Answered(replies=turn.replies))
            self._keep(Chosen(reply=turn.chosen))
        return turn

    def forget_undone(self) -> None:
        """What was taken away last does not come back: a prompt that could not be read, say."""
        self._undone.clear()

    def clear(self) -> None:
        """A new conversation; the old one stays in the history."""
        self.id, self.turns, self._model = None, [], None
        self._undone.clear()

    def open(self, kept: Kept) -> None:
        """Go on with one of the history."""
        self.clear()
        self.id, self.turns, self._model = kept.id, kept.turns, kept.model

    def seeded(self, settings: SampleConfig) -> SampleConfig:
        """The settings for another reply to the last turn: with a new seed where none is given, and for one that is,
        the first from there on that was not used for this turn yet."""
        if settings.seed is None:
            return msgspec.structs.replace(settings, seed=secrets.randbelow(_SHORT_SEEDS))
        used = [reply.seed for reply in self.turns[-1].replies if reply.seed is not None] if self.turns else []
        following = [settings.seed, *(seed + 1 for seed in used if seed >= settings.seed)]
        return msgspec.structs.replace(settings, seed=max(following) % _SEEDS)

    # ---- on disk

    def _keep_model(self, model: ModelRef | None) -> None:
        if self.id is None:
            self._attempt(lambda: self._begin(model))
        elif model is not None and model != self._model:
            self._keep(Partner(model=model))
        self._model = model

    def _begin(self, model: ModelRef | None) -> None:
        self.id = self.history.begin(model)

    def _keep(self, event: ChatEvent) -> None:
        number = self.id
        if number is not None:
            self._attempt(lambda: self.history.append(number, event))

    def _attempt(self, write: Callable[[], None]) -> None:
        try:
            write()
        except ChatHistoryError as error:
            if not self._told:
                self._told = True
                self._on_problem(str(error))
