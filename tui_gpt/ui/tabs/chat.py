"""Chat: a text that a person and a model write in turns."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from tui_gpt.core.chat_history import ChatHistoryError
from tui_gpt.core.config import SampleConfig
from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.messages import Event, Load, ModelRef, Progress
from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.chat.choices import ChatChoices
from tui_gpt.ui.chat.conversation import Conversation
from tui_gpt.ui.chat.partners import first_partner, ref_of
from tui_gpt.ui.chat.picking import PickDialog, Row
from tui_gpt.ui.chat.prompt import Prompt
from tui_gpt.ui.chat.reply_writer import first_checkpoint
from tui_gpt.ui.chat.sampling import MOST_SAMPLES
from tui_gpt.ui.chat.talk import Talk
from tui_gpt.ui.dialogs.explanation import Explanation

WIDE = 110
"""Columns from which the sampling controls stand beside the text unasked."""


class ChatTab(ChatChoices):
    """The text, the prompt below it, the model above it, and how text is drawn at the side."""

    DEFAULT_CSS = (Path(__file__).parent / "chat.tcss").read_text(encoding="utf-8")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stop", "Stop", id="chat.stop"),
        Binding("escape", "leave_field", show=False),
        Binding("enter", "go_on", show=False),
        Binding("ctrl+o", "choose", "Model", id="chat.choose"),
        Binding("ctrl+g", "guard", "Guard", id="chat.guard", tooltip="Who decides what the model is asked", show=False),
        Binding(
            "t,alt+t", "template", "Template", id="chat.template", tooltip="A prompt with blanks to fill", show=False
        ),
        Binding("ctrl+t", "sampling", "Sampling", id="chat.sampling"),
        Binding("c,alt+c", "continue", "Answer or continue", id="chat.continue", show=False),
        Binding("s,alt+s", "system", "What it reads first", id="chat.system", show=False),
        Binding("ctrl+r", "regenerate", "Again", id="chat.regenerate", tooltip="Another reply to the last prompt"),
        Binding(
            "ctrl+z", "undo", "Undo", id="chat.undo", tooltip="Take back the last prompt and its reply", show=False
        ),
        Binding("alt+z", "redo", "Redo", id="chat.redo", show=False),
        Binding("ctrl+e", "edit", "Edit last prompt", id="chat.edit", show=False),
        Binding("ctrl+l", "clear", "New conversation", id="chat.clear", show=False),
        Binding("ctrl+f,slash", "search", "Earlier conversations", id="chat.search", show=False),
        Binding("n,alt+n", "samples", "More samples", id="chat.samples", show=False),
        Binding("k,alt+k", "keep_seed", "Keep this seed", id="chat.keep_seed", show=False),
        Binding("y,ctrl+y", "copy_reply", "Copy the reply", id="chat.copy_reply", show=False),
        Binding("Y,alt+y", "copy_all", "Copy the whole text", id="chat.copy_all", show=False),
        Binding("alt+left", "other(-1)", "Reply before", id="chat.reply_before", show=False),
        Binding("alt+right", "other(1)", "Reply after", id="chat.reply_after", show=False),
        Binding("ctrl+n,shift+enter,alt+enter", "newline", "New line", id="chat.newline", show=False),
        *(Binding(str(number), f"pick({number - 1})", show=False) for number in range(1, MOST_SAMPLES + 1)),
        Binding("up", "mark(-1)", show=False),
        Binding("down", "mark(1)", show=False),
    ]

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self.model: ModelRef | None = None
        """Who answers the next prompt."""
        self._visited = False
        self._panel: bool | None = None

    def compose(self) -> ComposeResult:
        """The model, the text and the prompt, the sampling controls."""
        yield self.model_line
        with Horizontal(id="chat-body"):
            yield self.talk
            yield self.sampling

    def on_mount(self) -> None:
        """Earlier prompts go behind the arrow keys."""
        self.run_worker(self._read_prompts(), group="history")

    async def _read_prompts(self) -> None:
        self.prompt.remember_earlier(await asyncio.to_thread(self.history.prompts))
        await asyncio.to_thread(self.history.prune)

    @property
    def conversation(self) -> Conversation:
        """The turns so far."""
        return self.talk.conversation

    @property
    def prompt(self) -> Prompt:
        """Where a person writes."""
        return self.talk.prompt

    # ---- what the app asks of a tab

    def shown(self) -> None:
        """There is somebody to talk to: the run that was started just now, else who it was the last time."""
        if (name := self.gpt.started_run) is not None:
            self.gpt.started_run = None
            self._visited = True
            self.choose_run(name)
        elif not self._visited:
            self._visited = True
            self._load(self.model, choose=True)

    def focus_first(self) -> None:
        """The prompt."""
        self.prompt.focus()

    def board_changed(self) -> None:
        """A run in progress comes further."""
        if self.model is not None and self.model.kind == "run":
            self.model_line.show_run(self.gpt.board.get(self.model.name))

    def remember(self) -> dict[str, Any]:
        """The model, the settings, the conversation and what stands in the prompt."""
        return {
            "model": msgspec.to_builtins(self.model) if self.model else None,
            "sampling": self.sampling.remember(),
            "panel": self._panel,
            **self.remembered_choices(),
            "conversation": self.conversation.id,
            "prompt": self.prompt.text[:20_000],
        }

    def recall(self, remembered: dict[str, Any]) -> None:
        """Take them up again."""
        self.model = ref_of(remembered.get("model"))
        self.sampling.recall(remembered.get("sampling"))
        if isinstance(panel := remembered.get("panel"), bool):
            self._panel = panel
        self.recall_choices(remembered)
        if isinstance(text := remembered.get("prompt"), str) and text:
            self.prompt.replace_text(text)
        if isinstance(number := remembered.get("conversation"), str):
            self._reopen(number)

    def on_resize(self, event: events.Resize) -> None:
        """The controls stand beside the text where there is room, or where they were asked for."""
        wanted = self._panel if self._panel is not None else event.size.width >= WIDE
        self.sampling.set_class(wanted, "-shown")

    def explain(self) -> Explanation | None:
        """What one does here."""
        return self.talk.transcript.explain()

    # ---- who answers

    def choose_model(self, name: str) -> None:
        """Talk to a model of the library, or an example."""
        self.choose(ModelRef(kind="model", name=name))

    def choose_run(self, name: str) -> None:
        """Talk to a run: to its newest checkpoint while it is in progress, else to its best."""
        self.choose(ModelRef(kind="run", name=name))

    def choose(self, ref: ModelRef) -> None:
        """Talk to this model from now on."""
        self._visited = True
        self._load(ref)

    @work(group="model", exclusive=True)
    async def _load(self, ref: ModelRef | None, *, choose: bool = False) -> None:
        await self._read(ref, choose=choose)

    async def _read(self, ref: ModelRef | None, *, choose: bool = False) -> None:
        """Read a model; with `choose`, begin with another one where there is none, or it cannot be read."""
        line = self.model_line
        try:
            if ref is None:
                ref = await asyncio.to_thread(first_partner, self.gpt.store, self.gpt.models)
            self.model, line.ref, line.run, line.loaded, line.problem = ref, ref, None, None, ""
            self.board_changed()
            if ref is None:
                line.problem = "there is no model yet; F5 trains one"
                return
            line.doing = "loading"
            await first_checkpoint(self.gpt.store, ref, self._tell_line)
            loaded = await self.gpt.session.request(Load(model=ref), self._on_loading)
        except TuiGptError as error:
            if choose and ref is not None:
                self._say_problem(str(error))
                await self._read(None)
                return
            line.problem = str(error)
            self._say_problem(str(error))
        else:
            line.loaded = loaded
            self.sampling.take_own(loaded.sample)
            self.show_way()
        finally:
            if self.model is ref:
                line.doing = ""

    def _on_loading(self, event: Event) -> None:
        if isinstance(event, Progress):
            self._tell_line(event.what)

    def _tell_line(self, what: str) -> None:
        self.model_line.doing = what

    # ---- talking

    @on(Prompt.Sent)
    async def _sent(self, event: Prompt.Sent) -> None:
        if self.talk.choosing and not event.text:
            await self.talk.pick()
        elif not event.text and self.prompt.asks:
            self._say_problem("nothing is asked; type something, or alt+c lets this model continue the text")
        elif (asked := self._asked()) is None:
            self.talk.give_back(event.text)
        else:
            await self.talk.say(event.text, *asked)

    def _asked(self) -> tuple[ModelRef, SampleConfig, str | None] | None:
        """Who is to write, how, and which guard is asked first; None where that cannot be, which is said."""
        settings = self.sampling.settings
        if self.model is None:
            self._say_problem("there is no model to talk to yet; choose one, or train one with F5")
        elif settings is None:
            self._say_problem(f"the sampling controls cannot be used: {self.sampling.problem}")
        else:
            self.talk.precision = self.sampling.precision
            return self.model, settings, self.guard
        return None

    @on(Talk.Changed)
    def _changed(self) -> None:
        self.refresh_bindings()

    @on(Talk.Problem)
    def _problem(self, event: Talk.Problem) -> None:
        self._say_problem(event.sentence)

    # ---- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What makes sense now."""
        match action:
            case "stop":
                return self.talk.writing
            case "pick" | "mark":
                return self.talk.choosing
            case "regenerate" | "undo" | "edit" | "copy_reply" | "copy_all" | "keep_seed" | "other":
                return bool(self.conversation.turns) or None
        return super().check_action(action, parameters)

    async def action_stop(self) -> None:
        """escape: enough."""
        await self.talk.stop()

    def action_leave_field(self) -> None:
        """escape, where nothing is written: out of the prompt, so that single keys work; from elsewhere back to it."""
        if self.prompt.has_focus:
            self.talk.transcript.focus()
        else:
            self.prompt.focus()

    async def action_go_on(self) -> None:
        """Enter outside of the prompt: take the marked alternative, or go to the prompt."""
        if self.talk.choosing:
            await self.talk.pick()
        else:
            self.prompt.focus()

    def action_newline(self) -> None:
        """A new line in the prompt, which Enter would send."""
        self.prompt.focus()
        self.prompt.insert("\n")

    async def action_pick(self, number: int) -> None:
        """A digit: go on from that alternative."""
        await self.talk.pick(number)

    def action_mark(self, by: int) -> None:
        """Up and down: mark another alternative, which Enter takes."""
        self.talk.mark(by)

    async def action_other(self, by: int) -> None:
        """alt+left, alt+right: go on from another reply to the last prompt."""
        await self.talk.other(by)

    async def action_regenerate(self) -> None:
        """ctrl+r: another reply to the last prompt, from the next seed."""
        if (asked := self._asked()) is not None:
            await self.talk.again(*asked)

    async def action_undo(self) -> None:
        """ctrl+z: the last prompt and its reply go."""
        await self.talk.take_back()

    async def action_redo(self) -> None:
        """alt+z: what was taken back comes again."""
        await self.talk.put_back()

    async def action_edit(self) -> None:
        """ctrl+e: the last prompt comes back to be written anew."""
        self.prompt.replace_text(await self.talk.take_back())
        self.prompt.focus()

    async def action_clear(self) -> None:
        """ctrl+l: a new conversation. The old one is found again with ctrl+f."""
        await self.talk.open(None)
        self.prompt.focus()

    def action_sampling(self) -> None:
        """ctrl+t: show the sampling controls, or hide them."""
        self._panel = not self.sampling.has_class("-shown")
        self.sampling.set_class(self._panel, "-shown")
        if self._panel:
            self.sampling.focus_first()
        else:
            self.prompt.focus()

    def action_samples(self) -> None:
        """n: one sample, two, four, eight, and again one."""
        now = self.sampling.field("n_samples").value
        number = next((n for n in (2, 4, MOST_SAMPLES) if n > now), 1)
        self.sampling.set_value("n_samples", number)
        self.gpt.say(f"{number} samples of each prompt, to choose from" if number > 1 else "one reply to each prompt")

    def action_keep_seed(self) -> None:
        """k: draw with the last reply's seed from now on."""
        turn = self.conversation.last
        reply = turn.reply if turn else None
        if reply is None or reply.seed is None:
            self._say_problem("no reply has a seed yet that could be kept")
            return
        self.sampling.set_value("seed", reply.seed)
        self.gpt.say(f"seed {reply.seed} is kept; the same prompt and settings give the same text")

    def action_copy_reply(self) -> None:
        """y: the last reply into the clipboard, over SSH too."""
        turn = self.conversation.last
        self._copy(turn.reply.text if turn and turn.reply else "", "the last reply")

    def action_copy_all(self) -> None:
        """Y: the whole text into the clipboard."""
        self._copy(self.conversation.text, "the whole text")

    def _copy(self, text: str, what: str) -> None:
        if not text:
            self._say_problem(f"{what} is empty, so there is nothing to copy")
            return
        # As it is shown: what a model wrote may command the terminal that it is pasted into.
        self.app.copy_to_clipboard(safe_text(text))
        self.gpt.say(f"copied {what}, {len(text):,} characters")

    @work(group="dialog", exclusive=True)
    async def action_search(self) -> None:
        """ctrl+f: earlier conversations, found by any word in them."""

        async def find(words: str) -> Sequence[Row]:
            found = await asyncio.to_thread(self.history.search, words)
            return [
                Row(kept.id, kept.begins or "(no prompt)", f"{kept.at}  {kept.model}", kept.excerpt) for kept in found
            ]

        number = await self.gpt.push_screen_wait(
            PickDialog("Earlier conversations", "words that occur in it", find, "There is none with these words.")
        )
        if number is not None:
            await self._open(number)

    @work(group="open", exclusive=True)
    async def _reopen(self, number: str) -> None:
        await self._open(number, quietly=True)

    async def _open(self, number: str, *, quietly: bool = False) -> None:
        """Go on with a conversation of the history."""
        try:
            kept = await asyncio.to_thread(self.history.read, number)
        except ChatHistoryError as error:
            if not quietly:
                self._say_problem(str(error))
            return
        if not (quietly and self.conversation.turns):
            await self.talk.open(kept)

    def _say_problem(self, sentence: str) -> None:
        self.gpt.say_problem(sentence)
