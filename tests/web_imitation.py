"""Web servers on loopback that send a file well, or in all the ways in which servers and networks fail."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Way = Literal[
    "well", "wrong", "breaks", "long", "short", "endless", "stalls", "loop", "404", "500", "no range", "part", "held"
]


class Web(ThreadingHTTPServer):
    """One file under every address; the first part of the path says how it is sent."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.content = content
        self.breaks_after = 50_000
        self.asked: list[tuple[str, str | None]] = []
        """The way and the range of every request."""
        self.released = threading.Event()
        """Set, nothing is held back any more."""
        self.gate = 0
        """How many bytes of the file are sent, and no more for now, where it is held."""
        self.is_down = False
        """Whether every connection is broken off before anything is sent."""

    def handle_error(self, *_: object) -> None:
        """Who asked has had enough, which is what is tested."""

    def address(self, way: Way) -> str:
        """Where the file is sent that way."""
        return f"http://127.0.0.1:{self.server_address[1]}/{way.replace(' ', '-')}/file.txt"


class _Answer(BaseHTTPRequestHandler):
    server: Web
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        way = self.path.split("/")[1]
        part = self.headers.get("Range")
        self.server.asked.append((way, part))
        if self.server.is_down:
            self.close_connection = True
            return
        content = self.server.content
        if way in ("404", "500"):
            self._head(int(way), 0)
            return
        if way == "loop":
            self.send_response(302)
            self.send_header("Location", self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", part)[1]) if part and way != "no-range" else 0  # type: ignore[index]
        body = content[start:]
        if way == "wrong":
            body = body[::-1]
        claimed = {"long": len(body) + 1000, "short": len(body) - 1000}.get(way, len(body))
        if way == "endless":
            self._endless()
            return
        if way == "part":
            start += 7
        self._head(206 if start else 200, claimed, start)
        if way == "stalls":
            self.wfile.write(body[: 10_000 if start == 0 else 0])
            self.wfile.flush()
            self.server.released.wait(30)
        elif way == "held":
            self._held(start, body)
        elif way in ("breaks", "no-range"):
            self.wfile.write(body[: self.server.breaks_after])
        else:
            self.wfile.write(body[:claimed])
        if way != "well":
            self.close_connection = True

    def _held(self, start: int, body: bytes) -> None:
        sent = 0
        while sent < len(body) and not self.server.is_down:
            until = len(body) if self.server.released.is_set() else min(len(body), self.server.gate - start)
            if until > sent:
                self.wfile.write(body[sent:until])
                self.wfile.flush()
                sent = until
            else:
                self.server.released.wait(0.01)

    def _head(self, status: int, length: int, start: int = 0) -> None:
        self.send_response(status)
        if status == 206:
            self.send_header(
                "Content-Range", f"bytes {start}-{len(self.server.content) - 1}/{len(self.server.content)}"
            )
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _endless(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        try:
            while not self.server.released.is_set():
                self.wfile.write(b"%x\r\n%s\r\n" % (70_001, bytes(70_001)))
        except OSError:
            pass  # who asked has had enough


@contextmanager
def web(content: bytes) -> Iterator[Web]:
    """A server that ends with the block."""
    server = Web(content)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
