"""Everything in this process that changes files, made mortal: what SIGKILL leaves, without a process."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

WRITE = os.write


class Killed(BaseException):
    """What SIGKILL is to a process. Nothing that meets it can still change a file."""


class Death:
    """Every operation on files of this process; when told so, the n-th one is the last, a write of it half done.

    Nothing waits for the disk: what a loss of power leaves is told in test_power_loss.py.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._left: int | None = None
        for name in ("rename", "replace", "unlink", "remove", "mkdir", "rmdir", "link"):
            patch.setattr(os, name, self._counted(getattr(os, name)))
        patch.setattr(os, "fsync", self._counted(lambda _descriptor: None))
        patch.setattr(
            os, "open", self._counted(os.open, lambda _path, flags, *_, **__: flags & (os.O_WRONLY | os.O_RDWR))
        )
        patch.setattr(io, "open", self._counted(io.open, lambda _path, mode="r", *_, **__: set(mode) & set("wxa+")))
        patch.setattr(os, "write", self._counted(os.write))

    def _counted(self, original: Callable[..., Any], changes: Callable[..., Any] | None = None) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            if self._left is not None and (changes is None or changes(*arguments, **named)):
                self._left -= 1
                if self._left == 0 and original is WRITE:
                    original(arguments[0], arguments[1][: len(arguments[1]) // 2])
                if self._left <= 0:
                    raise Killed
            return original(*arguments, **named)

        return counted

    @contextmanager
    def after(self, operations: int | None) -> Iterator[list[bool]]:
        """Die at that operation of the block, if it has as many; the list says afterwards whether it did."""
        died = [False]
        self._left = operations
        try:
            yield died
        except Killed:
            died[0] = True
        finally:
            self._left = None
