"""What screen and session say to each other: every message survives its line, and a line that is none is a sentence."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from tui_gpt.core import messages
from tui_gpt.core.config import DataConfig, RunConfig, SampleConfig
from tui_gpt.core.messages import (
    MessageError,
    ModelRef,
    Reply,
    Request,
    decode_reply,
    decode_request,
    encode,
    request_id,
)
from tui_gpt.core.repeats import Repeats

RUN = ModelRef(kind="run", name="bard", checkpoint="last")

REQUESTS: list[Request] = [
    messages.Explore(id=1, data=DataConfig(corpus="stories"), text="Once"),
    messages.Begin(id=2, config=RunConfig(), name="bard", origin="stories"),
    messages.Fork(id=3, run="bard", name=None, checkpoint="120", changes={"learning_rate": 1e-4, "max_steps": None}),
    messages.Calibrate(id=4, config=RunConfig(), seconds=2.5),
    messages.Load(id=5, model=RUN),
    messages.Generate(
        id=6, model=RUN, prompt='"\n\u2028\U0001f600', settings=SampleConfig(stop=("\n",), seed=2**63 - 1)
    ),
    messages.Publish(id=7, run="bard", name="bard-2"),
    messages.Import(id=8, source="hub:openai-community/gpt2@main", name="gpt2", pickle=True),
    messages.Export(id=9, model="bard", path="/tmp/bard.gguf", kind="q8_0"),
    messages.Cancel(id=10, target=6),
    messages.ListTokens(id=11, data=DataConfig(corpus="stories")),
]
REPLIES: list[Reply] = [
    messages.Ready(pid=1, python="3.11"),
    messages.Progress(id=1, what="encoding", share=0.5),
    messages.Generating(id=1, seed=7, prompt_tokens=3, title="bard", step=None),
    messages.Wrote(id=1, pieces=[messages.WrittenPiece(sample=0, text="a\x1b", token_id=3, logprob=-0.5)]),
    messages.Explored(
        id=1,
        source="book.txt",
        sha256="0" * 64,
        characters=3,
        distinct_characters=2,
        documents=1,
        bytes=3,
        tokenizer="char",
        vocab_size=2,
        tokens=3,
        train_tokens=2,
        validation_tokens=1,
        bytes_per_token=1.0,
        sample="aba",
        line="aba",
        line_tokens=[messages.TokenText(id=0, text="a")],
        repeats=Repeats(
            unit="paragraphs",
            counted=1,
            copies=0,
            copied_characters=0,
            characters=3,
            leaked=0,
            leaked_characters=0,
            validation_characters=0,
        ),
    ),
    messages.TokenRows(id=1, first=2, texts=["\n", "\\xe2"], lengths=[1, 1], counts=[3, 0]),
    messages.TokensListed(id=1, source="book.txt", tokenizer="bpe", vocab_size=4, train_tokens=3, end_of_text=None),
    messages.Begun(id=1, run="bard"),
    messages.Calibrated(
        id=1,
        tokens_per_second=1.5,
        step_seconds=0.5,
        steps=2,
        seconds=1.0,
        memory_bytes=1,
        device="cpu",
        device_name="CPU",
        precision="bf16",
        threads=2,
    ),
    messages.Loaded(id=1, title="bard", n_parameters=1, n_positions=2, vocab_size=3),
    messages.Generated(id=1, tokens=2, seconds=0.1, first_token_seconds=0.05, reasons=["eot", "length"]),
    messages.Published(id=1, model="bard"),
    messages.Exported(id=1, path="/tmp/bard.gguf", size_bytes=7),
    messages.Failed(id=1, message="no"),
    messages.Cancelled(id=1),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda message: type(message).__name__)
def test_a_request_survives_its_line(request_: Request) -> None:
    line = encode(request_)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode_request(line) == request_
    assert request_id(line) == request_.id


@pytest.mark.parametrize("reply", REPLIES, ids=lambda message: type(message).__name__)
def test_a_reply_survives_its_line(reply: Reply) -> None:
    assert decode_reply(encode(reply)) == reply


def test_every_kind_of_message_is_tried_here() -> None:
    tried = {type(message) for message in (*REQUESTS, *REPLIES)}
    assert tried == {*get_args(messages.Request), *get_args(messages.Reply)}


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"hello\n",
        b"\xff\xfe\n",
        b"[" * 100_000,
        b'{"type":"dance","id":1}\n',
        b'{"type":"cancel","id":1}\n',
        b'{"type":"cancel","id":-1,"target":2}\n',
        b'{"type":"cancel","id":1,"target":2,"more":3}\n',
        b'{"type":"generate","id":1,"model":{"kind":"run","name":"a"},"prompt":"","settings":{"top_p":7}}\n',
        encode(messages.Cancelled(id=1)),
    ],
    ids=lambda line: repr(line[:40]),
)
def test_a_line_that_is_no_request_is_refused_in_one_sentence(line: bytes) -> None:
    with pytest.raises(MessageError) as refused:
        decode_request(line)
    assert "is no request" in str(refused.value)
    assert "start it again" in str(refused.value)


def test_the_id_of_a_line_that_is_no_request_is_still_found() -> None:
    assert request_id(b'{"type":"dance","id":3}') == 3
    assert request_id(b'{"id":"three"}') is None
    assert request_id(b"[") is None


def test_text_that_is_no_unicode_is_escaped_instead_of_ending_the_session() -> None:
    reply = messages.Failed(id=1, message="caf\udce9.txt cannot be read")
    assert decode_reply(encode(reply)) == msgspec.structs.replace(reply, message="caf\\udce9.txt cannot be read")


def test_a_reference_to_a_model_can_be_a_key() -> None:
    assert {RUN: 1}[ModelRef(kind="run", name="bard", checkpoint="last")] == 1
