"""The trainer's lock among real processes: races, kills, stops, reused process ids."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from tui_gpt.core.errors import RunError
from tui_gpt.core.runs.child_process import trainer_environment
from tui_gpt.core.runs.ownership import (
    TrainerLock,
    is_running,
    liveness,
    read_owner,
    signal_trainer,
    start_token,
    this_process,
)
from tui_gpt.core.runs.records import Status, write_record

HOLDER = """
import signal, sys
from pathlib import Path
from tui_gpt.core.errors import RunError
from tui_gpt.core.runs.ownership import TrainerLock
if len(sys.argv) > 2:
    print("ready", flush=True)
    sys.stdin.readline()
try:
    with TrainerLock(Path(sys.argv[1])):
        print("held", flush=True)
        sys.stdin.readline()
except RunError as error:
    print(error, flush=True)
"""


FORKING = """
import os, sys
from pathlib import Path
from tui_gpt.core.runs.ownership import TrainerLock
with TrainerLock(Path(sys.argv[1])):
    child = os.fork()
    if child:
        print(child, flush=True)
    sys.stdin.readline()
"""


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


def start(run: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run), *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=trainer_environment(),
    )


def say(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@contextmanager
def holder(run: Path) -> Iterator[subprocess.Popen[str]]:
    process = start(run)
    try:
        assert say(process) == "held"
        yield process
    finally:
        process.kill()
        process.communicate(timeout=20)


def test_of_eight_trainers_at_once_one_gets_the_run_and_the_others_learn_who(tmp_path: Path) -> None:
    processes = [start(tmp_path, "together") for _ in range(8)]
    for process in processes:
        assert say(process) == "ready"
    for process in processes:
        go(process)
    said = [say(process) for process in processes]
    winner = processes[said.index("held")]
    others = [words for words in said if words != "held"]
    assert len(others) == 7
    assert all(f"being trained by process {winner.pid} on " in words for words in others), others
    for process in processes:
        process.communicate("\n", timeout=20)
    assert liveness(tmp_path) == "dead"
    assert read_owner(tmp_path) is None


def test_a_killed_holder_is_dead_at_once_and_its_lock_free(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        assert liveness(tmp_path) == "alive"
        process.send_signal(signal.SIGKILL)
        process.wait(20)
        assert liveness(tmp_path) == "dead"
        assert read_owner(tmp_path) is not None
        with TrainerLock(tmp_path, patience=0):
            assert liveness(tmp_path) == "alive"


def test_a_stopped_holder_is_hung_until_it_goes_on(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGSTOP)
        until(lambda: liveness(tmp_path, hung_after=0.2) == "hung")
        assert liveness(tmp_path, hung_after=60) == "alive"
        process.send_signal(signal.SIGCONT)
        write_record(tmp_path / "status.json", Status(state="running"))
        assert liveness(tmp_path, hung_after=20) == "alive"


def test_an_old_status_does_not_make_a_new_trainer_hung(tmp_path: Path) -> None:
    write_record(tmp_path / "status.json", Status(state="running", updated=time.time() - 1000))
    with holder(tmp_path):
        assert liveness(tmp_path) == "alive"


def test_viewers_that_probe_all_the_time_do_not_keep_a_trainer_from_starting(tmp_path: Path) -> None:
    over = threading.Event()
    seen: list[str] = []

    def watch() -> None:
        while not over.is_set():
            seen.append(liveness(tmp_path))

    viewers = [threading.Thread(target=watch) for _ in range(4)]
    for viewer in viewers:
        viewer.start()
    try:
        for _ in range(10):
            with TrainerLock(tmp_path):
                assert liveness(tmp_path) == "alive"
    finally:
        over.set()
        for viewer in viewers:
            viewer.join()
    assert set(seen) <= {"alive", "dead"}


def test_viewers_do_not_take_each_other_for_a_trainer(tmp_path: Path) -> None:
    (tmp_path / "trainer.lock").touch()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            liveness(tmp_path)

    viewer = threading.Thread(target=watch)
    viewer.start()
    try:
        assert {liveness(tmp_path) for _ in range(2000)} == {"dead"}
    finally:
        over.set()
        viewer.join()


def test_a_folder_that_may_only_be_read_still_tells_whether_its_trainer_lives(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        (tmp_path / "trainer.lock").chmod(0o444)
        tmp_path.chmod(0o555)
        try:
            assert liveness(tmp_path) == "alive"
            process.kill()
            process.wait(20)
            assert liveness(tmp_path) == "dead"
        finally:
            tmp_path.chmod(0o755)


def test_where_the_lock_tells_nothing_the_owner_does(tmp_path: Path) -> None:
    (tmp_path / "trainer.lock").mkdir()  # cannot be opened as a lock, as on file systems without any
    write_record(tmp_path / "owner.json", this_process())
    assert liveness(tmp_path) == "alive"
    write_record(tmp_path / "owner.json", msgspec.structs.replace(this_process(), start_token="1"))
    assert liveness(tmp_path) == "dead"


def test_a_reused_process_id_is_neither_taken_for_the_trainer_nor_signalled(tmp_path: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        token = start_token(bystander.pid)
        assert token is not None
        real = msgspec.structs.replace(this_process(), pid=bystander.pid, start_token=token)
        assert is_running(real)
        for fake in (
            msgspec.structs.replace(real, start_token=token + "1"),
            msgspec.structs.replace(real, boot_id="another boot"),
            msgspec.structs.replace(real, host="another host"),
        ):
            assert not is_running(fake)
            write_record(tmp_path / "owner.json", fake)
            with pytest.raises(RunError, match="nothing was signalled"):
                signal_trainer(tmp_path, signal.SIGKILL)
        assert bystander.poll() is None
        write_record(tmp_path / "owner.json", real)
        assert signal_trainer(tmp_path, signal.SIGTERM) == real
        assert bystander.wait(20) == -signal.SIGTERM
    finally:
        bystander.kill()
        bystander.communicate(timeout=20)


def test_a_process_that_is_gone_or_a_zombie_does_not_run(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    until(lambda: start_token(process.pid) is None)  # not waited for yet: a zombie
    process.wait(20)
    assert start_token(process.pid) is None
    with pytest.raises(RunError, match="has no trainer"):
        signal_trainer(tmp_path, signal.SIGTERM)
    write_record(tmp_path / "owner.json", msgspec.structs.replace(this_process(), pid=process.pid))
    with pytest.raises(RunError, match="does not run on this machine"):
        signal_trainer(tmp_path, signal.SIGTERM)


def test_a_lock_let_go_of_can_be_taken_again_and_a_held_one_names_its_holder(tmp_path: Path) -> None:
    for _ in range(3):
        with TrainerLock(tmp_path), pytest.raises(RunError, match=f"process {os.getpid()} on .* since 20"):
            TrainerLock(tmp_path, patience=60).acquire()
    assert liveness(tmp_path) == "dead"


def test_a_run_that_does_not_exist_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no run in"):
        TrainerLock(tmp_path / "nowhere").acquire()
    assert not (tmp_path / "nowhere").exists()


def test_a_lock_that_is_a_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "trainer.lock").mkdir()
    with pytest.raises(RunError, match="cannot be locked"):
        TrainerLock(tmp_path).acquire()


def test_what_a_trainer_forked_does_not_hold_its_run_when_it_is_killed(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", FORKING, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=trainer_environment(),
    )
    try:
        assert holder.stdout is not None and holder.stdin is not None
        child = int(holder.stdout.readline())
        assert liveness(tmp_path) == "alive"
        holder.kill()
        holder.wait(20)
        # It lets go as soon as it runs, and goes on waiting.
        until(lambda: liveness(tmp_path) == "dead")
        assert start_token(child) is not None
    finally:
        holder.stdin.close()
        holder.stdout.close()
