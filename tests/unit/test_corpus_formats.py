"""JSON Lines, CSV and Parquet, compressed or not, become the documents that text files would be; stdin is kept."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui_gpt import cli
from tui_gpt.core.config import DataConfig
from tui_gpt.core.corpus_formats import bare_name, format_of
from tui_gpt.core.errors import CorpusError
from tui_gpt.core.standard_input import keep_standard_input
from tui_gpt.engine.text import sources
from tui_gpt.engine.text.formats.tables import text_lines
from tui_gpt.engine.text.prepare import prepare
from tui_gpt.engine.text.sources import open_source

TEXTS = [
    *("The cat sat on the mat. " * n for n in (3, 1, 7)),
    'a "quoted" word, a comma; a tab\tand\ntwo lines',
    "漢字 and 😀 " * 9,
]


def jsonl(texts: Sequence[str | None], column: str = "text") -> bytes:
    return b"".join(json.dumps({"id": n, column: text}).encode() + b"\n" for n, text in enumerate(texts))


def separated(texts: Sequence[str | None], delimiter: str = ",", column: str = "text") -> bytes:
    out = io.StringIO(newline="")
    rows = csv.writer(out, delimiter=delimiter)
    rows.writerow(["id", column])
    rows.writerows([n, text or ""] for n, text in enumerate(texts))
    return out.getvalue().encode()


def parquet(texts: Sequence[str | None], kind: Any = None, column: str = "text", rows: int = 2) -> bytes:
    values = pa.array(texts, pa.string())
    values = values.dictionary_encode() if kind == "dictionary" else values if kind is None else values.cast(kind)
    out = io.BytesIO()
    pq.write_table(pa.table({"id": range(len(texts)), column: values}), out, row_group_size=rows)
    return out.getvalue()


def in_parts(pack: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Compressed in three members or frames."""
    return lambda content: b"".join(map(pack, (content[:10], content[10:99], content[99:])))


FILES: dict[str, bytes] = {
    "a.jsonl": jsonl(TEXTS),
    "a.ndjson": b"".join(json.dumps(text, ensure_ascii=False).encode() + b"\r\n" for text in TEXTS),
    "A.JSONL.GZ": gzip.compress(jsonl(TEXTS)),
    "parts.jsonl.gz": in_parts(gzip.compress)(jsonl(TEXTS)),
    "a.jsonl.zst": zstandard.compress(jsonl(TEXTS)),
    "frames.jsonl.zst": b"\x50\x2a\x4d\x18\x03\0\0\0abc" + in_parts(zstandard.compress)(jsonl(TEXTS)),
    "a.csv": separated(TEXTS),
    "semicolon.csv": separated(TEXTS, ";"),
    "tab.csv": separated(TEXTS, "\t"),
    "a.tsv": separated(TEXTS, "\t"),
    "a.csv.gz": gzip.compress(separated(TEXTS)),
    "mark.csv": b"\xef\xbb\xbf" + separated(TEXTS),
    "a.parquet": parquet(TEXTS),
    "large.parquet": parquet(TEXTS, pa.large_string()),
    "view.parquet": parquet(TEXTS, pa.string_view()),
    "dictionary.parquet": parquet(TEXTS, "dictionary"),
    "content.parquet": parquet(TEXTS, column="content"),
    "other.jsonl": jsonl(TEXTS, "body"),
    "other.parquet": parquet(TEXTS, column="body"),
}


def write(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path


def documents(path: Path, **options: Any) -> list[str]:
    return ["".join(document) for document in open_source(DataConfig(corpus=str(path), **options)).documents()]


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(CorpusError) as refused:
        documents(path, **options)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 900
    return str(refused.value)


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_documents(name: str, tmp_path: Path) -> None:
    assert documents(write(tmp_path, name, FILES[name])) == TEXTS


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet", "a.jsonl.zst"])
@pytest.mark.parametrize("tokenizer", ["char", "bpe"])
def test_the_tokens_are_those_of_a_folder_of_texts(name: str, tokenizer: str, tmp_path: Path) -> None:
    for number, text in enumerate(TEXTS):
        write(tmp_path / "folder", f"{number}.txt", text.encode())
    path = write(tmp_path, name, FILES[name])
    settings = {"tokenizer": tokenizer, "bpe_vocab_size": 300}
    one, other = (
        prepare(DataConfig(corpus=str(p), **settings), cache=tmp_path / "cache")  # type: ignore[arg-type]
        for p in (tmp_path / "folder", path)
    )
    for part in ("train", "validation"):
        assert getattr(one, part).tokens.tolist() == getattr(other, part).tokens.tolist()
    assert other.facts.documents == len(TEXTS)
    assert (other.facts.shortest_document, other.facts.longest_document) == (24, 168)
    digests = b"".join(hashlib.sha256(text.encode()).digest() for text in TEXTS)
    assert one.sha256 == hashlib.sha256(digests).hexdigest()
    assert other.sha256 == hashlib.sha256(hashlib.sha256(b"text\0").digest() + digests).hexdigest()
    assert (one.facts.columns, other.facts.columns) == ((), ("text",))


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_compressed_text_has_the_tokens_and_the_hash_of_the_text(suffix: str, tmp_path: Path) -> None:
    content = "Schön ist es.\r\nZwei Zeilen.\r".encode("latin-1") * 50
    pack = gzip.compress if suffix == ".gz" else zstandard.compress
    options = {"encoding": "latin-1", "tokenizer": "char"}
    one, other = (
        prepare(DataConfig(corpus=str(path), **options), cache=tmp_path / "cache")  # type: ignore[arg-type]
        for path in (write(tmp_path, "a.txt", content), write(tmp_path, f"b.txt{suffix}", pack(content)))
    )
    assert (one.sha256, one.folder) == (other.sha256, other.folder)
    assert other.facts.formats == (f"text, {'gzip' if suffix == '.gz' else 'zstd'}",)


PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=80)


@given(texts=st.lists(PLAIN, min_size=1, max_size=8))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_texts_come_back_from_every_format(texts: list[str], tmp_path: Path) -> None:
    expected = [text.replace("\r\n", "\n").replace("\r", "\n") for text in texts]
    for name, content in (
        ("a.jsonl", jsonl(texts)),
        ("a.csv", separated(texts)),
        ("a.tsv", separated(texts, "\t")),
        ("a.parquet", parquet(texts)),
    ):
        assert documents(write(tmp_path, name, content)) == expected, name


@pytest.mark.parametrize("make", [jsonl, separated, parquet])
def test_rows_without_text_are_left_out_and_counted(make: Callable[..., bytes], tmp_path: Path) -> None:
    name = {jsonl: "a.jsonl", separated: "a.csv", parquet: "a.parquet"}[make]
    path = write(tmp_path, name, make([None, "one", "", " ", "two", None]))
    source = open_source(DataConfig(corpus=str(path)))
    assert ["".join(document) for document in source.documents()] == ["one", " ", "two"]
    assert source.empty_rows == 3
    long = write(tmp_path, f"long-{name}", make([None, *TEXTS, ""]))
    for _ in range(2):
        assert prepare(DataConfig(corpus=str(long)), cache=tmp_path / "cache").facts.empty_rows == 2


def test_the_number_of_empty_rows_is_known_without_reading_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_SETTLED_NS", 0)  # or the file would have to be two seconds old
    data = DataConfig(corpus=str(write(tmp_path, "a.jsonl", jsonl([None, *TEXTS]))))
    steps: list[str] = []
    prepare(data, cache=tmp_path / "cache")
    again = prepare(data, cache=tmp_path / "cache", progress=lambda step, done: steps.append(step))
    assert (steps, again.facts.empty_rows) == ([], 1)
    assert again.facts.formats == ("JSON Lines",)


def test_the_column_is_found_or_named(tmp_path: Path) -> None:
    rows = [{"content": "one", "text": "two", "id": 1, "tags": ["a"]}]
    path = write(tmp_path, "a.jsonl", json.dumps(rows[0]).encode())
    assert documents(path) == ["two"]
    assert documents(path, column="content") == ["one"]
    assert "has no column body; its columns are content (text), text (text), id (number), tags (list)" in refusal(
        path, column="body"
    )
    several = write(tmp_path, "b.csv", b"title,body\nx,y\n")
    assert "several columns of text" in refusal(several) and "--column NAME" in refusal(several)
    assert documents(several, column="body") == ["y"]
    assert "2 columns called body" in refusal(write(tmp_path, "c.csv", b"body,body\nx,y\n"), column="body")
    nested = pa.table({"a": [{"text": "x"}], "n": [1]})
    pq.write_table(nested, tmp_path / "nested.parquet")
    assert "no column of text; its columns are a (struct), n (int64)" in refusal(tmp_path / "nested.parquet")
    pq.write_table(pa.table({"text": [b"x"], "n": [1]}), tmp_path / "binary.parquet")
    assert "text (binary)" in refusal(tmp_path / "binary.parquet")
    assert "holds binary in the column text" in refusal(tmp_path / "binary.parquet", column="text")
    dotted = pa.table({"a": [{"b": "no"}], "a.b": ["yes"]})
    pq.write_table(dotted, tmp_path / "dotted.parquet")
    assert documents(tmp_path / "dotted.parquet") == ["yes"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b'{"text": "a"}\n\n{"text": 5}\n', "line 3 holds a number in text"),
        ("a.jsonl", b'{"text": "a"}\n{"text": {"b": "c"}}\n', "line 2 holds an object in text"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "b"\n', "line 2 is not valid JSON"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "\\ud800"}\n', "line 2 is not valid JSON"),
        ("a.jsonl", b'{"text": "a"}\n[1]\n', "line 2 is neither an object nor a string"),
        ("a.jsonl", b'{"text": "a", "b": ' + b"[" * 100_000 + b"\n", "line 1 is n"),
        ("a.jsonl", b"[\n", "line 1 is"),
        ("a.jsonl", b'{"text": "\xff"}\n', "not valid utf-8 at byte 10, line 1 (0xFF"),
        ("a.jsonl", b'{"id": 1}\n', "no column of text"),
        ("a.jsonl", b"\n \n", "no column of text|no columns"),
        ("a.csv", b"id,text\n1,a\n2,b,c\n", "3 fields in the row at line 3, and its header has 2"),
        ("a.csv", b'id,text\n1,"a\n', "not valid CSV in the row at line 2"),
        ("a.csv", b'id,text\n1,"a"b\n', "not valid CSV in the row at line 2"),
        ("a.csv", b"\n\n", "no header row"),
        ("a.csv", b"\0a,b\n", "does not look like text"),
        ("a.gz", b"plain", "is not compressed with gzip"),
        ("a.txt.zst", b"plain", "is not compressed with Zstandard"),
        ("a.parquet", b"plain", "is no Parquet file"),
        ("a.parquet", b"PAR1" + b"x" * 50 + b"PARE", "encrypted"),
        ("a.gz", gzip.compress(b"", mtime=0), "is empty within"),
        ("a.gz.gz", gzip.compress(gzip.compress(b"x", mtime=0), mtime=0), "compressed with gzip"),
        ("a.parquet.gz", gzip.compress(b"PAR1\x15\x04", mtime=0), "Parquet table"),
        ("a.jsonl", b"", "is empty"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    path = write(tmp_path, name, content)
    sentence = refusal(path)
    assert str(path) in sentence
    assert any(word in sentence for word in words.split("|")), sentence


def test_bytes_of_parquet_that_are_no_text_are_told_or_replaced(tmp_path: Path) -> None:
    values = pa.array([b"fine", b"ab\xff"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": values}), tmp_path / "a.parquet")
    assert "in row 2, at byte 2 of its text (0xFF" in refusal(tmp_path / "a.parquet")
    assert documents(tmp_path / "a.parquet", errors="replace") == ["fine", "ab\ufffd"]


def test_a_folder_of_files_is_read_in_order_and_says_what_it_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for name in ("a.parquet", "b.jsonl.gz", "c.csv"):
        source = {"b.jsonl.gz": "A.JSONL.GZ"}.get(name, name if name in FILES else "a.csv")
        write(folder, name, FILES[source])
    write(folder, "d.txt", b"plain")
    write(folder, "e.csv", b"x,y\n1,2\n")
    write(folder, "f.gz", b"no")
    source = open_source(DataConfig(corpus=str(folder)))
    assert ["".join(document) for document in source.documents()] == [*TEXTS, *TEXTS, *TEXTS, "plain"]
    assert source.columns == ("text",)
    assert [entry.partition(":")[0] for entry in source.skipped] == ["e.csv", "f.gz"]
    write(folder, "g.jsonl", b'{"text": "a"}\n{"te')
    assert "g.jsonl line 2 is not valid JSON" in refusal(folder)


def test_lines_are_those_of_the_whole_whatever_the_blocks() -> None:
    text = "\n\nab\ncde\n\nf"
    for size in range(1, 12):
        blocks = (text[start : start + size] for start in range(0, len(text), size))
        assert list(text_lines(Path("a"), blocks)) == text.split("\n")


def test_names_tell_formats() -> None:
    assert format_of("a.b.JSONL.gz") == ("jsonl", "gzip")
    assert format_of("jsonl") == ("text", "")
    assert format_of(".csv") == ("text", "")
    assert format_of("a.parquet.zst") == ("text", "zstd")
    assert [bare_name(name) for name in ("book.jsonl.gz", "book.txt", "book")] == ["book"] * 3


@pytest.mark.parametrize(("module", "name"), [("pyarrow", "a.parquet"), ("zstandard", "a.jsonl.zst")])
def test_without_the_library_a_sentence_says_how_to_get_it(
    module: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    path = write(tmp_path / "folder", name, FILES[name])
    write(tmp_path / "folder", "README.md", b"not this alone")
    for asked in (path, path.parent):
        assert f"{module}, which is not installed; `pip install 'tui-gpt[data]'`" in refusal(asked)


# ---- standard input and the command line


class Stream(io.BytesIO):
    """Bytes that come through stdin."""

    terminal = False

    def isatty(self) -> bool:
        return self.terminal


def call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, content: bytes | None, *arguments: str
) -> tuple[int, str, str]:
    stream = None if content is None else io.TextIOWrapper(Stream(content))
    monkeypatch.setattr(sys, "stdin", stream)
    code = cli.run(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (jsonl(TEXTS), ["--format", "jsonl"]),
        (gzip.compress(jsonl(TEXTS), mtime=0), ["--format", "jsonl"]),
        (FILES["a.jsonl.zst"], ["--format", "jsonl"]),
        (separated(TEXTS), ["--format", "csv"]),
        (parquet(TEXTS), ["--format", "parquet"]),
        (jsonl(TEXTS, "body"), ["--format", "jsonl", "--column", "body"]),
    ],
)
def test_standard_input_is_a_corpus_of_any_format(
    content: bytes,
    options: list[str],
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, out, err = call(capsys, monkeypatch, content, "corpora", "show", "-", "--json", *options)
    assert code == 0, err
    facts = json.loads(out)
    assert (facts["source"], facts["documents"], len(facts["columns"])) == ("standard input", len(TEXTS), 1)
    (kept,) = (home / "cache" / "standard-input").iterdir()
    assert kept.name.startswith(hashlib.sha256(content).hexdigest() + ".") and kept.read_bytes() == content
    before = kept.stat()
    assert call(capsys, monkeypatch, content, "corpora", "show", "-", "--json", *options)[0] == 0
    assert (kept.stat().st_ino, kept.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    kept.write_bytes(b"damaged")
    assert call(capsys, monkeypatch, content, "corpora", "show", "-", "--json", *options)[0] == 0
    assert [path.read_bytes() for path in kept.parent.iterdir()] == [content]


@pytest.mark.parametrize(("content", "words"), [(b"", "nothing came on standard input"), (None, "is closed")])
def test_standard_input_without_a_text_is_a_sentence(
    content: bytes | None,
    words: str,
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for command in (
        ["corpora", "show", "-"],
        ["train", "-", "--steps", "1"],
        ["config", "plan", "-", "--minutes", "1"],
    ):
        code, _, err = call(capsys, monkeypatch, content, *command)
        assert code == 3 and words in err and len(err.splitlines()) == 1
    assert list(home.rglob("*.tmp")) == []


def test_a_terminal_is_no_text(home: Path) -> None:
    stream = Stream(b"typed")
    stream.terminal = True
    with pytest.raises(CorpusError, match="standard input is a terminal"):
        keep_standard_input(stream)


def test_what_stops_the_reading_of_standard_input_leaves_nothing(home: Path) -> None:
    class Stopped(Stream):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise KeyboardInterrupt
            return super().read(5)

    with pytest.raises(KeyboardInterrupt):
        keep_standard_input(Stopped(b"some text"))
    assert list((home / "cache" / "standard-input").iterdir()) == []


def test_the_format_option_is_for_standard_input_only(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "a.jsonl", FILES["a.jsonl"])
    assert call(capsys, monkeypatch, b"", "corpora", "show", str(path), "--format", "jsonl")[0] == 2


def test_the_command_tells_format_column_lengths_and_what_was_left_out(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "a.jsonl.gz", gzip.compress(jsonl([None, *TEXTS], "body")))
    code, out, _ = call(capsys, monkeypatch, b"", "corpora", "show", str(path), "--column", "body")
    lines = {line.split("  ")[0]: line.split("  ", 1)[1].strip() for line in out.splitlines() if "  " in line}
    assert code == 0
    assert lines["format"] == "JSON Lines, gzip"
    assert lines["column"] == "body"
    assert lines["documents"] == "5, of 24 to 168 characters"
    assert lines["empty rows"] == "1, left out"


def test_a_run_keeps_the_column_and_where_the_text_came_from(home: Path) -> None:
    from tui_gpt.core.config_loading import build_config
    from tui_gpt.engine.training.begin import begin_run

    path = keep_standard_input(Stream(jsonl([text * 40 for text in TEXTS], "body")), "jsonl")
    model = {"n_layer": 1, "n_embd": 16, "n_head": 1, "n_positions": 8}
    run = begin_run(build_config(("", {"model": model, "data": {"corpus": str(path)}, "train": {"max_steps": 1}})))
    assert run.record.name == "standard-input"
    assert run.record.data.source == "standard input"
    assert run.record.config.data.column == "body"
    assert run.record.data.sha256 == prepare(run.record.config.data).sha256
