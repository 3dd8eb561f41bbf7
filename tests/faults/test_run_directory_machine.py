"""Whatever happens to runs, in any order: their folders hold what an account in memory says, and nothing else changed.

All that writes and reads is the real thing, but for the network. Everyone may die at any operation on files.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from dry_trainer import DryTrainer, is_taken, steps_on_disk
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from run_account import Account
from run_directories import RunDirectories

from tui_gpt.core.config import LARGEST_LEARNING_RATE, ModelConfig, RunConfig, TrainConfig
from tui_gpt.core.errors import RunError, TuiGptError
from tui_gpt.core.runs.checkpoints import Pointers, rotate
from tui_gpt.core.runs.commands import AckReader, send
from tui_gpt.core.runs.metric_lines import segments
from tui_gpt.core.runs.metrics import MetricRecord, read_all
from tui_gpt.core.runs.plain_files import is_temporary
from tui_gpt.core.runs.records import DataRecord, RunRecord, utc_now
from tui_gpt.core.runs.store import Run
from tui_gpt.engine.training.forking import fork_run
from tui_gpt.engine.training.publishing import publish_ended_run
from tui_gpt.engine.training.state import Counters

NAMES = st.sampled_from(("bard", "muse", "clio"))
PICK = st.integers(0, 2)
DIES = st.one_of(st.none(), st.none(), st.none(), st.integers(1, 45))
"""Before which operation on files, if at all."""
TAGS = st.sampled_from(((), ("last",), ("last", "kept"), ("best", "last")))
ENDS = st.sampled_from(("killed", "killed", "stopped", "finished", "failed"))
TORN = st.binary(max_size=20).filter(lambda content: b"\n" not in content)
PLACE = st.integers(0, 5000)
HOW = st.integers(0, 8)
"""Which bit of a byte flips; 8: the file is cut off there."""
LOSSES = st.sampled_from((4.0, 3.0, 2.0, math.nan))
COMMANDS = st.sampled_from(
    [
        ("pause", {}),
        ("resume", {}),
        ("step", {"count": 2}),
        ("stop", {}),
        ("save", {}),
        ("save", {"name": "ode"}),
        ("set_lr", {"factor": 0.5}),
        ("set_lr", {"value": 0.25}),
        ("set_lr", {"value": 99.0}),
    ]
)
DATA = DataRecord(
    corpus="stories",
    source="Stories",
    sha256="ab" * 32,
    tokenizer="bpe",
    vocab_size=1024,
    n_train_tokens=10_000_000,
    n_validation_tokens=1000,
    train_bytes=30_000_000,
    validation_bytes=3000,
    prepared="0123abcd",
)


class AnythingHappens(RunDirectories):
    """What people, trainers, viewers and disks do."""

    # ---- runs as a whole

    @initialize(name=NAMES, starts=st.booleans())
    def begin(self, name: str, starts: bool) -> None:
        self._create(0, name, None)
        if starts:
            self.start(0, None)

    @rule(
        what=st.sampled_from(("create", "rename", "fork", "fork", "publish", "delete")),
        pick=PICK,
        name=NAMES,
        dies=DIES,
    )
    def run_as_a_whole(self, what: str, pick: int, name: str, dies: int | None) -> None:
        if self.accounts or what == "create":
            {
                "create": self._create,
                "rename": self._rename,
                "fork": self._fork,
                "publish": self._publish,
                "delete": self._delete,
            }[what](pick, name, dies)

    def _create(self, pick: int, name: str, dies: int | None) -> None:
        self.touched.add(name)
        config = RunConfig(
            model=ModelConfig(vocab_size=1024), train=TrainConfig(max_steps=1_000_000, learning_rate=0.5)
        )
        record = RunRecord(name=name, created=utc_now(), config=config, versions={}, data=DATA)
        with self.death.after(dies) as died:
            if name in self.accounts:
                with pytest.raises(RunError, match="already"):
                    self.store.create(record)
                return
            self.store.create(record)
        if name not in self.accounts and (not died[0] or name in self.names()):
            self.accounts[name] = Account()

    def _rename(self, pick: int, new: str, dies: int | None) -> None:
        chosen = self.pick(pick)
        if chosen is None:
            return
        run, account = chosen
        self.touched.add(new)
        with self.death.after(dies) as died:
            if account.trainer is not None or new in self.accounts:
                with pytest.raises(RunError, match=r"is being trained by|already"):
                    self.store.rename(run.name, new)
                return
            self.store.rename(run.name, new)
        if new not in self.accounts and (not died[0] or new in self.names()):
            self.accounts[new] = self.accounts.pop(run.name)
            self.followers.pop(run.name, None)

    def _delete(self, pick: int, name: str, dies: int | None) -> None:
        name = sorted(self.accounts)[pick % len(self.accounts)]
        self.touched.add(name)
        with self.death.after(dies) as died:
            if self.accounts[name].trainer is not None:
                with pytest.raises(RunError, match="is being trained by"):
                    self.store.delete(name)
                return
            self.store.delete(name)
        if not died[0] or name not in self.names():
            del self.accounts[name]
            self.followers.pop(name, None)

    def _fork(self, pick: int, name: str, dies: int | None) -> None:
        chosen = self.pick(pick)
        if chosen is None:
            return
        run, source = chosen
        if source.trainer is None:
            self.touched.discard(run.name)  # only read
        self.touched.add(name)
        step = source.newest
        with self.death.after(dies) as died:
            if name in self.accounts or step is None:
                with pytest.raises(RunError, match=r"already|no checkpoint"):
                    fork_run(run, name)
                return
            fork_run(run, name)
        if name not in self.accounts and (not died[0] or name in self.names()):
            self.accounts[name] = self._forked(run, source, step, name)

    def _forked(self, run: Run, source: Account, step: int | None, name: str) -> Account:
        assert step is not None
        best = msgspec.json.decode(source.checkpoints[step], type=Counters).best_step
        there = {step, best} & (source.checkpoints.keys() - source.damaged)
        history = [record for record in source.history() if record[1] <= step and record[0] != "end"]
        told: list[MetricRecord] = read_all(self.home / "runs" / name)
        account = Account(
            checkpoints={s: source.checkpoints[s] for s in there if s is not None},
            pointers=Pointers(last=step, best=best if best in there else None),
            fork_step=step,
            curve_is_damaged=source.curve_is_damaged,
        )
        assert told[-1].values == {"event": told[-1].values["event"], "parent": run.name}
        history.append(("mark", step, told[-1].values))
        (_, path), *others = segments(self.home / "runs" / name)
        assert others == []
        account.segments.append([])
        for record, line in zip(history, path.read_bytes().splitlines(keepends=True), strict=True):
            account.add_line(record, line)
        return account

    def _publish(self, pick: int, name: str, dies: int | None) -> None:
        chosen = self.pick(pick, alive=False)
        if chosen is None:
            return
        run, account = chosen
        self.touched.add("")
        if account.newest is None or is_taken(name) or account.status_is_damaged:
            with pytest.raises(TuiGptError):
                publish_ended_run(run, name)
            return
        with self.death.after(dies) as died:
            publish_ended_run(run, name)
        found = self.library()
        assert found in (({*self.models, name},) if not died[0] else (self.models, {*self.models, name}))
        self.models = found

    # ---- trainers

    @precondition(lambda self: self.accounts)
    @rule(pick=PICK, dies=DIES)
    def start(self, pick: int, dies: int | None) -> None:
        chosen = self.pick(pick)
        if chosen is None:
            return
        run, account = chosen
        trainer = DryTrainer(run, account)
        if account.trainer is not None:
            with pytest.raises(RunError, match="is being trained by"):
                trainer.begin()
            return
        waiting, went_on = dict(account.pending), False
        # A save-as whose trainer died once the model was there gets its line in the notes now.
        self.touched |= {""} if any(each[1].get("name") for each in waiting.values()) else set()
        with self.death.after(dies) as died:
            went_on = trainer.begin()
        if died[0]:
            trainer.vanish()
            self._answers(run, account, {})
            return
        assert went_on == bool(account.newest is not None or not (account.damaged or account.fork_step is not None))
        if not went_on:
            return
        carried_out = {str(values["command"]) for _, _, values in account.history() if "command" in values}
        # One whose model is there may count as carried out, by the second in which it was made.
        lasting = {each for each in waiting if waiting[each][1].get("name") in self.models}
        expected = {each: "done" if each in carried_out else "refused" for each in waiting if each not in lasting}
        self._answers(run, account, expected)
        assert set(expected) <= set(account.answered)
        assert [path for path in (run.folder / "commands").iterdir() if is_temporary(path.name)] == []
        if account.promised_scale is not None:
            assert trainer.counters.lr_scale == account.promised_scale, "a learning rate that was answered is lost"

    @precondition(RunDirectories.some_alive)
    @rule(pick=PICK, count=st.integers(1, 4), loss=st.none() | LOSSES, saves=TAGS, dies=DIES)
    def train(self, pick: int, count: int, loss: float | None, saves: tuple[str, ...], dies: int | None) -> None:
        """Some steps; with a loss, an evaluation; with tags, a checkpoint."""
        with self.trainer(pick, dies) as (trainer, _):
            trainer.make_steps(count, 5.0)
            if loss is not None:
                trainer.evaluate(loss)
            if saves:
                trainer.checkpoint(set(saves))

    @precondition(RunDirectories.some_alive)
    @rule(pick=PICK, keep_every=st.integers(0, 3), keep=st.sets(st.integers(0, 6)), dies=DIES)
    def rotate(self, pick: int, keep_every: int, keep: set[int], dies: int | None) -> None:
        with self.trainer(pick, dies) as (trainer, account):
            there, wanted = set(account.checkpoints), account.wanted(keep_every, keep)
            try:
                assert set(rotate(trainer.run.folder, keep_every, keep)) == there - wanted
            finally:
                left = steps_on_disk(trainer.run)
                assert wanted <= left <= there
                account.forget_others(left)

    @precondition(RunDirectories.some_alive)
    @rule(pick=PICK, dies=DIES)
    def obey(self, pick: int, dies: int | None) -> None:
        chosen = self.pick(pick, alive=True)
        assert chosen is not None
        run, account = chosen
        assert account.trainer is not None
        expected = self._foretold(account)
        self.touched |= {""} if any(c[1].get("name") for c in account.pending.values()) else set()
        with self.trainer(pick, dies) as (trainer, _):
            trainer.orders.obey()
            assert list((run.folder / "commands").glob("*.json")) == []
        self._answers(run, account, {each: outcome for each, (outcome, _) in expected.items()})
        for each, (_, scale) in expected.items():
            if scale is not None and each in account.answered:
                account.promised_scale = scale
        self.models = self.library()
        if trainer.gone:
            return
        assert account.pending == {}
        if trainer.orders.stop_asked:
            trainer.end("stopped")

    def _foretold(self, account: Account) -> dict[str, tuple[str, float | None]]:
        """What becomes of what waits, and which learning rate is promised with it."""
        expected: dict[str, tuple[str, float | None]] = {}
        assert account.trainer is not None
        taken, scale = set(self.models), account.trainer.counters.lr_scale
        for each, (kind, arguments) in account.pending.items():
            outcome, promised = "done", None
            if kind == "set_lr":
                asked = arguments["value"] / 0.5 if "value" in arguments else scale * arguments["factor"]
                if asked * 0.5 > LARGEST_LEARNING_RATE:
                    outcome = "refused"
                else:
                    scale = promised = asked
            elif "name" in arguments:
                outcome = "refused" if arguments["name"] in taken else "done"
                taken.add(arguments["name"])
            expected[each] = (outcome, promised)
        return expected

    def _answers(self, run: Run, account: Account, expected: dict[str, str]) -> None:
        """New answers are to what waited, in its order, each once; and as foretold, where that was."""
        acks = AckReader(run.folder).poll()
        assert [ack.id for ack in acks[: len(account.answered)]] == list(account.answered)
        new = acks[len(account.answered) :]
        assert [ack.id for ack in new] == list(account.pending)[: len(new)]
        for ack in new:
            assert ack.outcome == expected.get(ack.id, ack.outcome), ack
            account.answered[ack.id] = ack.outcome
            del account.pending[ack.id]

    @precondition(RunDirectories.some_alive)
    @rule(pick=PICK, state=ENDS, torn=TORN, dies=DIES)
    def end(self, pick: int, state: str, torn: bytes, dies: int | None) -> None:
        """In good order, or killed between two operations, but for a last line that is torn."""
        if state != "killed":
            with self.trainer(pick, dies) as (trainer, _):
                trainer.end(state)
            return
        chosen = self.pick(pick, alive=True)
        assert chosen is not None
        run, account = chosen
        assert account.trainer is not None
        account.trainer.vanish()
        with segments(run.folder)[-1][1].open("ab") as handle:
            handle.write(torn)
        account.add_line(("train", -1, {}), torn)

    # ---- viewers

    @precondition(lambda self: self.accounts)
    @rule(pick=PICK, command=COMMANDS, late=st.booleans(), dies=DIES)
    def command(self, pick: int, command: tuple[Any, dict[str, Any]], late: bool, dies: int | None) -> None:
        """`late`: the trainer dies between the sender's look at it and the sending."""
        chosen = self.pick(pick)
        if chosen is None:
            return
        run, account = chosen
        folder = run.folder / "commands"
        known = set(folder.glob("*.json"))
        with self.death.after(dies):
            if account.trainer is None and not late:
                with pytest.raises(RunError, match="no running trainer"):
                    run.send(*command)
            else:
                send(run.folder, *command)
        for path in set(folder.glob("*.json")) - known:
            account.pending[path.stem] = command

    # ---- disks

    @precondition(lambda self: self.accounts)
    @rule(
        what=st.sampled_from(("checkpoint", "record", "metrics")),
        pick=PICK,
        which=st.integers(0, 20),
        place=PLACE,
        how=HOW,
    )
    def damage(self, what: str, pick: int, which: int, place: int, how: int) -> None:
        {
            "checkpoint": self.damage_checkpoint,
            "record": self.damage_record,
            "metrics": self.damage_metrics,
        }[what](pick, which, place, how)


CHECKS = list(HealthCheck)


def test_runs_hold_what_was_done_to_them_whatever_happens() -> None:
    run_state_machine_as_test(
        AnythingHappens, settings=settings(max_examples=40, stateful_step_count=25, suppress_health_check=CHECKS)
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)  # to find the shortest example takes its time
def test_runs_hold_what_was_done_to_them_whatever_happens_for_long() -> None:
    run_state_machine_as_test(
        AnythingHappens, settings=settings(max_examples=400, stateful_step_count=50, suppress_health_check=CHECKS)
    )
