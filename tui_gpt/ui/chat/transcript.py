"""The text of a conversation: what a person said and what the model wrote, told apart by a bar and by style."""

from __future__ import annotations

from collections.abc import Sequence

from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui_gpt.core.chat_history import Reply, Turn
from tui_gpt.core.guards.guard import account
from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.chat.growing_text import GrowingText
from tui_gpt.ui.dialogs.explanation import Explanation

_REASONS = {
    "eot": "end of text",
    "stop": "stop text",
    "length": "token limit",
    "stopped": "stopped",
    "broken": "broken off",
}


class ReplyView(Vertical):
    """One continuation: a headline where there are several, what a guard said, the text, and a quiet line of figures.

    A guard's refusal stands in the same place, in another style and without the figures of a model.
    """

    DEFAULT_CSS = """
    ReplyView { height: auto; padding: 0 1 0 2; }
    ReplyView > .headline { height: 1; display: none; color: $text-muted; }
    ReplyView.-one-of-several > .headline { display: block; }
    ReplyView.-one-of-several { margin-bottom: 1; }
    ReplyView.-chosen > .headline { color: $text-accent; text-style: bold; }
    ReplyView > .verdict { height: auto; display: none; color: $text-muted; }
    ReplyView.-judged > .verdict { display: block; }
    ReplyView.-declined { border-left: outer $warning; padding-left: 1; }
    ReplyView.-declined > .verdict { color: $text-warning; }
    ReplyView.-declined > GrowingText { text-style: italic; }
    ReplyView > .facts { height: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, number: int = 0, text: str = "", facts: str = "") -> None:
        """`text` and `facts` are safe."""
        self.number = number
        self.headline = Static("", classes="headline", markup=False)
        self.verdict = Static("", classes="verdict", markup=False)
        self.body = GrowingText(text)
        self.facts = Static(Content(facts), classes="facts", markup=False)
        super().__init__(self.headline, self.verdict, self.body, self.facts)

    def show_facts(self, facts: str) -> None:
        """The quiet line. Foreign text is made safe here."""
        self.facts.update(Content(safe_text(facts, newlines=False)))

    def show_verdict(self, reply: Reply, of: int) -> None:
        """What the guard made of the prompt, where one was asked. Foreign text is made safe here.

        A refusal has no figures of its own, only its number where there are several replies.
        """
        if reply.verdict is not None:
            line = account(reply.verdict, reply.tokens, reply.seconds)
            self.verdict.update(Content(safe_text(line, newlines=False)))
        self.set_class(reply.verdict is not None, "-judged")
        self.set_class(reply.declined, "-declined")
        self.facts.display = not reply.declined or of > 1

    def mark(self, *, several: bool, chosen: bool) -> None:
        """Say whether it is one of several to choose from, and the one that is chosen now."""
        self.set_class(several, "-one-of-several")
        self.set_class(several and chosen, "-chosen")
        sign = "▸" if chosen else " "
        self.headline.update(Content(f"{sign} {self.number + 1}"))


class TurnView(Vertical):
    """What was said, and the reply to it, or several to choose from."""

    DEFAULT_CSS = """
    TurnView { height: auto; margin-bottom: 1; }
    TurnView > .said { height: auto; border-left: thick $accent; padding: 0 1; text-style: bold; }
    TurnView > .said.-nothing { display: none; }
    """

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.said = GrowingText(safe_text(turn.said), classes="said" if turn.said else "said -nothing")
        self.replies: list[ReplyView] = []
        super().__init__(self.said)

    async def on_mount(self) -> None:
        """With the reply that is chosen."""
        if self.turn.replies and not self.replies:
            await self.show_chosen()

    async def show_chosen(self) -> None:
        """Only the reply that the text goes on from."""
        await self.show_replies([self.turn.chosen])

    async def show_replies(self, numbers: Sequence[int]) -> None:
        """These of the turn's replies; more than one are there to choose from."""
        known = [(number, self.turn.replies[number]) for number in numbers if number < len(self.turn.replies)]
        views = [
            ReplyView(place, safe_text(reply.text), facts_of(reply, number, len(self.turn.replies)))
            for place, (number, reply) in enumerate(known)
        ]
        for view, (_, reply) in zip(views, known, strict=True):
            view.show_verdict(reply, len(self.turn.replies))
        await self._replace(views)
        self.mark([number for number, _ in known].index(self.turn.chosen) if self.turn.chosen in numbers else 0)

    async def show_empty(self, n_samples: int) -> None:
        """Room for replies that are about to be written."""
        await self._replace([ReplyView(number) for number in range(n_samples)])
        self.mark(0)

    def mark(self, chosen: int) -> None:
        """Mark one of the replies that are shown."""
        for view in self.replies:
            view.mark(several=len(self.replies) > 1, chosen=view.number == chosen)

    async def _replace(self, views: list[ReplyView]) -> None:
        old, self.replies = self.replies, views
        for view in old:
            await view.remove()
        await self.mount_all(views)


def facts_of(reply: Reply, number: int, of: int) -> str:
    """The quiet line under a reply. Safe text."""
    parts = [f"{number + 1} of {of}"] if of > 1 else []
    if reply.declined:
        return "".join(parts)
    parts += [reply.title, f"{reply.tokens:,} token{'s' * (reply.tokens != 1)}"]
    if reply.forgotten:
        parts.append(f"{reply.forgotten} oldest messages left out")
    if reply.tokens and reply.seconds > 0:
        parts.append(f"{reply.tokens / reply.seconds:,.0f}/s")
    if reply.first_token_seconds is not None:
        parts.append(f"first {reply.first_token_seconds:.2f} s")
    if reply.seed is not None:
        parts.append(f"seed {reply.seed}")
    reasons = _REASONS | {"eot": "end of the answer"} if reply.answer else _REASONS
    parts.append(reasons.get(reply.reason, reply.reason))
    return safe_text("  ".join(filter(None, parts)), newlines=False)


class Transcript(VerticalScroll):
    """All turns, following the end unless a person scrolled away from it."""

    DEFAULT_CSS = """
    Transcript { height: 1fr; padding: 0 0 0 1; scrollbar-size-vertical: 1; }
    Transcript > .welcome { height: auto; color: $text-muted; padding: 1 2; }
    """

    def __init__(self, welcome: str) -> None:
        """`welcome` is shown as long as nothing was said."""
        self._welcome = Static(Content(welcome), classes="welcome", markup=False)
        super().__init__(self._welcome)

    def welcome(self, text: str) -> None:
        """What is shown as long as nothing was said."""
        self._welcome.update(Content(text))

    def on_mount(self) -> None:
        """The end is where things happen."""
        self.anchor()

    @property
    def last(self) -> TurnView | None:
        """The last turn's view."""
        views = list(self.query_children(TurnView))
        return views[-1] if views else None

    async def show(self, turns: Sequence[Turn]) -> None:
        """These turns and no others."""
        await self.remove_children(TurnView)
        self._welcome.display = not turns
        await self.mount_all([TurnView(turn) for turn in turns])
        self.anchor()

    async def add(self, turn: Turn) -> TurnView:
        """A new turn at the end."""
        self._welcome.display = False
        view = TurnView(turn)
        await self.mount(view)
        self.anchor()
        return view

    async def drop_last(self) -> None:
        """Take the last turn away."""
        if (last := self.last) is not None:
            await last.remove()
        self._welcome.display = self.last is None

    def explain(self) -> Explanation:
        """What is on the screen is what the model reads."""
        return Explanation(
            "The text",
            "Your lines are marked by a bar, the model's stand below them. A model that learned from texts continues "
            "all that stands here, so begin a text whose continuation is what you want; of a text that is longer than "
            "its context it reads the end.\n\nA model that learned from conversations answers, and remembers as many "
            "of the latest messages as its context holds; alt+c lets it continue the text instead, and alt+s tells it "
            "something before everything. Select with "
            "the mouse to copy a part.\n\nA guard (ctrl+g chooses one) decides whether a prompt is one for this "
            "model. What it declines, it answers itself, and the model reads neither.",
        )
