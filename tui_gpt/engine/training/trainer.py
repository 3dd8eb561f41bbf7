"""The training loop: step, report, evaluate, obey, save. What a person asks for happens between two steps."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Literal

import msgspec

from tui_gpt.core.config import LARGEST_LEARNING_RATE
from tui_gpt.core.errors import ConfigError, TuiGptError
from tui_gpt.core.runs.checkpoints import publish_checkpoint, rotate
from tui_gpt.core.runs.commands import CommandQueue
from tui_gpt.core.runs.metrics import PART_LOSS, MetricsWriter, Value
from tui_gpt.core.runs.store import Run
from tui_gpt.engine.generation.evaluation import Evaluation, evaluate_corpus
from tui_gpt.engine.network import GPT
from tui_gpt.engine.text.prepared import PreparedCorpus
from tui_gpt.engine.training.arrival import Arrival
from tui_gpt.engine.training.closing import Closing, Outcome
from tui_gpt.engine.training.distributed import Ranks
from tui_gpt.engine.training.keeping import Keeper
from tui_gpt.engine.training.learner import Learner
from tui_gpt.engine.training.milestones import EvaluationPlan
from tui_gpt.engine.training.orders import Orders, answer_for_the_dead
from tui_gpt.engine.training.publishing import bits_per_byte
from tui_gpt.engine.training.reporting import MemoryGauge, Reporter, say
from tui_gpt.engine.training.run_clock import RunClock, Throughput
from tui_gpt.engine.training.samples import sample_text
from tui_gpt.engine.training.schedules import learning_rate_factor
from tui_gpt.engine.training.state import Counters

_GO_ON, _END, _HOLD = 0.0, 1.0, 2.0
"""What the first rank tells the others before each step."""
_EVALUATION_SHARE = 10


@dataclass
class Interruption:
    """Set by a signal handler; obeyed between two steps."""

    signum: int = 0


class Trainer:
    """One run's loop in one process. Under torchrun the first rank decides, and the others follow it step by step.

    Only the first one has `commands`.
    """

    arrival: Arrival | None = None
    """Where the text is still on its way, for the first rank, what is known of that."""

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
        commands: CommandQueue | None,
        arrival: Arrival | None = None,
    ) -> None:
        self.run, self.learner, self.corpus = run, learner, corpus
        self.config = learner.config
        self.train = learner.config.train
        self.ranks: Ranks = learner.ranks
        self.counters = counters
        self.first_step = counters.step
        """The step at which this process took the run up."""
        self.reporter = reporter
        self.interruption = interruption
        self.total_steps = total_steps
        self._commands, self.arrival = commands, arrival
        self.lr_factor = 1.0
        """What to multiply the learning rate with before the first step: how a run that failed is taken up again."""
        self.clock = RunClock(counters.elapsed_seconds)
        self.throughput = Throughput()
        self.memory = MemoryGauge(learner.execution.device)
        self.plan = EvaluationPlan(self.train, self._milestones_behind(counters))
        self.keeper = Keeper(run, learner, corpus)
        self.tokens_per_step = self.train.batch_size * self.config.model.n_positions
        self.metrics: MetricsWriter | None = None
        self._orders: Orders | None = None
        self._last_saved_at = time.monotonic()
        self.saved_step: int | None = counters.step or None
        self._evaluated_at = time.monotonic()
        self._evaluation_seconds = 0.0
        # A trainer that ended while it closed an early-stopped run leaves it to the next one.
        self.stopped_early = self._out_of_patience()

    def loop(self) -> Outcome:
        """Train until the run is done, is stopped, or cannot go on."""
        if self._commands is not None:
            self.metrics = MetricsWriter(self.run.folder, self.counters.step, {"elapsed": self.clock.elapsed})
            answer_for_the_dead(self.run.folder, self._commands)
            self._orders = Orders(self, self._commands)
        try:
            if self.ranks.leads and self.lr_factor != 1.0:
                self.scale_learning_rate(self.counters.lr_scale * self.lr_factor)
            self.clock.start()
            self.reporter.update(state="running", activity="compiling" if self.learner.execution.compile else "")
            outcome = self._steps()
            if self._orders is not None:
                self._orders.answer_late()
            return outcome
        finally:
            self.clock.stop()
            if self.metrics is not None:
                self.metrics.close()

    def _steps(self) -> Outcome:
        while True:
            if self._orders is not None:
                self._orders.obey()
            end, progress, scale = self._agree()
            if end:
                return Closing(self, self._orders).finish() if self._orders is not None else Outcome("stopped")
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
        verdict, progress, scale = self._share(_END if self.ranks.leads and self.is_over else _GO_ON)
        while verdict == _HOLD:
            verdict, progress, scale = self._share(verdict)
        return verdict == _END, progress, scale

    def hold(self) -> None:
        """While paused: tell the other ranks to wait on, so that they never run into their time-out."""
        self._share(_HOLD)

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

    @property
    def is_over(self) -> bool:
        """Whether no further step is made."""
        stop_asked = self._orders is not None and self._orders.stop_asked
        return bool(self.interruption.signum or stop_asked or self.stopped_early or self.progress >= 1.0)

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

    def _milestones_behind(self, counters: Counters) -> int:
        """As many as the checkpoint says; in a fork that is longer than its source, as many as its progress has."""
        plan = EvaluationPlan(self.train)
        plan.due(counters.step, self.progress)
        return min(counters.evaluations, plan.passed)

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
            self.checkpoint({"last", "kept"})
        elif 0.0 < 60.0 * self.train.checkpoint_minutes <= time.monotonic() - self._last_saved_at:
            self.checkpoint({"last"})

    def _evaluation_is_affordable(self) -> bool:
        """In a run against the clock, a due evaluation waits until the last one's cost is a tenth of the time since.

        Other runs evaluate at the same steps on every machine, for their metrics are to be exact.
        """
        if self.total_steps is not None or self.train.eval_interval:
            return True
        return time.monotonic() - self._evaluated_at >= _EVALUATION_SHARE * self._evaluation_seconds

    # ---- telling

    def write(self, kind: Literal["train", "eval", "sample", "mark", "end"], **values: Value) -> None:
        """A line of the metrics at this step."""
        assert self.metrics is not None
        try:
            self.metrics.write(kind, self.counters.step, values)
        except TuiGptError as error:
            # A full disk costs points on a curve, not the training.
            self.reporter.warn(str(error), about="metrics")
        else:
            self.reporter.withdraw("metrics")

    def sync_metrics(self) -> None:
        """Bring the metrics to the disk."""
        assert self.metrics is not None
        try:
            self.metrics.sync()
        except TuiGptError as error:
            self.reporter.warn(str(error), about="syncing")
        else:
            self.reporter.withdraw("syncing")

    def mark(self, event: str, **values: Value) -> None:
        """A note on the curve: what a person or the trainer did at this step."""
        say(f"step {self.counters.step}: {event}")
        self.write("mark", event=event, **values)

    def scale_learning_rate(self, scale: float, **about: Value) -> float:
        """Multiply the configured learning rates by `scale` from now on, with a mark; returns AdamW's peak.

        `about` goes into the mark.
        """
        peak = self.train.learning_rate * scale
        if not peak <= LARGEST_LEARNING_RATE:  # nor is a number that is none
            raise ConfigError(
                "train.learning_rate", f"cannot be {peak:g}: {LARGEST_LEARNING_RATE:g} is the most; ask for less"
            )
        self.counters = msgspec.structs.replace(self.counters, lr_scale=scale)
        self.mark(f"peak learning rate set to {peak:g}", lr_scale=scale, **about)
        return peak

    def _report_step(self, loss: float, grad_norm: float, factor: float) -> None:
        learning_rate = self.train.learning_rate * factor
        speed = self.throughput.tokens_per_second
        memory = self.memory.read()
        self.write(
            "train",
            loss=loss,
            learning_rate=learning_rate,
            grad_norm=grad_norm,
            tokens=self.counters.tokens_seen,
            elapsed=round(self.clock.elapsed, 3),
            tokens_per_second=round(speed, 1) if speed else None,
            memory=memory,
        )
        self.reporter.update(
            step=self.counters.step,
            progress=self.progress,
            train_loss=self.counters.train_loss,
            learning_rate=learning_rate,
            tokens_per_second=speed,
            memory_bytes=memory,
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
            result = evaluate_corpus(network, self.corpus, max_tokens=self.train.eval_tokens)
            self._note_loss(result)
            self.write_sample(network)
        self.stopped_early = self._out_of_patience()
        if self.counters.best_step == self.counters.step:
            self.checkpoint({"best", "last"})

    def _note_loss(self, found: Evaluation) -> None:
        loss = found.loss
        # A loss that is not a number would be a best that none can beat.
        best = math.isfinite(loss) and (self.counters.best_val_loss is None or loss < self.counters.best_val_loss)
        self.counters = msgspec.structs.replace(
            self.counters,
            best_val_loss=loss if best else self.counters.best_val_loss,
            best_step=self.counters.step if best else self.counters.best_step,
            evaluations_without_best=0 if best else self.counters.evaluations_without_best + 1,
        )
        self.write_evaluation(found, best=best)
        self.show_evaluation(found, best=best)

    def write_sample(self, network: GPT) -> None:
        """What the network writes now, into the metrics. A sample that cannot be is no reason to stop."""
        try:
            sample = sample_text(network, self.corpus, self.config)
        except TuiGptError as error:
            self.reporter.warn(f"no sample could be written: {error}")
            return
        if sample is not None:
            self.write("sample", text=sample.text, prompt=sample.prompt, seed=sample.seed)

    def _out_of_patience(self) -> str:
        """Why the run is to end before its time, or an empty string."""
        patience = self.train.early_stopping_patience
        if not patience or self.counters.evaluations_without_best < patience:
            return ""
        return f"no better validation loss in {patience} evaluations"

    def write_evaluation(self, found: Evaluation, *, best: bool, whole: bool = False) -> None:
        """An evaluation into the metrics; of a mix with each corpus' own loss, as `val_loss/NAME`."""
        self.write(
            "eval",
            val_loss=found.loss,
            bits_per_byte=bits_per_byte(self.run.record.data, found.loss),
            tokens=found.n_tokens,
            whole=whole,
            best=best,
            elapsed=round(self.clock.elapsed, 3),
            **{f"{PART_LOSS}{name}": loss for name, loss in found.parts.items()},
        )

    def show_evaluation(self, found: Evaluation, *, best: bool, whole: bool = False) -> None:
        """An evaluation into status and log."""
        loss = found.loss
        parts = ", ".join(f"{name} {each:.4f}" for name, each in found.parts.items())
        self.counters = msgspec.structs.replace(self.counters, val_loss=loss)
        train_loss = math.nan if self.counters.train_loss is None else self.counters.train_loss
        say(
            f"step {self.counters.step}  train loss {train_loss:.4f}  validation loss {loss:.4f}"
            f"{f' ({parts})' if parts else ''}"
            f"{' over all of it' if whole else ''}{' (best)' if best else ''}  {self.clock.elapsed:.0f} s"
        )
        self.reporter.update(
            val_loss=loss,
            best_val_loss=self.counters.best_val_loss,
            best_step=self.counters.best_step,
            activity="",
        )

    # ---- saving

    def checkpoint(self, tags: set[Literal["best", "last", "kept"]]) -> bool:
        """Save the exact state; on failure say so, keep training, and try again at the next occasion."""
        self.reporter.update(activity="saving")
        step = self.counters.step
        self.counters = msgspec.structs.replace(
            self.counters, elapsed_seconds=self.clock.elapsed, evaluations=self.plan.passed
        )
        # First the metrics: a checkpoint on the disk must not know of steps that the curve does not.
        self.sync_metrics()
        try:
            publish_checkpoint(
                self.run.folder, step, lambda folder: self.keeper.write_checkpoint(folder, self.counters), tags=tags
            )
        except TuiGptError as error:
            self.reporter.warn(str(error), about="checkpoint")
            return False
        finally:
            self._last_saved_at = time.monotonic()
            self.reporter.update(activity="")
        self.saved_step = step
        self.reporter.update(last_checkpoint=step)
        self.reporter.withdraw("checkpoint")
        try:
            rotate(self.run.folder, 0)
        except TuiGptError as error:
            self.reporter.warn(str(error), about="rotation")
        else:
            self.reporter.withdraw("rotation")
        return True

    def _fail(self, step: int, loss: float, grad_norm: float) -> Outcome:
        """A number that is not finite: the step was not applied.

        Nothing is saved: the same weights would meet the same batch and fail again, while the checkpoint before them is
        early enough for a lower learning rate to help.
        """
        what = f"the loss is {loss}" if not math.isfinite(loss) else f"the gradient norm is {grad_norm}"
        saved = "the beginning" if self.saved_step is None else f"the checkpoint of step {self.saved_step}"
        rate = self.train.learning_rate * self.counters.lr_scale
        message = (
            f"at step {step + 1} {what}, so the step was not applied; resume from {saved} with a lower learning rate "
            f"(now {rate:g}): `tui-gpt runs resume {self.run.name} --lr-factor 0.3`"
        )
        if self.ranks.leads:
            self.mark(message)
            self.write("end", reason=message)
        return Outcome("failed", message)
