"""One more token by decoding.c: the network as the tables of addresses that it reads, and weights in fewer bits.

- float32: the network's own weights, where they lie.
- bf16: rounded to 8 significant bits; everything else stays in float32.
- int8: each row in 255 steps of its own size, symmetric about zero; everything else stays in float32.
"""

from __future__ import annotations

import ctypes
import time
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tui_gpt.core.config import WritingPrecision
from tui_gpt.engine.cores import physical_threads
from tui_gpt.engine.network.cache import KVCache
from tui_gpt.engine.network.layers import Block
from tui_gpt.engine.network.native import library
from tui_gpt.engine.network.pace import pace_of

if TYPE_CHECKING:
    from tui_gpt.engine.network.gpt import GPT

_KINDS: dict[WritingPrecision, int] = {"float32": 0, "bf16": 1, "int8": 2}
_LARGEST_STEP = 127
_PANEL = 64
"""Rows; decoding.c has the same."""

_Pointer, _Integer = ctypes.c_void_p, ctypes.c_int64


class _Matrix(ctypes.Structure):
    _fields_ = [
        ("weights", _Pointer),
        ("scales", _Pointer),
        ("bias", _Pointer),
        ("kind", _Integer),
        ("rows", _Integer),
        ("columns", _Integer),
    ]


class _Norm(ctypes.Structure):
    _fields_ = [("scale", _Pointer), ("shift", _Pointer)]


class _Block(ctypes.Structure):
    _fields_ = [(name, _Norm) for name in ("norm_1", "norm_2", "q_norm", "k_norm")] + [
        (name, _Matrix) for name in ("qkv", "out", "gate", "up", "down")
    ]


class _Network(ctypes.Structure):
    _fields_ = [
        *((n, _Integer) for n in ("n_layer", "n_embd", "n_head", "n_kv_head", "head_size", "n_inner", "gated")),
        ("epsilon", ctypes.c_float),
        *((n, _Pointer) for n in ("token_embedding", "position_embedding", "cos", "sin")),
        ("blocks", ctypes.POINTER(_Block)),
        ("final_norm", _Norm),
        ("head", _Matrix),
    ]


class _Cache(ctypes.Structure):
    _fields_ = [("buffer", _Pointer), ("batch", _Integer), ("capacity", _Integer), ("length", _Integer)]


def native_obstacle(network: GPT) -> str:
    """Why decoding.c cannot write with this network, as the end of a sentence; empty where it can."""
    weights = list(network.parameters())
    device = weights[0].device
    if device.type != "cpu":
        return f"the model is on {device}, and this is for writing on the CPU"
    if any(type(each) is not nn.Linear for each in network.modules() if isinstance(each, nn.Linear)):
        return "the model has adapters that are not merged"
    if any(weight.dtype != torch.float32 or not weight.is_contiguous() for weight in weights):
        return "the model's weights are not in float32"
    if library() is None:
        return "no C compiler is installed that could make what it needs; install gcc or clang"
    return ""


class NativeDecoder:
    """Writes with a network for which there is no `native_obstacle`, in as many threads as pay at the time.

    How many they are changes nothing in the result.
    """

    def __init__(self, network: GPT, precision: WritingPrecision = "float32") -> None:
        """In float32 the weights must stay where they are; else they are copied as they are now."""
        self._network = network  # what is not copied lies in it
        self._precision: WritingPrecision = precision
        self._kept: list[Tensor] = []
        config = network.config
        blocks = (_Block * config.n_layer)(*map(self._block, network.blocks))
        position = network.position_embedding
        self._table = _Network(
            config.n_layer,
            config.n_embd,
            config.n_head,
            config.kv_heads,
            config.head_size,
            config.inner,
            config.family != "gpt2",
            config.layer_norm_epsilon,
            self._address(network.token_embedding.weight),
            self._address(None if position is None else position.weight),
            self._address(network.rotary_cos),
            self._address(network.rotary_sin),
            blocks,
            self._norm(network.final_norm),
            self._matrix(network.head_weight, None),
        )
        self._vocabulary = network.head_weight.size(0)
        self._pace = pace_of(sum(each.nbytes for each in self._kept), physical_threads())

    def next_logits(self, ids: Tensor, cache: KVCache) -> Tensor:
        """Logits (B, vocab_size) of the token after `ids` (B), which follow the tokens that `cache` holds.

        What `GPT.next_logits` gives for ids (B, 1), up to rounding. Raises ValueError when the cache is full and
        IndexError for an id outside the vocabulary.
        """
        chosen = ids.tolist()
        if not all(0 <= token < self._network.config.vocabulary for token in chosen):
            raise IndexError(f"among the token ids {chosen} is one outside the vocabulary")
        place = cache.length
        buffer = cache.lengthen()
        logits = torch.empty(len(chosen), self._vocabulary)
        threads, began = self._pace.threads(), time.perf_counter()
        failed = _library().next_logits(
            ctypes.byref(self._table),
            (ctypes.c_int64 * len(chosen))(*chosen),
            ctypes.byref(_Cache(buffer.data_ptr(), len(chosen), cache.n_positions, place)),
            ctypes.c_int64(threads),
            _Pointer(logits.data_ptr()),
        )
        if failed:
            raise MemoryError
        self._pace.took(threads, time.perf_counter() - began)
        return logits

    def _block(self, block: nn.Module) -> _Block:
        assert isinstance(block, Block)
        attention, mlp = block.attention, block.mlp
        heads = (attention.q_norm, attention.k_norm) if attention.norms_heads else (None, None)
        norms = map(self._norm, (block.norm_1, block.norm_2, *heads))
        gate, up = mlp.up.weight.chunk(2) if mlp.gated else (None, mlp.up.weight)
        return _Block(
            *norms,
            self._matrix(attention.qkv.weight, attention.qkv.bias),
            self._matrix(attention.out.weight, attention.out.bias),
            _Matrix() if gate is None else self._matrix(gate, None),
            self._matrix(up, mlp.up.bias),
            self._matrix(mlp.down.weight, mlp.down.bias),
        )

    def _norm(self, norm: nn.Module | None) -> _Norm:
        return _Norm(*(self._address(getattr(norm, name, None)) for name in ("weight", "bias")))

    def _matrix(self, weight: Tensor, bias: Tensor | None) -> _Matrix:
        rows, columns = weight.shape
        scales = None
        if self._precision == "bf16":
            weight = panels(weight.detach().bfloat16())
        elif self._precision == "int8":
            weight, scales = int8_rows(weight.detach())
            weight = panels(weight)
        addresses = map(self._address, (weight, scales, bias))
        return _Matrix(*addresses, _KINDS[self._precision], rows, columns)

    def _address(self, tensor: Tensor | None) -> int | None:
        if tensor is None:
            return None
        self._kept.append(tensor)
        return tensor.data_ptr()


def int8_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(out, in) as int8 of the same shape, and the float32 (out) that each row is to be multiplied with."""
    scales = weight.abs().amax(dim=1, keepdim=True).clamp_(min=torch.finfo(torch.float32).tiny) / _LARGEST_STEP
    return (weight / scales).round_().to(torch.int8), scales.squeeze(1)


def panels(weight: Tensor) -> Tensor:
    """(out, in) as (out / 64, in, 64): rows that are computed together lie together; the last are filled with zeros."""
    padded = F.pad(weight, (0, 0, 0, -len(weight) % _PANEL))
    return padded.view(-1, _PANEL, weight.size(1)).transpose(1, 2).contiguous()


def _library() -> ctypes.CDLL:
    found = library()
    assert found is not None
    return found
