"""What holds in a run's folder and in the library at every moment, whatever process died just now."""

from __future__ import annotations

from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

import msgspec
from training_runs import final_weights, learned, records

from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.notes import read_entries
from tui_gpt.core.runs.checkpoints import list_checkpoints, read_pointers, verify_checkpoint
from tui_gpt.core.runs.commands import Ack, AckReader
from tui_gpt.core.runs.metric_lines import segments
from tui_gpt.core.runs.metrics import MetricRecord
from tui_gpt.core.runs.plain_files import is_temporary
from tui_gpt.core.runs.store import Run, RunStore

RUN_FILES = (
    "run.json",
    "trainer.lock",
    "owner.json",
    "execution.json",
    "status.json",
    "metrics-????.jsonl",
    "commands",
    "acks.jsonl",
    "checkpoints",
    "start",
    "published.json",
    "training_*.log",
    "held-*",  # by tests, as the next
    "go-*",
)
CHECKPOINT_FILES = ("step-*", "pointers.json")


def finished_checkpoints_verify(run: Run) -> None:
    """Byte for byte: a checkpoint has its name only when it is whole."""
    for checkpoint in list_checkpoints(run.folder):
        assert verify_checkpoint(checkpoint.folder) == []


def pointers_name_checkpoints_that_are_there(run: Run) -> None:
    """Best, last and kept ones."""
    pointers = read_pointers(run.folder)
    there = {checkpoint.step for checkpoint in list_checkpoints(run.folder)}
    assert {step for step in (pointers.best, pointers.last, *pointers.kept) if step is not None} <= there


def records_are_whole(run: Run) -> None:
    """Old or new, never a mix, and the run's folder opens as a run."""
    run.status(), run.execution()
    assert RunStore(run.folder.parent).open(run.name).record == run.record


def metrics_are_lines(run: Run) -> None:
    """Every line of every segment is a record, but for an unfinished last one."""
    for _, path in segments(run.folder):
        content = path.read_bytes()
        msgspec.json.Decoder(MetricRecord).decode_lines(content[: content.rfind(b"\n") + 1])


def every_step_is_told_once(run: Run) -> None:
    """The joined curve has each step up to the newest, in order, and each evaluation and sample once."""
    steps = [record.step for record in records(run, "train")]
    assert steps == list(range(1, len(steps) + 1))
    # A damaged one may be of later steps than the curve: the trainer that went back to an older one has cut it.
    saved = [found.step for found in list_checkpoints(run.folder) if not verify_checkpoint(found.folder)]
    assert max(saved, default=0) <= len(steps)
    told = [(record.kind, record.step, record.values.get("whole")) for record in records(run, "eval")]
    assert max(Counter(told).values(), default=0) <= 1
    assert len(records(run, "sample")) <= len(told)


def commands_are_answered_once(run: Run) -> None:
    """At most one line for each."""
    path = run.folder / "acks.jsonl"
    content = path.read_bytes() if path.exists() else b""
    lines = content[: content.rfind(b"\n") + 1].splitlines()
    acks = AckReader(run.folder).poll()
    assert len({ack.id for ack in acks}) == len(acks)
    # A line torn by a kill stays as garbage, closed off: never more of them than trainers.
    assert len(lines) - len(acks) <= len(segments(run.folder))


def the_trainer_counts_as_dead(run: Run) -> None:
    """The moment its process is gone."""
    assert run.liveness() == "dead"
    assert run.effective_state() in ("new", "interrupted", "stopped", "finished")


def nothing_unknown_lies_about(run: Run) -> None:
    """What is unfinished has a hidden name, by which the next trainer knows it."""
    for folder, known in ((run.folder, RUN_FILES), (run.folder / "checkpoints", CHECKPOINT_FILES)):
        for path in folder.iterdir():
            assert is_temporary(path.name) or any(fnmatch(path.name, name) for name in known), path


def models_are_whole(run: Run, home: Path) -> None:
    """What the run has put into the library verifies."""
    handler = ModelHandler(home / "models", notes=home / "notes.txt")
    for name in _models(run, home):
        assert handler.verify(name) == []


def _models(run: Run, home: Path) -> list[str]:
    return [path.name for path in (home / "models").glob(f"{run.name}*")]


class Witness:
    """Sees a run after each of its trainers, and remembers what must not be lost."""

    def __init__(self, run: Run, home: Path) -> None:
        self._run, self._home = run, home
        self._record = (run.folder / "run.json").read_bytes()
        self._newest = 0
        self._kept: set[int] = set()
        self._acks: list[Ack] = []

    def look(self) -> None:
        """Assert all that holds at every moment."""
        run = self._run
        for invariant in (
            finished_checkpoints_verify,
            pointers_name_checkpoints_that_are_there,
            records_are_whole,
            metrics_are_lines,
            every_step_is_told_once,
            commands_are_answered_once,
            the_trainer_counts_as_dead,
            nothing_unknown_lies_about,
        ):
            invariant(run)
        models_are_whole(run, self._home)
        assert (run.folder / "run.json").read_bytes() == self._record
        newest = max((checkpoint.step for checkpoint in list_checkpoints(run.folder)), default=0)
        assert newest >= self._newest, "a finished checkpoint is lost"
        kept = set(read_pointers(run.folder).kept)
        assert kept >= self._kept, "a kept checkpoint is lost"
        acks = AckReader(run.folder).poll()
        assert acks[: len(self._acks)] == self._acks, "an answer was taken back"
        self._newest, self._kept, self._acks = newest, kept, acks


def differences(run: Run, reference: Run, home: Path) -> list[str]:
    """In what a run that was killed differs from one that was not: empty where nothing does, bit for bit."""
    found = []
    got, wanted = learned(run), learned(reference)
    pairs = zip(got, wanted, strict=False)
    if (first := next((f"{mine} is not {theirs}" for mine, theirs in pairs if mine != theirs), None)) is not None:
        found.append(first)
    if len(got) != len(wanted):
        found.append(f"{len(got)} records are not {len(wanted)}")
    if final_weights(run) != final_weights(reference):
        found.append("the weights of the last checkpoint differ")
    mine, theirs = (_published(home, one) for one in (run, reference))
    if mine != theirs:
        found.append("the models in the library differ")
    return found


def _published(home: Path, run: Run) -> bytes:
    model = str(records(run, "end")[-1].values["model"])
    return (home / "models" / model / "model.safetensors").read_bytes()


def ended_in_good_order(run: Run, home: Path) -> None:
    """Finished, with one model in the library and in its diary, and nothing unfinished left behind."""
    assert run.effective_state() == "finished"
    assert list((run.folder / "commands").iterdir()) == []
    leftovers = [*run.folder.glob(".*"), *(run.folder / "checkpoints").glob(".*")]
    assert leftovers == []
    assert _models(run, home) == [run.name]
    assert [entry.name for entry in read_entries(home / "notes.txt")].count(run.name) == 1
    finals = [record for record in records(run, "end") if "model" in record.values]
    assert [record.values["model"] for record in finals] == [run.name]
