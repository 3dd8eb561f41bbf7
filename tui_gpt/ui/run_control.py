"""What the screen does to runs: start, steer, keep, delete. What fails raises a TuiGptError with its sentence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from tui_gpt.core.config import RunConfig
from tui_gpt.core.errors import RunError
from tui_gpt.core.messages import Begin, Begun, Fork, Progress, Publish, Published
from tui_gpt.core.runs.commands import AckReader, Argument, CommandKind
from tui_gpt.core.runs.launch import TrainerProcess, launch_trainer, start_outcome
from tui_gpt.core.runs.standby import StandbyTrainer
from tui_gpt.core.runs.steering import resume_ended
from tui_gpt.core.runs.store import Run, RunStore
from tui_gpt.ui.session_client import Session

_ACK_SECONDS = 60.0
_POLL_SECONDS = 0.05

Report = Callable[[str], None]
"""Told what is being done, in a few words; an empty text when it is over."""


class RunControl:
    """Runs as the app's actions see them. Nothing here blocks the event loop."""

    def __init__(self, store: RunStore, session: Session, report: Report, on_failure: Callable[[str], None]) -> None:
        """`on_failure` gets the last words of a trainer that does not come up after it was started."""
        self.store = store
        self.session = session
        self.report = report
        self._on_failure = on_failure
        self.starting: dict[str, object] = {}
        """Runs whose trainer was started here and has not said anything yet, each with what is its start's own."""
        self._starts: set[asyncio.Task[None]] = set()
        self._standby: StandbyTrainer | None = None

    def stand_by(self) -> None:
        """Have a trainer ready, so that the next run starts without waiting for imports. May block for milliseconds."""
        # One that has died is not replaced: whatever killed it is likely to kill the next.
        if self._standby is None and not self._starts and not self.starting:
            self._standby = StandbyTrainer()

    @property
    def standby_pid(self) -> int | None:
        """The process id of the trainer that waits; None while none does."""
        return self._standby.pid if self._standby is not None and self._standby.alive else None

    def stand_down(self) -> None:
        """Let the waiting trainer go."""
        if self._standby is not None:
            self._standby.dismiss()
        self._standby = None

    async def _start(self, run: Run, start: Callable[..., TrainerProcess], *arguments: Any) -> None:
        """Let `start` start the trainer in a thread, from the one that waits, and see whether it comes up."""
        standby, self._standby = self._standby, None
        mark = self.starting[run.name] = object()
        try:
            self._watch(run, await asyncio.to_thread(start, *arguments, standby=standby), mark)
        except BaseException:
            self._no_longer_starting(run.name, mark)
            raise
        finally:
            if standby is not None:
                standby.dismiss()  # unless it was taken

    async def begin(self, config: RunConfig, name: str | None = None, origin: str | None = None) -> Run:
        """Prepare the corpus, make the run and start its trainer; `origin` is a model to continue from."""
        # Said at once: the session may still be at the same text for Configure.
        self.report("preparing the text")
        try:
            begun = await self.session.request(Begin(id=0, config=config, name=name, origin=origin), self._progress)
            assert isinstance(begun, Begun)
            return await self.launch(begun.run)
        finally:
            self.report("")

    async def fork(
        self, run: str, name: str | None, checkpoint: str | None, changes: Mapping[str, Any] | None = None
    ) -> Run:
        """Make a new run from a checkpoint and start its trainer."""
        self.report(f"forking {run}")
        request = Fork(id=0, run=run, name=name, checkpoint=checkpoint, changes=dict(changes or {}))
        try:
            begun = await self.session.request(request, self._progress)
            assert isinstance(begun, Begun)
            return await self.launch(begun.run)
        finally:
            self.report("")

    async def launch(self, name: str) -> Run:
        """Start the trainer of a new run and return when its process is there."""
        run = self.store.open(name)
        await self._start(run, launch_trainer, run.folder)
        return run

    async def resume(self, name: str, lr_factor: float | None = None) -> str:
        """Go on, with a paused run or with one that has ended; returns what was done."""
        run = self.store.open(name)
        await self._started(name)
        if run.liveness() != "dead":
            if lr_factor is not None:
                await self.command(name, "set_lr", factor=lr_factor)
            return await self.command(name, "resume")
        await self._start(run, resume_ended, run, lr_factor)
        return "goes on from its newest checkpoint"

    async def command(self, run_name: str, kind: CommandKind, /, **arguments: Argument) -> str:
        """Send a command and wait for the trainer's answer, which is returned. Raises RunError with its refusal.

        One for a trainer that was just started here is sent once that can take it.
        """
        run = self.store.open(run_name)
        await self._started(run_name)
        given = {key: value for key, value in arguments.items() if value is not None}
        sent = await asyncio.to_thread(run.send, kind, given, "app")
        reader = AckReader(run.folder)
        deadline = time.monotonic() + _ACK_SECONDS
        while True:
            over = time.monotonic() >= deadline or await asyncio.to_thread(run.liveness) == "dead"
            for ack in reader.poll():
                if ack.id == sent:
                    if ack.outcome != "done":
                        raise RunError(f"{run_name}: {ack.message}")
                    return ack.message
            if over:
                if kind == "stop" and await asyncio.to_thread(run.liveness) == "dead":
                    return "has ended"
                raise RunError(f"the trainer of {run_name} did not answer `{kind}`; its log pane shows what it does")
            await asyncio.sleep(_POLL_SECONDS)

    async def save_model(self, name: str, model: str) -> str:
        """Keep the weights as a model of the library: as they are now, or the best of a run that has ended."""
        run = self.store.open(name)
        if run.liveness() != "dead":
            return await self.command(name, "save", name=model)
        published = await self.session.request(Publish(id=0, run=name, name=model))
        assert isinstance(published, Published)
        return f"saved as model {published.model}"

    async def delete(self, name: str) -> int:
        """Delete a run that has no trainer; returns the bytes freed."""
        return await asyncio.to_thread(self.store.delete, name)

    async def rename(self, name: str, new: str) -> None:
        """Give a run that has no trainer another name."""
        await asyncio.to_thread(self.store.rename, name, new)

    def _progress(self, event: object) -> None:
        if isinstance(event, Progress):
            self.report(f"{event.what} {event.share:.0%}")

    async def _started(self, name: str) -> None:
        """Return once the trainer of a run, if it was started here just now, says something or has died.

        Raises RunError where it does neither for long.
        """
        deadline = time.monotonic() + _ACK_SECONDS
        while name in self.starting:
            if time.monotonic() >= deadline:
                raise RunError(
                    f"the trainer of {name} is starting and does not answer yet; its log pane shows what it does"
                )
            await asyncio.sleep(_POLL_SECONDS)

    def _no_longer_starting(self, name: str, mark: object) -> None:
        # A later start of the same run may have begun before an earlier one was seen to end.
        if self.starting.get(name) is mark:
            del self.starting[name]

    def _watch(self, run: Run, process: TrainerProcess, mark: object) -> None:
        task = asyncio.create_task(self._come_up(run, process, mark), name=f"start of {run.name}")
        self._starts.add(task)
        task.add_done_callback(self._starts.discard)

    async def _come_up(self, run: Run, process: TrainerProcess, mark: object) -> None:
        try:
            while await asyncio.to_thread(start_outcome, run.folder, process) is None:
                if process.has_reported(run.folder):
                    self._no_longer_starting(run.name, mark)
                await asyncio.sleep(_POLL_SECONDS if run.name in self.starting else 4 * _POLL_SECONDS)
        except RunError as error:
            self._on_failure(str(error))
        finally:
            self._no_longer_starting(run.name, mark)
