"""What carries models in and out: from folders and the Hub into the library, and from there into GGUF files."""

from __future__ import annotations

from pathlib import Path

from tui_gpt.core.messages import Export, Exported, Import, Published
from tui_gpt.engine.session.lanes import Turn


def bring_in(request: Import, turn: Turn) -> Published:
    """Add a model to the library. Raises ModelError, ConfigError."""
    from tui_gpt.engine.interop.importing import import_model

    turn.progress("asking for it", 0.0)
    entry = import_model(request.source, request.name, pickle=request.pickle, progress=turn.progress)
    return Published(id=request.id, model=entry.name)


def write_out(request: Export, turn: Turn) -> Exported:
    """Write a GGUF file. Raises ModelError."""
    from tui_gpt.engine.interop.gguf_file import write_gguf

    path = Path(request.path).expanduser()
    size = write_gguf(request.model, path, request.kind, turn.progress)
    return Exported(id=request.id, path=str(path), size_bytes=size)
