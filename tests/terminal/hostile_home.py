"""A home in which every text that comes from elsewhere would command a terminal, each with the name of its place."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from training_runs import Scene, last_words, tiny

from tui_gpt.core.chat_history import Answered, ChatHistory, Reply, Said
from tui_gpt.core.messages import ModelRef
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.model_record import ModelRecord
from tui_gpt.core.runs.commands import CommandQueue
from tui_gpt.core.runs.metrics import MetricsWriter
from tui_gpt.core.runs.ownership import TrainerLock
from tui_gpt.core.runs.records import ExecutionRecord, Status, read_record, write_record
from tui_gpt.core.runs.store import Run

COMMANDS = (
    "\x1b]52;c;QUJD\x07"  # the clipboard
    "\x1b]0;owned\x07\x1b]8;;x:y\x1b\\"  # the title, a link
    "\x1b[31;7;99m\x1bP+q544e\x1b\\"  # colours, a device control string
    "\x9b7;99m\x9d2;owned\x9c\x90q\x9c"  # the same as C1
    "\u202e\u2066\u200b\u2060\ufeff\U000e0041\u200e"  # directions, and what cannot be seen
    "\x08\x7f\x0e\x05"  # back, delete, another set of characters, who are you
    "[b]m[@click=app.quit]c"  # markup
)
"""Without a slash, a line feed or a comma, so that it can be part of a name."""

VISIBLE = "␛]"
"""How it begins where it is shown, also in a narrow column."""

FORBIDDEN = {
    "the clipboard": rb"\x1b\]52",
    "the title": rb"\x1b\][02];|owned\x07",
    "a link": rb"\x1b\]8;",
    "a control sequence": rb"\x1b\[31;7;99m",
    "a device control string": rb"\x1bP\+q",
    "a bell": rb"\x07",
    "a C1 control": rb"\xc2[\x80-\x9f]",
    "a direction override": rb"\xe2\x80[\x8e\x8f\xaa-\xae]|\xe2\x81[\xa6-\xa9]",
    "an invisible character": rb"\xe2\x80[\x8b-\x8d]|\xe2\x81[\xa0-\xa4]|\xef\xbb\xbf|\xf3\xa0[\x80-\x81]",
    "another control character": rb"[\x00-\x06\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]",
}
_POINTER_SHAPE = rb"\x1b\]22;[a-z-]*\x07"
"""What Textual itself sends when the mouse pointer is to look different; it ends in a bell."""


def evil(place: str) -> str:
    """The commands, behind the name of the place that they are put into."""
    return f"{place}{COMMANDS}"


def shown(place: str) -> str:
    """What can be seen of it."""
    return f"{place}{VISIBLE}"


def assert_harmless(sent: bytes) -> None:
    """None of it is among the bytes that reached a terminal."""
    sent = re.sub(_POINTER_SHAPE, b"", sent)
    for what, pattern in FORBIDDEN.items():
        found = re.search(pattern, sent)
        assert not found, f"{what}: {sent[max(0, found.start() - 90) : found.end() + 60]!r}"


class HostileHome:
    """Runs, models, conversations and files in a folder whose own name is hostile too."""

    def __init__(self, folder: Path) -> None:
        self.scene = Scene(folder / evil("home"))
        self.home = self.scene.home
        self.corpus = self.scene.text.with_name(evil("corpus") + ".txt")
        self.corpus.write_text(f"The {evil('text')} sat.\n" * 200, encoding="utf-8")
        self.run = self.scene.begin(tiny(self.corpus, max_steps=12), "odd")
        assert self.scene.train(self.run) == 0, last_words(self.run)
        self.live = self.scene.begin(tiny(self.corpus, max_steps=12), "live")
        self._runs()
        self._models()
        self.conversation = self._chats()
        self._files()

    def _runs(self) -> None:
        with self.run.log_files()[-1].open("a", encoding="utf-8") as log:
            log.write(f"{evil('log')}\n")
        self._metrics(self.run, 12)
        execution = read_record(self.run.folder / "execution.json", ExecutionRecord)
        write_record(
            self.run.folder / "execution.json",
            msgspec.structs.replace(execution, device_name=evil("gpu"), reasons=[evil("because")]),
        )
        write_record(
            self.run.folder / "status.json",
            Status(
                state="failed",
                step=12,
                device=evil("device"),
                error=evil("error"),
                warnings=[evil("warning")],
                last_checkpoint=12,
            ),
        )
        root = self.run.folder.parent
        (root / evil("folder")).mkdir()
        (root / "broken").mkdir()
        (root / "broken" / "run.json").write_text(json.dumps({"schema": 1, "name": evil("broken")}))

    def _metrics(self, run: Run, step: int) -> None:
        with TrainerLock(run.folder):
            writer = MetricsWriter(run.folder, step)
            writer.write("sample", step, {"prompt": evil("prompt"), "text": evil("sample"), "seed": 1})
            writer.write("mark", step, {"event": evil("mark")})
            writer.write("end", step, {"reason": evil("reason"), "model": evil("published")})
            writer.close()

    @contextmanager
    def alive(self) -> Iterator[None]:
        """The run `live` seems to have a trainer, which says what no trainer would, also in its answers."""
        gone = threading.Event()
        answering = threading.Thread(target=self._answer, args=(gone,))
        with TrainerLock(self.live.folder):
            write_record(
                self.live.folder / "status.json",
                Status(
                    state="running",
                    step=3,
                    activity=evil("activity"),
                    device=evil("device"),
                    warnings=[evil("warning")],
                ),
            )
            answering.start()
            try:
                yield
            finally:
                gone.set()
                answering.join()

    def _answer(self, gone: threading.Event) -> None:
        queue = CommandQueue(self.live.folder)
        while not gone.wait(0.02):
            for command in queue.poll():
                queue.acknowledge(command, "done", evil("answer"))

    def _models(self) -> None:
        handler = ModelHandler(self.home / "models", None, self.home / "notes.txt")
        entry = handler.get("odd")
        assert entry.record is not None and entry.record.sample is not None
        record = msgspec.to_builtins(entry.record)
        record |= {
            "family": evil("family"),
            "created": evil("created"),
            "device": evil("device"),
            "parent": evil("parent"),
            "license": evil("licence"),
            "notes": evil("note"),
            "sample": {"text": evil("written"), "prompt": evil("asked")},
            "files": {},
        }
        record["tokenizer"]["kind"] = evil("kind")
        record["corpus"] |= {"source": evil("source"), "sha256": evil("hash")}
        record["config"]["data"]["corpus"] = evil("setting")
        changed = msgspec.convert(record, ModelRecord)
        handler.save("evil", lambda folder: _copy(entry.folder, folder), changed)
        (self.home / "models" / "evil" / evil("file")).touch()
        damaged = self.home / "models" / evil("model")
        damaged.mkdir()
        (damaged / "config.json").write_text("{")
        foreign = self.home / "models" / "foreign"
        foreign.mkdir()
        _copy(entry.folder, foreign)
        config = json.loads((foreign / "config.json").read_text())
        (foreign / "config.json").write_text(json.dumps({**config, "model_type": evil("type"), evil("key"): 1}))

    def _chats(self) -> str:
        history = ChatHistory(self.home / "chats")
        number = history.begin(ModelRef(kind="model", name=evil("partner")))
        history.append(number, Said(said=evil("said")))
        history.append(number, Answered(replies=[Reply(text=evil("reply"), title=evil("title"))]))
        history.append(number, Said(said="and"))
        history.append(number, Answered(replies=[Reply(text="so on", title="it", reason=evil("why"))]))
        history.add_prompt(evil("earlier"))
        return number

    def _files(self) -> None:
        tables = {
            "good.toml": f"[data]\ncorpus = {_quoted('table')}\n",
            "field.toml": f"[data]\n{_quoted('field')} = 1\n",
            "value.toml": f"[data]\ntokenizer = {_quoted('value')}\n",
            "syntax.toml": f"[data]\n{evil('syntax')}\n",
        }
        self.tables = self.home / "tables"
        self.tables.mkdir()
        for name, content in tables.items():
            (self.tables / name).write_text(content, encoding="utf-8")
        keys = {"train.pause": "pause", "chat.newline": "newline", "train.sample_later": "later"}
        lines = "\n".join(f"{json.dumps(name)} = {_quoted(place)}" for name, place in keys.items())
        (self.home / "config.toml").write_text(f"theme = {_quoted('theme')}\n[keys]\n{lines}\n", encoding="utf-8")


def _quoted(place: str) -> str:
    """As a TOML string."""
    return json.dumps(evil(place), ensure_ascii=False).replace("\x7f", "\\u007f")


def _copy(source: Path, target: Path) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (target / name).write_bytes((source / name).read_bytes())
