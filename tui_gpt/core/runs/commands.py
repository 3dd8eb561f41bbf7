"""Commands from viewers to the trainer: one file each, obeyed between two steps, in order, once."""

from __future__ import annotations

import errno
import math
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, get_args

import msgspec

from tui_gpt.core.errors import ConfigError, RunError
from tui_gpt.core.files import fsync_dir, write_bytes
from tui_gpt.core.names import check_name
from tui_gpt.core.runs.plain_files import is_temporary, open_regular, read_regular, reason
from tui_gpt.core.runs.records import Record, decode_record

COMMANDS_FOLDER = "commands"
ACKS_FILE = "acks.jsonl"

CommandKind = Literal["pause", "resume", "step", "stop", "save", "set_lr"]
COMMAND_KINDS: tuple[str, ...] = get_args(CommandKind)
Outcome = Literal["done", "refused"]
Argument = str | int | float | None

_LARGEST_COMMAND = 64 << 10
_PASSING = (errno.ENOENT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Why a file cannot be read that says nothing against what is in it."""
_POLL_SECONDS = 0.05
_AT_ONCE = 8 << 20
"""Bytes of acknowledgements. One has some hundred."""


class Command(Record, frozen=True, kw_only=True):
    """commands/<id>.json: what a viewer asks of the trainer.

    Arguments: `step` takes `count` (steps to make while paused, 1 if left out), `save` takes `name` (of the model to
    publish, None or left out for a checkpoint only), `set_lr` takes either `factor` or `value` (learning rate).
    """

    id: str
    """Time-ordered: sorts as text in the order of sending."""
    kind: CommandKind
    arguments: dict[str, Argument] = msgspec.field(default_factory=dict)
    sender: str = ""
    sent: float = 0.0
    """Unix seconds."""


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """One line of acks.jsonl: what became of a command."""

    id: str
    kind: str
    outcome: Outcome
    message: str
    time: float
    """Unix seconds."""
    step: int | None = None
    """The step between which and the next the trainer obeyed."""


class _TimeOrderedIds:
    """Identifiers that sort as text in the order of their making, within this process and, as far as clocks go, among
    all of the machine."""

    def __init__(self) -> None:
        self._last = 0
        self._guard = threading.Lock()

    def new(self) -> str:
        with self._guard:
            self._last = max(self._last + 1, time.time_ns())
            return f"{self._last:020d}-{secrets.token_hex(6)}"


_ids = _TimeOrderedIds()
_FILE_NAME = re.compile(r"([0-9]{20}-[0-9a-f]{12})\.json")


def argument_problem(kind: str, arguments: Mapping[str, Argument]) -> str | None:
    """Why these arguments do not fit this kind of command, in a sentence; None when they do."""
    if kind not in COMMAND_KINDS:
        return f"{kind!r} is not a command; there are {', '.join(COMMAND_KINDS)}"
    check = {"step": _step_problem, "save": _save_problem, "set_lr": _set_lr_problem}.get(kind)
    allowed = {"step": {"count"}, "save": {"name"}, "set_lr": {"factor", "value"}}.get(kind, set())
    if unknown := sorted(set(arguments) - allowed):
        return f"{kind} does not take {', '.join(map(repr, unknown))}"
    return check(arguments) if check is not None else None


def _step_problem(arguments: Mapping[str, Argument]) -> str | None:
    count = arguments.get("count", 1)
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        return f"step takes a whole number of steps of at least 1, not {count!r}"
    return None


def _save_problem(arguments: Mapping[str, Argument]) -> str | None:
    name = arguments.get("name")
    if name is None:
        return None
    if not isinstance(name, str):
        return f"save takes a name, not {name!r}"
    try:
        check_name(name, "model name")
    except ConfigError as error:
        return str(error)
    return None


def _set_lr_problem(arguments: Mapping[str, Argument]) -> str | None:
    numbers = [value for value in arguments.values() if value is not None]
    if len(numbers) != 1:
        return "set_lr takes either a factor or a value"
    number = numbers[0]
    if isinstance(number, bool | str) or not math.isfinite(number) or number < 0:
        return f"set_lr takes a number of at least 0, not {number!r}"
    return None


def send(run_folder: Path, kind: CommandKind, arguments: Mapping[str, Argument] | None = None, sender: str = "") -> str:
    """Lay a command before the trainer of a run; returns its id, to wait for.

    Raises RunError when the arguments do not fit or the command cannot be written.
    """
    arguments = dict(arguments or {})
    if problem := argument_problem(kind, arguments):
        raise RunError(f"{problem}; nothing was sent to {run_folder.name}")
    command = Command(id=_ids.new(), kind=kind, arguments=arguments, sender=sender, sent=time.time())
    path = run_folder / COMMANDS_FOLDER / f"{command.id}.json"
    try:
        # Not durable: a power loss takes the trainer along, and one that resumes expires what was pending.
        write_bytes(path, msgspec.json.encode(command), durable=False)
    except OSError as error:
        raise RunError(
            f"{path.parent} takes no commands: {reason(error)}; check that the run exists and may be written"
        ) from error
    return command.id


def wait_for_ack(run_folder: Path, command_id: str, timeout: float, alive: Callable[[], bool]) -> Ack | None:
    """Wait for the trainer's answer, at most `timeout` seconds and only while `alive()`; None without one."""
    reader = AckReader(run_folder)
    deadline = time.monotonic() + timeout
    while True:
        # Asked before reading: what a trainer wrote before it died is still seen.
        over = time.monotonic() >= deadline or not alive()
        for ack in reader.poll():
            if ack.id == command_id:
                return ack
        if over:
            return None
        time.sleep(_POLL_SECONDS)


class AckReader:
    """Follows acks.jsonl from its first line on; what is not an acknowledgement is passed over."""

    def __init__(self, run_folder: Path) -> None:
        self._path = run_folder / ACKS_FILE
        self._offset = 0
        self._decoder = msgspec.json.Decoder(Ack)

    def poll(self) -> list[Ack]:
        """The acknowledgements added since the last call. Raises RunError when the file cannot be read."""
        acks: list[Ack] = []
        try:
            with open_regular(self._path) as handle:
                while True:
                    handle.seek(self._offset)
                    content = handle.read(_AT_ONCE)
                    whole = content[: content.rfind(b"\n") + 1]
                    self._offset += len(whole)
                    acks += [ack for line in whole.split(b"\n") if (ack := self._decode(line)) is not None]
                    if len(content) < _AT_ONCE:
                        return acks
                    if not whole:
                        raise OSError(errno.EFBIG, f"A line of more than {_AT_ONCE >> 20} MB", str(self._path))
        except FileNotFoundError:
            return acks
        except OSError as error:
            raise RunError(f"{self._path} cannot be read: {reason(error)}; check what lies there") from None

    def _decode(self, line: bytes) -> Ack | None:
        try:
            return self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None


class CommandQueue:
    """The trainer's side. Only the holder of the trainer's lock may use it.

    A command is given out once per process, and never again once acknowledged, whatever crashed in between. An answer
    that the disk refuses is tried again with every poll.
    """

    def __init__(self, run_folder: Path) -> None:
        self._folder = run_folder / COMMANDS_FOLDER
        self._acks = run_folder / ACKS_FILE
        self._acknowledged = {ack.id for ack in AckReader(run_folder).poll()}
        self.inherited: list[Command] = []
        """What was meant for an earlier trainer, and is to be answered."""
        self._given: set[str] = set()
        self._owed: list[Ack] = []

    @property
    def owes(self) -> bool:
        """Whether an answer could not be written down yet."""
        return bool(self._owed)

    def poll(self) -> list[Command]:
        """Commands not given out before, oldest first. What is no command is refused and removed.

        Raises RunError when the folder cannot be read; what could not be read now is looked at again by the next call.
        """
        with suppress(RunError):
            self._pay()
        commands: list[Command] = []
        for name in self._names():
            path, command_id = self._folder / name, name.removesuffix(".json")
            if command_id in self._acknowledged:
                self._remove(path)
            elif command_id not in self._given:
                try:
                    commands.append(_read_command(path))
                    self._given.add(command_id)
                except OSError:  # withdrawn, or there is no file handle left to read it with
                    continue
                except RunError as error:
                    self._given.add(command_id)
                    self._owed.append(
                        Ack(id=command_id, kind="", outcome="refused", message=str(error), time=time.time())
                    )
        with suppress(RunError):
            self._pay()
        return commands

    def acknowledge(self, command: Command, outcome: Outcome, message: str, *, step: int | None = None) -> None:
        """Say what became of a command: first durably in acks.jsonl, then by removing its file. Raises RunError."""
        self._owed.append(
            Ack(
                id=command.id,
                kind=command.kind,
                outcome=outcome,
                message=message,
                time=time.time(),
                step=step,
            )
        )
        self._pay()

    def inherit(self) -> None:
        """Take what lies there now as meant for an earlier trainer: it is in `inherited`, and no poll gives it out.

        A trainer calls it once it holds the run, so that a command that took effect just before a crash is not obeyed
        twice, and what is sent while it starts is. Raises RunError when the folder cannot be read.
        """
        self.inherited += self.poll()
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            # Left by a viewer that died while writing. One that is writing now sends again at the person's next try.
            if is_temporary(path.name):
                self._remove(path)

    def _names(self) -> list[str]:
        try:
            names = [entry.name for entry in self._folder.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise RunError(f"{self._folder} cannot be read: {reason(error)}; until it can, commands wait") from None
        # What no viewer of ours could have named, such as bytes that are not UTF-8, is left alone.
        return sorted(n for n in names if n.endswith(".json") and not n.startswith(".") and n.isprintable())

    def _pay(self) -> None:
        """Write down the answers that are still to be given, oldest first. Raises RunError when the disk refuses."""
        while self._owed:
            ack = self._owed[0]
            _append_line(self._acks, msgspec.json.encode(ack))
            self._acknowledged.add(ack.id)
            self._remove(self._folder / f"{ack.id}.json")
            del self._owed[0]

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            # A folder by that name, or a folder that became read-only: it is acknowledged, so nobody obeys it again.
            return


def _read_command(path: Path) -> Command:
    """The command in a file. Raises RunError when it is none, OSError when it is gone or cannot be read for now."""
    if not _FILE_NAME.fullmatch(path.name):
        raise RunError(f"{path.name!r} is not the name of a command")
    try:
        content = read_regular(path, _LARGEST_COMMAND)
    except OSError as error:
        if error.errno in _PASSING:
            raise
        raise RunError(f"{path.name} cannot be read: {reason(error)}") from None
    command = decode_record(content, Command, path)
    if command.id != path.name.removesuffix(".json"):
        raise RunError(f"{path.name} holds a command of another name")
    if problem := argument_problem(command.kind, command.arguments):
        raise RunError(problem)
    return command


def _append_line(path: Path, line: bytes) -> None:
    """Add one line durably, on a line of its own even when a crash left the last one unfinished."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            if not size:
                fsync_dir(path.parent)
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            whole = (b"\n" if torn else b"") + line + b"\n"
            written = 0
            while written < len(whole):
                written += os.write(descriptor, whole[written:])
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {reason(error)}; free some space and resume the run") from error
