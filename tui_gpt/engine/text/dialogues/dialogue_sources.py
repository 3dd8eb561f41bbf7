"""Where conversations come from: tables in the usual forms, plain text of questions and answers, the built-in set."""

from __future__ import annotations

import hashlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tui_gpt.core.config import DataConfig
from tui_gpt.core.corpora import CorpusInfo, find
from tui_gpt.core.corpus_formats import CorpusFormat, format_of
from tui_gpt.core.errors import CorpusError
from tui_gpt.core.fetched import missing
from tui_gpt.core.hub_corpus import parse_hub_corpus
from tui_gpt.core.safe_text import safe_text
from tui_gpt.engine.text.dialogues.conversation import Conversation, as_conversation
from tui_gpt.engine.text.dialogues.question_answer import begins_with_mark, read_conversations
from tui_gpt.engine.text.dialogues.row_forms import RowForm, find_form
from tui_gpt.engine.text.formats import jsonl, parquet, separated
from tui_gpt.engine.text.formats.document_files import delimiter_of, lie_of, read_format
from tui_gpt.engine.text.formats.tables import TEXT, shown, text_lines
from tui_gpt.engine.text.reading import find_files, text_problem, unreadable, walk
from tui_gpt.engine.text.sources import states_of

Progress = Callable[[str, float], None]

_FORMS = (
    "a list `messages` of role and content, ShareGPT's `conversations`, `instruction` with `output`, `question` with "
    "`answer`, or `prompt` with `response`"
)


_TWICE = ("several",)
"""The kinds of a column whose name is no name."""


class DialogueSource(ABC):
    """Conversations in a fixed order."""

    info: CorpusInfo
    skipped: tuple[str, ...] = ()
    """Files of a folder that were left out, each with the reason."""
    formats: tuple[str, ...] = ()
    """For people: `JSON Lines, gzip`."""
    columns: tuple[str, ...] = ()
    """Of tables, those that are read."""
    empty: int = 0
    """How many conversations had no answer, once all were read."""

    @property
    @abstractmethod
    def n_bytes_expected(self) -> int:
        """About how many bytes of text there will be, for a progress bar."""

    @abstractmethod
    def conversations(self) -> Iterator[Conversation]:
        """Every conversation that has an answer. Raises CorpusError for what is none, saying where."""

    @abstractmethod
    def fingerprint(self) -> str | None:
        """Equal as long as the text is certainly the same, found without reading it; None when that cannot be known."""


def holds_conversations(data: DataConfig, progress: Progress, *, fetch: bool) -> bool:
    """Whether the configured corpus is one of conversations; a data set of the Hub is fetched to know, if it may be.

    Of a folder its first table tells. Raises CorpusError where there is none of that name, where it cannot be what the
    configuration says or cannot be fetched, and what `progress` raises.
    """
    info = find(data.corpus)
    if info.kind == "conversations":
        if data.form == "text":
            raise CorpusError(f"{info.name} is a corpus of conversations; leave data.form at auto")
        return True
    if data.form != "auto":
        return data.form == "conversations"
    path = None if data.column else _first_table(info, data, progress, fetch=fetch)
    try:
        return path is not None and _form_of(path, data, sure=False) is not None
    except (CorpusError, OSError):
        return False  # what is wrong with it is said by whoever reads it as texts


def _first_table(info: CorpusInfo, data: DataConfig, progress: Progress, *, fetch: bool) -> Path | None:
    """The table by which a corpus is known for what it is; None where it has none, or it must be fetched first."""
    path = info.path
    if info.kind == "hub":
        if parse_hub_corpus(info.hub_train).column or (not fetch and missing(data) is not None):
            return None
        path = _tables_of(info, data, progress)[0]
    elif path is not None and path.is_dir():
        path = next((each for each in walk(path, []) if format_of(each.name).is_table), None)
    return path if path is not None and format_of(path.name).is_table else None


def open_dialogues(data: DataConfig, progress: Progress) -> DialogueSource:
    """The conversations that the configuration names, fetched first where they must be.

    Raises CorpusError when there is no such thing to read, and what `progress` raises.
    """
    info = find(data.corpus)
    if info.kind == "conversations":
        return _BuiltinDialogues(info, data.corpus_megabytes)
    if info.kind == "hub":
        column = parse_hub_corpus(info.hub_train).column or data.column
        return _DialogueFiles(info, _tables_of(info, data, progress), msgspec.structs.replace(data, column=column))
    if info.path is None:
        raise CorpusError(f"{info.name} is a corpus of texts; leave data.form at auto")
    return _DialogueFiles(info, (info.path,), data)


def _tables_of(info: CorpusInfo, data: DataConfig, progress: Progress) -> tuple[Path, ...]:
    """The tables of a data set of the Hub, on this machine. Raises CorpusError, and what `progress` raises."""
    from tui_gpt.engine.downloads.hub_tables import fetch_tables
    from tui_gpt.engine.text.formats.parquet import require_parquet

    require_parquet()
    rows = data.max_documents or 0
    return tuple(Path(file.path) for file in fetch_tables(parse_hub_corpus(info.hub_train), rows, progress))


def _form_of(path: Path, data: DataConfig, *, sure: bool) -> RowForm | None:
    """The form of a table's rows; None where they look like texts. Raises CorpusError and OSError."""
    kind = format_of(path.name)
    if (lie := lie_of(path, kind)) is not None:
        raise CorpusError(f"{path} {lie}")
    columns = _columns(path, kind, data)
    form = find_form(columns, data.column, sure=sure)
    if form is not None and (twice := next((name for name in form.columns if columns[name] == _TWICE), None)):
        raise CorpusError(f"{path} has several columns called {shown(twice)}; rename the others")
    return form


def _columns(path: Path, kind: CorpusFormat, data: DataConfig) -> Mapping[str, Collection[str]]:
    """Each with the kinds of its values."""
    match kind.content:
        case "parquet":
            return parquet.column_kinds(path)
        case "jsonl":
            return jsonl.field_kinds(path, read_format(path, kind, data))
        case _:
            header = separated.SeparatedRows(path, read_format(path, kind, data), delimiter_of(kind)).header
            return {name: _TWICE if header.count(name) > 1 else (TEXT,) for name in header}


class _DialogueFiles(DialogueSource):
    """A file of conversations, or a folder of them."""

    def __init__(self, info: CorpusInfo, paths: Sequence[Path], data: DataConfig) -> None:
        self.info, self._data = info, data
        self._forms: dict[Path, RowForm | None] = {}
        found = [find_files(path, self._problem, data.encoding) for path in paths]
        self._files = tuple(file for each in found for file in each.files)
        self.skipped = tuple(safe_text(reason, newlines=False) for each in found for reason in each.skipped)
        forms = [self._forms[each] for each in self._files]
        self.formats = tuple(dict.fromkeys(format_of(each.name).title for each in self._files))
        self.columns = tuple(dict.fromkeys(name for form in forms if form is not None for name in form.columns))

    def _problem(self, path: Path) -> str | None:
        """Why it holds no conversations, as the rest of a sentence; None where it does."""
        kind = format_of(path.name)
        try:
            if not kind.is_table:
                problem = lie_of(path, kind) or text_problem(path, self._data.encoding, kind.compression)
                self._forms[path] = None
                return problem or self._unmarked(path, kind)
            form = _form_of(path, self._data, sure=True)
        except OSError as error:
            return str(unreadable(path, error)).removeprefix(f"{path} ")
        if form is None:
            wanted = f"no column {self._data.column!r}" if self._data.column else "no columns that hold conversations"
            return f"has {wanted}; they can be {_FORMS}"
        self._forms[path] = form
        return None

    def _unmarked(self, path: Path, kind: CorpusFormat) -> str | None:
        """Why a text holds no questions, as the rest of a sentence: beside tables there often lie others."""
        if begins_with_mark(text_lines(path, read_format(path, kind, self._data))):
            return None
        if ".json" in path.suffixes:
            return "is JSON as a whole; write each conversation on a line of its own (jq -c '.[]'), and call it .jsonl"
        return (
            'does not begin with a question; begin its questions with "Q:" and their answers with "A:", or set '
            "data.form=text"
        )

    @property
    def n_bytes_expected(self) -> int:
        return sum(path.stat().st_size for path in self._files)

    def fingerprint(self) -> str | None:
        states = states_of(self._files)
        rules = [self._data.encoding, self._data.errors, self._data.column, self._data.max_documents or 0]
        return None if states is None else _sha256_of(["conversations", *rules, states])

    def conversations(self) -> Iterator[Conversation]:
        return itertools.islice(self._conversations(), self._data.max_documents or None)

    def _conversations(self) -> Iterator[Conversation]:
        self.empty = 0
        for path in self._files:
            try:
                for conversation in self._read(path, self._forms[path]):
                    if conversation:
                        yield conversation
                    else:
                        self.empty += 1
            except OSError as error:
                raise unreadable(path, error) from None

    def _read(self, path: Path, form: RowForm | None) -> Iterator[Conversation]:
        if form is None:
            yield from self._read_text(path)
            return
        for place, row in self._rows(path, form):
            try:
                yield form.conversation(row)
            except ValueError as error:
                raise CorpusError(f"{path} {place} {error}; mend it, or leave it out") from None

    def _read_text(self, path: Path) -> Iterator[Conversation]:
        lines = text_lines(path, read_format(path, format_of(path.name), self._data))
        try:
            for _, messages in read_conversations(lines):
                yield as_conversation(messages)
        except ValueError as error:
            raise CorpusError(
                f"{path} is to be read as questions and answers, and {error}, or set data.form=text"
            ) from None

    def _rows(self, path: Path, form: RowForm) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each row with its place, as sentences name it."""
        kind = format_of(path.name)
        match kind.content:
            case "parquet":
                rows = parquet.read_whole_rows(path, form.columns)
                yield from ((f"row {number:,}", row) for number, row in enumerate(rows, 1))
            case "jsonl":
                objects = jsonl.read_objects(path, read_format(path, kind, self._data), form.columns)
                yield from ((f"line {number:,}", row) for number, row in objects)
            case _:
                table = separated.SeparatedRows(path, read_format(path, kind, self._data), delimiter_of(kind))
                for fields in table:
                    if len(fields) != len(table.header):
                        raise table.uneven(fields)
                    yield f"in the row at line {table.line:,}", dict(zip(table.header, fields, strict=True))


class _BuiltinDialogues(DialogueSource):
    """The set that comes with the program."""

    def __init__(self, info: CorpusInfo, megabytes: float) -> None:
        self.info, self._megabytes = info, megabytes

    @property
    def n_bytes_expected(self) -> int:
        return int(self._megabytes * 1e6)

    def fingerprint(self) -> str | None:
        from tui_gpt.engine.text.builtin import builtin_version

        return _sha256_of(["builtin", self.info.name, self._megabytes, builtin_version(self.info.name)])

    def conversations(self) -> Iterator[Conversation]:
        from tui_gpt.engine.text.builtin import builtin_conversations

        return builtin_conversations(self._megabytes)


def _sha256_of(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value)).hexdigest()
