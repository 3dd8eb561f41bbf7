"""The catalogue of corpora: what comes with the program, and how a name or a path is understood."""

from __future__ import annotations

import difflib
import errno
from pathlib import Path
from typing import Literal

import msgspec

from tui_gpt.core.corpus_formats import format_of
from tui_gpt.core.errors import CorpusError
from tui_gpt.core.standard_input import STANDARD_INPUT, is_kept

CorpusKind = Literal["generated", "interpreter", "conversations", "file"]

_NOTHING_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


class CorpusInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a person should know about a corpus before training on it."""

    name: str
    title: str
    description: str
    licence: str
    origin: str
    kind: CorpusKind
    """Text `generated` by the program, `conversations` that are, text read from the running `interpreter`, or a `file`
    (or folder) of the user's."""
    tokenizer: Literal["auto", "char", "bpe", "gpt2"]
    """What the tokenizer setting `auto` becomes; itself `auto` where only the text can tell."""
    path: Path | None = None
    """Where the text lies; None for what comes with the program."""
    sha256: str | None = None
    """SHA-256 of the text where it is the same everywhere; None where it depends on size, version or user."""


CATALOGUE: dict[str, CorpusInfo] = {
    info.name: info
    for info in (
        CorpusInfo(
            name="stories",
            title="Small stories",
            description="Short children's stories in simple English, made by a generator that comes with the program. "
            "A small model learns to write them within minutes.",
            licence="MIT, like the program",
            origin="written by tui-gpt's own generator; always the same text for the same size",
            kind="generated",
            tokenizer="bpe",
        ),
        CorpusInfo(
            name="python",
            title="Python source code",
            description="The source of the running interpreter's standard library, without its tests.",
            licence="PSF License Agreement",
            origin="the Python installation that runs the program; differs from version to version",
            kind="interpreter",
            tokenizer="bpe",
        ),
        CorpusInfo(
            name="python-docs",
            title="Python documentation",
            description="The manual topics behind Python's help() and the docstrings of its public modules: technical "
            "English prose.",
            licence="PSF License Agreement",
            origin="the Python installation that runs the program; differs from version to version",
            kind="interpreter",
            tokenizer="bpe",
        ),
        CorpusInfo(
            name="conversations",
            title="Talks with a storyteller",
            description="Questions and answers about the small stories, made by a generator too: a model that was "
            "trained on the stories learns from them to answer (train it on: --from).",
            licence="MIT, like the program",
            origin="written by tui-gpt's own generator; always the same text for the same size",
            kind="conversations",
            tokenizer="bpe",
        ),
    )
}


def find(name_or_path: str) -> CorpusInfo:
    """The corpus of that name in the catalogue, or else the file or folder at that path.

    A file called like a built-in corpus is reached as `./stories`. Raises CorpusError when there is neither.
    """
    if name_or_path in CATALOGUE:
        return CATALOGUE[name_or_path]
    try:
        path = corpus_path(name_or_path)
        path.stat()
    except (ValueError, RuntimeError):  # a null character, ~nobody
        raise CorpusError(_unknown(name_or_path)) from None
    except OSError as error:
        dangling = error.errno == errno.ENOENT and path.is_symlink()
        if error.errno in _NOTHING_THERE and not dangling:
            raise CorpusError(_unknown(name_or_path)) from None
        raise CorpusError(_unreachable(path, error)) from None
    try:
        str(path.absolute()).encode("utf-8")
    except UnicodeEncodeError:
        raise CorpusError(
            f"the name {str(path.absolute())!r} is not valid Unicode, so no run could keep it; rename it, and try again"
        ) from None
    name = STANDARD_INPUT if is_kept(path) else path.name or str(path)
    kind = format_of(path.name)
    of_rows = f"A table of documents ({kind.title})." if kind.is_table else "A text file."
    return CorpusInfo(
        name=name,
        title=name,
        description="A folder of files." if path.is_dir() else of_rows,
        licence="its owner's",
        origin=str(path.absolute()),
        kind="file",
        tokenizer="auto",
        path=path,
    )


def corpus_path(text: str) -> Path:
    """What a person means by a path: `~` at its beginning is the home, and `./~` is a file of that name.

    Raises RuntimeError for the home of nobody, and ValueError for what no path can hold.
    """
    # A path forgets the `./` that it began with.
    return Path(text).expanduser() if text.startswith("~") else Path(text)


def _unreachable(path: Path, error: OSError) -> str:
    """What is wrong with a path where something is that cannot be looked at."""
    if error.errno == errno.ELOOP:
        return f"{path} is a link that leads back to itself; name the text itself"
    if error.errno == errno.ENOENT:
        return f"{path} is a link to something that does not exist; name the text itself"
    return f"{path} cannot be read: {(error.strerror or str(error)).lower()}; check the path and its permissions"


def _unknown(asked: str) -> str:
    shown = asked if len(asked) <= 200 else asked[:200] + "…"
    close = difflib.get_close_matches(asked[:80].lower(), CATALOGUE, n=1)
    guess = f" (did you mean {close[0]}?)" if close else ""
    return (
        f"there is no corpus, file or folder {shown!r}{guess}; the built-in corpora are {', '.join(CATALOGUE)}, and "
        "anything else must be the path of a text file or of a folder of text files"
    )
