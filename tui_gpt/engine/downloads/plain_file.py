"""One file over HTTP: from several addresses in turn, gone on with where it broke off, and known by its SHA-256.

The connections are those of huggingface_hub's client, so that proxies, certificates and HF_HUB_OFFLINE mean here what
they mean there. Its own download hands on ten megabytes at a time, which is too coarse to show, to cancel and to resume
a file of one; so what is done with the bytes is done here.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import filelock
import huggingface_hub
from huggingface_hub import errors

from tui_gpt.core import figures, files
from tui_gpt.core.corpora import BUILT_IN, END_OF_STORY, RemoteFile
from tui_gpt.core.errors import CorpusError, TuiGptError
from tui_gpt.core.fetched import PartState, forget_part, is_whole, part_of, read_part, write_part

Progress = Callable[[str, float], None]
"""What is being done, and how much of it is, 0 to 1. What it raises ends the download, which can be gone on with."""

SILENCE_SECONDS = 10.0
"""A server that says nothing for so long has left."""
SLOW_SECONDS, SLOW_BYTES = 60.0, 60_000
"""One that sends fewer bytes than that in this time has, too."""

_FRUITLESS_TRIES = 3
_MOST_CONNECTIONS = 50
_PAUSE_SECONDS = 0.5
_KEPT_EVERY_BYTES = 16 << 20
_LOCK_POLL_SECONDS = 0.1
_ON_THE_HUB = re.compile(r"hub:(?P<repository>[^@]+)@(?P<commit>\w+)/(?P<name>.+)")
_PASSING = (408, 429, 500, 502, 503, 504)
"""What a server may answer better in a moment."""


class _PeerError(Exception):
    """What a server did, as the rest of a sentence that begins with its name."""

    def __init__(self, reason: str, *, is_final: bool) -> None:
        super().__init__(reason)
        self.is_final = is_final
        """Whether asking again would be of no use."""


class NotFetchedError(CorpusError):
    """No source gave the file."""

    def __init__(self, title: str, reason: str) -> None:
        super().__init__(not_fetched(title, reason))
        self.what = f"{title} cannot be fetched: {_or_offline(reason)}"
        """What happened, without what to do."""


def fetch_file(title: str, file: RemoteFile, path: Path, progress: Progress, *, documents: int = 0) -> None:
    """See to it that the file lies at `path`, or its first `documents` documents in what has come of it.

    What is whole has the right SHA-256; of a part nobody can tell before the rest is there. Raises CorpusError in one
    sentence where no source gives it or the disk does not take it, and what `progress` raises.
    """
    with _folder_of(path), _alone(path, progress, file.name):
        if is_whole(path, file.n_bytes) or (documents and read_part(path).documents >= documents):
            return
        _require_space(path, file, documents)
        reasons: list[str] = []
        for source in file.sources:
            reason = _from_source(source, file, path, progress, documents)
            if reason is None:
                return
            reasons.append(reason)
    raise NotFetchedError(title, ", and ".join(dict.fromkeys(reasons)))


def not_fetched(title: str, reason: str) -> str:
    """The sentence that says why something is not there, and what works without a network."""
    reason = _or_offline(reason)
    names = f"{', '.join(BUILT_IN[:-1])} and {BUILT_IN[-1]}"
    return (
        f"{title} cannot be fetched: {reason}; go online and try again, or train on {names} or files of your own, "
        "which need no network"
    )


def _or_offline(reason: str) -> str:
    offline = huggingface_hub.constants.is_offline_mode()
    return "the network is switched off (HF_HUB_OFFLINE)" if offline else reason


@contextmanager
def _folder_of(path: Path) -> Iterator[None]:
    """What the disk says becomes a sentence."""
    try:
        files.make_folders(path.parent)
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CorpusError(
            f"{path.name} cannot be kept in {path.parent}: {reason}; free space there, or set TUI_GPT_HOME to another "
            "disk"
        ) from None


@contextmanager
def _alone(path: Path, progress: Progress, name: str) -> Iterator[None]:
    lock = filelock.FileLock(path.with_name(path.name + ".lock"))
    while not lock.is_locked:
        try:
            lock.acquire(timeout=_LOCK_POLL_SECONDS)
        except filelock.Timeout:
            progress(f"waiting for another process that fetches {name}", 0.0)
    try:
        yield
    finally:
        lock.release()


def _require_space(path: Path, file: RemoteFile, documents: int) -> None:
    needed = 0 if documents else file.n_bytes - read_part(path).n_bytes
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise CorpusError(
            f"{file.name} needs {figures.memory(needed)} more, and {path.parent} has {figures.memory(free)} left; free "
            "space there, or set TUI_GPT_HOME to another disk"
        )


def _from_source(source: str, file: RemoteFile, path: Path, progress: Progress, documents: int) -> str | None:
    """Fetch from one address; returns why it did not work, with the server's name."""
    fruitless = 0
    problem = "nothing came"
    not_its_own = read_part(path).n_bytes > 0
    for _ in range(_MOST_CONNECTIONS):
        before = read_part(path).n_bytes
        try:
            _connect(source, file, path, progress, documents)
        except _PeerError as error:
            problem = str(error)
            if error.is_final:
                break
        else:
            if not documents or read_part(path).n_bytes == file.n_bytes:
                wrong = _publish(file, path, progress)
                if wrong is None:
                    return None
                problem = wrong
                if not not_its_own:
                    break
                # What was here before may be to blame; now it is gone.
                not_its_own, fruitless = False, 0
                continue
            return None
        fruitless = 0 if read_part(path).n_bytes > before else fruitless + 1
        if fruitless >= _FRUITLESS_TRIES:
            break
        time.sleep(_PAUSE_SECONDS)
    return f"{_server(source)} {problem}"


def _server(source: str) -> str:
    return "the Hugging Face Hub" if _ON_THE_HUB.fullmatch(source) else urlsplit(source).hostname or source


def _address(source: str) -> tuple[str, dict[str, str]]:
    """The address and the headers of a source."""
    headers = {"Accept-Encoding": "identity"}
    found = _ON_THE_HUB.fullmatch(source)
    if found is None:
        return source, headers
    # Without a token: what the catalogue names is open to all.
    address = huggingface_hub.hf_hub_url(
        found["repository"],
        found["name"],
        repo_type="dataset",
        revision=found["commit"],
        endpoint=huggingface_hub.constants.ENDPOINT,
    )
    return address, headers


def _connect(source: str, file: RemoteFile, path: Path, progress: Progress, documents: int) -> None:
    """One request: returns when all that is wanted is there. Raises _PeerError, CorpusError and OSError."""
    have = read_part(path)
    if have.n_bytes == file.n_bytes:
        return
    address, headers = _address(source)
    if have.n_bytes:
        headers["Range"] = f"bytes={have.n_bytes}-"
    with _Growth(file, path, have, progress, documents) as growth, _transport():
        session = huggingface_hub.get_session()
        with session.stream("GET", address, headers=headers, timeout=SILENCE_SECONDS) as response:
            growth.begin_at(_start(response, have.n_bytes))
            for chunk in response.iter_bytes():
                if growth.take(chunk):
                    return
    if growth.n_bytes < file.n_bytes:
        raise _PeerError(f"ended after {growth.n_bytes:,} of {file.n_bytes:,} bytes", is_final=False)


@contextmanager
def _transport() -> Iterator[None]:
    """What the client raises becomes a _PeerError: its types are its HTTP library's, of which there are two."""
    try:
        yield
    except (_PeerError, TuiGptError, _DiskError):
        raise
    except errors.OfflineModeIsEnabled:
        raise _PeerError("is switched off (HF_HUB_OFFLINE)", is_final=True) from None
    except Exception as error:
        kind = type(error).__name__
        if not type(error).__module__.startswith(("httpx", "httpcore")):
            raise
        if "Redirect" in kind or "Protocol" in kind.removeprefix("RemoteProtocol") or "URL" in kind:
            raise _PeerError(f"leads nowhere ({' '.join(str(error).split())[:120]})", is_final=True) from None
        reason = "did not answer in time" if "Timeout" in kind else "cannot be reached, or broke off"
        raise _PeerError(f"{reason} ({' '.join(str(error).split())[:120] or kind})", is_final=False) from None


def _start(response: Any, wanted: int) -> int:
    """Where in the file the answer begins. Raises _PeerError for an answer that is no content."""
    status = response.status_code
    if status == 200:
        return 0
    if status == 206:
        found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
        if found is not None and int(found[1]) == wanted and "Content-Encoding" not in response.headers:
            return wanted
        raise _PeerError("sends another part of the file than was asked for", is_final=True)
    raise _PeerError(f"answered {status}", is_final=status not in _PASSING)


def _publish(file: RemoteFile, path: Path, progress: Progress) -> str | None:
    """Give the file its name if its hash is right; else delete it, and say so as the rest of a sentence."""
    progress(f"checking {file.name}", 0.0)
    if files.sha256_file(part_of(path)) != file.sha256:
        forget_part(path)
        return f"sent another file than {file.name} (its SHA-256 is not the known one)"
    part_of(path).replace(path)
    forget_part(path)
    files.fsync_dir(path.parent)
    return None


class _DiskError(OSError):
    """An OSError of the disk, so that it is not taken for one of the network."""


class _Growth:
    """The part of a file that is there, growing. Whatever ends it, what is written is kept and remembered."""

    def __init__(self, file: RemoteFile, path: Path, have: PartState, progress: Progress, documents: int) -> None:
        self._file, self._path, self._progress = file, path, progress
        self._wanted = documents
        self.n_bytes, self.documents = have.n_bytes, have.documents
        self._kept = have.n_bytes
        self._tail = b""
        self._handle: BinaryIO | None = None
        self._slow = (time.monotonic(), have.n_bytes)

    def __enter__(self) -> _Growth:
        return self

    def begin_at(self, n_bytes: int) -> None:
        """The server sends from there: the end of what is here, or the beginning."""
        part = part_of(self._path)
        with _disk():
            self._handle = part.open("r+b" if part.exists() else "x+b")
            if n_bytes != self.n_bytes:
                self.n_bytes = self.documents = 0
            # Beyond what was remembered, nobody knows what a power loss has left.
            self._handle.truncate(self.n_bytes)
            separator = len(END_OF_STORY)
            self._handle.seek(max(0, self.n_bytes - separator + 1))
            self._tail = self._handle.read()
            self._keep()

    def take(self, chunk: bytes) -> bool:
        """Write what came; returns whether that is enough. Raises _PeerError and what the progress raises."""
        assert self._handle is not None
        if self.n_bytes + len(chunk) > self._file.n_bytes:
            raise _PeerError(f"sends more than the {self._file.n_bytes:,} bytes of {self._file.name}", is_final=True)
        separator = END_OF_STORY.encode()
        with _disk():
            self._handle.write(chunk)
        seen = self._tail + chunk
        self.documents += seen.count(separator)
        self._tail = seen[-(len(separator) - 1) :]
        self.n_bytes += len(chunk)
        if self.n_bytes - self._kept >= _KEPT_EVERY_BYTES:
            self._keep()
        self._tell()
        self._require_haste()
        return self.n_bytes == self._file.n_bytes or bool(self._wanted and self.documents >= self._wanted)

    def _tell(self) -> None:
        done, total = self.n_bytes / self._file.n_bytes, float(self._file.n_bytes)
        if self._wanted and self.documents:
            done = self.documents / self._wanted
            total = min(total, self.n_bytes / done)
        amounts = f"{figures.memory(self.n_bytes)} of {figures.memory(total)}"
        self._progress(f"fetching {self._file.name}, {amounts}", min(1.0, done))

    def _require_haste(self) -> None:
        since, n_bytes = self._slow
        if (now := time.monotonic()) - since >= SLOW_SECONDS:
            if self.n_bytes - n_bytes < SLOW_BYTES:
                raise _PeerError(f"sends less than {SLOW_BYTES / SLOW_SECONDS:,.0f} bytes a second", is_final=True)
            self._slow = (now, self.n_bytes)

    def _keep(self) -> None:
        assert self._handle is not None
        with _disk():
            self._handle.flush()
            os.fsync(self._handle.fileno())
            write_part(self._path, PartState(n_bytes=self.n_bytes, documents=self.documents))
        self._kept = self.n_bytes

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            try:
                self._keep()
            finally:
                self._handle.close()


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _DiskError(error.errno, error.strerror, error.filename) from None
