"""The tail of a run's log: whole lines, each once, from the newest file, however large."""

from __future__ import annotations

from pathlib import Path

from tui_gpt.ui.train.log_tail import LogTail


def test_a_run_without_a_log_has_no_lines(tmp_path: Path) -> None:
    tail = LogTail(tmp_path)
    assert tail.poll() == (None, True, [])
    assert tail.poll() == (None, False, [])


def test_lines_come_once_and_whole_and_a_newer_log_begins_afresh(tmp_path: Path) -> None:
    log = tmp_path / "training_20260101_000000.log"
    log.write_bytes(b"one\r\ntw")
    tail = LogTail(tmp_path)
    assert tail.poll() == (log, True, ["one"])
    with log.open("ab") as file:
        file.write(b"o\n\xff\x1b[2J\n")
    assert tail.poll() == (log, False, ["two", "\ufffd␛[2J"])
    assert tail.poll() == (log, False, [])
    newer = tmp_path / "training_20260102_000000.log"
    newer.write_bytes(b"again\n")
    assert tail.poll() == (newer, True, ["again"])


def test_of_a_large_log_the_end_is_read_and_what_grows_too_fast_is_skipped(tmp_path: Path) -> None:
    log = tmp_path / "training_20260101_000000.log"
    log.write_text("".join(f"line {number}\n" for number in range(100_000)), encoding="utf-8")
    tail = LogTail(tmp_path)
    lines = tail.poll().lines
    assert lines[-1] == "line 99999" and len(lines) < 10_000 and lines[0].startswith("line ")
    with log.open("a", encoding="utf-8") as file:
        file.write("".join(f"more {number}\n" for number in range(100_000)))
    piece = tail.poll()
    assert piece.afresh and piece.lines[-1] == "more 99999"


def test_a_line_without_an_end_is_cut(tmp_path: Path) -> None:
    (tmp_path / "training_20260101_000000.log").write_text("x" * 50_000, encoding="utf-8")
    [line] = LogTail(tmp_path).poll().lines
    assert len(line) == 2002 and line.endswith(" …")


def test_a_link_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "training_20260101_000000.log").symlink_to("/etc/passwd")
    assert LogTail(tmp_path).poll().path is None
