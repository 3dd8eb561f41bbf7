"""What a person does to runs on the Train tab: each action asks where something would be lost, and tells the end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from textual import events, work
from textual.actions import parse
from textual.binding import Binding
from textual.dom import DOMNode

from tui_gpt.core import figures
from tui_gpt.core.advice import failed_at_a_number
from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.runs.checkpoints import CheckpointInfo
from tui_gpt.core.runs.ownership import signal_trainer
from tui_gpt.core.runs.records import RunRecord
from tui_gpt.core.runs.store import DamagedRun, RunStore, RunSummary
from tui_gpt.ui.dialogs.ask_text import AskText, name_check
from tui_gpt.ui.dialogs.choice import Answer, ChoiceDialog, confirm
from tui_gpt.ui.tabs.tab import TabBody
from tui_gpt.ui.train.fork_dialog import ForkDialog
from tui_gpt.ui.train.possible import refusal

LOWER, RAISE = 0.8, 1.25
_HALF = 0.5


class RunActions(TabBody):
    """The actions; the bindings are with the tab, which says which run is meant."""

    def subject(self, action: str) -> RunSummary | DamagedRun | None:
        """The run that an action means."""
        raise NotImplementedError

    def renamed(self, old: str, new: str) -> None:
        """A run has another name now."""

    def val_losses(self) -> dict[int, float]:
        """Validation loss by step of the run that is shown."""
        raise NotImplementedError

    # ---- what makes sense now

    def key_of(self, action: str) -> str:
        """The key of an action of this tab, as people read it."""
        for binding in self.BINDINGS:
            if isinstance(binding, Binding) and binding.action == action:
                keys = self.gpt.settings.keys.get(binding.id or "", binding.key)
                return self.app.get_key_display(Binding(keys.split(",")[0].strip(), action))
        return action

    def why_not(self, action: str) -> str:
        """Why an action makes no sense now, in a sentence; empty when it does."""
        return refusal(action, self.subject(action), self.key_of)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What makes no sense now is not offered."""
        return not self.why_not(action)

    def on_key(self, event: events.Key) -> None:
        """A key whose action makes no sense now says why."""
        for binding in self._bindings.key_to_bindings.get(event.key, []):
            if why := self.why_not(parse(binding.action)[1]):
                self.gpt.say_problem(why)
                event.stop()
                return

    async def run_action(self, action: str, namespaces: Mapping[str, DOMNode] | None = None) -> None:
        """Chosen in the palette."""
        if why := self.why_not(parse(action)[1]):
            self.gpt.say_problem(why)
        else:
            await super().run_action(action, namespaces)

    def _run(self, action: str) -> RunSummary | None:
        """The run that an action means, where the action makes sense; else it is told why not."""
        run = self.subject(action)
        if why := refusal(action, run, self.key_of):
            self.gpt.say_problem(why)
            return None
        return run if isinstance(run, RunSummary) else None

    # ---- steering

    def _tell(self, name: str, doing: Awaitable[str]) -> None:
        async def told() -> str:
            return f"{name} {await doing}"

        self.gpt.attempt(told())

    def action_pause(self) -> None:
        """Pause with the model kept in memory, or go on."""
        if (run := self._run("pause")) is not None:
            runs = self.gpt.runs
            self._tell(run.name, runs.resume(run.name) if run.state == "paused" else runs.command(run.name, "pause"))

    def action_step(self) -> None:
        """One optimizer step while paused."""
        if (run := self._run("step")) is not None:
            self._tell(run.name, self.gpt.runs.command(run.name, "step"))

    def action_lower_rate(self) -> None:
        """A lower learning rate from the next step on."""
        self._change_rate("lower_rate", LOWER)

    def action_raise_rate(self) -> None:
        """A higher learning rate from the next step on."""
        self._change_rate("raise_rate", RAISE)

    def _change_rate(self, action: str, factor: float) -> None:
        if (run := self._run(action)) is not None:
            self._tell(run.name + ":", self.gpt.runs.command(run.name, "set_lr", factor=factor))

    def action_save(self) -> None:
        """A checkpoint now, kept for good."""
        if (run := self._run("save")) is not None:
            self._tell(run.name + ":", self.gpt.runs.command(run.name, "save"))

    @work(group="ask", exclusive=True)
    async def action_stop(self) -> None:
        """End the trainer with a checkpoint; a question comes first where something would be lost."""
        if (run := self._run("stop")) is None:
            return
        if run.state == "hung":
            if await self._really_kill(run):
                self.gpt.attempt(self._kill(run.name), f"the trainer of {run.name} was ended")
            return
        if run.activity == "evaluating" and run.progress >= 1.0:
            detail = (
                "It evaluates for the last time, and puts its best model into the library then. Stopped now, it does "
                f"so only when it is resumed ({self.key_of('resume')})."
            )
            if await self.gpt.push_screen_wait(confirm(f"{run.name} is almost done", detail, "Stop now")) != "yes":
                return
        self._tell(run.name, self.gpt.runs.command(run.name, "stop"))

    async def _really_kill(self, run: RunSummary) -> bool:
        kept = run.last_checkpoint
        where = "its beginning" if kept is None else f"the checkpoint of step {kept:,}"
        detail = (
            f"It would not hear a command. Ended by force, it loses what came after {where}; it may also only be busy "
            f"with a very long step ({self.key_of('log')} shows its log)."
        )
        title = f"The trainer of {run.name} gives no sign of life"
        return await self.gpt.push_screen_wait(confirm(title, detail, "End it")) == "yes"

    async def _kill(self, name: str) -> None:
        await asyncio.to_thread(signal_trainer, self.gpt.store.root / name, signal.SIGKILL)

    @work(group="ask", exclusive=True)
    async def action_resume(self) -> None:
        """Go on with a run that was paused or has ended."""
        if (run := self._run("resume")) is None:
            return
        factor = None
        if run.state == "failed" and failed_at_a_number(run.error) is not None:
            answer = await self.gpt.push_screen_wait(
                ChoiceDialog(
                    f"{run.name} met a number that is none",
                    "With the same learning rate it would most likely meet it again.",
                    [
                        Answer("half", "Half the learning rate", "primary"),
                        Answer("same", "The same one"),
                        Answer("cancel", "Cancel"),
                    ],
                )
            )
            if answer not in ("half", "same"):
                return
            factor = _HALF if answer == "half" else None
        self._tell(run.name, self.gpt.runs.resume(run.name, factor))

    # ---- keeping house

    @work(group="ask", exclusive=True)
    async def action_fork(self) -> None:
        """A new run from a checkpoint of this one."""
        if (run := self._run("fork")) is None:
            return
        store = self.gpt.store
        try:
            record, checkpoints, name = await asyncio.to_thread(_fork_facts, store, run.name)
        except TuiGptError as error:
            self.gpt.say_problem(str(error))
            return
        if not checkpoints:
            self.gpt.say_problem(f"{run.name} has no checkpoint to fork from; train it for a while first")
            return
        check = name_check("run name", lambda text: os.path.lexists(store.root / text))
        plan = await self.gpt.push_screen_wait(
            ForkDialog(
                run.name, record.config, checkpoints, self.val_losses(), name, check, done=run.state == "finished"
            )
        )
        if plan is not None:
            self.gpt.fork_run(run.name, plan.name, plan.checkpoint, plan.changes)

    @work(group="ask", exclusive=True)
    async def action_rename(self) -> None:
        """Another name for a run without a trainer."""
        run = self.subject("rename")
        if why := self.why_not("rename"):
            self.gpt.say_problem(why)
            return
        assert run is not None
        root = self.gpt.store.root
        check = name_check("run name", lambda text: text != run.name and os.path.lexists(root / text))
        detail = "The models that it made keep their names."
        new = await self.gpt.push_screen_wait(
            AskText(f"Rename {run.name}", detail, run.name, action="Rename", check=check)
        )
        if new and new != run.name:
            self.gpt.attempt(self._rename(run.name, new), f"{run.name} is {new} now")

    async def _rename(self, old: str, new: str) -> None:
        await self.gpt.runs.rename(old, new)
        # Before anybody looks for the old name in vain.
        was_shown = self.gpt.active_run == old
        await asyncio.to_thread(self.gpt.board.refresh)
        self.renamed(old, new)
        if was_shown:
            self.gpt.active_run = new

    @work(group="ask", exclusive=True)
    async def action_delete(self) -> None:
        """Delete a run without a trainer, for good."""
        run = self.subject("delete")
        if why := self.why_not("delete"):
            self.gpt.say_problem(why)
            return
        assert run is not None
        size = await asyncio.to_thread(_size, self.gpt.store.root / run.name)
        checkpoints = f"{size.checkpoints} checkpoint{'' if size.checkpoints == 1 else 's'}"
        detail = (
            f"It frees {figures.memory(size.bytes)}: the curve, the logs and {checkpoints}. "
            "Models in the library stay. There is no way back."
        )
        if await self.gpt.push_screen_wait(confirm(f"Delete {run.name}?", detail, "Delete")) == "yes":
            self.gpt.attempt(self._delete(run.name))

    async def _delete(self, name: str) -> str:
        freed = await self.gpt.runs.delete(name)
        return f"{name} is deleted; {figures.memory(freed)} are free again"

    @work(group="ask", exclusive=True)
    async def action_chat(self) -> None:
        """Talk to this run's newest weights."""
        if (run := self._run("chat")) is None:
            return
        chat: Any = await self.gpt.show_tab("chat")
        chat.choose_run(run.name)


class _Size(NamedTuple):
    bytes: int
    checkpoints: int


def _size(folder: Path) -> _Size:
    """What deleting a run would free; what cannot be looked at counts nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).lstat().st_size
            except OSError:
                continue
    return _Size(total, sum(1 for _ in (folder / "checkpoints").glob("step-*")))


def _fork_facts(store: RunStore, name: str) -> tuple[RunRecord, list[CheckpointInfo], str]:
    run = store.open(name)
    return run.record, run.checkpoints(), store.unique_name(f"{name[:70]}-fork")
