"""A home with runs, each with its account: what a disk may do to them, and what holds at every moment."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import run_invariants
from dry_trainer import DryTrainer
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
)
from run_account import Account, agree, break_line, cut_lines, damage_file, key
from sudden_death import Death

from tui_gpt.core.errors import RunError
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.runs.checkpoints import checkpoint_folder, read_pointers, verify_checkpoint
from tui_gpt.core.runs.commands import AckReader
from tui_gpt.core.runs.metric_lines import segments
from tui_gpt.core.runs.metrics import read_all
from tui_gpt.core.runs.store import Run, RunStore
from tui_gpt.ui.curves import history as history_module
from tui_gpt.ui.curves.history import RunHistory

MEMORY = Path("/dev/shm")
RECORDS = ("checkpoints/pointers.json", "status.json", "checkpoints/pointers.json", "status.json", "run.json")


class RunDirectories(RuleBasedStateMachine):
    """A home with up to three runs, each with its account."""

    def __init__(self) -> None:
        super().__init__()
        # In memory where there is such a place: a disk would take most of the time.
        self.home = Path(tempfile.mkdtemp(prefix="runs-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None))
        self.patch = pytest.MonkeyPatch()
        self.patch.setenv("TUI_GPT_HOME", str(self.home))
        # The same history makes the same operations on files, however long they take.
        moments = itertools.count(1_700_000_000.0, 0.01)
        self.patch.setattr(time, "time", lambda: next(moments))
        self.patch.setattr(time, "time_ns", lambda: int(next(moments) * 1e9))
        self.patch.setattr(history_module, "_WORTH_KEEPING", 1)
        self.patch.setattr(history_module, "_GROWTH", 0.0)
        self.death = Death(self.patch)
        self.store = RunStore(self.home / "runs")
        self.accounts: dict[str, Account] = {}
        self.followers: dict[str, RunHistory] = {}
        self.models: set[str] = set()
        self.before = self.look()
        self.touched: set[str] = set()

    def teardown(self) -> None:
        for account in self.accounts.values():
            if account.trainer is not None:
                account.trainer.vanish()
        self.patch.undo()
        shutil.rmtree(self.home)

    # ---- the parts of rules

    def pick(self, number: int, *, alive: bool | None = None) -> tuple[Run, Account] | None:
        """One of the runs, if there is such a one; it may change from now on."""
        names = [
            name
            for name, account in sorted(self.accounts.items())
            if (alive is None or (account.trainer is not None) == alive) and not account.record_is_damaged
        ]
        if not names:
            return None
        name = names[number % len(names)]
        self.touched.add(name)
        return self.store.open(name), self.accounts[name]

    @contextmanager
    def trainer(self, pick: int, dies: int | None) -> Iterator[tuple[DryTrainer, Account]]:
        """Something that a trainer does, until it dies."""
        chosen = self.pick(pick, alive=True)
        assert chosen is not None
        trainer = chosen[1].trainer
        assert trainer is not None
        with self.death.after(dies) as died:
            yield trainer, chosen[1]
        if died[0]:
            trainer.vanish()

    def some_alive(self) -> bool:
        return any(account.trainer for account in self.accounts.values())

    def some_dead(self) -> bool:
        return any(not a.trainer and not a.record_is_damaged for a in self.accounts.values())

    def names(self) -> set[str]:
        """Of the runs on the disk."""
        runs = self.home / "runs"
        return {path.name for path in runs.iterdir() if not path.name.startswith(".")} if runs.exists() else set()

    def look(self) -> dict[str, tuple[int, ...]]:
        """All files, except the screen's cache: what each is known by."""
        found = {}
        for parent, _, names in os.walk(self.home):
            for name in names:
                path = os.path.join(parent, name)  # noqa: PTH118 - thousands of times
                facts = os.lstat(path)
                found[path] = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
        return {path: facts for path, facts in found.items() if not path.startswith(str(self.home / "cache"))}

    def library(self) -> set[str]:
        """The names of its models, which never get fewer here."""
        folder = self.home / "models"
        found = (
            {path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != "."}
            if folder.exists()
            else set()
        )
        assert found >= self.models
        return found

    # ---- what a disk does

    def damage_checkpoint(self, pick: int, which: int, place: int, how: int) -> None:
        chosen = self.pick(pick)
        if chosen is None or not chosen[1].checkpoints:
            return
        run, account = chosen
        hurt = sorted(account.checkpoints)[which % len(account.checkpoints)]
        if hurt in account.damaged:
            return  # the same bit twice would heal it
        files = sorted(checkpoint_folder(run.folder, hurt).iterdir())
        path = files[which // 3 % len(files)]
        inode = path.stat().st_ino
        damage_file(path, place, how if path.name != "MANIFEST.json" else max(how, 7))
        for name, other in self.accounts.items():  # a fork's files are those of its source
            for each in other.checkpoints:
                folder = checkpoint_folder(self.home / "runs" / name, each)
                if any(found.stat().st_ino == inode for found in folder.iterdir()):
                    other.damaged.add(each)
                    other.promised_scale = None
                    self.touched.add(name)
        # And so are those of one that was never finished, or of a checkpoint that was on its way out.
        for left in (*self.store.root.glob(".*"), *self.store.root.glob("*/checkpoints/.*")):
            if any(each.stat().st_ino == inode for each in left.rglob("*")):
                self.touched.add(left.relative_to(self.store.root).parts[0])

    def damage_record(self, pick: int, which: int, place: int, how: int) -> None:
        chosen = self.pick(pick)
        name = RECORDS[which % len(RECORDS)]
        if chosen is None or not (chosen[0].folder / name).exists():
            return
        run, account = chosen
        if (name == "run.json" and account.trainer) or (name == "status.json" and account.status_is_damaged):
            return
        if name.endswith("pointers.json"):
            if account.pointers is None:
                return
            account.pointers = None
        elif name == "status.json":
            account.status_is_damaged = True
        else:
            account.record_is_damaged = True
        damage_file(run.folder / name, place, max(how, 7))

    def damage_metrics(self, pick: int, which: int, place: int, how: int) -> None:
        chosen = self.pick(pick)
        if chosen is None or not chosen[1].segments:
            return
        run, account = chosen
        lines = account.segments[which % len(account.segments)]
        _, path = segments(run.folder)[which % len(account.segments)]
        size = path.stat().st_size
        assert size == sum(line.length for line in lines)
        if not size:
            return
        account.curve_is_damaged, account.promised_scale = True, None
        self.followers.pop(run.name, None)
        if how == 8:
            place %= size
            # Not only the line's end: nobody would miss it.
            place -= path.read_bytes()[place] == ord("\n")
            os.truncate(path, place)
            cut_lines(lines, place)
        else:
            break_line(path, lines, place)

    # ---- what holds

    @invariant()
    def all_is_as_the_accounts_say(self) -> None:
        self._only_what_was_touched_has_changed()
        self._every_run_is_listed_in_its_state()
        for name in self.touched & self.accounts.keys():
            account = self.accounts[name]
            if not account.record_is_damaged:
                run = self.store.open(name)
                self._checkpoints_are_there(run, account)
                self._curve_is_right(run, account)
                self._rest_is_right(run, account)
        self.touched = set()
        self._models_are_whole()

    def _only_what_was_touched_has_changed(self) -> None:
        now = self.look()
        runs = str(self.home / "runs")
        allowed = tuple(f"{runs}/{name}/" for name in self.touched if name)
        allowed += tuple(f"{runs}/.{name}." for name in self.touched if name)
        if "" in self.touched:
            allowed += (str(self.home / "models"), str(self.home / "notes.txt"))
        changed = {path for path in now.keys() | self.before.keys() if now.get(path) != self.before.get(path)}
        strange = [path for path in changed if not path.startswith(allowed)]
        assert strange == [], strange
        self.before = now

    def _every_run_is_listed_in_its_state(self) -> None:
        listed = {}
        for found in self.store.list():
            listed[found.name] = found.summary().state if isinstance(found, Run) else "damaged"
        assert listed == {name: account.shown_state for name, account in self.accounts.items()}

    def _checkpoints_are_there(self, run: Run, account: Account) -> None:
        assert [c.step for c in run.checkpoints()] == sorted(account.checkpoints)
        for found in run.checkpoints():
            assert bool(verify_checkpoint(found.folder)) == (found.step in account.damaged)
        newest, problems = run.newest_intact()
        assert (newest and newest.step) == account.newest
        behind = -1 if newest is None else newest.step
        assert {step for step in account.damaged if step > behind} == {
            step for step in account.damaged if any(f"step-{step:06d}" in problem for problem in problems)
        }
        if account.pointers is None:
            with pytest.raises(RunError, match="damaged"):
                read_pointers(run.folder)
        else:
            assert read_pointers(run.folder) == account.pointers
            if not account.lost:
                run_invariants.pointers_name_checkpoints_that_are_there(run)

    def _curve_is_right(self, run: Run, account: Account) -> None:
        told = account.history()
        assert [key(r.kind, r.step, r.values) for r in read_all(run.folder)] == [key(*record) for record in told]
        if not account.curve_is_damaged:
            run_invariants.metrics_are_lines(run)
            run_invariants.every_step_is_told_once(run)
        followed = self.followers.setdefault(run.name, RunHistory(run.folder))
        # The second one knows what the first kept, and looks again; the third looks for the first time.
        with pytest.MonkeyPatch.context() as patch:
            for history in (followed, RunHistory(run.folder)):
                history.poll()
                agree(history, told)
            patch.setattr(history_module, "_WORTH_KEEPING", 1 << 60)
            patch.setenv("TUI_GPT_HOME", str(self.home / "cache" / "nothing-is-kept-here"))
            fresh = RunHistory(run.folder)
            fresh.poll()
            agree(fresh, told)
            assert fresh.skipped == followed.skipped

    def _rest_is_right(self, run: Run, account: Account) -> None:
        assert [ack.id for ack in AckReader(run.folder).poll()] == list(account.answered)
        waiting = {path.stem for path in (run.folder / "commands").glob("*.json")} - set(account.answered)
        assert waiting == set(account.pending)
        run_invariants.commands_are_answered_once(run)
        run_invariants.nothing_unknown_lies_about(run)
        run_invariants.models_are_whole(run, self.home)
        if not account.status_is_damaged:
            run_invariants.records_are_whole(run)
        if account.trainer is not None:
            leftovers = [*run.folder.glob(".*"), *(run.folder / "checkpoints").glob(".*")]
            assert leftovers == []
        elif account.state != "failed" and not account.status_is_damaged:
            run_invariants.the_trainer_counts_as_dead(run)

    def _models_are_whole(self) -> None:
        handler = ModelHandler()
        for name in self.models:
            assert handler.verify(name) == []
