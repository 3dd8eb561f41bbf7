"""Text from elsewhere reaches the terminal as text: none of its control sequences is among the bytes that arrive."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from terminal import CURVE, Open, Terminal, remember
from training_runs import Scene, tiny

from tui_gpt.core.model_handler import ModelHandler

COMMANDS = "\x1b]52;c;QUJD\x07\x1b[31;7;99m\x9b7;99m\u202eABC\u2066[b]x[/b][@click=app.quit]y[/]"
POINTER_SHAPE = rb"\x1b\]22;[a-z-]*\x07"
"""What Textual itself sends when the mouse pointer is to look different; it ends in a bell."""
FORBIDDEN = {
    "the clipboard": rb"\x1b\]52",
    "a control sequence": rb"\x1b\[31;7;99m",
    "a bell": rb"\x07",
    "a C1 control": rb"\xc2[\x80-\x9f]",
    "a direction override": rb"\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9]",
}


def assert_harmless(terminal: Terminal) -> None:
    sent = re.sub(POINTER_SHAPE, b"", terminal.raw())
    for what, pattern in FORBIDDEN.items():
        assert not re.search(pattern, sent), what


@pytest.mark.slow
def test_a_run_a_log_a_corpus_and_a_model_cannot_command_the_terminal(scene: Scene, open_terminal: Open) -> None:
    corpus = scene.text.with_name("story\x1b]52;c;QUJD\x07\u202e.txt")
    corpus.write_text(f"The cat {COMMANDS} sat.\n" * 400, encoding="utf-8")
    run = scene.begin(tiny(corpus, max_steps=20), "evil")
    assert scene.train(run) == 0
    with run.log_files()[-1].open("a", encoding="utf-8") as log:
        log.write(f"a line in the log {COMMANDS}\n")
    (run.folder.parent / f"odd {COMMANDS.replace('/', '')}").mkdir()
    handler = ModelHandler(scene.home / "models", None, scene.home / "notes.txt")
    handler.note("evil", f"a note {COMMANDS}")
    entry = handler.get("evil")
    assert entry.record is not None
    sample = msgspec.structs.replace(entry.record.sample, text=f"a sample {COMMANDS}")  # type: ignore[type-var]
    handler.fork("evil", "evil-2")
    handler.save(
        "evil-3",
        lambda folder: _copy(entry.folder, folder),
        msgspec.structs.replace(entry.record, device=COMMANDS, sample=sample, notes=COMMANDS),
    )

    remember(scene.home, tab="models", tabs={"models": {"model": "evil-3"}})
    terminal = open_terminal(size=(160, 50))
    terminal.wait_for("a sample")
    terminal.keys("m")
    terminal.wait_for("Notes of evil-3")
    terminal.keys("Escape", "F3")
    terminal.wait_for(CURVE)
    terminal.keys("g")
    terminal.wait_for("a line in the log")
    assert_harmless(terminal)
    terminal.keys("F2")
    terminal.wait_for(lambda shown: "a line in the log" not in shown)
    terminal.keys("F6")
    terminal.keys("C-q")
    terminal.assert_whole(0)
    assert_harmless(terminal)


def _copy(source: Path, target: Path) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (target / name).write_bytes((source / name).read_bytes())
