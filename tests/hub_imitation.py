"""A Hugging Face Hub on loopback, as far as its client asks when it fetches a model or a data set."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Repository:
    """Commits, oldest first; a branch and tags that point at them."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    revisions: dict[str, str] = field(default_factory=dict)
    status: int = 200
    error_code: str = ""
    """What the Hub says of it in X-Error-Code, with the status."""

    def commit(self, files: dict[str, bytes], *names: str) -> str:
        """Add a commit that `main` and these names point at; returns its hash."""
        sha = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.commits[sha] = files
        self.revisions |= dict.fromkeys(("main", *names), sha)
        return sha

    def files(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit that a revision means, and its files."""
        sha = self.revisions.get(revision, revision)
        return (sha, self.commits[sha]) if sha in self.commits else None


class Hub(ThreadingHTTPServer):
    """Serves repositories, and can be told to break off."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.repositories: dict[str, Repository] = {}
        """Models by their names, data sets by `datasets/` and their names."""
        self.lies: dict[str, bytes] = {}
        """What is sent in place of the content of a file, under the hash and the length of the right one."""
        self.requests = 0
        self.breaks_after: int | None = None
        """Bytes of a file's content after which the connection ends, every time."""
        self.held: threading.Event | None = None
        """While it is not set, no content of a file is sent."""
        self.holding = False
        self.ranges: list[str] = []
        """Of the requests for a part of a file."""
        self.sent = 0
        """Bytes of files' contents."""

    @property
    def address(self) -> str:
        """For HF_ENDPOINT."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""

    def _answer(self, *, with_body: bool) -> None:
        self.server.requests += 1
        path = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        kind = ""
        if path[:1] == ["api"]:
            kind, path = "datasets/" if path[1] == "datasets" else "", path[2:]
        elif path[:1] == ["datasets"]:
            kind, path = "datasets/", path[1:]
        repository, rest = self.server.repositories.get(kind + "/".join(path[:2])), path[2:]
        if repository is None:
            self._error(401, "RepoNotFound")
        elif repository.status != 200:
            self._error(repository.status, repository.error_code)
        elif (found := repository.files(rest[1] if len(rest) > 1 else "main")) is None:
            self._error(404, "RevisionNotFound")
        elif rest[:1] == ["resolve"]:
            self._file(*found, "/".join(rest[2:]), with_body=with_body)
        elif rest[:1] == ["tree"]:
            entries = [
                {"type": "file", "path": name, "size": len(content), "oid": _oid(content)}
                for name, content in found[1].items()
            ]
            self._json(entries)
        else:
            siblings = [{"rfilename": name} for name in found[1]]
            self._json({"id": "/".join(path[:2]), "sha": found[0], "siblings": siblings, "private": False})

    def _json(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _error(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _file(self, sha: str, files: dict[str, bytes], name: str, *, with_body: bool) -> None:
        if name not in files:
            self._error(404, "EntryNotFound")
            return
        content, start = files[name], 0
        if part := self.headers.get("Range"):
            self.server.ranges.append(part)
            start = int(part.removeprefix("bytes=").split("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{_oid(content)}"')
        self.send_header("X-Repo-Commit", sha)
        self.send_header("Accept-Ranges", "bytes")
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if with_body:
            if self.server.held is not None:
                self.server.holding = True
                self.server.held.wait(60)
            until = self.server.breaks_after
            content = self.server.lies.get(name, content)
            body = content[start:] if until is None else content[start : start + until]
            self.wfile.write(body)
            self.server.sent += len(body)
            if len(body) < len(content) - start:
                self.wfile.flush()
                self.close_connection = True
                self.connection.close()


def _oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def imitation() -> Iterator[Hub]:
    """A Hub that ends with the block."""
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()
