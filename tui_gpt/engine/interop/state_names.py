"""The only place that knows Hugging Face's tensor names: one table per family, read in both directions.

Ours fuse queries, keys and values into one matrix, and gate and up projections into another; Hugging Face keeps Qwen3's
apart. GPT-2 there stores its matrices as (inputs, outputs), the transpose of a Linear layer's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tui_gpt.core.config import ModelConfig
from tui_gpt.core.errors import ModelError
from tui_gpt.engine.network import empty_network

Shape = tuple[int, ...]

HEAD = "lm_head.weight"

# Buffers that older versions of transformers wrote into the file; they hold no weights.
_BUFFERS = re.compile(r"transformer\.h\.\d+\.attn\.(masked_)?bias|.*\brotary_emb\.inv_freq")
# A file of the bare model, as the original GPT-2's, lacks the prefix that the model with its head has.
_PREFIX = {"gpt2": "transformer.", "qwen3": "model.", "llama": "model."}


@dataclass(frozen=True, slots=True)
class Counterpart:
    """One tensor of a Hugging Face file and where it lies in ours."""

    foreign: str
    own: str
    rows: slice = field(default_factory=lambda: slice(None))
    """Which rows of our tensor it fills."""
    transposed: bool = False

    def shape(self, own: Shape) -> Shape:
        """The foreign tensor's shape, given that of our whole tensor."""
        part = (len(range(*self.rows.indices(own[0]))), *own[1:])
        return part[::-1] if self.transposed else part


def counterparts(model: ModelConfig) -> Iterator[Counterpart]:
    """Every learned tensor of the network, once."""
    yield from _gpt2(model) if model.family == "gpt2" else _rotary(model)
    if not model.tie_word_embeddings:
        yield Counterpart(HEAD, "head.weight")


def embedding_name(model: ModelConfig) -> str:
    """The foreign name of the token embedding, which a tied head shares."""
    return "transformer.wte.weight" if model.family == "gpt2" else "model.embed_tokens.weight"


def _gpt2(model: ModelConfig) -> Iterator[Counterpart]:
    yield Counterpart(embedding_name(model), "token_embedding.weight")
    yield Counterpart("transformer.wpe.weight", "position_embedding.weight")
    names = {
        "ln_1": "norm_1",
        "attn.c_attn": "attention.qkv",
        "attn.c_proj": "attention.out",
        "ln_2": "norm_2",
        "mlp.c_fc": "mlp.up",
        "mlp.c_proj": "mlp.down",
    }
    for n in range(model.n_layer):
        for foreign, own in names.items():
            matrix = "." in foreign
            yield Counterpart(f"transformer.h.{n}.{foreign}.weight", f"blocks.{n}.{own}.weight", transposed=matrix)
            yield Counterpart(f"transformer.h.{n}.{foreign}.bias", f"blocks.{n}.{own}.bias")
    yield Counterpart("transformer.ln_f.weight", "final_norm.weight")
    yield Counterpart("transformer.ln_f.bias", "final_norm.bias")


def _rotary(model: ModelConfig) -> Iterator[Counterpart]:
    queries, keys = model.n_head * model.head_size, model.kv_heads * model.head_size
    yield Counterpart(embedding_name(model), "token_embedding.weight")
    names = {
        "input_layernorm": ("norm_1", slice(None)),
        "self_attn.q_proj": ("attention.qkv", slice(0, queries)),
        "self_attn.k_proj": ("attention.qkv", slice(queries, queries + keys)),
        "self_attn.v_proj": ("attention.qkv", slice(queries + keys, queries + 2 * keys)),
        "self_attn.q_norm": ("attention.q_norm", slice(None)),
        "self_attn.k_norm": ("attention.k_norm", slice(None)),
        "self_attn.o_proj": ("attention.out", slice(None)),
        "post_attention_layernorm": ("norm_2", slice(None)),
        "mlp.gate_proj": ("mlp.up", slice(0, model.inner)),
        "mlp.up_proj": ("mlp.up", slice(model.inner, 2 * model.inner)),
        "mlp.down_proj": ("mlp.down", slice(None)),
    }
    if model.family == "llama":
        del names["self_attn.q_norm"], names["self_attn.k_norm"]
    for n in range(model.n_layer):
        for foreign, (own, rows) in names.items():
            yield Counterpart(f"model.layers.{n}.{foreign}.weight", f"blocks.{n}.{own}.weight", rows)
    yield Counterpart("model.norm.weight", "final_norm.weight")


def own_shapes(model: ModelConfig) -> dict[str, Shape]:
    """Our tensors' names and shapes, without allocating any."""
    return {name: tuple(tensor.shape) for name, tensor in empty_network(model).state_dict().items()}


def foreign_names(found: Mapping[str, Shape], model: ModelConfig) -> dict[str, str]:
    """The full foreign name of each learned tensor to the name it has in the file, whose shapes are `found`.

    Raises ModelError naming the first tensor that is unexpected, missing, or of another shape than config.json says.
    """
    shapes = own_shapes(model)
    expected = {c.foreign: c.shape(shapes[c.own]) for c in counterparts(model)}
    optional = {HEAD: shapes["token_embedding.weight"]} if model.tie_word_embeddings else {}
    prefix = _PREFIX[model.family]
    names: dict[str, str] = {}
    for name, shape in found.items():
        full = name if name.startswith(prefix) or name == HEAD else prefix + name
        if _BUFFERS.fullmatch(full):
            continue
        wanted = expected.get(full) or optional.get(full)
        if wanted is None:
            raise ModelError(f"the tensor {name!r} has no place in the network that config.json describes")
        if full in names:
            raise ModelError(f"the tensors {names[full]!r} and {name!r} are the same weight under two names")
        if shape != wanted:
            raise ModelError(f"the tensor {name!r} has shape {list(shape)}, but config.json asks for {list(wanted)}")
        names[full] = name
    missing = [name for name in expected if name not in names]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise ModelError(f"the tensor {missing[0]!r}{more} is missing, which config.json asks for")
    return names


def fill(
    state: Mapping[str, Tensor], model: ModelConfig, names: Mapping[str, str], read: Callable[[str], Tensor]
) -> None:
    """Copy every foreign tensor, one at a time, to its place in our allocated `state`.

    `names` is what `foreign_names` returned and `read` gives a tensor by its name in the file. Raises ModelError when a
    head that the configuration calls tied is in the file and is another matrix.
    """
    with torch.no_grad():
        for part in counterparts(model):
            tensor = read(names[part.foreign])
            state[part.own][part.rows].copy_(tensor.T if part.transposed else tensor)
    require_tied(model, names, read)


def require_tied(model: ModelConfig, names: Mapping[str, str], read: Callable[[str], Tensor]) -> None:
    """Raise ModelError where a head that the configuration calls tied is in the file and is another matrix."""
    if model.tie_word_embeddings and HEAD in names:
        embedding = read(names[embedding_name(model)])
        if not torch.equal(read(names[HEAD]), embedding):
            raise ModelError(
                f"the tensor {HEAD!r} is not the token embedding, as tie_word_embeddings in config.json says"
            )


def state_to_hf(state: Mapping[str, Tensor], model: ModelConfig) -> dict[str, Tensor]:
    """Our state dict under Hugging Face's names; a tied head is left out. Each tensor is contiguous and on the CPU."""
    result: dict[str, Tensor] = {}
    for part in counterparts(model):
        tensor = state[part.own].detach()[part.rows]
        result[part.foreign] = (tensor.T if part.transposed else tensor).cpu().contiguous()
    return result


def state_from_hf(tensors: Mapping[str, Tensor], model: ModelConfig) -> dict[str, Tensor]:
    """A Hugging Face state dict under our names, in the data type of its token embedding.

    Raises ModelError naming the first tensor that is unexpected, missing or wrongly shaped.
    """
    names = foreign_names({name: tuple(tensor.shape) for name, tensor in tensors.items()}, model)
    dtype = tensors[names[embedding_name(model)]].dtype
    state = {name: torch.empty(shape, dtype=dtype) for name, shape in own_shapes(model).items()}
    fill(state, model, names, tensors.__getitem__)
    return state
