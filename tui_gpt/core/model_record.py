"""`tui_gpt.json`: how a model came to be, and the size and SHA-256 of every other file of its folder."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tui_gpt.core.errors import ModelError
from tui_gpt.core.given_files import is_too_deep

SCHEMA = 1
RECORD_NAME = "tui_gpt.json"
ADAPTER_FOLDER = "adapter"
"""The one folder within a model's: LoRA adapters that are merged into the weights beside it, as peft reads them."""


Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
"""A number of things. More than this there cannot be, and figures of them could not be made."""


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the parts of a model's record: immutable, named arguments only, unknown keys refused."""


class TokenizerRecord(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which tokenizer the model was trained with."""

    kind: str
    """`char`, `bpe` or `gpt2`."""
    vocab_size: Count


class CorpusRecord(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The text that the model was trained on."""

    source: str
    """A built-in corpus by name, or the file's or folder's name as it is shown to people."""
    sha256: str
    """Of the text, in hexadecimal."""


class SampleRecord(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the model wrote when it was saved."""

    text: str
    """The continuation, without the prompt."""
    prompt: str = ""
    seed: Count | None = None


class CurvePoint(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An evaluation on the way."""

    step: Count
    val_loss: float
    """In nats per token."""


class FileRecord(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one file of the folder must be."""

    size: Count
    """In bytes."""
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class ModelRecord(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a model came to be. What is not known (a foreign model's corpus, say) is None."""

    name: str
    family: str
    """`gpt2`, `qwen3` or `llama`."""
    schema: int = SCHEMA
    created: str = ""
    """UTC, ISO 8601, e.g. `2025-01-31T08:15:00Z`. ModelHandler fills it in when it is empty."""
    n_parameters: Count | None = None
    config: dict[str, dict[str, Any]] | None = None
    """The run's whole configuration, section by section (`core.config.to_dict`)."""
    tokenizer: TokenizerRecord | None = None
    corpus: CorpusRecord | None = None
    steps: Count | None = None
    tokens_seen: Count | None = None
    seconds: float | None = None
    """Training time."""
    device: str | None = None
    train_loss: float | None = None
    """In nats per token, as the other losses."""
    val_loss: float | None = None
    best_val_loss: float | None = None
    bits_per_byte: float | None = None
    """Of the validation text."""
    curve: list[CurvePoint] = []
    """How the validation loss fell, in a few points."""
    parent: str | None = None
    """The model that this one was continued or copied from."""
    license: str | None = None
    """An identifier as the Hub knows it, where the training text's licence settles it."""
    notes: str = ""
    sample: SampleRecord | None = None
    files: dict[str, FileRecord] = {}
    """Every other file of the folder. ModelHandler fills it in."""


class _SchemaOnly(msgspec.Struct):
    schema: int


def utc_now() -> str:
    """This moment as records keep it: UTC, ISO 8601, whole seconds."""
    return utc_time(time.time())


def utc_time(moment: float) -> str:
    """A moment in Unix seconds as records keep it; such texts sort by time."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def encode_record(record: ModelRecord) -> bytes:
    """The record as indented JSON that ends in a newline. NaN becomes null."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def decode_record(content: bytes, where: str) -> ModelRecord:
    """The record in `content`; `where` names the file in errors.

    Raises ModelError when it is damaged, or written by a newer tui-gpt.
    """
    try:
        schema = msgspec.json.decode(content, type=_SchemaOnly).schema
        if schema > SCHEMA:
            raise ModelError(
                f"{where} was written by a newer tui-gpt (schema {schema}, and this one knows {SCHEMA}); update "
                "tui-gpt to use this model"
            )
        record = msgspec.json.decode(content, type=ModelRecord)
        if is_too_deep(record.config):
            raise msgspec.ValidationError("its configuration is nested too deeply")
        for name in record.files:
            # A damaged record must not lead anyone out of the model's folder.
            inside = name.removeprefix(f"{ADAPTER_FOLDER}/")
            if inside in ("", ".", "..") or "/" in inside or "\0" in inside:
                raise msgspec.ValidationError(f"{name!r} is not the name of a file")
        return record
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"{where} is damaged ({error}); restore the file, or delete the model") from None
