"""What is chosen before a prompt is sent: who answers, who decides what is asked, a template, and which way to talk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from textual import on, work

from tui_gpt.core.chat_history import ChatHistory
from tui_gpt.core.errors import ConfigError, TuiGptError
from tui_gpt.core.guards import list_guards
from tui_gpt.core.messages import ModelRef
from tui_gpt.core.safe_text import safe_text
from tui_gpt.ui.chat.model_line import ModelLine
from tui_gpt.ui.chat.partners import all_partners, fitting, ref_of
from tui_gpt.ui.chat.picking import PickDialog, Row, among
from tui_gpt.ui.chat.sampling import SamplingPanel, in_words
from tui_gpt.ui.chat.talk import Talk
from tui_gpt.ui.chat.template_choice import choose_template
from tui_gpt.ui.dialogs.ask_text import AskText
from tui_gpt.ui.tabs.tab import TabBody

_LONGEST_NAME = 64
_LONGEST_SYSTEM = 2000
_NO_GUARD = ":none"
"""As a key of the list: no guard can have this name."""


class ChatChoices(TabBody):
    """The Chat tab as far as it lets a person choose; the tab itself is made of it."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        newline_key = safe_text(self.gpt.settings.keys.get("chat.newline", "ctrl+n"), newlines=False)
        self.history = ChatHistory()
        self.talk = Talk(self.gpt.session, self.gpt.store, self.history, newline_key)
        self.sampling = SamplingPanel()
        self.model_line = ModelLine()
        self.guard: str | None = None
        """Who decides whether a model is asked; None: nobody."""

    def choose(self, ref: ModelRef) -> None:
        """Talk to this model from now on."""
        raise NotImplementedError

    def remembered_choices(self) -> dict[str, Any]:
        """What to find again at the next start."""
        return {
            "guard": self.guard,
            "template": self.talk.template,
            "continues": self.talk.continues,
            "system": self.talk.system,
        }

    def recall_choices(self, remembered: dict[str, Any]) -> None:
        """Take them up again."""
        if isinstance(guard := remembered.get("guard"), str) and guard:
            self._set_guard(guard[:_LONGEST_NAME])
        if isinstance(template := remembered.get("template"), str) and template:
            self._set_template(template[:_LONGEST_NAME])
        if isinstance(continues := remembered.get("continues"), bool):
            self.talk.continues = continues
        if isinstance(system := remembered.get("system"), str):
            self.talk.system = system[:_LONGEST_SYSTEM]

    @on(ModelLine.Clicked)
    @work(group="dialog", exclusive=True)
    async def action_choose(self) -> None:
        """ctrl+o: whom to talk to."""
        try:
            partners = await asyncio.to_thread(all_partners, self.gpt.store, self.gpt.models)
        except TuiGptError as error:
            self.gpt.say_problem(str(error))
            return

        async def find(words: str) -> Sequence[Row]:
            return fitting(partners, words)

        key = await self.gpt.push_screen_wait(
            PickDialog("Talk to", "a part of its name", find, "Nothing fits. A run of any corpus makes a model: F5.")
        )
        if (ref := ref_of(key)) is not None:
            self.choose(ref)

    @work(group="dialog", exclusive=True)
    async def action_guard(self) -> None:
        """ctrl+g: who decides whether a prompt is one for this model."""
        guards = await asyncio.to_thread(list_guards)
        rows = [Row(_NO_GUARD, "none", "the model is asked everything")]
        rows += [
            Row(guard.name, guard.name, f"{guard.title}  {guard.origin.rpartition('/')[2]}", problem=guard.problem)
            for guard in guards
        ]

        key = await self.gpt.push_screen_wait(
            PickDialog(
                "Guard: who decides what the model is asked", "a part of its name", among(rows), "There is none."
            )
        )
        if key is not None:
            self._set_guard(None if key == _NO_GUARD else key)

    def _set_guard(self, name: str | None) -> None:
        self.guard = name
        self.model_line.guard = name or ""

    # ---- what is asked

    @work(group="dialog", exclusive=True)
    async def action_template(self) -> None:
        """alt+t: fill the blanks of a template, for the prompt."""
        above = "It goes on from the text above; ctrl+l before begins a new one." if self.talk.conversation.text else ""
        try:
            choice = await choose_template(self.gpt, self.talk.template, self.talk.prompt.text, above)
        except ConfigError as error:
            self.gpt.say_problem(str(error))
            return
        if choice is None:
            return
        template, filled = choice
        if template is None or filled is None:
            self._drop_template()
            return
        self.talk.prompt.set_aside()
        self.talk.prompt.replace_text(filled.text)
        self.talk.prompt.focus()
        self.sampling.take_given(template.name, template.sample)
        self._set_template(template.name)
        if settings := template.settings_in_words():
            key = self.gpt.settings.keys.get("chat.template", "alt+t")
            self.gpt.say(f"{settings}: from the template {template.name}; {key}, none takes that back")

    def _drop_template(self) -> None:
        """The settings are as they were before the template; the prompt stays as it stands."""
        name, fields = self.talk.template, self.sampling.give_back()
        self._set_template(None)
        if fields:
            self.gpt.say(f"{in_words(fields)} as before the template {name}")

    def _set_template(self, name: str | None) -> None:
        self.talk.template = name
        self.model_line.template = name or ""
        self.show_way()

    def action_continue(self) -> None:
        """alt+c: a model that answers continues the text instead, and back."""
        loaded = self.model_line.loaded
        if loaded is None or not loaded.speaks_turns:
            self.gpt.say_problem(
                "this model has learned from texts, so it continues them; alt+c is for one that answers"
            )
            return
        self.talk.continues = not self.talk.continues
        self.show_way()
        self.gpt.say("the model continues the text" if self.talk.continues else "the model answers")

    def show_way(self) -> None:
        """Say whether what is sent is answered or continued."""
        loaded = self.model_line.loaded
        able = loaded is not None and loaded.speaks_turns
        asks = able and not self.talk.continues and self.talk.template is None
        self.talk.show_way(asks=asks)
        self.model_line.asks = asks
        self.model_line.system = bool(self.talk.system.strip())

    @work(group="dialog", exclusive=True)
    async def action_system(self) -> None:
        """alt+s: what a model that answers reads before everything."""
        loaded = self.model_line.loaded
        if loaded is None or not loaded.speaks_turns:
            self.gpt.say_problem("this model has learned from texts and reads no instructions; begin a text instead")
            return
        system = await self.gpt.push_screen_wait(
            AskText(
                "What it reads first",
                "A model that answers reads this before every conversation, e.g. who it is. Empty: nothing.",
                self.talk.system,
            )
        )
        if system is not None:
            self.talk.system = system[:_LONGEST_SYSTEM]
            self.show_way()
