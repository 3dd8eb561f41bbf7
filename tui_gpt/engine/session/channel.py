"""The session's two pipes, kept apart from everything else that might read or print."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from typing import BinaryIO

from tui_gpt.core.messages import Failed, MessageError, Reply, Request, decode_request, encode, request_id
from tui_gpt.core.safe_text import safe_text


class Channel:
    """Requests in, replies out, a line each. Sending is safe from every thread."""

    def __init__(self, requests: BinaryIO, replies: int) -> None:
        """`replies` is a file descriptor."""
        self._requests = requests
        self._replies = replies
        self._lock = threading.Lock()

    @classmethod
    def on_standard_streams(cls) -> Channel:
        """Take stdin and stdout for the protocol alone.

        What a library prints goes to stderr from now on, and what it reads is empty: also from native code, and in
        processes that it starts.
        """
        requests, replies = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        return cls(os.fdopen(requests, "rb"), replies)

    def send(self, reply: Reply) -> None:
        """Write a reply, at once and whole. When nobody reads any more, nothing happens: stdin's end will tell."""
        line = memoryview(encode(reply))
        with self._lock:
            try:
                while line:
                    line = line[os.write(self._replies, line) :]
            except BrokenPipeError:
                pass

    def requests(self) -> Iterator[Request]:
        """The requests as they come, until stdin closes. What is none is answered if it has an id, and logged."""
        for line in self._requests:
            try:
                yield decode_request(line)
            except MessageError as error:
                print(safe_text(str(error)), file=sys.stderr, flush=True)  # noqa: T201
                number = request_id(line)
                if number is not None:
                    self.send(Failed(id=number, message=str(error)))
