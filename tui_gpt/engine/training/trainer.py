"""The training loop: step, report, evaluate, obey, save. What a person asks for happens between two steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import msgspec

from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.runs.checkpoints import publish_checkpoint, rotate
from tui_gpt.core.runs.commands import Command, CommandQueue
from tui_gpt.core.runs.metrics import MetricsWriter, Value
from tui_gpt.core.runs.store import Run
from tui_gpt.engine.generation.evaluation import evaluate_tokens
from tui_gpt.engine.text.prepare import PreparedCorpus
from tui_gpt.engine.training.distributed import Ranks
from tui_gpt.engine.training.keeping import Keeper
from tui_gpt.engine.training.learner import Learner
from tui_gpt.engine.training.milestones import EvaluationPlan
from tui_gpt.engine.training.reporting import Reporter, say
from tui_gpt.engine.training.run_clock import RunClock, Throughput
from tui_gpt.engine.training.samples import sample_text
from tui_gpt.engine.training.schedules import learning_rate_factor
from tui_gpt.engine.training.state import Counters

Ending = Literal["finished", "stopped", "failed", "interrupted"]
_PAUSED_POLL_SECONDS = 0.05
_GO_ON, _END, _HOLD = 0.0, 1.0, 2.0
"""What the first rank tells the others before each step."""
_EVALUATION_SHARE = 10


@dataclass
class Interruption:
    """Set by a signal handler; obeyed between two steps."""

    signum: int = 0


@dataclass(frozen=True)
class Outcome:
    """How the loop ended, and why, in a sentence where there is something to say."""

    ending: Ending
    message: str = ""


class _BrokenOff(Exception):  # noqa: N818 - a message, not an error
    """The final evaluation was told to end."""


class Trainer:
    """One run's loop in one process. Under torchrun the first rank decides, and the others follow it step by step."""

    def __init__(
        self,
        run: Run,
        learner: Learner,
        corpus: PreparedCorpus,
        counters: Counters,
        reporter: Reporter,
        interruption: Interruption,
        *,
        total_steps: int | None,
    ) -> None:
        self.run, self.learner, self.corpus = run, learner, corpus
        self.config = learner.config
        self.train = learner.config.train
        self.ranks: Ranks = learner.ranks
        self.counters = counters
        self.reporter = reporter
        self.interruption = interruption
        self.total_steps = total_steps
        self.clock = RunClock(counters.elapsed_seconds)
        self.throughput = Throughput()
        self.plan = EvaluationPlan(self.train, counters.evaluations)
        self.keeper = Keeper(run, learner, corpus)
        self.tokens_per_step = self.train.batch_size * self.config.model.n_positions
        self.metrics: MetricsWriter | None = None
        self.queue: CommandQueue | None = None
        self._paused = False
        self._steps_while_paused = 0
        self._stop_asked = False
        self._last_saved_at = time.monotonic()
        self._saved_step: int | None = counters.step or None
        self._evaluated_at = time.monotonic()
        self._evaluation_seconds = 0.0
        # A trainer that ended while it closed an early-stopped run leaves it to the next one.
        self._stopped_early = self._out_of_patience()

    # ---- the loop

    def loop(self) -> Outcome:
        """Train until the run is done, is stopped, or cannot go on."""
        if self.ranks.leads:
            self.metrics = MetricsWriter(self.run.folder, self.counters.step, {"elapsed": self.clock.elapsed})
            self.queue = CommandQueue(self.run.folder)
            self.queue.expire_pending("the trainer that it was meant for had ended; send it again")
        self.clock.start()
        self.reporter.update(state="running", activity="compiling" if self.learner.execution.compile else "")
        try:
            return self._steps()
        finally:
            self.clock.stop()
            if self.metrics is not None:
                self.metrics.close()

    def _steps(self) -> Outcome:
        while True:
            if self.ranks.leads:
                self._obey()
            end, progress, scale = self._agree()
            if end:
                return self._finish() if self.ranks.leads else Outcome("stopped")
            started = time.perf_counter()
            step = self.counters.step
            factor = scale * learning_rate_factor(self.train, step, progress)
            result = self.learner.train_step(step, factor)
            if not result.applied:
                return self._fail(step, result.loss, result.grad_norm)
            self._count(step + 1, result.loss)
            if self.ranks.leads:
                self.throughput.add(self.tokens_per_step, time.perf_counter() - started)
                self._report_step(result.loss, result.grad_norm, factor)
                self._between_steps()

    def _agree(self) -> tuple[bool, float, float]:
        """(whether to end, progress, learning-rate scale): the first rank's, on every rank."""
        verdict, progress, scale = self._share(_END if self.ranks.leads and self._ends() else _GO_ON)
        while verdict == _HOLD:
            verdict, progress, scale = self._share(verdict)
        return verdict == _END, progress, scale

    def _share(self, verdict: float) -> tuple[float, float, float]:
        shared = self.ranks.agree([verdict, self.progress, self.counters.lr_scale], self.learner.execution.device)
        return shared[0], shared[1], shared[2]

    @property
    def progress(self) -> float:
        """How far the run has come, 0 to 1: by steps, or by the clock."""
        if self.total_steps is not None:
            return min(1.0, self.counters.step / self.total_steps)
        assert self.train.max_minutes is not None
        return min(1.0, self.clock.elapsed / (60.0 * self.train.max_minutes))

    def _ends(self) -> bool:
        return bool(self.interruption.signum or self._stop_asked or self._stopped_early or self.progress >= 1.0)

    def _count(self, step: int, loss: float) -> None:
        # The smoothed loss follows within about twenty steps.
        old = self.counters.train_loss
        smoothed = loss if old is None else old + 0.05 * (loss - old)
        self.counters = msgspec.structs.replace(
            self.counters,
            step=step,
            tokens_seen=self.counters.tokens_seen + self.tokens_per_step,
            train_loss=smoothed,
        )

    def _between_steps(self) -> None:
        if self.learner.compile_failure:
            self.reporter.warn(
                f"torch.compile failed, and training goes on without it ({self.learner.compile_failure})"
            )
            self.learner.compile_failure = ""
        affordable = self.progress < 1.0 and self._evaluation_is_affordable()
        if affordable and self.plan.due(self.counters.step, self.progress):
            started = time.monotonic()
            self._evaluate()
            self._evaluated_at = time.monotonic()
            self._evaluation_seconds = self._evaluated_at - started
        step = self.counters.step
        if self.train.checkpoint_interval and step % self.train.checkpoint_interval == 0:
            self._checkpoint({"last", "kept"})
        elif 0.0 < 60.0 * self.train.checkpoint_minutes <= time.monotonic() - self._last_saved_at:
            self._checkpoint({"last"})

    def _evaluation_is_affordable(self) -> bool:
        """In a run against the clock, a due evaluation waits until the last one's cost is a tenth of the time since.

        Other runs evaluate at the same steps on every machine, for their metrics are to be exact.
        """
        if self.total_steps is not None or self.train.eval_interval:
            return True
        return time.monotonic() - self._evaluated_at >= _EVALUATION_SHARE * self._evaluation_seconds

    # ---- telling

    def _write(self, kind: Literal["train", "eval", "sample", "mark", "end"], **values: Value) -> None:
        assert self.metrics is not None
        try:
            self.metrics.write(kind, self.counters.step, values)
        except TuiGptError as error:
            # A full disk costs points on a curve, not the training.
            self.reporter.warn(str(error))

    def _sync_metrics(self) -> None:
        assert self.metrics is not None
        try:
            self.metrics.sync()
        except TuiGptError as error:
            self.reporter.warn(str(error))

    def mark(self, event: str, **values: Value) -> None:
        """A note on the curve: what a person or the trainer did at this step."""
        say(f"step {self.counters.step}: {event}")
        self._write("mark", event=event, **values)

    def _report_step(self, loss: float, grad_norm: float, factor: float) -> None:
        learning_rate = self.train.learning_rate * factor
        speed = self.throughput.tokens_per_second
        self._write(
            "train",
            loss=loss,
            learning_rate=learning_rate,
            grad_norm=grad_norm,
            tokens=self.counters.tokens_seen,
            elapsed=round(self.clock.elapsed, 3),
            tokens_per_second=round(speed, 1) if speed else None,
        )
        self.reporter.update(
            step=self.counters.step,
            progress=self.progress,
            train_loss=self.counters.train_loss,
            learning_rate=learning_rate,
            tokens_per_second=speed,
            elapsed_seconds=self.clock.elapsed,
            remaining_seconds=self._remaining(),
            activity="",
        )

    def _remaining(self) -> float | None:
        if self.total_steps is None:
            return max(0.0, 60.0 * (self.train.max_minutes or 0.0) - self.clock.elapsed)
        if not self.counters.step:
            return None
        return (self.total_steps - self.counters.step) * self.clock.elapsed / self.counters.step

    # ---- evaluating

    def _evaluate(self) -> None:
        """Validation loss of the weights as they are, and a sample; on a new best, a checkpoint."""
        self.reporter.update(activity="evaluating")
        with self.learner.evaluation_network() as network:
            result = evaluate_tokens(network, self.corpus.validation.tokens, max_tokens=self.train.eval_tokens)
            sample = sample_text(network, self.corpus, self.config)
        # A loss that is not a number would be a best that none can beat.
        best = math.isfinite(result.loss) and (
            self.counters.best_val_loss is None or result.loss < self.counters.best_val_loss
        )
        self.counters = msgspec.structs.replace(
            self.counters,
            best_val_loss=result.loss if best else self.counters.best_val_loss,
            best_step=self.counters.step if best else self.counters.best_step,
            evaluations_without_best=0 if best else self.counters.evaluations_without_best + 1,
        )
        self._report_evaluation(result.loss, result.n_tokens, best=best)
        if sample is not None:
            self._write("sample", text=sample.text, prompt=sample.prompt, seed=sample.seed)
        self._stopped_early = self._out_of_patience()
        if best:
            self._checkpoint({"best", "last"})

    def _out_of_patience(self) -> str:
        """Why the run is to end before its time, or an empty string."""
        patience = self.train.early_stopping_patience
        if not patience or self.counters.evaluations_without_best < patience:
            return ""
        return f"no better validation loss in {patience} evaluations"

    def _report_evaluation(self, loss: float, n_tokens: int, *, best: bool, whole: bool = False) -> None:
        self.counters = msgspec.structs.replace(self.counters, val_loss=loss)
        self._write(
            "eval",
            val_loss=loss,
            bits_per_byte=self.keeper.bits_per_byte(loss),
            tokens=n_tokens,
            whole=whole,
            best=best,
            elapsed=round(self.clock.elapsed, 3),
        )
        train_loss = math.nan if self.counters.train_loss is None else self.counters.train_loss
        say(
            f"step {self.counters.step}  train loss {train_loss:.4f}  validation loss {loss:.4f}"
            f"{' over all of it' if whole else ''}{' (best)' if best else ''}  {self.clock.elapsed:.0f} s"
        )
        self.reporter.update(
            val_loss=loss,
            best_val_loss=self.counters.best_val_loss,
            best_step=self.counters.best_step,
            activity="",
        )

    # ---- saving

    def _checkpoint(self, tags: set[Literal["best", "last", "kept"]]) -> bool:
        """Save the exact state; on failure say so, keep training, and try again at the next occasion."""
        self.reporter.update(activity="saving")
        step = self.counters.step
        self.counters = msgspec.structs.replace(
            self.counters, elapsed_seconds=self.clock.elapsed, evaluations=self.plan.passed
        )
        try:
            publish_checkpoint(
                self.run.folder, step, lambda folder: self.keeper.write_checkpoint(folder, self.counters), tags=tags
            )
            if self.metrics is not None:
                self.metrics.sync()
            rotate(self.run.folder, 0)
        except TuiGptError as error:
            self.reporter.warn(str(error))
            return False
        finally:
            self._last_saved_at = time.monotonic()
            self.reporter.update(activity="")
        self._saved_step = step
        self.reporter.update(last_checkpoint=step)
        return True

    # ---- obeying

    def _obey(self) -> None:
        """Carry out what was asked since the last step; while paused, wait here for more."""
        while True:
            assert self.queue is not None
            for command in self.queue.poll():
                self._carry_out(command)
            if not self._paused or self._steps_while_paused or self._stop_asked or self.interruption.signum:
                break
            self.clock.stop()  # it ran again if single steps were made
            if self.reporter.status.state != "paused":
                self.reporter.update(state="paused")
            time.sleep(_PAUSED_POLL_SECONDS)
            # So that the other ranks' waiting never runs into its time-out, however long the pause.
            self._share(_HOLD)
        if self._steps_while_paused:
            self._steps_while_paused -= 1
        self.clock.start()
        if self.reporter.status.state == "paused" and not self._paused:
            self.reporter.update(state="running")

    def _carry_out(self, command: Command) -> None:
        assert self.queue is not None
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
            self._acknowledge(command, "refused", str(error))
        else:
            self._acknowledge(command, "done", message)

    def _acknowledge(self, command: Command, outcome: Literal["done", "refused"], message: str) -> None:
        assert self.queue is not None
        try:
            self.queue.acknowledge(command, outcome, message, step=self.counters.step)
        except TuiGptError as error:
            # A full disk costs an answer, not the training.
            self.reporter.warn(str(error))

    def _pause(self, _: Command) -> str:
        self._steps_while_paused = 0
        if self._paused:
            return f"was paused already, at step {self.counters.step}"
        self._paused = True
        self.mark("paused")
        if self.counters.step:
            self._checkpoint({"last"})
        return f"paused at step {self.counters.step}"

    def _resume(self, _: Command) -> str:
        if not self._paused:
            return "was running already"
        self._paused = False
        self._steps_while_paused = 0
        self.mark("resumed")
        return f"goes on from step {self.counters.step}"

    def _single_step(self, command: Command) -> str:
        count = command.arguments.get("count") or 1
        assert isinstance(count, int)
        if not self._paused:
            return "is running, so it makes steps anyway"
        self._steps_while_paused += count
        return f"makes {count} step{'s' if count > 1 else ''} from step {self.counters.step}"

    def _stop(self, _: Command) -> str:
        self._stop_asked = True
        return f"stops at step {self.counters.step}"

    def _save(self, command: Command) -> str:
        name = command.arguments.get("name")
        if name is None:
            if not self._checkpoint({"last", "kept"}):
                raise TuiGptError(self.reporter.status.warnings[-1])
            return f"checkpoint of step {self.counters.step} is kept"
        assert isinstance(name, str)
        self.reporter.update(activity="saving")
        try:
            entry = self.keeper.publish(
                name, msgspec.structs.replace(self.counters, elapsed_seconds=self.clock.elapsed)
            )
        finally:
            self.reporter.update(activity="")
        self.mark(f"saved as model {entry.name}", model=entry.name)
        return f"saved as model {entry.name} at step {self.counters.step}"

    def _set_learning_rate(self, command: Command) -> str:
        factor, value = command.arguments.get("factor"), command.arguments.get("value")
        if isinstance(value, int | float):
            if not self.train.learning_rate:
                raise TuiGptError(
                    "the run's learning rate is 0, which no factor changes; fork the run with another one"
                )
            scale = float(value) / self.train.learning_rate
        else:
            assert isinstance(factor, int | float)
            scale = self.counters.lr_scale * float(factor)
        self.counters = msgspec.structs.replace(self.counters, lr_scale=scale)
        peak = self.train.learning_rate * scale
        self.mark(f"peak learning rate set to {peak:g}", lr_scale=scale)
        # What a person did must not be lost with a kill, and no earlier checkpoint knows of it. One of this very step
        # is not written anew: the mark, which a resumed trainer reads, completes it.
        self._sync_metrics()
        if self._saved_step != self.counters.step:
            self._checkpoint({"last"})
        return f"peak learning rate is {peak:g} from step {self.counters.step} on"

    # ---- ending

    def _finish(self) -> Outcome:
        """The end in good order: everything saved; of a run that is done, the best model published."""
        self.clock.stop()
        if self._saved_step != self.counters.step:
            self._checkpoint({"last"})
        if self.interruption.signum or self._stop_asked:
            return self._leave()
        self.reporter.update(activity="evaluating", progress=self.progress, remaining_seconds=0.0)
        try:
            self._final_evaluation()
        except _BrokenOff:
            return self._leave()
        published = self._publish_best()
        why = self._stopped_early or "trained to the end"
        self._write("end", reason=why, model=published, elapsed=round(self.clock.elapsed, 3))
        self._sync_metrics()
        return Outcome("finished", why)

    def _leave(self) -> Outcome:
        signalled = bool(self.interruption.signum)
        why = "interrupted by a signal" if signalled else "stopped on request"
        self._write("end", reason=why)
        return Outcome("interrupted" if signalled else "stopped", why)

    def _final_evaluation(self) -> None:
        """Loss over the whole validation text, in float32, of the last weights and of the best ones so far.

        Evaluations on the way read a part of the text, so that their best says where to look, not what is best.
        """
        last, best = self.counters.step, self.counters.best_step
        loss = self.keeper.whole_loss(last, self._between_batches)
        if loss is None:  # it could not be saved: measure what is in memory
            with self.learner.evaluation_network() as network:
                tokens = self.corpus.validation.tokens
                loss = evaluate_tokens(network, tokens, progress=self._between_batches).loss
        earlier = self.keeper.whole_loss(best, self._between_batches) if best not in (None, last) else None
        last_is_best = earlier is None or loss <= earlier
        self.counters = msgspec.structs.replace(
            self.counters,
            best_val_loss=loss if last_is_best else earlier,
            best_step=last if last_is_best else best,
        )
        self._report_evaluation(loss, self.corpus.validation.n_tokens - 1, best=last_is_best, whole=True)
        if not last_is_best:
            say(f"the weights of step {best} are better: validation loss {earlier:.4f} over all of it")
        elif self._saved_step == last:
            self._checkpoint({"best", "last"})
        with self.learner.evaluation_network() as network:
            sample = sample_text(network, self.corpus, self.config)
        if sample is not None:
            self._write("sample", text=sample.text, prompt=sample.prompt, seed=sample.seed)

    def _between_batches(self, _done: int, _total: int) -> None:
        assert self.queue is not None
        for command in self.queue.poll():
            if command.kind == "stop":
                self._carry_out(command)
            else:
                self._acknowledge(command, "refused", "the run is at its end, and evaluates")
        if self._stop_asked or self.interruption.signum:
            raise _BrokenOff

    def _publish_best(self) -> str | None:
        step, loss = self.counters.best_step, self.counters.best_val_loss
        assert step is not None and loss is not None
        try:
            entry = self.keeper.publish_checkpoint(self.run.name, self.counters, step, loss)
        except TuiGptError as error:
            self.reporter.warn(f"the run is done, but its model could not be put into the library: {error}")
            return None
        say(f"the model is in the library as {entry.name}")
        return entry.name

    def _fail(self, step: int, loss: float, grad_norm: float) -> Outcome:
        """A number that is not finite: the step was not applied.

        Nothing is saved: the same weights would meet the same batch and fail again, while the checkpoint before them is
        early enough for a lower learning rate to help.
        """
        what = f"the loss is {loss}" if not math.isfinite(loss) else f"the gradient norm is {grad_norm}"
        saved = "the beginning" if self._saved_step is None else f"the checkpoint of step {self._saved_step}"
        message = (
            f"at step {step + 1} {what}, so the step was not applied; resume from {saved} and lower the learning rate "
            f"(now {self.train.learning_rate * self.counters.lr_scale:g}) before that step, or begin a new run with a "
            "lower one"
        )
        if self.ranks.leads:
            self.mark(message)
            self._write("end", reason=message)
        return Outcome("failed", message)
