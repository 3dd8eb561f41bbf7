"""Commands: obeyed in order, once, and always answered."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import msgspec
import pytest

from tui_gpt.core.errors import RunError
from tui_gpt.core.runs.commands import ACKS_FILE, AckReader, CommandQueue, send, wait_for_ack


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "commands").mkdir()
    return tmp_path


def waiting(run: Path) -> list[str]:
    return sorted(p.name for p in (run / "commands").iterdir())


def test_commands_are_given_in_the_order_of_sending_and_once(run: Path) -> None:
    ids = [send(run, "set_lr", {"factor": float(n)}, "test") for n in range(200)]
    assert ids == sorted(set(ids))
    queue = CommandQueue(run)
    commands = queue.poll()
    assert [c.id for c in commands] == ids
    assert [c.arguments["factor"] for c in commands] == [float(n) for n in range(200)]
    assert queue.poll() == []
    later = send(run, "pause")
    assert [c.id for c in queue.poll()] == [later]


def test_an_acknowledged_command_leaves_its_file_and_an_answer(run: Path) -> None:
    command_id = send(run, "save", {"name": "bard"}, "me")
    queue = CommandQueue(run)
    (command,) = queue.poll()
    queue.acknowledge(command, "done", "saved as bard", step=7)
    assert waiting(run) == []
    (ack,) = AckReader(run).poll()
    assert (ack.id, ack.kind, ack.outcome, ack.message, ack.step) == (
        command_id,
        "save",
        "done",
        "saved as bard",
        7,
    )


def test_a_crash_after_the_answer_and_before_the_removal_gives_the_command_to_nobody(run: Path) -> None:
    send(run, "stop")
    (name,) = waiting(run)
    content = (run / "commands" / name).read_bytes()
    queue = CommandQueue(run)
    queue.acknowledge(queue.poll()[0], "done", "stopped")
    (run / "commands" / name).write_bytes(content)
    assert CommandQueue(run).poll() == []
    assert waiting(run) == []
    assert len(AckReader(run).poll()) == 1


def test_a_trainer_that_starts_inherits_what_was_meant_for_its_forerunner_and_obeys_what_comes_then(run: Path) -> None:
    command_id = send(run, "set_lr", {"factor": 0.5})
    first = CommandQueue(run)
    assert first.poll()  # takes effect, and then the process dies before it answers
    (run / "commands" / f".{command_id}.json.012345.tmp").write_bytes(b"{")
    second = CommandQueue(run)
    second.inherit()
    (left,) = second.inherited
    later = send(run, "pause")
    assert [command.id for command in second.poll()] == [later]
    second.acknowledge(left, "refused", "the trainer was started anew")
    assert waiting(run) == [f"{later}.json"]
    (ack,) = AckReader(run).poll()
    assert (ack.outcome, ack.message) == ("refused", "the trainer was started anew")


def test_what_is_no_command_is_refused_once_and_the_rest_obeyed(run: Path) -> None:
    folder = run / "commands"
    good = send(run, "pause")
    valid = msgspec.json.decode((folder / f"{good}.json").read_bytes())

    def lay(number: int, content: bytes) -> None:
        (folder / f"{number:020d}-0123456789ab.json").write_bytes(content)

    lay(1, b"")
    lay(2, b"\xff{")
    lay(3, b"[]")
    lay(4, msgspec.json.encode({**valid, "kind": "explode"}))
    lay(5, msgspec.json.encode({**valid, "id": f"{5:020d}-0123456789ab", "arguments": {"factor": 1}}))
    lay(6, msgspec.json.encode({**valid, "schema": 2}))
    lay(7, msgspec.json.encode(valid))
    lay(8, b" " * 100_000)
    os.mkfifo(folder / f"{9:020d}-0123456789ab.json")
    (folder / f"{10:020d}-0123456789ab.json").symlink_to("/dev/zero")
    (folder / f"{11:020d}-0123456789ab.json").mkdir()
    (folder / "stray.json").write_bytes(b"{}")
    (folder / "read me.txt").write_bytes(b"not for the trainer")
    (folder / ".hidden.json").write_bytes(b"{}")

    queue = CommandQueue(run)
    assert [c.id for c in queue.poll()] == [good]
    assert queue.poll() == []
    refused = AckReader(run).poll()
    assert len(refused) == 12
    assert {ack.outcome for ack in refused} == {"refused"}
    assert all(ack.message and "\n" not in ack.message for ack in refused)
    assert waiting(run) == [".hidden.json", f"{11:020d}-0123456789ab.json", f"{good}.json", "read me.txt"]
    assert [c.id for c in CommandQueue(run).poll()] == [good]
    assert len(AckReader(run).poll()) == 12


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("explode", {}),
        ("pause", {"now": 1}),
        ("step", {"count": 0}),
        ("step", {"count": 1.5}),
        ("step", {"count": True}),
        ("save", {"name": "../elsewhere"}),
        ("save", {"name": 3}),
        ("save", {"name": ""}),
        ("set_lr", {}),
        ("set_lr", {"factor": 2.0, "value": 1.0}),
        ("set_lr", {"factor": float("nan")}),
        ("set_lr", {"value": float("inf")}),
        ("set_lr", {"value": -1}),
        ("set_lr", {"value": "1e-3"}),
    ],
)
def test_arguments_that_do_not_fit_are_refused_before_sending(
    run: Path, kind: str, arguments: dict[str, object]
) -> None:
    with pytest.raises(RunError):
        send(run, kind, arguments)  # type: ignore[arg-type]
    assert waiting(run) == []


def test_a_run_without_a_place_for_commands_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="takes no commands"):
        send(tmp_path, "pause")


def test_waiting_for_an_answer_ends_with_it(run: Path) -> None:
    command_id = send(run, "pause")
    queue = CommandQueue(run)

    def obey() -> None:
        for command in queue.poll():
            queue.acknowledge(command, "done", "paused")

    trainer = threading.Timer(0.1, obey)
    trainer.start()
    ack = wait_for_ack(run, command_id, 10, lambda: True)
    trainer.join()
    assert ack is not None
    assert ack.message == "paused"


def test_waiting_ends_without_an_answer_when_time_is_over_or_the_trainer_dead(run: Path) -> None:
    command_id = send(run, "pause")
    assert wait_for_ack(run, command_id, 0.05, lambda: True) is None
    assert wait_for_ack(run, command_id, 60, lambda: False) is None


def test_an_answer_written_just_before_death_is_still_seen(run: Path) -> None:
    command_id = send(run, "stop")
    queue = CommandQueue(run)

    def dies_after_its_answer() -> bool:
        for command in queue.poll():
            queue.acknowledge(command, "done", "stopped")
        return False

    ack = wait_for_ack(run, command_id, 60, dies_after_its_answer)
    assert ack is not None


def test_an_answer_torn_by_a_crash_does_not_swallow_the_next(run: Path) -> None:
    (run / ACKS_FILE).write_bytes(b'{"id":"0000')
    command_id = send(run, "pause")
    queue = CommandQueue(run)
    queue.acknowledge(queue.poll()[0], "done", "paused")
    assert [ack.id for ack in AckReader(run).poll()] == [command_id]
