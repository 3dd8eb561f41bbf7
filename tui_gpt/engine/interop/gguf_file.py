"""A model as one GGUF file, which llama.cpp and what is built on it read.

Tensor names come from the gguf package's own table. The layout is that of llama.cpp's converter: matrices in the type
that was asked for, vectors and learned positions in float32, queries and keys of the llama family in the order of rows
that its rotary positions expect.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import torch

from tui_gpt.core.config import ModelConfig
from tui_gpt.core.errors import ModelError
from tui_gpt.core.files import fsync_dir, fsync_file
from tui_gpt.core.model_handler import ModelHandler
from tui_gpt.core.model_record import ModelRecord
from tui_gpt.engine.interop.huggingface import examine_model_folder
from tui_gpt.engine.interop.state_names import Counterpart, counterparts, foreign_names, own_shapes
from tui_gpt.engine.interop.weights import WeightFiles, open_weights
from tui_gpt.engine.text.bpe_tokenizer import BpeTokenizer
from tui_gpt.engine.text.dialogues.chat_format import chat_format
from tui_gpt.engine.text.tokenizer import Tokenizer
from tui_gpt.engine.text.tokenizer_writing import TOKENIZER_FILE

if TYPE_CHECKING:
    import gguf

GgufType = Literal["f32", "f16", "q8_0"]
TYPES: tuple[GgufType, ...] = ("f32", "f16", "q8_0")
Progress = Callable[[str, float], None]

_PRE_TOKENIZERS = {"gpt2": "gpt-2", "qwen2": "qwen2"}
"""llama.cpp's names for the patterns that split words."""
_NO_MERGE = "<|none|> <|none|>"
"""A merge that is never made, because pieces begin as single characters.

llama.cpp opens no file without merges, and the gguf package leaves an empty list out.
"""


def write_gguf(name: str, path: Path, kind: GgufType = "f16", progress: Progress | None = None) -> int:
    """Write the model `name` of the library, or an example, to `path`; returns the bytes written.

    The file appears whole or not at all, and never in the place of another one. Memory is that of the largest tensor.
    Raises ModelError for a model that is damaged or that GGUF cannot express, for a path that is taken or cannot be
    written, and where the gguf package is not installed.
    """
    library = _gguf()
    handler = ModelHandler()
    record = handler.get(name).record
    folder = handler.load(name)
    model, tokenizer = examine_model_folder(folder)
    vocabulary = _vocabulary(name, folder, tokenizer, model.vocabulary)
    with _new_file(path) as temporary, open_weights(folder) as weights:
        writer = library.GGUFWriter(temporary, model.family)
        try:
            _describe(library, writer, name, record, model, kind)
            _add_vocabulary(library, writer, vocabulary, tokenizer)
            _write_tensors(library, writer, weights, model, kind, progress or (lambda _what, _share: None))
        finally:
            writer.close()
    return path.stat().st_size


def _gguf() -> Any:
    try:
        import gguf
    except ImportError:
        raise ModelError(
            "GGUF files are written by the package gguf, which is not installed; `pip install 'tui-gpt[gguf]'` adds it"
        ) from None
    return gguf


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """A file beside `path` that gets its name at the end, durably. Raises ModelError."""
    temporary = path.with_name(f".{path.name[:64]}.{secrets.token_hex(6)}.tmp")
    try:
        if path.exists():
            raise FileExistsError
        yield temporary
        fsync_file(temporary)
        _give_name(temporary, path)
        fsync_dir(path.absolute().parent)
    except FileExistsError:
        raise ModelError(f"{path} is there already; name another file with --output, or delete it") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}") from None
    finally:
        temporary.unlink(missing_ok=True)


def _give_name(temporary: Path, path: Path) -> None:
    """Raises OSError, FileExistsError where something has come to be there meanwhile."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        temporary.rename(path)


# ---- what it says of itself


def _describe(
    library: Any, writer: gguf.GGUFWriter, name: str, record: ModelRecord | None, model: ModelConfig, kind: GgufType
) -> None:
    writer.add_type("model")
    writer.add_name(name)
    if record is not None and record.license:
        writer.add_license(record.license)
    file_types = library.LlamaFileType
    writer.add_file_type(
        {"f32": file_types.ALL_F32, "f16": file_types.MOSTLY_F16, "q8_0": file_types.MOSTLY_Q8_0}[kind]
    )
    writer.add_quantization_version(library.GGML_QUANT_VERSION)
    writer.add_vocab_size(model.vocabulary)
    writer.add_context_length(model.n_positions)
    writer.add_embedding_length(model.n_embd)
    writer.add_block_count(model.n_layer)
    writer.add_feed_forward_length(model.inner)
    writer.add_head_count(model.n_head)
    writer.add_head_count_kv(model.kv_heads)
    if model.family == "gpt2":
        writer.add_layer_norm_eps(model.layer_norm_epsilon)
        return
    writer.add_layer_norm_rms_eps(model.layer_norm_epsilon)
    writer.add_rope_freq_base(model.rope_theta)
    writer.add_rope_dimension_count(model.head_size)
    writer.add_key_length(model.head_size)
    writer.add_value_length(model.head_size)


# ---- the tokenizer


@dataclass(frozen=True)
class _Vocabulary:
    tokens: list[str]
    """By id, as `tokenizer.json` writes them."""
    special: frozenset[int]
    padding: frozenset[int]
    """Ids of the network that the tokenizer has no token for."""
    merges: list[str]
    pre_tokenizer: str


class _Added(msgspec.Struct):
    id: int
    content: str


class _Bpe(msgspec.Struct):
    vocab: dict[str, int]
    merges: list[str | tuple[str, str]]


class _TokenizerJson(msgspec.Struct):
    model: _Bpe
    added_tokens: list[_Added] = []


def _vocabulary(name: str, folder: Path, tokenizer: Tokenizer, size: int) -> _Vocabulary:
    if not isinstance(tokenizer, BpeTokenizer):
        raise ModelError(
            f"the model {name} has a token per character, which no reader of GGUF knows; train one with the tokenizer "
            f"bpe (`--set data.tokenizer=bpe`), or use {folder} with transformers"
        )
    # What was read once without an error has this form.
    parsed = msgspec.json.decode((folder / TOKENIZER_FILE).read_bytes(), type=_TokenizerJson)
    written = {number: text for text, number in parsed.model.vocab.items()}
    written |= {token.id: token.content for token in parsed.added_tokens}
    padding = frozenset(range(size)) - written.keys()
    return _Vocabulary(
        tokens=[written.get(number, f"[PAD{number}]") for number in range(size)],
        special=frozenset(token.id for token in parsed.added_tokens),
        padding=padding,
        merges=[merge if isinstance(merge, str) else " ".join(merge) for merge in parsed.model.merges],
        pre_tokenizer=_PRE_TOKENIZERS[tokenizer.pattern],
    )


def _add_vocabulary(library: Any, writer: gguf.GGUFWriter, vocabulary: _Vocabulary, tokenizer: Tokenizer) -> None:
    types = library.TokenType
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.pre_tokenizer)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(
        [
            types.CONTROL
            if number in vocabulary.special
            else types.UNUSED
            if number in vocabulary.padding
            else types.NORMAL
            for number in range(len(vocabulary.tokens))
        ]
    )
    writer.add_token_merges(vocabulary.merges or [_NO_MERGE])
    chat = chat_format(tokenizer)
    if tokenizer.eot_id is not None:
        writer.add_bos_token_id(tokenizer.eot_id)
        writer.add_eos_token_id(tokenizer.eot_id if chat is None else chat.end_id)
    if chat is not None:
        writer.add_eot_token_id(chat.end_id)
    if tokenizer.chat_template is not None:
        writer.add_chat_template(tokenizer.chat_template)
    writer.add_add_bos_token(False)


# ---- the weights


def _write_tensors(
    library: Any, writer: gguf.GGUFWriter, weights: WeightFiles, model: ModelConfig, kind: GgufType, progress: Progress
) -> None:
    """First what there will be, then one tensor after the other."""
    names = foreign_names(weights.shapes(), model)
    architecture = next(key for key, value in library.MODEL_ARCH_NAMES.items() if value == model.family)
    table = library.get_tensor_name_map(architecture, model.n_layer)
    shapes = own_shapes(model)
    planned: list[tuple[Counterpart, Any]] = []
    for part in counterparts(model):
        called = table.get_name(part.foreign, try_suffixes=(".weight", ".bias"))
        if called is None:
            raise ModelError(f"GGUF has no name for the tensor {part.foreign}")
        rows, *rest = shapes[part.own]
        shape = (len(range(*part.rows.indices(rows))), *rest)
        quantized = _type_of(library, called, shape, kind)
        planned.append((part, quantized))
        bytes_shape = library.quant_shape_to_byte_shape(shape, quantized)
        dtype = {"F32": np.float32, "F16": np.float16}.get(quantized.name, np.uint8)
        stored = shape if dtype is not np.uint8 else bytes_shape
        writer.add_tensor_info(
            called, stored, np.dtype(dtype), int(np.prod(stored)) * np.dtype(dtype).itemsize, raw_dtype=quantized
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for done, (part, quantized) in enumerate(planned):
        progress("writing", done / len(planned))
        tensor = weights.read(names[part.foreign]).to(torch.float32)
        array = _in_order((tensor.T if part.transposed else tensor).contiguous().numpy(), part, model)
        writer.write_tensor_data(library.quants.quantize(array, quantized))


def _type_of(library: Any, called: str, shape: tuple[int, ...], kind: GgufType) -> Any:
    types = library.GGMLQuantizationType
    if kind == "f32" or len(shape) < 2 or called.startswith("position_embd"):
        return types.F32
    block, _ = library.GGML_QUANT_SIZES[types.Q8_0]
    if kind == "f16" or shape[-1] % block:  # what no whole blocks fit into keeps half precision
        return types.F16
    return types.Q8_0


def _in_order(array: Any, part: Counterpart, model: ModelConfig) -> Any:
    """The rows of a llama's queries and keys with the two halves of each head interleaved."""
    heads = {"q_proj": model.n_head, "k_proj": model.kv_heads}.get(part.foreign.split(".")[-2])
    if model.family != "llama" or heads is None:
        return array
    rows, width = array.shape
    return np.ascontiguousarray(array.reshape(heads, 2, rows // heads // 2, width).swapaxes(1, 2).reshape(rows, width))
