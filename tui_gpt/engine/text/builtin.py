"""The corpora that come with the program, as texts one after the other."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from tui_gpt.core.corpora import CATALOGUE
from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text import interpreter_text
from tui_gpt.engine.text.dialogues.conversation import Conversation, Message, Role, as_conversation

STORIES_SEED = 1337
CONVERSATIONS_SEED = 1337


def builtin_documents(name: str, megabytes: float) -> Iterator[str]:
    """The documents of a built-in corpus; `megabytes` (1e6 bytes) is the size of a generated one.

    Raises CorpusError for a name that is not in the catalogue.
    """
    match name:
        case "stories":
            from tui_gpt.engine.text.stories import generate_stories

            return generate_stories(STORIES_SEED, megabytes)
        case "python":
            return interpreter_text.source_documents()
        case "python-docs":
            return interpreter_text.documentation_documents()
        case _:
            raise CorpusError(f"there is no built-in corpus {name!r}; there are {', '.join(CATALOGUE)}")


def builtin_conversations(megabytes: float) -> Iterator[Conversation]:
    """Conversations with a storyteller, of so many megabytes (1e6 bytes)."""
    from tui_gpt.engine.text.conversations import generate_conversations

    for messages in generate_conversations(CONVERSATIONS_SEED, megabytes):
        yield as_conversation(Message(cast("Role", message.role), message.content) for message in messages)


def builtin_version(name: str) -> str:
    """Changes whenever the text of the corpus may: with the generator's code, or with the interpreter."""
    if name == "stories":
        return _code_sha256("tui_gpt.engine.text.stories")
    if name == "conversations":
        return _code_sha256("tui_gpt.engine.text.conversations") + _code_sha256("tui_gpt.engine.text.stories")
    return f"{sys.version} {_code_sha256(interpreter_text.__name__)} {_library_state()}"


def _code_sha256(module: str) -> str:
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None, f"{module} is a part of this package"
    origin = Path(spec.origin)
    files = sorted(origin.parent.glob("*.py")) if spec.submodule_search_locations else [origin]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


def _library_state() -> str:
    state = hashlib.sha256()
    for path in interpreter_text.standard_library_files():
        info = path.stat()
        state.update(f"{path}\0{info.st_size}\0{info.st_mtime_ns}\0".encode())
    return state.hexdigest()
