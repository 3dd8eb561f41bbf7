"""The JSON records of a run directory."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from tui_gpt.core.config import RunConfig, TrainConfig
from tui_gpt.core.errors import RunError
from tui_gpt.core.runs.records import (
    STATUS_FILE,
    DataRecord,
    ExecutionRecord,
    Owner,
    Record,
    RunRecord,
    Status,
    StatusWriter,
    read_optional,
    read_record,
    utc_now,
    write_record,
)

DATA = DataRecord(
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

RECORDS: list[Record] = [
    RunRecord(
        name="bard",
        created=utc_now(),
        config=RunConfig(train=TrainConfig(max_steps=10, learning_rate=0.1 + 0.2)),
        versions={"torch": "2.13.0"},
        data=DATA,
        parent="tiny",
    ),
    Owner(pid=1, start_token="12", boot_id="", host="here", started=1.5),
    ExecutionRecord(device="cpu", device_name="CPU", precision="bf16", compile=False, threads=2, reasons=["fast"]),
    Status(state="running", step=3, train_loss=1 / 3, warnings=["careful"]),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: type(r).__name__)
def test_a_record_comes_back_as_it_was_written(record: Record, tmp_path: Path) -> None:
    write_record(tmp_path / "record.json", record)
    assert read_record(tmp_path / "record.json", type(record)) == record


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: type(r).__name__)
def test_a_newer_schema_is_refused_and_left_untouched(record: Record, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    content = msgspec.json.encode({**msgspec.to_builtins(record), "schema": 2, "new": "field"})
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"record\.json was written by a newer tui-gpt \(schema 2"):
        read_record(path, type(record))
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b"\x00" * 100,
        b"[" * 100_000,
        b'{"schema": 1}',
        b'{"schema": "1", "state": "running"}',
        b'{"schema": 0, "state": "running"}',
        b'{"schema": 1, "state": "flying"}',
        b'{"schema": 1, "state": "running", "step": -1}',
        b'{"schema": 1, "state": "running", "step": 1.5}',
        b'{"schema": 1, "state": "running", "progress": 1.1}',
        b'{"schema": 1, "state": "running", "unknown": 1}',
        b'{"schema": 1, "state": "\xff"}',
    ],
)
def test_a_damaged_record_is_one_sentence_that_names_the_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / STATUS_FILE
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"status\.json is damaged") as caught:
        read_optional(path, Status)
    assert "\n" not in str(caught.value)


def test_a_configuration_out_of_bounds_inside_run_json_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    tree = msgspec.to_builtins(RECORDS[0])
    tree["config"]["model"]["n_layer"] = 0
    path.write_bytes(msgspec.json.encode(tree))
    with pytest.raises(RunError, match=r"run\.json is damaged .*n_layer"):
        read_record(path, RunRecord)


def test_a_missing_record_is_none_where_it_may_be_missing_and_an_error_elsewhere(tmp_path: Path) -> None:
    assert read_optional(tmp_path / STATUS_FILE, Status) is None
    with pytest.raises(RunError, match="missing"):
        read_record(tmp_path / STATUS_FILE, Status)


def test_links_fifos_and_folders_are_refused_without_waiting(tmp_path: Path) -> None:
    target = tmp_path / "target.json"
    write_record(target, Status(state="running"))
    (tmp_path / "link.json").symlink_to(target)
    os.mkfifo(tmp_path / "fifo.json")
    (tmp_path / "folder.json").mkdir()
    for name in ("link.json", "fifo.json", "folder.json"):
        with pytest.raises(RunError, match=f"{name} cannot be read"):
            read_optional(tmp_path / name, Status)


def test_numbers_that_are_not_finite_read_back_as_none(tmp_path: Path) -> None:
    write_record(tmp_path / STATUS_FILE, Status(state="failed", train_loss=float("nan"), val_loss=float("inf")))
    status = read_record(tmp_path / STATUS_FILE, Status)
    assert (status.train_loss, status.val_loss) == (None, None)


def test_status_is_written_at_most_once_per_interval_but_every_change_of_state_at_once(
    tmp_path: Path,
) -> None:
    writer = StatusWriter(tmp_path, interval=3600)
    assert writer.write(Status(state="running", step=1))
    assert not writer.write(Status(state="running", step=2))
    assert writer.write(Status(state="running", step=3, activity="saving"))
    assert writer.write(Status(state="paused", step=3))
    assert writer.write(Status(state="paused", step=3), force=True)
    status = read_record(tmp_path / STATUS_FILE, Status)
    assert (status.state, status.step, status.heartbeat) == ("paused", 3, 4)


def test_a_disk_that_refuses_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be written"):
        write_record(tmp_path / "nowhere" / STATUS_FILE, Status(state="running"))
