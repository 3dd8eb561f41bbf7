"""The end of a run: everything saved, and of one that is done, the best model measured and put into the library."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import msgspec

from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.runs.metrics import MetricRecord, read_all
from tui_gpt.engine.generation.evaluation import evaluate_corpus
from tui_gpt.engine.training.orders import Orders
from tui_gpt.engine.training.reporting import say

if TYPE_CHECKING:
    from tui_gpt.engine.training.trainer import Trainer

Ending = Literal["finished", "stopped", "failed", "interrupted"]


@dataclass(frozen=True)
class Outcome:
    """How the loop ended, and why, in a sentence where there is something to say."""

    ending: Ending
    message: str = ""


class _BrokenOff(Exception):  # noqa: N818 - a message, not an error
    """The final evaluation was told to end."""


class Closing:
    """Ends the loop of a trainer in good order."""

    def __init__(self, trainer: Trainer, orders: Orders) -> None:
        self._trainer, self._orders = trainer, orders

    def finish(self) -> Outcome:
        """The end in good order: everything saved; of a run that is done, the best model published."""
        self._trainer.clock.stop()
        self._trainer.reporter.update(elapsed_seconds=self._trainer.clock.elapsed)
        problem = ""
        if self._trainer.saved_step != self._trainer.counters.step and not self._trainer.checkpoint({"last"}):
            problem = self._trainer.reporter.status.warnings[-1]
        if self._trainer.interruption.signum or self._orders.stop_asked:
            return self._leave()
        self._trainer.reporter.update(activity="evaluating", progress=self._trainer.progress, remaining_seconds=0.0)
        try:
            self._final_evaluation()
        except _BrokenOff:
            return self._leave()
        if self._trainer.counters.best_step is None:
            return self._lose(problem) if problem else self._diverge()
        published = self._publish_best()
        if published is None and problem:
            return self._lose(problem)
        why = self._trainer.stopped_early or "trained to the end"
        if not self._is_told("end", reason=why, model=published):
            self._trainer.write("end", reason=why, model=published, elapsed=round(self._trainer.clock.elapsed, 3))
        self._trainer.sync_metrics()
        return Outcome("finished", why)

    def _lose(self, problem: str) -> Outcome:
        """The last weights are neither in a checkpoint nor in the library: resuming makes them again."""
        step, saved = self._trainer.counters.step, self._trainer.saved_step
        why = (
            f"trained to the end, but the weights of step {step} could not be saved ({problem}); put that right, and "
            f"`tui-gpt runs resume {self._trainer.run.name}` goes on from "
            f"{'the beginning' if saved is None else f'step {saved}'}"
        )
        self._trainer.write("end", reason=why)
        return Outcome("failed", why)

    def _diverge(self) -> Outcome:
        """The last weights are finite numbers, and what the network makes of them is not: no model for anyone."""
        name = self._trainer.run.name
        why = (
            "trained to the end, but the validation loss of its last weights is not a finite number, so no model was "
            f"put into the library; fork an earlier checkpoint with a lower learning rate (`tui-gpt runs fork {name} "
            "--checkpoint STEP --set train.learning_rate=RATE`), or train anew with one"
        )
        if not self._is_told("end", reason=why):
            self._trainer.write("end", reason=why)
        return Outcome("failed", why)

    def _leave(self) -> Outcome:
        signalled = bool(self._trainer.interruption.signum)
        why = "interrupted by a signal" if signalled else "stopped on request"
        self._trainer.write("end", reason=why)
        return Outcome("interrupted" if signalled else "stopped", why)

    def _final_evaluation(self) -> None:
        """Loss over the whole validation text, in float32, of the last weights and of the best ones so far.

        Evaluations on the way read a part of the text, so that their best says where to look, not what is best.
        """
        last, best = self._trainer.counters.step, self._trainer.counters.best_step
        found = self._trainer.keeper.evaluate_whole(last, self._between_batches)
        if found is None:  # it could not be saved: measure what is in memory
            with self._trainer.learner.evaluation_network() as network:
                found = evaluate_corpus(network, self._trainer.corpus, progress=self._between_batches)
        loss, earlier = found.loss, None
        if best is not None and best != last:
            before = self._trainer.keeper.evaluate_whole(best, self._between_batches)
            earlier = None if before is None else before.loss
        last_is_better = earlier is None or not math.isfinite(earlier) or loss <= earlier
        # Weights that are finite may still give a loss that is not, which is nobody's best.
        last_is_best = last_is_better and math.isfinite(loss)
        self._trainer.counters = msgspec.structs.replace(
            self._trainer.counters,
            best_val_loss=loss if last_is_best else None if last_is_better else earlier,
            best_step=last if last_is_best else None if last_is_better else best,
        )
        if not self._is_told("eval"):
            self._trainer.write_evaluation(found, best=last_is_best, whole=True)
        self._trainer.show_evaluation(found, best=last_is_best, whole=True)
        if not last_is_better:
            say(f"the weights of step {best} are better: validation loss {earlier:.4f} over all of it")
        elif last_is_best and self._trainer.saved_step == last:
            self._trainer.checkpoint({"best", "last"})
        if not self._is_told("sample"):
            with self._trainer.learner.evaluation_network() as network:
                self._trainer.write_sample(network)

    @cached_property
    def _told(self) -> list[MetricRecord]:
        """What a trainer that was killed while it closed this run had written: its final evaluation, and all since."""
        step = self._trainer.counters.step
        if self._trainer.first_step != step:
            return []
        history = read_all(self._trainer.run.folder)
        final = (i for i, r in enumerate(history) if r.kind == "eval" and r.step == step and r.values.get("whole"))
        return history[next(final, len(history)) :]

    def _is_told(self, kind: str, **values: object) -> bool:
        """Whether the metrics have such a record of this ending already."""
        return any(
            record.kind == kind and all(record.values.get(name) == value for name, value in values.items())
            for record in self._told
        )

    def _between_batches(self, _done: int, _total: int) -> None:
        self._orders.obey_only_stop()
        if self._orders.stop_asked or self._trainer.interruption.signum:
            raise _BrokenOff

    def _publish_best(self) -> str | None:
        step, loss = self._trainer.counters.best_step, self._trainer.counters.best_val_loss
        assert step is not None and loss is not None
        try:
            entry = self._trainer.keeper.publish_checkpoint(self._trainer.run.name, self._trainer.counters, step, loss)
        except TuiGptError as error:
            self._trainer.reporter.warn(f"the run is done, but its model could not be put into the library: {error}")
            return None
        say(f"the model is in the library as {entry.name}")
        return entry.name
