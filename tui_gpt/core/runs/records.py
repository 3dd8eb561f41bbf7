"""The JSON records of a run directory: strict, with schema numbers, refused in one sentence when damaged or newer."""

from __future__ import annotations

import errno
import os
import stat
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeVar

import msgspec
from msgspec import Meta

from tui_gpt.core.config import RunConfig
from tui_gpt.core.errors import RunError
from tui_gpt.core.files import write_bytes
from tui_gpt.core.runs.plain_files import read_regular, reason
from tui_gpt.core.streams import StreamPlan

RUN_FILE = "run.json"
OWNER_FILE = "owner.json"
EXECUTION_FILE = "execution.json"
STATUS_FILE = "status.json"

_LARGEST_RECORD = 16 << 20

State = Literal["starting", "preparing", "running", "paused", "stopped", "finished", "failed"]
ENDED: frozenset[str] = frozenset({"stopped", "finished", "failed"})
"""States that a trainer leaves behind when it ends in good order."""

Count = Annotated[int, Meta(ge=0)]


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what is one JSON file: immutable, unknown keys refused, `schema` first."""

    SCHEMA: ClassVar[int] = 1

    schema: Annotated[int, Meta(ge=1)] = 1


class DataRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run learns from, as it was when the run was made."""

    corpus: str
    source: str
    """For display: the corpus' title, or the path that was given."""
    sha256: str
    """SHA-256 of the text, in hexadecimal."""
    tokenizer: str
    vocab_size: Count
    n_train_tokens: Count
    n_validation_tokens: Count
    train_bytes: Count
    """UTF-8 bytes of the text behind the training tokens."""
    validation_bytes: Count
    prepared: str
    """Name of the folder of token files within the cache."""
    tokenizer_sha256: str = ""
    """SHA-256 of `start/tokenizer.json` where the tokenizer came with a model; empty where the corpus gave it."""
    rows_per_epoch: Annotated[float, Meta(ge=0)] = 0.0
    """Sequences in which everything is visited once; 0: as many as windows of the context fit into the tokens."""
    tokens_per_byte: Annotated[float, Meta(ge=0)] = 0.0
    """Of the validation text that is predicted; 0: its tokens over its bytes."""
    stream: StreamPlan | None = None
    """How the text is made part by part, where it is learned from while it arrives; None for one that is read whole."""
    is_estimated: bool = False
    """Whether `n_train_tokens`, `train_bytes` and `rows_per_epoch` are what was expected of a text still arriving."""


class RunRecord(Record, frozen=True, kw_only=True):
    """run.json: what makes a run what it is. Never changes."""

    name: str
    """The name at creation; a renamed run is known by its folder's name."""
    created: str
    """UTC, ISO 8601; see `utc_now`."""
    config: RunConfig
    versions: dict[str, str]
    data: DataRecord
    parent: str | None = None
    """The model from which this run continues, by its bare name, or `run NAME step N` for a fork."""
    from_model: bool = False
    """Whether the run begins with the weights of the model in `start/`."""
    base_model: str = ""
    """That model as others know it: `hub:owner/name@commit` where it came from the Hub, else its name."""
    fork_step: Count | None = None
    """Completed steps of the checkpoint that the run was made with, if it was forked."""
    notes: str = ""


class Owner(Record, frozen=True, kw_only=True):
    """owner.json: the process that holds trainer.lock, identified beyond the reuse of process ids."""

    pid: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    start_token: str
    """When the process started, in the system's own words."""
    boot_id: str
    """The boot of the machine; empty where the system has no name for it."""
    host: str
    started: float
    """When the lock was taken, Unix seconds."""


class ExecutionRecord(Record, frozen=True, kw_only=True):
    """execution.json: what the first trainer probed and chose; a resumed one keeps it."""

    device: str
    device_name: str
    precision: str
    compile: bool
    threads: Count
    world_size: Annotated[int, Meta(ge=1)] = 1
    reasons: list[str] = msgspec.field(default_factory=list)
    """One sentence per choice."""
    versions: dict[str, str] = msgspec.field(default_factory=dict)


class Status(Record, frozen=True, kw_only=True):
    """status.json: where the trainer is. A number that is not finite is written as null and read as None."""

    state: State
    step: Count = 0
    total_steps: Count | None = None
    """None where the clock ends the run."""
    progress: Annotated[float, Meta(ge=0, le=1)] = 0.0
    heartbeat: Count = 0
    """Grows with every write."""
    updated: float = msgspec.field(default_factory=time.time)
    """Unix seconds."""
    train_loss: float | None = None
    val_loss: float | None = None
    best_val_loss: float | None = None
    best_step: Count | None = None
    learning_rate: float | None = None
    tokens_per_second: float | None = None
    memory_bytes: Count | None = None
    """What the trainer holds: of a CUDA device at most so far, else of the machine's memory now."""
    device: str = ""
    """The device's name, once it is chosen."""
    elapsed_seconds: float = 0.0
    remaining_seconds: float | None = None
    last_checkpoint: Count | None = None
    """Step of the newest checkpoint."""
    activity: str = ""
    """What takes longer than a step just now: evaluating, saving, compiling, ..."""
    warnings: list[str] = msgspec.field(default_factory=list)
    error: str | None = None


R = TypeVar("R", bound=Record)


class _SchemaOnly(msgspec.Struct):
    schema: int


def decode_record(content: bytes, cls: type[R], path: Path) -> R:
    """`content` of the file at `path` as a `cls`. Raises RunError when it is damaged or of a newer schema."""
    try:
        schema = msgspec.json.decode(content, type=_SchemaOnly).schema
        if schema > cls.SCHEMA:
            raise RunError(
                f"{path} was written by a newer tui-gpt (schema {schema}, and this one knows {cls.SCHEMA}); it "
                "stays as it is, so update tui-gpt to use it"
            )
        return msgspec.json.decode(content, type=cls)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RunError(f"{path} is damaged ({reason(error)}); restore it from a copy, or do without it") from None


def read_record(path: Path, cls: type[R]) -> R:
    """The record in the file at `path`. Raises RunError when it is missing, unreadable, damaged or newer."""
    record = read_optional(path, cls)
    if record is None:
        raise RunError(f"{path} is missing, so this is no complete run; restore it from a copy, or delete the folder")
    return record


def read_optional(path: Path, cls: type[R]) -> R | None:
    """As `read_record`, and None where there is no such file."""
    try:
        content = read_regular(path, _LARGEST_RECORD)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {reason(error)}; check what lies there and its permissions") from None
    return decode_record(content, cls, path)


def write_record(path: Path, record: Record, *, durable: bool = True) -> None:
    """Replace the file at `path` by `record`, atomically and readably. Raises RunError when the disk refuses."""
    try:
        write_bytes(path, _encode(record), durable=durable)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {reason(error)}; check space and permissions there") from error


def _encode(record: Record) -> bytes:
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def _is_full(error: RunError) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)


def _overwrite(path: Path, content: bytes) -> bool:
    """Write over a file within the blocks that it has already, which a full disk allows; say whether it was done.

    Not atomic, and so only for what nothing depends on: a crash, or a look at the wrong instant, may find it damaged.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        facts = os.fstat(descriptor)
        # Blanks instead of a cut: then one write does it.
        whole = content.ljust(facts.st_size)
        if not stat.S_ISREG(facts.st_mode) or len(whole) > 512 * facts.st_blocks:
            return False
        return os.pwrite(descriptor, whole, 0) == len(whole)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def utc_now() -> str:
    """This moment in UTC, ISO 8601, to the millisecond: sorts as text."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class StatusWriter:
    """The trainer's way to status.json: at most one write per `interval` seconds, unless the state changes.

    Every write counts the heartbeat up and sets `updated`, whatever the given status says of them.
    """

    def __init__(self, run_folder: Path, *, interval: float = 1.0) -> None:
        self._path = run_folder / STATUS_FILE
        self._interval = interval
        self._last: tuple[str, str] | None = None
        self._due = 0.0
        self._heartbeat = 0

    def write(self, status: Status, *, force: bool = False) -> bool:
        """Write `status` if it is time, if its state or activity is new, or if `force`; say whether it was written.

        Raises RunError when the disk refuses.
        """
        shown = (status.state, status.activity)
        now = time.monotonic()
        if not force and shown == self._last and now < self._due:
            return False
        self._heartbeat += 1
        fresh = msgspec.structs.replace(status, heartbeat=self._heartbeat, updated=time.time())
        # After a power loss an older status is as good; the end of a run is worth the wait for the disk.
        try:
            write_record(self._path, fresh, durable=status.state in ENDED)
        except RunError as error:
            if not (_is_full(error) and _overwrite(self._path, _encode(fresh))):
                raise
        self._last, self._due = shown, now + self._interval
        return True
