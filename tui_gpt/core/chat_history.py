"""What was said to models and what they answered, kept on disk: one file of JSON lines per conversation.

A file only grows: each line is one thing that happened, and reading it means letting all of them happen again. A line
that is damaged is passed over. Beside the conversations lies prompts.jsonl, the prompts of all of them.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias, TypeVar

import msgspec

from tui_gpt.core import locations
from tui_gpt.core.errors import TuiGptError
from tui_gpt.core.files import write_bytes
from tui_gpt.core.guards.guard import Verdict
from tui_gpt.core.messages import ModelRef

CHATS_FOLDER = "chats"
PROMPTS_FILE = "prompts.jsonl"
SCHEMA = 1

LARGEST_CONVERSATION = 32 << 20
"""Bytes of one file. More is not written, and not read."""
MOST_CONVERSATIONS = 500
"""When a new one begins, those that were touched longest ago go."""
MOST_PROMPTS = 500
_LARGEST_PROMPTS = 1 << 20
_LONGEST_PROMPT = 20_000
_EXCERPT = 60
_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{6}")


class ChatHistoryError(TuiGptError):
    """A conversation that cannot be read or kept."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a model wrote, as it wrote it: foreign text."""

    text: str
    title: str = ""
    """Of the model, e.g. `bard` or `run bard, step 120`."""
    step: int | None = None
    seed: int | None = None
    sample: int = 0
    """Its number among the samples of that seed."""
    tokens: int = 0
    seconds: float = 0.0
    first_token_seconds: float | None = None
    reason: str = ""
    """`eot`, `stop`, `length`, `stopped` by a person, or `broken` off; `declined` where a guard answered."""
    verdict: Verdict | None = None
    """Of the guard that was asked first, without its refusal; None where none was."""
    answer: bool = False
    """Whether it answers what was said, and does not continue it."""
    forgotten: int = 0
    """Of what was said before, how many messages the model no longer had room for."""

    @property
    def declined(self) -> bool:
        """Whether this is a guard's refusal: no model was asked."""
        return self.verdict is not None and not self.verdict.accepted


def refusal_reply(verdict: Verdict) -> Reply:
    """What a guard answers in a model's place."""
    return Reply(
        text=verdict.refusal,
        title=f"guard {verdict.guard}",
        seconds=verdict.seconds,
        reason="declined",
        verdict=msgspec.structs.replace(verdict, refusal=""),
    )


class Turn(msgspec.Struct, kw_only=True):
    """What a person said, and the replies to choose from."""

    said: str
    joint: str = ""
    """What stands between the text before and `said`: nothing, or a line feed."""
    replies: list[Reply] = []
    chosen: int = 0
    """Which reply the text goes on from."""

    @property
    def reply(self) -> Reply | None:
        """The reply that the text goes on from."""
        return self.replies[self.chosen] if 0 <= self.chosen < len(self.replies) else None

    @property
    def text(self) -> str:
        """What this turn adds to the text: nothing where a guard declined it."""
        if self.reply is not None and self.reply.declined:
            return ""
        if self.reply is None:
            return self.joint + self.said
        return self.joint + self.said + ("\n" if self.reply.answer else "") + self.reply.text


class Kept(msgspec.Struct, kw_only=True):
    """A conversation as it was kept."""

    id: str
    model: ModelRef | None = None
    turns: list[Turn] = []


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation in a list."""

    id: str
    at: str
    """When it was touched last, in local time: `2025-01-31 08:15`."""
    model: str
    begins: str
    """The first thing that was said. Foreign text, on one line."""
    excerpt: str
    """Around what was searched for, on one line; empty where nothing was searched for."""
    turns: int


# ---- what a line can be


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    """Base of all lines."""


class Opened(_Event, frozen=True, kw_only=True):
    """The first line: where it began, and with whom."""

    schema: int = SCHEMA
    at: str = ""
    model: ModelRef | None = None


class Partner(_Event, frozen=True, kw_only=True):
    """From here on another model answers."""

    model: ModelRef


class Said(_Event, frozen=True, kw_only=True):
    """A new turn."""

    said: str
    joint: str = ""


class Answered(_Event, frozen=True, kw_only=True):
    """More replies to the last turn; the first of them is the chosen one."""

    replies: list[Reply]


class Chosen(_Event, frozen=True, kw_only=True):
    """Another reply of the last turn."""

    reply: int


class Cut(_Event, frozen=True, kw_only=True):
    """Only the first `turns` turns remain."""

    turns: int


ChatEvent: TypeAlias = Opened | Partner | Said | Answered | Chosen | Cut
_EVENTS: msgspec.json.Decoder[ChatEvent] = msgspec.json.Decoder(ChatEvent)


class _Prompt(msgspec.Struct, frozen=True):
    text: str


_PROMPTS = msgspec.json.Decoder(_Prompt)
_T = TypeVar("_T")


class ChatHistory:
    """The folder of conversations. Its methods block on the disk; each raises ChatHistoryError where it says so."""

    def __init__(self, folder: Path | None = None) -> None:
        """Left out, the folder is `chats` in the home folder, made when it is first needed."""
        self.folder = folder or locations.home() / CHATS_FOLDER

    # ---- writing

    def begin(self, model: ModelRef | None) -> str:
        """A new conversation; returns its id. Raises ChatHistoryError."""
        now = datetime.now(UTC)
        number = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from None
        self.append(number, Opened(at=f"{now:%Y-%m-%dT%H:%M:%SZ}", model=model))
        return number

    def append(self, number: str, event: ChatEvent) -> None:
        """Write down what happened. Raises ChatHistoryError when it cannot be written, or the file is full."""
        self._append(self._path(number), event, LARGEST_CONVERSATION)

    def add_prompt(self, text: str) -> None:
        """Remember a prompt for the next time. Raises ChatHistoryError."""
        path = self.folder / PROMPTS_FILE
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if path.exists() and path.stat().st_size > _LARGEST_PROMPTS:
                lines = (msgspec.json.encode(_Prompt(kept)) + b"\n" for kept in self.prompts())
                write_bytes(path, b"".join(lines), durable=False)
        except OSError as error:
            raise self._unwritable(error) from None
        self._append(path, _Prompt(text[:_LONGEST_PROMPT]), 2 * _LARGEST_PROMPTS)

    def _append(self, path: Path, line: msgspec.Struct, largest: int) -> None:
        try:
            encoded = msgspec.json.encode(line) + b"\n"
        except UnicodeEncodeError:
            raise ChatHistoryError("text with half a character (a lone surrogate) cannot be kept in a file") from None
        try:
            with path.open("ab+") as handle:
                size = handle.seek(0, os.SEEK_END)
                if size + len(encoded) > largest:
                    raise ChatHistoryError(
                        f"this conversation has {largest >> 20} MB and is kept no further; begin a new one"
                    )
                # After a line that was broken off, as by a full disk, the next one must not become part of it.
                if size and _last_byte(handle.fileno(), size) != b"\n":
                    encoded = b"\n" + encoded
                handle.write(encoded)
        except OSError as error:
            raise self._unwritable(error) from None

    def prune(self) -> int:
        """Delete the conversations beyond the newest MOST_CONVERSATIONS; returns how many."""
        deleted = 0
        for path in self._newest_first()[MOST_CONVERSATIONS:]:
            try:
                path.unlink(missing_ok=True)
            except OSError:
                continue
            deleted += 1
        return deleted

    # ---- reading

    def read(self, number: str) -> Kept:
        """A conversation as it stands at its end. Raises ChatHistoryError when there is none that can be read."""
        path = self._path(number)
        try:
            lines = _lines(path, LARGEST_CONVERSATION)
        except FileNotFoundError:
            raise ChatHistoryError("that conversation is no longer there; the oldest ones are deleted") from None
        except OSError as error:
            raise ChatHistoryError(f"{path} cannot be read: {error.strerror or error}; check its permissions") from None
        return _happened(number, _decoded(lines, _EVENTS))

    def prompts(self) -> list[str]:
        """The prompts of all conversations, oldest first, each once; empty where they cannot be read."""
        try:
            lines = _lines(self.folder / PROMPTS_FILE, 2 * _LARGEST_PROMPTS)
        except OSError:
            return []
        latest = dict.fromkeys(reversed([prompt.text for prompt in _decoded(lines, _PROMPTS)]))
        return list(latest)[:MOST_PROMPTS][::-1]

    def search(self, words: str = "", most: int = 200) -> list[Found]:
        """Conversations in which each of `words` occurs, whatever the case; newest first, at most `most`."""
        wanted = words.casefold().split()
        found: list[Found] = []
        for path in self._newest_first():
            if len(found) == most:
                break
            try:
                touched = path.stat().st_mtime
                kept = self.read(path.stem)
            except (ChatHistoryError, OSError):
                continue
            if kept.turns and (hit := _hit(kept, wanted)) is not None:
                found.append(_found(kept, touched, hit))
        return found

    # ---- within

    def _path(self, number: str) -> Path:
        if not _ID.fullmatch(number):
            raise ChatHistoryError(f"{number[:40]!r} is not the number of a conversation")
        return self.folder / f"{number}.jsonl"

    def _newest_first(self) -> list[Path]:
        try:
            with os.scandir(self.folder) as entries:
                files = [
                    (entry.stat(follow_symlinks=False).st_mtime_ns, entry.name)
                    for entry in entries
                    if _ID.fullmatch(entry.name.removesuffix(".jsonl")) and entry.is_file(follow_symlinks=False)
                ]
        except OSError:
            return []
        return [self.folder / name for _, name in sorted(files, reverse=True)]

    def _unwritable(self, error: OSError) -> ChatHistoryError:
        return ChatHistoryError(
            f"the conversation cannot be kept in {self.folder}: {error.strerror or error}; check the space and the "
            "permissions there, talking goes on without"
        )


def _last_byte(descriptor: int, size: int) -> bytes:
    return os.pread(descriptor, 1, size - 1)


def _lines(path: Path, largest: int) -> list[bytes]:
    # A FIFO or a device in its place would be waited for without end.
    if not path.is_file():
        raise FileNotFoundError(path)
    with path.open("rb") as handle:
        return handle.read(largest).split(b"\n")


def _decoded(lines: list[bytes], decoder: msgspec.json.Decoder[_T]) -> Iterator[_T]:
    for line in lines:
        try:
            yield decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue


def _happened(number: str, events: Iterator[ChatEvent]) -> Kept:
    kept = Kept(id=number)
    turns = kept.turns
    for event in events:
        match event:
            case Opened(model=model) | Partner(model=model):
                kept.model = model
            case Said():
                turns.append(Turn(said=event.said, joint=event.joint))
            case Answered() if turns and event.replies:
                turns[-1].chosen = len(turns[-1].replies)
                turns[-1].replies += event.replies
            case Chosen() if turns and 0 <= event.reply < len(turns[-1].replies):
                turns[-1].chosen = event.reply
            case Cut():
                del turns[max(0, event.turns) :]
    return kept


def _hit(kept: Kept, wanted: list[str]) -> str | None:
    """An excerpt with the first of the words, None where one of them does not occur."""
    if not wanted:
        return ""
    texts = [part for turn in kept.turns for part in (turn.said, *(reply.text for reply in turn.replies))]
    folded = [text.casefold() for text in texts]
    if not all(any(word in text for text in folded) for word in wanted):
        return None
    whole, text = next((w, f) for w, f in zip(texts, folded, strict=True) if wanted[0] in f)
    # Folding may change lengths, which an excerpt survives.
    at = max(0, text.find(wanted[0]) - _EXCERPT // 3)
    return ("…" if at else "") + whole[at : at + _EXCERPT] + ("…" if at + _EXCERPT < len(whole) else "")


def _found(kept: Kept, touched: float, excerpt: str) -> Found:
    first = next((turn.said or (turn.reply.text if turn.reply else "") for turn in kept.turns), "")
    return Found(
        id=kept.id,
        at=f"{datetime.fromtimestamp(touched).astimezone():%Y-%m-%d %H:%M}",
        model=kept.model.name if kept.model else "",
        begins=" ".join(first[:200].split()),
        excerpt=" ".join(excerpt.split()),
        turns=len(kept.turns),
    )
