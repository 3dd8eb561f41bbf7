"""A trainer without a network and without a process: the real Trainer's ways of writing, and a death at any operation.

It keeps an account (`Account`) of what the run's folder must hold from then on, made of what it was asked to do and not
of what can be read there. Only where it died in the middle of something, the account takes the state that the disk has
of those that are allowed.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
from run_account import Account, marked
from sudden_death import Killed

from tui_gpt.core.errors import ModelError, RunError
from tui_gpt.core.model_handler import ModelEntry, ModelHandler
from tui_gpt.core.runs.checkpoints import Tag, clean_leftovers, read_pointers, verify_checkpoint
from tui_gpt.core.runs.commands import CommandQueue
from tui_gpt.core.runs.metric_lines import segments
from tui_gpt.core.runs.metrics import MetricsWriter, Value
from tui_gpt.core.runs.ownership import TrainerLock
from tui_gpt.core.runs.records import OWNER_FILE, Status
from tui_gpt.core.runs.store import Run
from tui_gpt.engine.generation.evaluation import Evaluation
from tui_gpt.engine.training import worker
from tui_gpt.engine.training.orders import Orders, answer_for_the_dead
from tui_gpt.engine.training.publishing import MODEL_FILES, model_record
from tui_gpt.engine.training.reporting import Reporter
from tui_gpt.engine.training.run_clock import RunClock
from tui_gpt.engine.training.state import STATE_COUNTERS, Counters
from tui_gpt.engine.training.trainer import Interruption, Trainer

TOKENS_PER_STEP = 64


def steps_on_disk(run: Run) -> set[int]:
    """By the names of the folders."""
    return {int(path.name[5:]) for path in (run.folder / "checkpoints").glob("step-*")}


class _Reporter(Reporter):
    def __init__(self, folder: Path, status: Status, account: Account) -> None:
        super().__init__(folder, status)
        self._account, self._file = account, folder / "status.json"

    def _write(self) -> None:
        before = self._file.read_bytes() if self._file.exists() else None
        try:
            super()._write()
        except Killed:
            if (self._file.read_bytes() if self._file.exists() else None) == before:
                raise
            self._note()
            raise
        self._note()

    def _note(self) -> None:
        self._account.state, self._account.status_is_damaged = self._status.state, False


class _Keeper:
    """Writes what stands for a model: small files made of the counters."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.written = b""

    def write_checkpoint(self, folder: Path, counters: Counters) -> None:
        self.written = msgspec.json.format(msgspec.json.encode(counters), indent=2)
        (folder / STATE_COUNTERS).write_bytes(self.written)
        self._write_model(folder, counters)

    def _write_model(self, folder: Path, counters: Counters) -> None:
        for name in MODEL_FILES:
            (folder / name).write_text(f'{{"file": "{name}", "tokens": {counters.tokens_seen}}}', encoding="utf-8")

    def publish(self, name: str, counters: Counters) -> ModelEntry:
        record = model_record(
            self._run, name, step=counters.step, loss=None, best_loss=None, train_loss=None, seconds=None
        )
        return ModelHandler().save(name, lambda folder: self._write_model(folder, counters), record)


class DryTrainer(Trainer):
    """Begins like the real worker does, and then makes steps when told to."""

    def __init__(self, run: Run, account: Account) -> None:
        self.run, self.account = run, account
        self.train = run.record.config.train
        self.lock = TrainerLock(run.folder)
        self.metrics: MetricsWriter | None = None
        self.gone = False
        self.failed_because = ""

    def begin(self) -> bool:
        """Take the run up; says whether it goes on. Raises RunError where it has a trainer."""
        run, account = self.run, self.account
        self.lock.acquire()
        account.trainer = self
        self.reporter: Reporter = _Reporter(run.folder, worker._first_status(run), account)
        self.reporter.update(force=True)
        commands = CommandQueue(run.folder)
        commands.inherit()
        clean_leftovers(run.folder)
        counters = self._restore()
        if counters is None:
            self._leave("failed")
            return False
        self.counters = worker._with_newest_learning_rate(run, counters)
        self.first_step, self.saved_step = self.counters.step, self.counters.step or None
        self.plan: Any = SimpleNamespace(passed=self.counters.evaluations)
        self.keeper: Any = _Keeper(run)
        self.interruption = Interruption(signum=1)  # so that nobody waits while the run is paused
        self.clock = RunClock(self.counters.elapsed_seconds)
        self._begin_segment()
        answer_for_the_dead(run.folder, commands)
        self.orders = Orders(self, commands)
        self.reporter.update(state="running")
        return True

    def _restore(self) -> Counters | None:
        checkpoint, damaged = self.run.newest_intact()
        newest = self.account.newest
        assert (checkpoint and checkpoint.step) == newest
        assert bool(damaged) == any(step > (-1 if newest is None else newest) for step in self.account.damaged)
        if checkpoint is None:
            self.failed_because = "damaged" if damaged else "gone" if self.account.fork_step is not None else ""
            return None if self.failed_because else Counters(step=0, elapsed_seconds=0.0, tokens_seen=0)
        state = (checkpoint.folder / STATE_COUNTERS).read_bytes()
        assert state == self.account.checkpoints[checkpoint.step]
        return msgspec.json.decode(state, type=Counters)

    def _begin_segment(self) -> None:
        known = {path for _, path in segments(self.run.folder)}
        try:
            self.metrics = MetricsWriter(self.run.folder, self.counters.step, {"threads": 1})
        finally:
            for path in {path for _, path in segments(self.run.folder)} - known:
                self.account.segments.append([])
                self.account.trainers += 1
                self.account.add_line(("start", self.counters.step, {"threads": 1}), path.read_bytes())

    # ---- what the account must know of

    def write(self, kind: Any, **values: Value) -> None:
        """A line of the metrics at this step."""
        assert self.metrics is not None
        before = self.metrics.path.stat().st_size
        try:
            super().write(kind, **values)
        finally:
            grown = self.metrics.path.read_bytes()[before:]
            if grown:
                self.account.add_line((kind, self.counters.step, values), grown)

    def checkpoint(self, tags: Any) -> bool:
        """Save the state, as the real trainer does, and rotate."""
        account, step = self.account, self.counters.step
        earlier, there = account.pointers, set(account.checkpoints)
        is_new = step not in there or step in account.damaged
        try:
            made = super().checkpoint(tags)
            assert made, self.reporter.status.warnings
        except Killed:
            self._take_stock(tags, is_new=is_new)
            raise
        if is_new:
            self._note_checkpoint()
        account.pointers = marked(earlier, step, tags, account.checkpoints)
        account.forget_others(account.wanted())
        return made

    def _note_checkpoint(self) -> None:
        self.account.checkpoints[self.counters.step] = self.keeper.written
        self.account.damaged.discard(self.counters.step)
        self.account.lost.discard(self.counters.step)

    def _take_stock(self, tags: Collection[Tag], *, is_new: bool) -> None:
        """How far it came before it died: nothing, named, marked, or some of the older ones rotated."""
        account, step, there = self.account, self.counters.step, steps_on_disk(self.run)
        if is_new and step in account.damaged:
            state = self.run.folder / "checkpoints" / f"step-{step:06d}" / STATE_COUNTERS
            if step not in there:
                account.checkpoints.pop(step)
                account.damaged.discard(step)
                account.lost.add(step)
            elif not verify_checkpoint(state.parent):
                assert state.read_bytes() == self.keeper.written
                self._note_checkpoint()
        elif is_new and step in there:
            self._note_checkpoint()
        new = marked(account.pointers, step, tags, account.checkpoints)
        found = None
        with suppress(RunError):
            found = read_pointers(self.run.folder)
        if found == new and step in account.checkpoints:
            account.pointers = new
            assert there >= account.wanted(), "more was rotated than may be"
            account.forget_others(there)
            return
        assert found == account.pointers, "the pointers are neither the old ones nor the new ones"
        assert there == set(account.checkpoints), "a checkpoint went before the new one was marked"

    # ---- what happens

    def make_steps(self, count: int, loss: float) -> None:
        """As many optimizer steps."""
        for _ in range(count):
            self.counters = msgspec.structs.replace(
                self.counters,
                step=self.counters.step + 1,
                tokens_seen=self.counters.tokens_seen + TOKENS_PER_STEP,
                train_loss=loss,
            )
            self.write("train", loss=loss + self.counters.step, tokens=self.counters.tokens_seen, grad_norm=0.5)
            self.reporter.update(step=self.counters.step)

    def evaluate(self, loss: float) -> None:
        """An evaluation with a sample; on a new best, a checkpoint."""
        self.reporter.update(activity="evaluating")
        self._note_loss(Evaluation(loss, 128))
        self.write("sample", text=f"at {self.counters.step}", prompt="Once", seed=7)
        if self.counters.best_step == self.counters.step:
            self.checkpoint({"best", "last"})

    def end(self, state: Any) -> None:
        """The end in good order."""
        if self.saved_step != self.counters.step:
            self.checkpoint({"last"})
        self.write("end", reason=state)
        self._leave(state)

    def _leave(self, state: Any) -> None:
        if self.metrics is not None:
            self.metrics.close()
        self.reporter.end(state, "it could not begin" if state == "failed" else None)
        self.lock.release()
        self.account.trainer, self.gone = None, True

    def vanish(self) -> None:
        """What the kernel does with the files of a process that was killed: the lock is free, owner.json stays."""
        file = self.run.folder / OWNER_FILE
        owner = file.read_bytes() if file.exists() else None
        if self.metrics is not None:
            self.metrics.close()
        self.lock.release()
        if owner is not None:
            file.write_bytes(owner)
        self.account.trainer, self.gone = None, True


def is_taken(name: str) -> bool:
    """Whether the library has a model of that name."""
    try:
        ModelHandler().library.refuse_taken(name)
    except ModelError:
        return True
    return False
