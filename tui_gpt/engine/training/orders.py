"""What a person asks of a run in progress: carried out between two steps, in order, each with an answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from tui_gpt.core.errors import RunError, TuiGptError
from tui_gpt.core.runs.commands import Command, CommandQueue
from tui_gpt.core.runs.metrics import read_all
from tui_gpt.engine.text.streaming.batches import ArrivingBatches
from tui_gpt.engine.training.publishing import model_saved_since

if TYPE_CHECKING:
    from tui_gpt.engine.training.trainer import Trainer

_PAUSED_POLL_SECONDS = 0.05


def answer_for_the_dead(run_folder: Path, queue: CommandQueue) -> None:
    """Answer what an earlier trainer was asked and did not answer, without carrying it out, once the run goes on.

    What that trainer did may have lasted: then the mark that names the command is part of the run's history, or the
    model that it asked for is in the library.
    """
    history = read_all(run_folder) if queue.inherited else []
    steps = {record.values.get("command"): record.step for record in history if record.kind == "mark"}
    for command in queue.inherited:
        step = steps.get(command.id, _saved_at(run_folder, command))
        # An answer that the disk refuses is given with a later one.
        with suppress(TuiGptError):
            if step is not None:
                told = f"was carried out at step {step}; the trainer ended before it could say so"
                queue.acknowledge(command, "done", told, step=step)
            else:
                told = "the trainer that it was meant for had ended; send it again"
                queue.acknowledge(command, "refused", told)


def _saved_at(run_folder: Path, command: Command) -> int | None:
    name = command.arguments.get("name")
    if command.kind != "save" or not isinstance(name, str):
        return None
    saved = model_saved_since(run_folder, name, command.sent)
    return saved.steps if saved else None


class Orders:
    """Takes commands from the run's folder and carries them out on its trainer; while paused, waits for more."""

    def __init__(self, trainer: Trainer, queue: CommandQueue) -> None:
        self._trainer = trainer
        self._queue = queue
        self._paused = False
        self._steps_while_paused = 0
        self.stop_asked = False

    def obey(self) -> None:
        """Carry out what was asked since the last step; while paused, and until the next step's text is here, wait."""
        while True:
            for command in self._new():
                self.carry_out(command)
            if self.stop_asked or self._trainer.interruption.signum:
                break
            if self._paused and not self._steps_while_paused:
                if self._trainer.reporter.status.state != "paused":
                    self._trainer.reporter.update(state="paused", activity="")
            elif self._text_is_here():
                break
            self._trainer.clock.stop()  # it ran again if single steps were made
            time.sleep(_PAUSED_POLL_SECONDS)
            self._trainer.hold()
        if self._steps_while_paused:
            self._steps_while_paused -= 1
        self._trainer.clock.start()
        if self._trainer.reporter.status.state == "paused" and not self._paused:
            self._trainer.reporter.update(state="running")

    def _text_is_here(self) -> bool:
        """Whether the next step has its text. Raises RunError where that can never come; all is saved then."""
        trainer = self._trainer
        if trainer.arrival is None or trainer.is_over:
            return True
        batches = trainer.learner.batches
        assert isinstance(batches, ArrivingBatches), "nothing else arrives"
        here = trainer.arrival.is_here(batches, trainer.counters.step)
        if trainer.arrival.problem:
            if trainer.counters.step and trainer.saved_step != trainer.counters.step:
                trainer.checkpoint({"last"})
            raise RunError(trainer.arrival.problem)
        if trainer.reporter.status.state == "paused" and not here:
            trainer.reporter.update(state="running")
        return here

    def _new(self) -> list[Command]:
        try:
            commands = self._queue.poll()
        except TuiGptError as error:
            # Nobody to obey is no reason to stop.
            self._trainer.reporter.warn(str(error), about="commands")
            return []
        self._trainer.reporter.withdraw("commands")
        if not self._queue.owes:
            self._trainer.reporter.withdraw("answers")
        return commands

    def carry_out(self, command: Command) -> None:
        """Do what one command asks, and answer it."""
        actions: dict[str, Callable[[Command], str]] = {
            "pause": self._pause,
            "resume": self._resume,
            "step": self._single_step,
            "stop": self._stop,
            "save": self._save,
            "set_lr": self._set_learning_rate,
        }
        try:
            message = actions[command.kind](command)
        except TuiGptError as error:
            self.acknowledge(command, "refused", str(error))
        else:
            self.acknowledge(command, "done", message)

    def acknowledge(self, command: Command, outcome: Literal["done", "refused"], message: str) -> None:
        """Answer a command."""
        try:
            self._queue.acknowledge(command, outcome, message, step=self._trainer.counters.step)
        except TuiGptError as error:
            # A full disk puts an answer off, and does not end the training.
            self._trainer.reporter.warn(str(error), about="answers")

    def _pause(self, _: Command) -> str:
        self._steps_while_paused = 0
        if self._paused:
            return f"was paused already, at step {self._trainer.counters.step}"
        self._paused = True
        self._trainer.mark("paused")
        if self._trainer.counters.step:
            self._trainer.checkpoint({"last"})
        return f"paused at step {self._trainer.counters.step}"

    def _resume(self, _: Command) -> str:
        if not self._paused:
            return "was running already"
        self._paused = False
        self._steps_while_paused = 0
        self._trainer.mark("resumed")
        return f"goes on from step {self._trainer.counters.step}"

    def _single_step(self, command: Command) -> str:
        count = command.arguments.get("count") or 1
        assert isinstance(count, int)
        if not self._paused:
            return "is running, so it makes steps anyway"
        self._steps_while_paused += count
        self._trainer.mark(f"{count} single step{'s' if count > 1 else ''}")
        return f"makes {count} step{'s' if count > 1 else ''} from step {self._trainer.counters.step}"

    def _stop(self, _: Command) -> str:
        if not self.stop_asked:
            self._trainer.mark("stopped")
        self.stop_asked = True
        return f"stops at step {self._trainer.counters.step}"

    def _save(self, command: Command) -> str:
        name = command.arguments.get("name")
        if name is None:
            if not self._trainer.checkpoint({"last", "kept"}):
                raise TuiGptError(self._trainer.reporter.status.warnings[-1])
            self._trainer.mark("checkpoint kept", command=command.id)
            return f"checkpoint of step {self._trainer.counters.step} is kept"
        assert isinstance(name, str)
        self._trainer.reporter.update(activity="saving")
        try:
            entry = self._trainer.keeper.publish(
                name, msgspec.structs.replace(self._trainer.counters, elapsed_seconds=self._trainer.clock.elapsed)
            )
        finally:
            self._trainer.reporter.update(activity="")
        self._trainer.mark(f"saved as model {entry.name}", model=entry.name, command=command.id)
        return f"saved as model {entry.name} at step {self._trainer.counters.step}"

    def _set_learning_rate(self, command: Command) -> str:
        factor, value = command.arguments.get("factor"), command.arguments.get("value")
        if isinstance(value, int | float):
            if not self._trainer.train.learning_rate:
                raise TuiGptError(
                    "the run's learning rate is 0, which no factor changes; fork the run with another one"
                )
            scale = float(value) / self._trainer.train.learning_rate
        else:
            assert isinstance(factor, int | float)
            scale = self._trainer.counters.lr_scale * float(factor)
        peak = self._trainer.scale_learning_rate(scale, command=command.id)
        # What a person did must not be lost with a kill, and no earlier checkpoint knows of it. One of this very step
        # is not written anew: the mark, which a resumed trainer reads, completes it.
        self._trainer.sync_metrics()
        if self._trainer.saved_step != self._trainer.counters.step:
            self._trainer.checkpoint({"last"})
        return f"peak learning rate is {peak:g} from step {self._trainer.counters.step} on"

    def answer_late(self) -> None:
        """After the last step: whoever asked while the run ended learns that it has."""
        for command in self._new():
            if command.kind == "stop":
                self.acknowledge(command, "done", f"has ended at step {self._trainer.counters.step}")
            else:
                self.acknowledge(command, "refused", "the run has ended meanwhile")

    def obey_only_stop(self) -> None:
        """At the end of a run: a wish to stop is granted, everything else comes too late."""
        for command in self._new():
            if command.kind == "stop":
                self.carry_out(command)
            else:
                self.acknowledge(command, "refused", "the run is at its end, and evaluates")
