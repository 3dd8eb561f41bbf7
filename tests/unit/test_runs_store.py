"""RunStore and Run."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from tui_gpt.core.config import RunConfig, TrainConfig
from tui_gpt.core.errors import ConfigError, RunError
from tui_gpt.core.runs.commands import CommandQueue
from tui_gpt.core.runs.metrics import MetricsWriter
from tui_gpt.core.runs.ownership import TrainerLock
from tui_gpt.core.runs.records import DataRecord, RunRecord, State, Status, utc_now, write_record
from tui_gpt.core.runs.store import DamagedRun, Run, RunStore


def a_record(name: str, created: str | None = None) -> RunRecord:
    data = DataRecord(
        corpus="stories",
        source="Stories",
        sha256="ab" * 32,
        tokenizer="bpe",
        vocab_size=1024,
        n_train_tokens=10_000,
        n_validation_tokens=1000,
        train_bytes=30_000,
        validation_bytes=3000,
        prepared="0123abcd",
    )
    config = RunConfig(train=TrainConfig(max_steps=10))
    return RunRecord(name=name, created=created or utc_now(), config=config, versions={}, data=data)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


def test_the_store_is_in_the_home_folder_unless_told_otherwise(home: Path) -> None:
    RunStore().create(a_record("bard"))
    assert (home / "runs" / "bard" / "run.json").is_file()


def test_a_created_run_opens_with_its_record(store: RunStore) -> None:
    record = a_record("bard")
    store.create(record)
    run = store.open("bard")
    assert (run.name, run.record) == ("bard", record)
    assert (run.status(), run.owner(), run.execution(), run.liveness()) == (None, None, None, "dead")
    assert run.summary().state == "new"
    assert (run.checkpoints(), run.newest_intact(), run.log_files()) == ([], (None, []), [])


def test_a_taken_name_is_refused_with_a_free_one(store: RunStore) -> None:
    store.create(a_record("bard"))
    with pytest.raises(RunError, match=r"choose another name, e\.g\. bard-2"):
        store.create(a_record("bard"))
    assert [p.name for p in store.root.iterdir()] == ["bard"]
    assert (store.unique_name("bard"), store.unique_name("free")) == ("bard-2", "free")
    long = "x" * 80
    store.create(a_record(long))
    assert store.unique_name(long) == "x" * 78 + "-2"


@pytest.mark.parametrize("name", ["../bard", "/etc", "..", ".", "", "a/b", "a\0b", ".hidden", "nul", "x" * 81])
def test_names_are_confined_to_the_store(store: RunStore, name: str) -> None:
    store.create(a_record("bard"))
    for attempt in (
        store.open,
        store.delete,
        lambda n: store.rename("bard", n),
        lambda n: store.create(a_record(n)),
    ):
        with pytest.raises(ConfigError):
            attempt(name)


def test_runs_are_listed_newest_first_and_damaged_ones_told(store: RunStore, tmp_path: Path) -> None:
    assert store.list() == []
    for name, day in (("middle", "02"), ("oldest", "01"), ("newest", "03")):
        store.create(a_record(name, f"2026-01-{day}T00:00:00.000Z"))
    (store.root / "no-record").mkdir()
    (store.root / "strange name").mkdir()
    (store.root / "broken").mkdir()
    (store.root / "broken" / "run.json").write_bytes(b"{")
    (store.root / "link").symlink_to(store.root / "newest")
    (store.root / "a file").write_bytes(b"")
    (store.root / ".leftover.0123456789ab.tmp").mkdir()
    listed = store.list()
    assert [run.name for run in listed] == [
        "newest",
        "middle",
        "oldest",
        "broken",
        "link",
        "no-record",
        "strange name",
    ]
    assert all(isinstance(run, DamagedRun) and run.problem for run in listed[3:])


def test_deleting_never_follows_links(store: RunStore, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_bytes(b"dear")
    run = store.create(a_record("bard"))
    (run.folder / "checkpoints" / "link").symlink_to(precious)
    (run.folder / "log").symlink_to(precious / "file")
    (store.root / "linked").symlink_to(precious)
    assert store.delete("bard") > 0
    assert not run.folder.exists()
    with pytest.raises(RunError, match="a link"):
        store.delete("linked")
    assert (precious / "file").read_bytes() == b"dear"
    assert [p.name for p in store.root.iterdir()] == ["linked"]


def test_a_damaged_run_can_be_deleted(store: RunStore) -> None:
    run = store.create(a_record("bard"))
    (run.folder / "run.json").write_bytes(b"{")
    with pytest.raises(RunError, match="damaged"):
        store.open("bard")
    store.delete("bard")
    assert store.list() == []


def test_a_run_that_does_not_exist_is_a_sentence(store: RunStore) -> None:
    for attempt in (store.open, store.delete, lambda n: store.rename(n, "other")):
        with pytest.raises(RunError, match="no run named bard"):
            attempt("bard")


def test_a_renamed_run_is_known_by_its_new_name(store: RunStore) -> None:
    store.create(a_record("bard"))
    store.create(a_record("other"))
    with pytest.raises(RunError, match="a run named other already"):
        store.rename("bard", "other")
    assert store.rename("bard", "poet").name == "poet"
    assert sorted(run.name for run in store.list()) == ["other", "poet"]
    assert store.open("poet").record.name == "bard"


def test_a_run_in_training_is_neither_deleted_nor_renamed(store: RunStore) -> None:
    run = store.create(a_record("bard"))
    with TrainerLock(run.folder):
        for attempt in (lambda: store.delete("bard"), lambda: store.rename("bard", "poet")):
            with pytest.raises(RunError, match="being trained by process"):
                attempt()
    assert store.open("bard").record == run.record


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("starting", "interrupted"),
        ("running", "interrupted"),
        ("paused", "interrupted"),
        ("stopped", "stopped"),
        ("finished", "finished"),
        ("failed", "failed"),
    ],
)
def test_the_state_of_a_dead_trainer_is_what_it_left_behind_in_good_order(
    store: RunStore, written: State, shown: str
) -> None:
    run = store.create(a_record("bard"))
    write_record(run.folder / "status.json", Status(state=written, step=4))
    assert (run.summary().state, run.summary().step) == (shown, 4)


def test_the_state_of_a_living_trainer_is_its_own_and_not_its_forerunners(store: RunStore) -> None:
    run = store.create(a_record("bard"))
    write_record(run.folder / "status.json", Status(state="stopped", updated=time.time() - 5))
    with TrainerLock(run.folder):
        assert run.summary().state == "starting"
        write_record(run.folder / "status.json", Status(state="paused"))
        assert run.summary().state == "paused"
    assert run.summary().state == "interrupted"


def test_a_damaged_status_is_told_in_the_summary(store: RunStore) -> None:
    run = store.create(a_record("bard"))
    (run.folder / "status.json").write_bytes(b"{")
    summary = run.summary()
    assert summary.state == "interrupted"
    assert summary.problem is not None
    assert "status.json is damaged" in summary.problem
    msgspec.json.encode(summary)


def test_commands_reach_a_living_trainer_only(store: RunStore) -> None:
    run: Run = store.create(a_record("bard"))
    with pytest.raises(RunError, match="no running trainer"):
        run.send("pause")
    with TrainerLock(run.folder):
        command_id = run.send("pause", sender="test")
        queue = CommandQueue(run.folder)
        (command,) = queue.poll()
        assert command.id == command_id
        queue.acknowledge(command, "done", "paused")
        ack = run.wait_for_ack(command_id, 5)
    assert ack is not None
    assert ack.outcome == "done"


def test_a_reader_follows_the_metrics(store: RunStore) -> None:
    run = store.create(a_record("bard"))
    reader = run.reader()
    assert reader.poll() == []
    with MetricsWriter(run.folder, 0) as writer:
        writer.write("train", 1, {"loss": 1.0})
    assert [r.kind for r in reader.poll()] == ["start", "train"]
