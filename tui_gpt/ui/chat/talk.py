"""The text and the prompt below it: turns are said, written, chosen from, taken back and put back here."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.timer import Timer
from textual.worker import Worker, WorkerCancelled, WorkerFailed

from tui_gpt.core.chat_history import ChatHistory, Kept, refusal_reply
from tui_gpt.core.config import SampleConfig, WritingPrecision
from tui_gpt.core.errors import ConfigError, TuiGptError
from tui_gpt.core.guards import Verdict, find_guard, judge
from tui_gpt.core.messages import Generate, Generated, ModelRef
from tui_gpt.core.runs.store import RunStore
from tui_gpt.core.templates import find_template
from tui_gpt.ui.chat.conversation import Conversation
from tui_gpt.ui.chat.prompt import Prompt
from tui_gpt.ui.chat.reply_writer import write_reply
from tui_gpt.ui.chat.transcript import Transcript, facts_of
from tui_gpt.ui.chat.writing import Writing
from tui_gpt.ui.session_client import Session

_SCREEN_UPDATES = 25
"""Per second, at most, while a model writes."""
_WELCOME_TO_ASK = """\
This model has learned from conversations. Ask it something and press Enter; it answers, and stops by itself.

It remembers as many of the latest messages as its context holds."""
_WELCOME = """\
A model continues what stands here. Type how a text begins and press Enter; an empty prompt lets it go on.

These models have learned from texts, not from conversations: begin a story, and it tells one."""


class Talk(Vertical):
    """A conversation on the screen. One reply is written at a time; whatever else is asked for ends it first."""

    DEFAULT_CSS = """
    Talk { width: 1fr; height: 1fr; }
    Talk > Prompt { margin: 0 1; }
    """

    class Changed(Message):
        """There are other turns, or a reply begins or ends: other keys make sense."""

    class Problem(Message):
        """Something went wrong."""

        def __init__(self, sentence: str) -> None:
            super().__init__()
            self.sentence = sentence

    def __init__(self, session: Session, store: RunStore, history: ChatHistory, newline_key: str) -> None:
        self.conversation = Conversation(history, self._say_problem)
        self.transcript = Transcript(_WELCOME)
        self.prompt = Prompt(newline_key)
        self.template: str | None = None
        """The one that prompts may come from: of its own text, a guard sees nothing."""
        self.continues = False
        """Whether a model that answers is to continue the text instead."""
        self.system = ""
        """What a model that answers reads before everything."""
        self.precision: WritingPrecision = "float32"
        """What weights are kept in while text is written."""
        self._session, self._store = session, store
        self._written: Writing | None = None
        self._writer: Worker[None] | None = None
        self._updates: Timer | None = None
        self._choices: range | None = None
        self._marked = 0
        super().__init__()

    def compose(self) -> ComposeResult:
        """The text above, the prompt below."""
        yield self.transcript
        yield self.prompt

    def on_mount(self) -> None:
        """What a model writes is shown a few times a second, however fast it comes."""
        self._updates = self.set_interval(1 / _SCREEN_UPDATES, self._show_written, pause=True)

    @property
    def writing(self) -> bool:
        """Whether a reply is being written, or waited for."""
        return self._writer is not None and not self._writer.is_finished

    @property
    def choosing(self) -> bool:
        """Whether there are alternatives to choose from."""
        return self._choices is not None

    # ---- turns

    async def say(self, text: str, model: ModelRef, settings: SampleConfig, guard: str | None = None) -> None:
        """Add a text, and let the model go on, if the guard of that name does. Empty: it goes on from what is there."""
        await self.stop()
        await self.settle()
        turn = self.conversation.say(text, model)
        await self.transcript.add(turn)
        self._begin(model, settings, guard)

    async def again(self, model: ModelRef, settings: SampleConfig, guard: str | None = None) -> None:
        """Another reply to the last prompt; the earlier ones stay to be chosen. A given seed counts on.

        The guard is asked again.
        """
        await self.stop()
        if self.conversation.turns:
            self._forget_choices()
            self._begin(model, settings, guard)

    async def take_back(self) -> str:
        """Take the last turn away; returns what was said in it."""
        await self.stop()
        self._forget_choices()
        turn = self.conversation.undo()
        if turn is not None:
            await self.transcript.drop_last()
        self.post_message(self.Changed())
        return turn.said if turn is not None else ""

    async def put_back(self) -> None:
        """Bring back what was taken away last."""
        await self.stop()
        await self.settle()
        if (turn := self.conversation.redo()) is not None:
            await self.transcript.add(turn)
        self.post_message(self.Changed())

    async def open(self, kept: Kept | None) -> None:
        """Go on with an earlier conversation; None: begin a new one."""
        await self.stop()
        self._forget_choices()
        if kept is None:
            self.conversation.clear()
        else:
            self.conversation.open(kept)
        await self.transcript.show(self.conversation.turns)
        self.post_message(self.Changed())

    async def stop(self) -> None:
        """End the reply that is written; what there is of it stays."""
        writer = self._writer
        if writer is not None and not writer.is_finished:
            writer.cancel()
            with suppress(WorkerCancelled, WorkerFailed):
                await writer.wait()

    def give_back(self, text: str) -> None:
        """Put a text that was not answered into the prompt again, unless another one stands there."""
        if text and not self.prompt.text:
            self.prompt.replace_text(text)

    # ---- a reply

    def _begin(self, model: ModelRef, settings: SampleConfig, guard: str | None) -> None:
        self._writer = self.run_worker(self._reply(model, self.conversation.seeded(settings), guard), group="reply")
        self.post_message(self.Changed())

    async def _reply(self, model: ModelRef, settings: SampleConfig, guard: str | None) -> None:
        view = self.transcript.last
        assert view is not None
        assert self._updates is not None
        writing = self._written = Writing(settings.n_samples)
        await view.show_empty(settings.n_samples)
        self.transcript.anchor()
        self._updates.resume()
        tell = view.replies[0].show_facts
        try:
            writing.verdict = await self._judged(guard)
            if writing.verdict is not None and not writing.verdict.accepted:
                await self._refuse(writing.verdict)
                return
            generated = await write_reply(self._session, self._store, self._request(model, settings), writing, tell)
        except asyncio.CancelledError:
            await self._end(writing, "stopped")
            raise
        except TuiGptError as error:
            self._say_problem(str(error))
            await self._end(writing, "broken")
        else:
            await self._end(writing, generated)

    def _request(self, model: ModelRef, settings: SampleConfig) -> Generate:
        """What is asked of the session; whether the model answers or continues is known where the model is."""
        # A template is a text to continue, whatever the model has learned.
        continues = self.continues or self.template is not None
        messages = [] if continues else self.conversation.messages(self.system)
        prompt, precision = self.conversation.prompt, self.precision
        return Generate(model=model, prompt=prompt, messages=messages, settings=settings, precision=precision)

    def show_way(self, *, asks: bool) -> None:
        """Say whether what is sent is answered or continued."""
        self.prompt.asks = asks
        self.transcript.welcome(_WELCOME_TO_ASK if asks else _WELCOME)

    async def _judged(self, guard: str | None) -> Verdict | None:
        """What the guard makes of the last prompt; None without one, or where nothing was said. Raises TuiGptError."""
        turn = self.conversation.last
        if guard is None or turn is None or not turn.said:
            return None
        # A file may have changed since, and a plug-in may take its time.
        return await asyncio.to_thread(lambda: judge(find_guard(guard), self._filled_in(turn.said)))

    def _filled_in(self, said: str) -> str:
        """What of a prompt a person wrote, where the rest is a template's; all of it where that is gone or broken."""
        try:
            return find_template(self.template).said_in(said) if self.template is not None else said
        except ConfigError:
            return said

    async def _refuse(self, verdict: Verdict) -> None:
        """The guard's answer in the model's place."""
        self.conversation.answered([refusal_reply(verdict)])
        if self._updates is not None:
            self._updates.pause()
        self._written = None
        view = self.transcript.last if self.is_running else None
        if view is not None:
            await view.show_chosen()
        self.post_message(self.Changed())

    def _show_written(self) -> None:
        view, writing = self.transcript.last, self._written
        if writing is not None and view is not None:
            for sample, text in writing.take():
                view.replies[sample].body.grow(text)

    async def _end(self, writing: Writing, end: Generated | str) -> None:
        """However it ended, what was written stays. Where nothing was, the prompt comes back."""
        if isinstance(end, Generated):
            replies = writing.replies(end.reasons, end)
        else:
            replies = writing.replies(end) if writing.anything else []
        turn = self.conversation.last
        assert turn is not None
        before = len(turn.replies)
        self.conversation.answered(replies)
        view = self.transcript.last if self.is_running else None
        if view is None or self._updates is None:
            return
        self._updates.pause()
        writing.flush()
        self._show_written()
        self._written = None
        if replies:
            for number, (reply, shown) in enumerate(zip(replies, view.replies, strict=True), start=before):
                shown.show_facts(facts_of(reply, number, len(turn.replies)))
                shown.show_verdict(reply, len(turn.replies))
            if len(replies) > 1:
                self._choices, self._marked = range(before, before + len(replies)), 0
                self.prompt.alternatives = len(replies)
        elif turn.replies:
            await view.show_chosen()
        else:
            self.conversation.undo()
            self.conversation.forget_undone()
            await self.transcript.drop_last()
            self.give_back(turn.said)
        self.post_message(self.Changed())

    # ---- alternatives

    async def settle(self) -> None:
        """Go on from the alternative that is marked, if there are any."""
        if self._choices is not None:
            self.conversation.choose(self._choices[self._marked])
            self._forget_choices()
            if (view := self.transcript.last) is not None:
                await view.show_chosen()
            self.transcript.anchor()

    def _forget_choices(self) -> None:
        if self._choices is not None:
            self._choices = None
            self.prompt.alternatives = 0
            self.post_message(self.Changed())

    async def pick(self, number: int | None = None) -> None:
        """Go on from that alternative (0 is the first), or from the one that is marked."""
        if self._choices is not None and (number is None or number < len(self._choices)):
            self._marked = self._marked if number is None else number
            await self.settle()
            self.prompt.focus()

    def mark(self, by: int) -> None:
        """Mark the next alternative, or the one before."""
        view = self.transcript.last
        if self._choices is not None and view is not None:
            self._marked = (self._marked + by) % len(self._choices)
            view.mark(self._marked)
            self.transcript.scroll_to_widget(view.replies[self._marked], animate=False)

    async def other(self, by: int) -> None:
        """Go on from another one of all replies to the last prompt."""
        turn, view = self.conversation.last, self.transcript.last
        if turn is not None and view is not None and len(turn.replies) > 1 and not self.writing:
            self._forget_choices()
            self.conversation.choose((turn.chosen + by) % len(turn.replies))
            await view.show_chosen()

    @on(Prompt.Picked)
    async def _picked(self, event: Prompt.Picked) -> None:
        event.stop()
        await self.pick(event.number)

    @on(Prompt.Moved)
    def _moved(self, event: Prompt.Moved) -> None:
        event.stop()
        self.mark(event.by)

    def _say_problem(self, sentence: str) -> None:
        self.post_message(self.Problem(sentence))
