"""The catalogue of corpora: what comes with the program or is fetched, and how a name or a path is understood."""

from __future__ import annotations

import difflib
import errno
from pathlib import Path, PurePath
from typing import Literal

import msgspec

from tui_gpt.core.config import DataConfig
from tui_gpt.core.corpus_formats import format_of
from tui_gpt.core.errors import CorpusError
from tui_gpt.core.hub_corpus import is_hub_corpus, parse_hub_corpus
from tui_gpt.core.standard_input import STANDARD_INPUT, is_kept

CorpusKind = Literal["generated", "interpreter", "conversations", "file", "download", "hub"]

END_OF_STORY = "<|endoftext|>"
"""What stands between two stories in the files of TinyStories."""

_TINYSTORIES = "hub:roneneldan/TinyStories@f54c09fd23315a6f9c86f9dc80f725de7d8f9c64/"
_WIKITEXT = "hub:Salesforce/wikitext@b08601e04326c79dfdd32d625aee71d232d685c3:wikitext-2-raw-v1"
_GITHUB = "https://raw.githubusercontent.com/"

_NOTHING_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


class RemoteFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is fetched once, and known by its hash."""

    name: str
    n_bytes: int
    sha256: str
    sources: tuple[str, ...]
    """Addresses, tried one after the other; `hub:owner/name@commit/file` lies in a data set of the Hub."""


class CorpusInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a person should know about a corpus before training on it."""

    name: str
    title: str
    description: str
    licence: str
    origin: str
    kind: CorpusKind
    """Text `generated` by the program, `conversations` that are, text read from the running `interpreter`, a `file` (or
    folder) of the user's, a `download` of the catalogue, or any data set of the `hub`."""
    tokenizer: Literal["auto", "char", "bpe", "gpt2"]
    """What the tokenizer setting `auto` becomes; itself `auto` where only the text can tell."""
    path: Path | None = None
    """Where the text lies; None for what comes with the program."""
    sha256: str | None = None
    """SHA-256 of the text where it is the same everywhere; None where it depends on size, version or user."""
    n_bytes: int = 0
    """How much has to be fetched for all of it; 0 where nothing has, or where only the Hub knows."""
    train: RemoteFile | None = None
    validation: RemoteFile | None = None
    """A file of its own to validate on."""
    validation_documents: int = 0
    """How many documents of that file are validated on; 0: all."""
    hub_train: str = ""
    """Of data sets of the Hub: the splits to train and, where it has one of its own, to validate on."""
    hub_validation: str = ""
    documents: int = 0
    """How many documents are taken where nobody says; 0: all."""
    clean: bool = False
    """Whether the text is cleaned up where nobody says."""
    shuffle_seed: int | None = None
    """Of the order of its documents where nobody says; None: as they come."""

    @property
    def is_fetched(self) -> bool:
        """Whether it comes over the network, the first time."""
        return self.kind in ("download", "hub")


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
        CorpusInfo(
            name="shakespeare",
            title="Tiny Shakespeare",
            description="40,000 lines from Shakespeare's plays: the text of most tutorials, and so of most published "
            "losses of small models.",
            licence="public domain",
            origin="karpathy/char-rnn on GitHub, or dmlc/web-data there",
            kind="download",
            tokenizer="auto",
            sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            n_bytes=1_115_394,
            train=RemoteFile(
                name="tinyshakespeare.txt",
                n_bytes=1_115_394,
                sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                sources=(
                    _GITHUB + "karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
                    _GITHUB + "dmlc/web-data/master/mxnet/tinyshakespeare/input.txt",
                ),
            ),
        ),
        CorpusInfo(
            name="tinystories",
            title="TinyStories",
            description="2.1 million short stories in the words of small children, written by GPT-3.5 and GPT-4 (Eldan "
            "and Li, 2023). As many are fetched as data.max_documents asks for, 50,000 where it says nothing; they are "
            "cleaned up (data.clean) and shuffled (data.shuffle_seed).",
            licence="CDLA-Sharing-1.0",
            origin="roneneldan/TinyStories on the Hugging Face Hub, commit f54c09fd2331",
            kind="download",
            tokenizer="bpe",
            n_bytes=1_924_281_556 + 19_447_282,
            train=RemoteFile(
                name="TinyStories-train.txt",
                n_bytes=1_924_281_556,
                sha256="c5cf5e22ff13614e830afbe61a99fbcbe8bcb7dd72252b989fa1117a368d401f",
                sources=(_TINYSTORIES + "TinyStories-train.txt",),
            ),
            validation=RemoteFile(
                name="TinyStories-valid.txt",
                n_bytes=19_447_282,
                sha256="94e431816c4cce81ff71e4408ff8d3bda9a42e8d2663986697c3954288cb38b4",
                sources=(_TINYSTORIES + "TinyStories-valid.txt",),
            ),
            validation_documents=5_000,
            documents=50_000,
            clean=True,
            shuffle_seed=1337,
        ),
        CorpusInfo(
            name="wikitext-2",
            title="WikiText-2",
            description="600 good and featured articles of the English Wikipedia, as in many papers on language "
            "models (Merity et al., 2016), in the raw version; each article is a document.",
            licence="CC BY-SA 3.0 and GFDL",
            origin="Salesforce/wikitext on the Hugging Face Hub, commit b08601e04326",
            kind="download",
            tokenizer="bpe",
            n_bytes=7_020_000,
            hub_train=f"{_WIKITEXT}/train:text",
            hub_validation=f"{_WIKITEXT}/validation:text",
        ),
    )
}
BUILT_IN = tuple(info.name for info in CATALOGUE.values() if not info.is_fetched)
"""What there is without a network."""


def find(name_or_path: str) -> CorpusInfo:
    """The corpus of that name in the catalogue or on the Hub, or else the file or folder at that path.

    A file called like a built-in corpus is reached as `./stories`. Raises CorpusError when there is neither; the Hub is
    not asked.
    """
    if name_or_path in CATALOGUE:
        return CATALOGUE[name_or_path]
    if is_hub_corpus(name_or_path):
        return _of_the_hub(name_or_path)
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


def _of_the_hub(name: str) -> CorpusInfo:
    asked = parse_hub_corpus(name)
    return CorpusInfo(
        name=name,
        title=f"{asked.repository.rpartition('/')[2]} (Hub)",
        description="A data set of the Hugging Face Hub. Every row is a document.",
        licence="see its page on the Hub",
        origin=f"{asked.repository} on the Hugging Face Hub",
        kind="hub",
        tokenizer="auto",
        hub_train=name,
    )


def with_own_choices(data: DataConfig) -> DataConfig:
    """The same, with what it leaves to the corpus written out. Raises CorpusError where there is no such corpus."""
    info = find(data.corpus)
    resolved: DataConfig = msgspec.structs.replace(
        data,
        max_documents=info.documents if data.max_documents is None else data.max_documents,
        clean=("on" if info.clean else "off") if data.clean == "auto" else data.clean,
        shuffle_seed=info.shuffle_seed if data.shuffle_seed is None else data.shuffle_seed,
    )
    return resolved


def hub_repository(corpus: str) -> str | None:
    """The data set of the Hub that a corpus is, `owner/name`; None where it is none, and for what is no such name."""
    info = CATALOGUE.get(corpus)
    name = corpus if info is None else info.hub_train or next(iter(info.train.sources if info.train else ()), "")
    if not is_hub_corpus(name):
        return None
    try:
        return parse_hub_corpus(name.partition("@")[0] if info else name).repository
    except CorpusError:
        return None


def is_named(corpus: str) -> bool:
    """Whether it is known by a name rather than by a path."""
    return corpus in CATALOGUE or is_hub_corpus(corpus)


def short_title(corpus: str) -> str:
    """What a list calls it: the title of a corpus of the catalogue, the name of a data set, of a file or folder."""
    if corpus in CATALOGUE:
        return CATALOGUE[corpus].title
    return corpus if is_hub_corpus(corpus) else PurePath(corpus).name or corpus


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
        f"there is no corpus, file or folder {shown!r}{guess}; the built-in corpora are {', '.join(BUILT_IN)}, to be "
        f"fetched are {', '.join(name for name in CATALOGUE if name not in BUILT_IN)} and hub:owner/name:split:column, "
        "and anything else must be the path of a text file or of a folder of text files"
    )
