"""TinyStories in small, on servers of the test that hold it back: for tests of learning from a text that arrives."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from training_runs import tiny
from web_imitation import Web, web

from tui_gpt.core.config import RunConfig
from tui_gpt.core.corpora import CATALOGUE, END_OF_STORY, RemoteFile
from tui_gpt.engine.text import arranging

PART = 20
"""Documents of a part."""
PARTS = 5
NAMES = ("fox", "hen", "cat", "dog", "owl", "bee")
DEEDS = ("ran to the sea", "sang a song", "ate a pear", "saw the moon", "found a key")


def stories(number: int) -> list[str]:
    """Short stories, all of them different, one of them empty and one that breaks off."""
    chance = random.Random(number)
    found = [
        " ".join(f"The {chance.choice(NAMES)} {n} {chance.choice(DEEDS)}." for _ in range(4)) for n in range(number)
    ]
    found[3], found[5] = "", "A story that stops in the"
    return found


def story_file(texts: list[str]) -> bytes:
    """As the files of TinyStories are."""
    return "".join(f"{text}\n{END_OF_STORY}\n" for text in texts).encode()


class Arriving:
    """The text and who sends it."""

    def __init__(self, train: Web, validation: Web) -> None:
        self.train, self.validation = train, validation

    def let_through(self, parts: int) -> None:
        """Send so many parts, and a little of the next one."""
        separator = END_OF_STORY.encode()
        at = -1
        for _ in range(parts * PART):
            at = self.train.content.index(separator, at + 1)
        self.train.gate = min(len(self.train.content), at + 40)

    def let_all_through(self) -> None:
        """Send what is left."""
        self.train.released.set()


@contextmanager
def arriving(monkeypatch: pytest.MonkeyPatch, *, documents: int = PART * PARTS) -> Iterator[Arriving]:
    """The corpus `tinystories`, of which nothing is let through yet; there are more documents than are wanted."""
    train, validation = story_file(stories(PART * PARTS + 7)), story_file(stories(30))
    with web(train) as server, web(validation) as other:
        info = msgspec.structs.replace(
            CATALOGUE["tinystories"],
            train=_remote("TinyStories-train.txt", train, server.address("held")),
            validation=_remote("TinyStories-valid.txt", validation, other.address("well")),
            documents=documents,
            validation_documents=25,
        )
        monkeypatch.setitem(CATALOGUE, "tinystories", info)
        monkeypatch.setattr(arranging, "PART_DOCUMENTS", PART)
        yield Arriving(server, other)


def _remote(name: str, content: bytes, address: str) -> RemoteFile:
    return RemoteFile(name=name, n_bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), sources=(address,))


def streamed(*, data: dict[str, Any] | None = None, **train: Any) -> RunConfig:
    """A configuration whose steps take milliseconds, on that text."""
    config = tiny(Path("tinystories"), **{"batch_size": 4, "eval_interval": 20, "checkpoint_interval": 10, **train})
    changed = {"tokenizer": "auto", "bpe_vocab_size": 300, **(data or {})}
    return msgspec.structs.replace(config, data=msgspec.structs.replace(config.data, **changed))
