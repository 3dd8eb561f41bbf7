"""Conversations come from files in every usual form, and what is none is told in one sentence, with its place."""

from __future__ import annotations

import csv
import gzip
import io
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_gpt.core.config import DataConfig
from tui_gpt.core.errors import CorpusError
from tui_gpt.engine.text.dialogues.conversation import Conversation, Message, as_conversation
from tui_gpt.engine.text.dialogues.dialogue_sources import holds_conversations, open_dialogues
from tui_gpt.engine.text.dialogues.prepared_dialogues import PreparedDialogues
from tui_gpt.engine.text.dialogues.question_answer import read_conversations
from tui_gpt.engine.text.prepare import prepare

QA = [("Who is there?", "A fox."), ("What is 2 + 2?", 'It is "4", of course;\nno\tless.'), ("漢字 😀?", "はい, ここ")]
TALKS: list[Conversation] = [(Message("user", q), Message("assistant", a)) for q, a in QA]


def lines(rows: list[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def separated(columns: tuple[str, ...], delimiter: str = ",") -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows([columns, *QA])
    return out.getvalue().encode()


def parquet(table: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(table), out, row_group_size=2)
    return out.getvalue()


def messages(role: str = "role", content: str = "content", user: str = "user", gpt: str = "assistant") -> list[Any]:
    return [[{role: user, content: q}, {role: gpt, content: a}] for q, a in QA]


MESSAGES = lines([{"id": 1, "messages": m, "text": "rendered"} for m in messages()])
AUTO: dict[str, bytes] = {
    "messages.jsonl": MESSAGES,
    "sharegpt.jsonl": lines([{"conversations": m} for m in messages("from", "value", "human", "gpt")]),
    "capital.JSONL": lines([{"conversation": m} for m in messages(user="User", gpt="Assistant")]),
    "alpaca.jsonl": lines([{"instruction": q, "input": "", "output": a, "text": "Below is ..."} for q, a in QA]),
    "alpaca-null.jsonl": lines([{"instruction": q, "input": None, "output": a} for q, a in QA]),
    "answers.jsonl": lines([{"question": q, "answer": a} for q, a in QA]),
    "response.jsonl": lines([{"prompt": q, "response": a} for q, a in QA]),
    "completion.jsonl": lines([{"prompt": q, "completion": a} for q, a in QA]),
    "pair.jsonl": lines([{"user": q, "assistant": a} for q, a in QA]),
    "a.csv": separated(("question", "answer")),
    "semicolon.csv": separated(("prompt", "completion"), ";"),
    "a.tsv": separated(("instruction", "output"), "\t"),
    "a.jsonl.gz": gzip.compress(MESSAGES),
    "a.jsonl.zst": zstandard.compress(MESSAGES),
    "a.csv.gz": gzip.compress(separated(("question", "answer"))),
    "nested.parquet": parquet({"messages": messages(), "id": [1, 2, 3]}),
    "sharegpt.parquet": parquet({"conversations": messages("from", "value", "human", "gpt")}),
    "pairs.parquet": parquet({"question": [q for q, _ in QA], "answer": [a for _, a in QA]}),
}


def write(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def read(path: Path, **options: Any) -> list[Conversation]:
    data = DataConfig(corpus=str(path), **options)
    assert is_of_conversations(data)
    return list(open_dialogues(data, quiet).conversations())


def quiet(_what: str, _share: float) -> None:
    pass


def is_of_conversations(data: DataConfig) -> bool:
    return holds_conversations(data, quiet, fetch=False)


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(CorpusError) as refused:
        read(path, **{"form": "conversations"} | options)
    said = str(refused.value)
    assert "\n" not in said and len(said) < 900
    assert said.startswith(str(path))
    return said


@pytest.mark.parametrize("name", AUTO)
def test_every_usual_form_is_known_by_itself(name: str, tmp_path: Path) -> None:
    assert read(write(tmp_path, name, AUTO[name])) == TALKS


@pytest.mark.parametrize("name", AUTO)
def test_text_can_be_asked_for_in_any_case(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, name, AUTO[name])
    assert not is_of_conversations(DataConfig(corpus=str(path), form="text"))


def test_text_of_questions_and_answers_is_conversations_when_asked_for(tmp_path: Path) -> None:
    text = "".join(f"Q: {q}\nA: {a}\n\n" for q, a in QA)
    path = write(tmp_path, "faq.txt", text.encode("utf-16"))
    assert not is_of_conversations(DataConfig(corpus=str(path)))
    assert read(path, form="conversations") == TALKS
    packed = write(tmp_path, "faq.txt.gz", gzip.compress(text.replace("\n", "\r\n").encode()))
    assert read(packed, form="conversations") == TALKS


def test_a_folder_gives_all_that_holds_conversations_and_says_what_does_not(tmp_path: Path) -> None:
    write(tmp_path, "1/a.jsonl", MESSAGES)
    write(tmp_path, "2/b.parquet", AUTO["nested.parquet"])
    write(tmp_path, "3/faq.txt", b"\nQuestion: Who?\nAnswer: Me.")
    write(tmp_path, ".cache/index.csv", b"text\nhidden\n")
    write(tmp_path, "README.md", b"# About\nQ: no\n")
    write(tmp_path, "2/other.csv", b"name,size\na,1\n")
    write(tmp_path, "picture.png", b"\x89PNG\r\n\0\0")
    write(tmp_path, "all.json", b"[{}]")
    data = DataConfig(corpus=str(tmp_path))
    source = open_dialogues(data, quiet)
    assert is_of_conversations(data)
    assert list(source.conversations()) == [*TALKS, *TALKS, (Message("user", "Who?"), Message("assistant", "Me."))]
    left_out = {reason.partition(":")[0] for reason in source.skipped}
    assert left_out == {".cache", "README.md", "2/other.csv", "picture.png", "all.json"}
    assert source.columns == ("messages",) and source.formats == ("JSON Lines", "Parquet", "text")


TEXT_TABLES: dict[str, bytes] = {
    "text beside a pair": lines([{"question": q, "answer": a, "text": "a text"} for q, a in QA]),
    "content beside a pair": lines([{"prompt": q, "response": a, "content": "a text"} for q, a in QA]),
    "a conversation in one text": lines([{"conversation": f"{q}\n{a}"} for q, a in QA]),
    "a list of texts": lines([{"messages": [q, a], "text": q} for q, a in QA]),
    "messages of another kind": lines([{"messages": [{"id": 1, "body": q}], "text": q} for q, a in QA]),
    "numbers for answers": lines([{"question": q, "answer": 4} for q, a in QA]),
    "nothing for answers": lines([{"question": q, "answer": None} for q, a in QA]),
    "bare texts": lines([q for q, _ in QA]),
}


@pytest.mark.parametrize("case", TEXT_TABLES)
def test_tables_of_texts_stay_tables_of_texts(case: str, tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", TEXT_TABLES[case])
    assert not is_of_conversations(DataConfig(corpus=str(path)))


def test_tables_of_texts_in_other_formats_stay_that_too(tmp_path: Path) -> None:
    csv_file = write(tmp_path, "a.csv", b"conversation\nQ and A\n")
    assert not is_of_conversations(DataConfig(corpus=str(csv_file)))
    for number, table in enumerate(({"messages": ["a", "b"]}, {"messages": [["a"], ["b"]], "text": ["a", "b"]})):
        path = write(tmp_path, f"{number}.parquet", parquet(table))
        assert not is_of_conversations(DataConfig(corpus=str(path)))
    named = write(tmp_path, "named.jsonl", MESSAGES)
    assert not is_of_conversations(DataConfig(corpus=str(named), column="text"))
    assert read(named, form="conversations", column="messages") == TALKS


def test_the_built_in_corpora_are_what_they_are() -> None:
    assert is_of_conversations(DataConfig(corpus="conversations"))
    assert not is_of_conversations(DataConfig(corpus="stories"))
    with pytest.raises(CorpusError, match="is a corpus of conversations; leave"):
        is_of_conversations(DataConfig(corpus="conversations", form="text"))
    with pytest.raises(CorpusError, match="is a corpus of texts; leave"):
        open_dialogues(DataConfig(corpus="stories", form="conversations"), quiet)


def said(*turns: tuple[str, Any], column: str = "messages") -> dict[str, Any]:
    return {column: [{"role": role, "content": content} for role, content in turns]}


GOOD = said(("user", "a"), ("assistant", "b"))
REFUSED: dict[str, tuple[Any, str]] = {
    "a role": (said(("user", "a"), ("tool", "b")), "has tool as the role of message 2"),
    "no role": ({"messages": [{"content": "a"}]}, "has nobody as the role of message 1"),
    "a number as role": ({"messages": [{"role": 7, "content": "a"}]}, "has nobody as the role of message 1"),
    "a long role": (said(("x" * 9000, "a")), f"has {'x' * 40!r} as the role"),
    "a late system message": (
        said(("user", "a"), ("assistant", "b"), ("system", "c")),
        "has a system message after others",
    ),
    "a list as content": (said(("user", [{"type": "text"}])), "has a message 1 whose content is no text"),
    "no list": ({"messages": "hello"}, "holds no list of messages in messages"),
    "no objects": ({"messages": ["hello"]}, "has no object as message 1 of messages"),
    "half a character": (said(("user", "\ud800"), ("assistant", "b")), "is not valid JSON"),
    "half a character as role": (said(("\udfff", "b")), "is not valid JSON"),
    "no object at all": (["a"], "is neither an object nor a string"),
    "a bare text": ("a", "is no object"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_line_that_is_no_conversation_is_named(case: str, tmp_path: Path) -> None:
    row, why = REFUSED[case]
    reason = refusal(write(tmp_path, "a.jsonl", lines([*[GOOD] * 120, row])))
    assert f"line 121 {why}" in reason
    assert "mend" in reason and "leave it out" in reason


def test_json_that_is_deep_or_broken_is_named(tmp_path: Path) -> None:
    deep = b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"
    assert "line 2 is nested too deeply" in refusal(write(tmp_path, "a.jsonl", lines([GOOD]) + deep))
    beside = b'{"messages": [], "more": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"
    assert "line 2 is nested too deeply" in refusal(write(tmp_path, "a.jsonl", lines([GOOD]) + beside))
    broken = lines([GOOD]) + b'{"messages": [{"role": "user", \n'
    assert "line 2 is not valid JSON" in refusal(write(tmp_path, "a.jsonl", broken))


def test_other_files_that_hold_no_conversations_are_named(tmp_path: Path) -> None:
    assert "has no columns that hold conversations; they can be a list `messages`" in refusal(
        write(tmp_path, "a.jsonl", lines([{"title": "x"}]))
    )
    assert "has no column 'talk'" in refusal(write(tmp_path, "b.jsonl", lines([GOOD])), column="talk")
    assert 'does not begin with a question; begin its questions with "Q:"' in refusal(
        write(tmp_path, "a.txt", b"Once upon a time\nQ: a\nA: b\n")
    )
    assert "is JSON as a whole; write each conversation on a line" in refusal(write(tmp_path, "a.json", b'[{"a": 1}]'))
    assert "is empty" in refusal(write(tmp_path, "empty.jsonl", b""))
    assert "is called .parquet and is no Parquet file" in refusal(write(tmp_path, "x.parquet", b"PARX"))
    assert "row 3 has owner as the role of message 1" in refusal(
        write(tmp_path, "a.parquet", parquet({"messages": [*messages()[:2], [{"role": "owner", "content": "a"}]]}))
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"question,answer\nHi,Hello, friend\n", "has 3 fields in the row at line 2, and its header has 2"),
        (b"question,answer\na,b\nHi\n", "has 1 fields in the row at line 3, and its header has 2"),
        (b"question,answer,answer\nHi,Hello,Ho\n", "has several columns called answer"),
        (b'question,answer\na,b\n"Hi,Hello\n', "is not valid CSV in the row at line 3"),
    ],
)
def test_rows_that_do_not_fit_their_header_lose_nothing_silently(content: bytes, why: str, tmp_path: Path) -> None:
    assert why in refusal(write(tmp_path, "a.csv", content))


def test_what_nobody_answers_is_counted_and_sets_without_two_answers_are_refused(tmp_path: Path) -> None:
    unanswered: list[Any] = [
        said(("user", "a")),
        said(("system", "a"), ("assistant", "b")),
        {"messages": None},
        {"messages": []},
    ]
    path = write(tmp_path, "a.jsonl", lines([*unanswered, GOOD, GOOD, {"other": 1}]))
    prepared = prepare(DataConfig(corpus=str(path), tokenizer="char"), cache=tmp_path / "cache")
    assert isinstance(prepared, PreparedDialogues)
    assert (prepared.facts.documents, prepared.facts.answers, prepared.facts.empty_rows) == (2, 2, 5)
    for rows, number in (([GOOD, unanswered[0]], "one conversation"), (unanswered, "no conversation")):
        path = write(tmp_path, "few.jsonl", lines(rows))
        with pytest.raises(CorpusError, match=rf"few\.jsonl has {number} with an answer, and at least one is needed"):
            prepare(DataConfig(corpus=str(path), form="conversations"), cache=tmp_path / "cache")


def test_messages_become_what_is_learned() -> None:
    joined = as_conversation(
        [
            Message("system", " Be kind.\r\n"),
            Message("system", "Be short."),
            Message("user", "\n"),
            Message("user", "a\r\nb"),
            Message("user", "c"),
            Message("assistant", " d "),
            Message("user", "bye"),
        ]
    )
    assert joined == (
        Message("system", "Be kind.\n\nBe short."),
        Message("user", "a\nb\n\nc"),
        Message("assistant", "d"),
    )


def test_what_stands_beside_a_question_is_read_with_it(tmp_path: Path) -> None:
    rows: dict[str, list[Any]] = {
        "alpaca": [{"instruction": "a", "input": "x", "output": "b", "system": "s"}],
        "dolly": [{"instruction": "a", "context": "x", "response": "b", "system_prompt": "s"}],
        "orca": [{"system_prompt": "s", "question": "a\n\nx", "response": "b"}],
        "lists": [{"system": "s", **said(("user", "a\n\nx"), ("assistant", "b"))}],
    }
    wanted = (Message("system", "s"), Message("user", "a\n\nx"), Message("assistant", "b"))
    for name, found in rows.items():
        assert read(write(tmp_path, f"{name}.jsonl", lines(found))) == [wanted]
    late = [{"instruction": "a", "input": None, "output": "b"}] * 150 + [{**rows["alpaca"][0], "system": None}]
    assert read(write(tmp_path, "late.jsonl", lines(late)))[-1] == wanted[1:]
    # What holds other things is not meant.
    others = [{"system": True, "context": [1], "question": "a", "answer": "b"}]
    assert read(write(tmp_path, "others.jsonl", lines(others))) == [(Message("user", "a"), wanted[2])]


def test_questions_and_answers_may_go_over_several_lines() -> None:
    text = "System: Be kind.\nQ: one\ntwo\n\nA: three\n\nfour: five\n\nA: six\nUser: and?\nAnswer: so.\n\n\nHuman: x"
    found = [as_conversation(messages) for _, messages in read_conversations(iter(text.split("\n")))]
    assert found == [
        (
            Message("system", "Be kind."),
            Message("user", "one\ntwo"),
            Message("assistant", "three\n\nfour: five\n\nsix"),
            Message("user", "and?"),
            Message("assistant", "so."),
        ),
        (),
    ]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "from", "value", "messages", "question", "answer", "x"]),
            inner | st.sampled_from(["user", "assistant", "system", "gpt"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["messages", "conversations", "question", "answer", "input"]), VALUES)
        | st.just(GOOD),
        max_size=5,
    )
)
@settings(max_examples=300)
def test_whatever_json_holds_is_read_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any]
) -> None:
    path = write(tmp_path_factory.getbasetemp(), "fuzzed.jsonl", lines(rows))
    data = DataConfig(corpus=str(path), form="conversations")
    try:
        found = list(open_dialogues(data, quiet).conversations())
    except CorpusError as error:
        assert "\n" not in str(error)
        return
    for talk in found:
        assert talk[-1].role == "assistant" and any(message.role == "user" for message in talk)
        assert all(message.content == message.content.strip() != "" for message in talk)
        assert all(a.role != b.role for a, b in pairwise(talk))


@given(st.lists(st.sampled_from(["Q: a", "A: b", "System: c", "", "more", "Q:", " A: x", "User:"]), max_size=12))
def test_whatever_text_holds_is_read_or_refused_in_a_sentence(wanted: list[str]) -> None:
    try:
        found = [as_conversation(messages) for _, messages in read_conversations(iter(wanted))]
    except ValueError as error:
        assert "\n" not in str(error)
        return
    assert sum(len(talk) > 0 for talk in found) <= wanted.count("A: b")
